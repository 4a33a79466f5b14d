"""The clients of scripts/soak: RTMP publishers and players, and players over HTTP, with nothing but sockets.

They are as small as the server accepts, so that thousands of them a minute cost less than the server under test.
"""

import asyncio
import base64
import os
import socket
import struct

CHUNK = 65536
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20
# Longer than anything takes on a busy machine: whoever waits longer has found a server that hangs.
PATIENCE = 30


class Refused(Exception):
    """The server said no, or closed."""


def amf0(value):
    if value is None:
        return b"\x05"
    if isinstance(value, str):
        return b"\x02" + struct.pack(">H", len(value)) + value.encode()
    if isinstance(value, dict):
        pairs = b"".join(amf0(key)[1:] + amf0(item) for key, item in value.items())
        return b"\x03" + pairs + b"\0\0\x09"
    return b"\0" + struct.pack(">d", value)


def tags(path):
    """The tags of an FLV file: type, time in milliseconds, body."""
    data, found = path.read_bytes(), []
    at = int.from_bytes(data[5:9], "big") + 4
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        found.append((data[at], time, data[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return found


async def open_tcp(port):
    return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), PATIENCE)


def close(writer, rudely):
    """Closes as a program does, or as one that was killed with data unread: with a reset."""
    if rudely:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.close()


class Rtmp:
    """One connection to the app `live`."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.sizes, self.partial, self.chunk = {}, {}, 128
        self.received = 0

    @classmethod
    async def connect(cls, port):
        self = cls(*await open_tcp(port))
        try:
            self.writer.write(b"\x03" + bytes(1536))
            answer = await self.exactly(1 + 2 * 1536)
            self.writer.write(answer[1:1537])
            self.message(2, 1, 0, struct.pack(">I", CHUNK))
            url = f"rtmp://127.0.0.1:{port}/live"
            self.command(0, "connect", 1, {"app": "live", "flashVer": "FMLE/3.0", "tcUrl": url})
            await self.until(b"NetConnection.Connect.Success")
            self.command(0, "createStream", 2, None)
            await self.until(b"_result")
        except BaseException:
            self.writer.transport.abort()
            raise
        return self

    async def exactly(self, count):
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE)

    def message(self, channel, kind, stream, body, time=0):
        first = min(time, 0xFFFFFF)
        head = bytes([channel]) + first.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind])
        extended = struct.pack(">I", time) if first == 0xFFFFFF else b""
        pieces = [head, struct.pack("<I", stream), extended, body[:CHUNK]]
        for at in range(CHUNK, len(body), CHUNK):
            pieces += [bytes([0xC0 | channel]), extended, body[at : at + CHUNK]]
        self.writer.write(b"".join(pieces))

    def command(self, stream, name, transaction, *values):
        body = amf0(name) + amf0(transaction) + b"".join(map(amf0, values))
        self.message(3, COMMAND, stream, body)

    async def read(self):
        """The type and the body of the next message."""
        while True:
            first = (await self.exactly(1))[0]
            form, channel = first >> 6, first & 63
            head = await self.exactly((11, 7, 3, 0)[form])
            if form < 2:
                self.sizes[channel] = [int.from_bytes(head[3:6], "big"), head[6], False]
            size = self.sizes[channel]
            if form < 3:
                size[2] = head[:3] == b"\xff\xff\xff"
            if size[2]:
                await self.exactly(4)
            body = self.partial.setdefault(channel, bytearray())
            body += await self.exactly(min(self.chunk, size[0] - len(body)))
            if len(body) < size[0]:
                continue
            del self.partial[channel]
            if size[1] == 1:
                self.chunk = struct.unpack(">I", body)[0]
            self.received += len(body)
            return size[1], bytes(body)

    async def until(self, wanted):
        """Passes over everything until a command that has `wanted` in it."""
        while True:
            kind, body = await self.read()
            if kind == COMMAND and wanted in body:
                return
            if kind == COMMAND and (b"error" in body or b"_error" in body):
                raise Refused(body.decode("latin-1"))

    async def publish(self, name):
        self.command(1, "publish", 3, None, name, "live")
        await self.until(b"NetStream.Publish.Start")

    async def play(self, name):
        self.command(1, "play", 3, None, name, -2000)
        await self.until(b"NetStream.Play.Start")

    async def send(self, media, shift=0):
        for kind, time, body in media:
            self.message(6 if kind == VIDEO else 4, kind, 1, body, time + shift)
        await asyncio.wait_for(self.writer.drain(), PATIENCE)
        if self.writer.is_closing():
            raise ConnectionResetError

    async def plays(self, count):
        """Reads so many messages of sound and pictures."""
        while count:
            kind, _ = await self.read()
            count -= kind in (AUDIO, VIDEO)

    async def finish(self):
        """Ends a publication or a playback as encoders and players do."""
        self.command(0, "deleteStream", 4, None, 1)
        await asyncio.wait_for(self.writer.drain(), PATIENCE)

    def close(self, rudely=False):
        close(self.writer, rudely)


async def request(port, path, method="GET", body=b"", more=""):
    """The streams of a connection on which a request was sent, and the head of its answer."""
    reader, writer = await open_tcp(port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer, answer.decode("latin-1")


async def fetch(port, path, method="GET", body=b""):
    """The status and the whole body of an answer."""
    reader, writer, head = await request(port, path, method, body, "Connection: close\r\n")
    try:
        rest = await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.close()
    return int(head.split(" ", 2)[1]), rest


async def download(port, path, count, rudely):
    """Reads so many bytes of an answer that has no end."""
    reader, writer, head = await request(port, path)
    try:
        if " 200 " not in head:
            raise Refused(head.splitlines()[0])
        await asyncio.wait_for(reader.readexactly(count), PATIENCE)
    finally:
        close(writer, rudely)


async def websocket(port, path, count, rudely):
    """The same over a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    reader, writer, head = await request(port, path, more=upgrade)
    try:
        if " 101 " not in head:
            raise Refused(head.splitlines()[0])
        await asyncio.wait_for(reader.readexactly(count), PATIENCE)
    finally:
        close(writer, rudely)


async def manifest(port, path):
    """The lines of a playlist that lead somewhere, or the text of a manifest."""
    status, body = await fetch(port, path)
    if status != 200:
        raise Refused(f"{status} for {path}")
    return [line for line in body.decode().splitlines() if line and not line.startswith("#")]


async def hls(port, stream):
    """Fetches what a player of HLS does: both playlists, and the newest segment."""
    children = await manifest(port, f"/{stream}/index.m3u8")
    segments = await manifest(port, f"/{stream}/{children[0]}")
    for segment in segments[-1:]:
        await fetch(port, f"/{stream}/{segment}")
