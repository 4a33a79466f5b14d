//! Wire traces (`log.trace-dir`): a connection's bytes, from its first one, as a session can replay them.

use std::fs;
use std::time::Duration;

use bytes::BytesMut;
use flumen_rtmp::proto::{MediaType, Output, ServerConfig, ServerEvent, ServerSession};

use crate::server::Server;
use crate::stream::key;
use crate::wire::Wire;

/// What a server's session makes of what a client has sent, answered as our server does.
fn replay(bytes: &[u8]) -> Vec<ServerEvent> {
    let mut session = ServerSession::new(ServerConfig::default(), [0; _]);
    let (mut input, mut output) = (BytesMut::from(bytes), Output::new());
    let mut events = Vec::new();
    while let Some(event) =
        session.next_event(Duration::ZERO, &mut input, &mut output).expect("what a client has said")
    {
        match &event {
            ServerEvent::Connect(_) => session.accept_connect(&mut output).expect("it waits"),
            ServerEvent::Publish(publish) => {
                session.accept_publish(publish.stream, &mut output).expect("it waits");
            }
            _ => {}
        }
        events.push(event);
    }
    events
}

#[tokio::test]
async fn a_trace_of_a_chosen_stream_can_be_replayed() {
    let server = Server::start("--log-trace-dir traces --log-trace-filter live/chosen").await;
    for name in ["other", "chosen"] {
        let mut wire = Wire::connect(server.address(), "live").await;
        let stream = wire.publish(name).await.expect("it may publish");
        wire.media(stream, MediaType::Video, 40, key(7)).await.expect("the server reads");
        wire.call(stream, "deleteStream", &[f64::from(stream.0).into()]).await.expect("the server reads");
        while wire.next_status().await.as_deref() != Some("NetStream.Unpublish.Success") {}
    }
    server.logged_times(2, &[r#""msg":"closed""#]).await;
    let files = server.files();
    let find = |end: &str| {
        let mut found = files.iter().filter(|path| path.to_string_lossy().ends_with(end));
        let path = found.next().expect("a trace");
        assert_eq!(found.next(), None, "only of the chosen stream");
        fs::read(path).expect("readable")
    };
    let events = replay(&find(".c2s.bin"));
    let published =
        |event: &ServerEvent| matches!(event, ServerEvent::Publish(publish) if publish.name == "chosen");
    let media = |event: &ServerEvent| matches!(event, ServerEvent::Media(media) if media.timestamp == 40 && media.payload == key(7));
    assert!(events.iter().any(published) && events.iter().any(media), "{events:?}");
    assert!(matches!(events.last(), Some(ServerEvent::Unpublish(_))), "{events:?}");
    let answers = find(".s2c.bin");
    assert_eq!(answers[0], 3, "from the first byte");
    assert!(answers.windows(25).any(|text| text == b"NetStream.Publish.Start\0\x0b"), "to the last");
}
