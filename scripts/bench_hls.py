"""The part of scripts/bench about HLS: Flumen beside nginx with the same files, and players of Low-Latency HLS."""

import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

# How long the stream is published before its segments are fetched: ten segments of 2 s, and what the first waits for.
FILLS_WITHIN = 26

# nginx as a server of files from the disk cache, with what its manual recommends for that.
NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr crit;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
    open_file_cache max=1000 inactive=60s;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    types {{ video/mp4 m4s mp4; }}
    server {{ listen {address}; root {root}; }}
}}
"""


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


class Files:
    """nginx with copies of the finished segments of a stream. Leaving it stops it."""

    def __init__(self, address, base, names):
        self.home = tempfile.TemporaryDirectory()
        home = Path(self.home.name)
        folder = home / "files/live/bench"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(get(f"{base}/{name}"))
        user = "user root;" if os.geteuid() == 0 else ""
        (home / "nginx.conf").write_text(NGINX.format(address=address, root=home / "files", user=user))
        self.process = subprocess.Popen(["nginx", "-e", "stderr", "-p", home, "-c", home / "nginx.conf"])
        time.sleep(1)
        self.base = f"http://{address}/live/bench"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()


def segments(base):
    """The names of the finished segments of pictures."""
    multivariant = get(f"{base}/index.m3u8").decode()
    child = next(line for line in multivariant.splitlines() if line.startswith("v0.m3u8"))
    playlist = get(f"{base}/{child}").decode()
    return [line for line in playlist.splitlines() if re.fullmatch(r"[\w-]+\.m4s", line)]


def files(base, pid, address, fetch, rounds, say):
    """CPU of Flumen and nginx for the same files, in turns."""
    names = segments(base)
    costs = {"flumen": [], "nginx": []}
    with Files(address, base, names) as nginx:
        for turn in range(rounds):
            for name, where, process in [("flumen", base, pid), ("nginx", nginx.base, nginx.process.pid)]:
                say(f"{len(names)} segments, round {turn + 1}, {name}")
                report = fetch([f"{where}/{segment}" for segment in names], process)
                costs[name].append(report["serverCpuSeconds"] / (report["bytes"] / 1e9))
    own, other = (statistics.median(costs[name]) for name in ("flumen", "nginx"))
    return [
        "", "Files of HLS over kept connections, CPU in seconds per GB:", "",
        "| server | CPU | × nginx |", "| --- | --- | --- |",
        f"| flumen | {own:.3f} | {own / other:.2f} |", f"| nginx | {other:.3f} | 1.00 |",
    ]


def players(reports):
    """What players of Low-Latency HLS reported, a table."""
    lines = ["", "Players of Low-Latency HLS, pictures and sound, parts of 200 ms; times in ms:", ""]
    lines += ["| players | CPU | latency p50 | p99 | first part p50 | faults |", "| " + "--- | " * 6]
    for report in reports:
        latency, first = report["latencyMs"] or {}, report["firstFrameMs"] or {}
        cpu = report["serverCpuSeconds"] / (report["bytes"] / 1e9)
        cells = [f"{value:.1f}" for value in (latency.get("p50", 0), latency.get("p99", 0), first.get("p50", 0))]
        lines.append(f"| {report['players']} | {cpu:.2f} | {' | '.join(cells)} | {len(report['faults'])} |")
    return lines
