//! Metrics as Prometheus' own Python library reads them.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{io::Read, thread};

use crate::harness::{Server, python};

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
    let deadline = Instant::now() + Duration::from_secs(20);
    let text = loop {
        let text = get(server.http_addr(), "/metrics");
        if text.contains(r#"stream_gop_duration_seconds{stream_key="live/demo"}"#) {
            break text;
        }
        assert!(Instant::now() < deadline, "the demo never came on air: {text}");
        thread::sleep(Duration::from_millis(100));
    };
    let mut reader = python();
    reader.args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = reader.spawn().expect("Python runs");
    reader.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{text}");
    let output = String::from_utf8(output.stdout).expect("text");
    let families: usize = output.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
    assert!(families >= 40, "{output}");
}
