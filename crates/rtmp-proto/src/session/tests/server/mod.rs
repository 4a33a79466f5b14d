//! What a server has to put up with.

mod connection;
mod streams;

use super::*;

fn media(stream: u32, timestamp: u32) -> ServerEvent {
    let payload = Bytes::from_static(&[0x17, 1]);
    ServerEvent::Media(Media { stream: MessageStreamId(stream), kind: MediaType::Video, timestamp, payload })
}

fn publish(stream: u32, name: &str) -> ServerEvent {
    let stream = MessageStreamId(stream);
    ServerEvent::Publish(PublishRequest { stream, name: name.to_owned(), kind: PublishKind::Live })
}

impl Script {
    /// A picture on `stream`.
    fn picture(&mut self, stream: u32, timestamp: u32) -> &mut Self {
        self.message(MessageType::VIDEO, stream, timestamp, &[0x17, 1][..])
    }
}
