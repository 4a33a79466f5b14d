use std::sync::Mutex;

use serde_json::json;
use tracing::{debug, info, info_span, warn};

use super::*;
use crate::config::Settings;

/// A writer whose bytes a test can see.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while writing").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that `story` logs at `level`; it may change the level.
fn lines(form: Form, level: &str, story: impl FnOnce(&SharedFilter)) -> Vec<String> {
    let settings: Settings = serde_json::from_value(json!({"log": {"level": level}})).expect("a level");
    let filter = SharedFilter::new(&settings.log.level);
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let lines = Lines::new(form, move || writer.clone()).with_filter(filter.clone());
    tracing::subscriber::with_default(Registry::default().with(lines), || story(&filter));
    let bytes = buffer.0.lock().expect("no panic while writing").clone();
    String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn json_lines_carry_the_fields_of_their_spans() {
    let lines = lines(Form::Json, "info", |_| {
        let connection = info_span!("connection", conn_id = 7, remote = %"192.0.2.1:5", stream_key = tracing::field::Empty);
        let _entered = connection.enter();
        info!("connected");
        connection.record("stream_key", "live/test");
        let inner = info_span!("publish", conn_id = 8);
        inner.in_scope(|| warn!(late_ms = 12, ts = "mine", "a \"late\"\nframe"));
    });
    let parse = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let [mut first, mut second] = [parse(&lines[0]), parse(&lines[1])];
    for line in [&mut first, &mut second] {
        let ts = line.as_object_mut().and_then(|line| line.remove("ts")).expect("a time");
        humantime::parse_rfc3339(ts.as_str().expect("text")).expect("a time in RFC 3339");
    }
    let target = "flumen::log::tests";
    assert_eq!(
        first,
        json!({"level": "info", "msg": "connected", "target": target, "conn_id": 7, "remote": "192.0.2.1:5"})
    );
    assert_eq!(
        second,
        json!({"level": "warn", "msg": "a \"late\"\nframe", "target": target, "conn_id": 8, "remote": "192.0.2.1:5",
            "stream_key": "live/test", "late_ms": 12, "ts_": "mine"})
    );
    assert!(lines[0].starts_with(r#"{"level":"info","ts":""#));
}

#[test]
fn text_lines_stay_one_line_each() {
    let lines = lines(Form::Text { colour: false }, "info", |_| {
        info!(file = "a b", name = "live/test", "odd\n\u{1b}[31mkey");
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(r#" INFO  odd\n\u{1b}[31mkey file="a b" name=live/test"#), "{}", lines[0]);
}

#[test]
fn the_level_changes_while_running() {
    let lines = lines(Form::Text { colour: false }, "warn", |filter| {
        let span = info_span!("connection", conn_id = 1);
        let _entered = span.enter();
        info!("no");
        warn!("yes");
        let settings: Settings = serde_json::from_value(json!({"log": {"level": "debug"}})).expect("a level");
        filter.0.store(Arc::new(settings.log.level.targets()));
        tracing::callsite::rebuild_interest_cache();
        debug!("yes");
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("yes conn_id=1")), "{lines:?}");
}
