//! The floor: what any server must pay the kernel to write the bench stream to many sockets.
//!
//! One thread holds the chunks that are ready to go and does nothing but one write per message, or per merge, to every
//! player. No server that sends as often can need less.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::BytesMut;
use flumen_rtmp::proto::{
    HANDSHAKE_RANDOM_LEN, Media, MediaType, MessageStreamId, Output, ServerConfig, ServerEvent,
    ServerSession, write_shared,
};

use super::source::{Message, Source};

/// The message stream that every client gets from its first `createStream`.
const STREAM: MessageStreamId = MessageStreamId(1);

/// How long a client may be silent on its way to `play`: others wait.
const WELCOME_WITHIN: Duration = Duration::from_secs(1);

/// Which messages leave together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// None: a write for every message.
    Nothing,
    /// Audio leaves with the next picture.
    AudioWithVideo,
    /// What is due within this time.
    Within(Duration),
}

/// Serves the bench stream to whoever plays, on `address`, until the process ends.
///
/// # Errors
/// When the address cannot be bound.
pub fn serve_floor(address: SocketAddr, bits_per_second: u64, merge: Merge) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let (sender, joining) = channel();
    thread::spawn(move || accept(&listener, &sender));
    Writer { players: Vec::new(), joining, merge, chunk_size: ServerConfig::default().chunk_size }
        .run(Source::new(bits_per_second))
}

/// One after the other: what threads have needed that are gone is counted in steps of 10 ms.
fn accept(listener: &TcpListener, joining: &Sender<TcpStream>) {
    for tcp in listener.incoming().flatten() {
        // Whoever does not get as far as `play` is not part of the measurement.
        if let Ok(player) = welcome(tcp) {
            let _ = joining.send(player);
        }
    }
}

/// Takes a client as far as `play`.
fn welcome(mut tcp: TcpStream) -> anyhow::Result<TcpStream> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(WELCOME_WITHIN))?;
    let mut session = ServerSession::new(ServerConfig::default(), [0; HANDSHAKE_RANDOM_LEN]);
    let (mut input, mut output, mut buffer) = (BytesMut::new(), Output::new(), [0; 4096]);
    loop {
        while let Some(event) = session.next_event(Duration::ZERO, &mut input, &mut output)? {
            match event {
                ServerEvent::Connect(_) => session.accept_connect(&mut output)?,
                ServerEvent::Play(request) => {
                    session.accept_play(request.stream, &mut output)?;
                    tcp.write_all(&output.take())?;
                    tcp.set_nonblocking(true)?;
                    return Ok(tcp);
                }
                _ => {}
            }
        }
        tcp.write_all(&output.take())?;
        match tcp.read(&mut buffer)? {
            0 => bail!("the client left"),
            read => input.extend_from_slice(&buffer[..read]),
        }
    }
}

struct Writer {
    players: Vec<Player>,
    joining: Receiver<TcpStream>,
    merge: Merge,
    chunk_size: u32,
}

struct Player {
    tcp: TcpStream,
    /// What a full socket did not take.
    rest: Vec<u8>,
}

impl Writer {
    fn run(mut self, mut source: Source) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let due = self.next_write(&source);
            thread::sleep(due.saturating_sub(began.elapsed()));
            let mut bytes = Vec::new();
            loop {
                let message = source.next_message();
                if is_key_frame(&message) {
                    // Earlier messages of this write are not for those who come now.
                    self.write(&std::mem::take(&mut bytes));
                    self.let_in()?;
                }
                let ends = self.merge == Merge::Nothing
                    || (self.merge == Merge::AudioWithVideo && message.kind == MediaType::Video);
                bytes.extend_from_slice(&self.chunks(message)?);
                if ends || (matches!(self.merge, Merge::Within(_)) && source.next_due() > due) {
                    break;
                }
            }
            self.write(&bytes);
        }
    }

    fn next_write(&self, source: &Source) -> Duration {
        match self.merge {
            Merge::Nothing => source.next_due(),
            Merge::AudioWithVideo => source.picture_due(),
            Merge::Within(time) => source.next_due() + time,
        }
    }

    fn chunks(&self, message: Message) -> anyhow::Result<bytes::Bytes> {
        let timestamp = message.timestamp();
        let media = Media { stream: STREAM, kind: message.kind, timestamp, payload: message.payload };
        let mut output = Output::new();
        write_shared(&media.into_message(), self.chunk_size, &mut output)?;
        Ok(output.take().freeze())
    }

    /// Lets those in who came since the last key frame.
    fn let_in(&mut self) -> anyhow::Result<()> {
        let mut headers = Vec::new();
        for (kind, payload) in Source::headers() {
            headers.extend_from_slice(&self.chunks(Message { kind, due: Duration::ZERO, payload })?);
        }
        for tcp in self.joining.try_iter() {
            self.players.push(Player { tcp, rest: headers.clone() });
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.players.retain_mut(|player| player.write(bytes).is_ok());
        }
    }
}

impl Player {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.rest.is_empty() {
            self.rest.extend_from_slice(bytes);
            let rest = std::mem::take(&mut self.rest);
            return self.write_now(&rest);
        }
        self.write_now(bytes)
    }

    fn write_now(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.tcp.write(bytes) {
            Ok(written) => self.rest.extend_from_slice(&bytes[written..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.rest.extend_from_slice(bytes),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn is_key_frame(message: &Message) -> bool {
    message.kind == MediaType::Video && message.payload.first() == Some(&0x17)
}
