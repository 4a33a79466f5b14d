//! Metrics as Prometheus' own Python library reads them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{LIMIT, Server, python};

/// Parses OpenMetrics strictly, and as the older text format; prints how many families and samples there are.
const READ: &str = r#"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as old
text = sys.stdin.read()
families = list(strict(text))
assert all(family.documentation for family in families), "a family without help"
assert list(old(text)), "the older format"
print(len(families), sum(len(family.samples) for family in families))
"#;

/// The body of the answer to `GET path`.
fn get(address: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).expect("it listens");
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

#[test]
fn prometheus_reads_every_family() {
    let server = Server::start_with(&["--demo"], &[]);
    let deadline = Instant::now() + LIMIT;
    let text = loop {
        let text = get(server.http_addr(), "/metrics");
        if text.contains(r#"stream_gop_duration_seconds{stream_key="live/demo"}"#) {
            break text;
        }
        assert!(Instant::now() < deadline, "the demo never came on air: {text}");
        thread::sleep(Duration::from_millis(100));
    };
    let (families, _) = judge(&text);
    assert!(families >= 40, "{families}");
}

/// Names that nobody has are asked for, a hundred thousand of them: the metrics grow by the one answer that all get.
#[test]
fn invented_names_do_not_fill_the_metrics() {
    const NAMES: usize = 100_000;
    const AT_ONCE: usize = 100;
    let server = Server::start();
    let (_, before) = judge(&get(server.http_addr(), "/metrics"));
    let tcp = TcpStream::connect(server.http_addr()).expect("it listens");
    // A problem document is the only thing in an answer that has braces, one pair of them.
    let mut answers = BufReader::new(tcp.try_clone().expect("a second handle")).split(b'}');
    for first in (0..NAMES).step_by(AT_ONCE) {
        let paths = (first..first + AT_ONCE).map(|i| match i % 4 {
            0 => format!("/live/invented{i}.flv"),
            1 => format!("/app{i}/show.flv?token={i}"),
            2 => format!("/invented{i}"),
            _ => format!("/api/v1/streams/invented{i}"),
        });
        let requests: String =
            paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect();
        (&tcp).write_all(requests.as_bytes()).expect("it reads");
        for answer in answers.by_ref().take(AT_ONCE) {
            let answer = answer.expect("it answers");
            assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&answer));
        }
    }
    let text = get(server.http_addr(), "/metrics");
    let (_, after) = judge(&text);
    assert!(!text.contains("invented"), "{text}");
    // A counter and a histogram for each of three routes that were never asked for before.
    assert!(after < before + 100, "{before} samples became {after}");
    assert!(text.contains("\nflumen_http_requests_active 1\n"), "its own: {text}");
}

/// How many families and samples Prometheus' own reader finds.
fn judge(text: &str) -> (usize, usize) {
    let mut reader = python();
    reader.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = reader.spawn().expect("Python runs");
    reader.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{text}");
    let output = String::from_utf8(output.stdout).expect("text");
    let mut numbers = output.split_whitespace().map(|count| count.parse().expect("a number"));
    let mut next = || numbers.next().expect("two numbers");
    (next(), next())
}
