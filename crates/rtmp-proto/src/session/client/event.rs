//! What a client session reports.

use flumen_amf0::Object;

use crate::session::link::Media;
use crate::{Capabilities, HandshakeKind, MessageStreamId, ReconnectRequest};

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// The handshake is done and `connect` is on its way.
    HandshakeDone(HandshakeKind),
    /// The server accepted `connect`: [`publish`](crate::ClientSession::publish) and
    /// [`play`](crate::ClientSession::play) may follow.
    Connected {
        /// What Enhanced RTMP features the server supports.
        capabilities: Capabilities,
        /// What the server says about itself.
        properties: Object,
    },
    /// The server refused `connect`; the session is over.
    ConnectRejected(Refusal),
    /// The server is ready for the media of this stream.
    PublishStarted {
        /// The message stream to send on.
        stream: MessageStreamId,
        /// The name it was asked for.
        name: String,
    },
    /// The server plays the stream, or waits for its publisher. Comes before the first audio or video.
    PlayStarted {
        /// The message stream the media comes on.
        stream: MessageStreamId,
        /// The name it was asked for.
        name: String,
    },
    /// The server refused to publish or play a stream, or stopped doing so.
    Refused {
        /// The name it was asked for.
        name: String,
        /// Why.
        refusal: Refusal,
    },
    /// Media of a stream being played.
    Media(Media),
    /// Any other status, such as `NetStream.Play.UnpublishNotify`.
    Status {
        /// The message stream it is about; 0 for the connection.
        stream: MessageStreamId,
        /// The `code`.
        code: String,
        /// The `description`.
        description: String,
    },
    /// The stream has no more data for now (user control Stream EOF).
    StreamEof(MessageStreamId),
    /// The server wants the client to connect again (E-RTMP v2, "Reconnect Request").
    ReconnectRequest(ReconnectRequest),
    /// The answer to a ping.
    Pong {
        /// The timestamp of the ping.
        timestamp: u32,
    },
}

/// A server's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `NetStream.Publish.BadName`.
    pub code: String,
    /// For people, and for `authmod=adobe`.
    pub description: String,
    /// Where the server sends the client instead (`ex.redirect`).
    pub redirect: Option<String>,
}
