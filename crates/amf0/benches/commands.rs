//! What the commands of a connection cost: `connect` as FFmpeg sends it, and the status that answers `publish`.

use divan::{Bencher, counter::BytesCount};
use flumen_amf0::{Object, Value, decode_all, encode_all};

fn main() {
    divan::main();
}

fn connect() -> Vec<Value> {
    let object = Object::new()
        .with("app", "live")
        .with("type", "nonprivate")
        .with("flashVer", "FMLE/3.0 (compatible; Lavf61.7.100)")
        .with("tcUrl", "rtmp://media.example.com:1935/live")
        .with("fpad", false)
        .with("capabilities", 15.0)
        .with("audioCodecs", 4071.0)
        .with("videoCodecs", 252.0)
        .with("videoFunction", 1.0);
    vec!["connect".into(), 1.0.into(), object.into()]
}

fn status() -> Vec<Value> {
    let info = Object::new()
        .with("level", "status")
        .with("code", "NetStream.Publish.Start")
        .with("description", "live/test is now published");
    vec!["onStatus".into(), 0.0.into(), Value::Null, info.into()]
}

fn command(name: &str) -> Vec<Value> {
    if name == "connect" { connect() } else { status() }
}

#[divan::bench(args = ["connect", "onStatus"])]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = encode_all(&command(name));
    bencher.counter(BytesCount::new(bytes.len())).bench(|| decode_all(divan::black_box(&bytes)));
}

#[divan::bench(args = ["connect", "onStatus"])]
fn encode(bencher: Bencher<'_, '_>, name: &str) {
    let values = command(name);
    bencher.bench(|| encode_all(divan::black_box(&values)));
}
