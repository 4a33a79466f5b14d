//! What a server session reports.

use flumen_amf0::Object;

use crate::session::link::{Media, MediaType};
use crate::{Capabilities, HandshakeKind, MessageStreamId};

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// The handshake is done.
    HandshakeDone(HandshakeKind),
    /// The client wants to connect: answer with [`accept_connect`](crate::ServerSession::accept_connect) or
    /// [`reject_connect`](crate::ServerSession::reject_connect).
    Connect(ConnectRequest),
    /// The client wants to publish: answer with [`accept_publish`](crate::ServerSession::accept_publish) or
    /// [`reject`](crate::ServerSession::reject).
    Publish(PublishRequest),
    /// The client wants to play: answer with [`accept_play`](crate::ServerSession::accept_play) or
    /// [`reject`](crate::ServerSession::reject).
    Play(PlayRequest),
    /// A media message of an accepted publisher.
    Media(Media),
    /// A publisher has ended, or took its request back, whichever way it chose to say so. Comes once for each
    /// [`Publish`](Self::Publish) that was not rejected, unless the connection ends before.
    Unpublish(MessageStreamId),
    /// A player has ended, or took its request back. Comes as often as [`Unpublish`](Self::Unpublish).
    StopPlay(MessageStreamId),
    /// A player pauses or goes on; it was told so.
    Pause {
        /// Its message stream.
        stream: MessageStreamId,
        /// Whether it pauses.
        paused: bool,
        /// Where the player stands, milliseconds.
        position: f64,
    },
    /// A player wants to be somewhere else: answer with [`Status::SEEK_NOTIFY`](crate::Status::SEEK_NOTIFY) or
    /// [`Status::SEEK_FAILED`](crate::Status::SEEK_FAILED).
    Seek {
        /// Its message stream.
        stream: MessageStreamId,
        /// Where to, milliseconds.
        position: f64,
    },
    /// The client asks how long a recording is: answer with
    /// [`answer_stream_length`](crate::ServerSession::answer_stream_length).
    StreamLength {
        /// What the answer has to name.
        transaction: f64,
        /// The stream name, as the client wrote it; may carry a query.
        name: String,
    },
    /// A player switches audio or video on or off; [`wants`](crate::ServerSession::wants) tells what holds now.
    Receive {
        /// Its message stream.
        stream: MessageStreamId,
        /// What is switched.
        kind: MediaType,
        /// Whether it shall be sent.
        receive: bool,
    },
    /// A player tells how much it buffers, milliseconds.
    BufferLength {
        /// Its message stream.
        stream: MessageStreamId,
        /// Milliseconds.
        millis: u32,
    },
    /// The answer to [`ping`](crate::ServerSession::ping).
    Pong {
        /// The timestamp of the ping.
        timestamp: u32,
    },
    /// A command without a meaning here; it was answered if it asked for an answer.
    UnknownCommand(String),
}

/// The `connect` command (RTMP §7.2.1.1).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectRequest {
    /// The application, as the client wrote it; may carry a query.
    pub app: String,
    /// The address the client connected to.
    pub tc_url: String,
    /// The client's name for itself, such as `FMLE/3.0 (compatible; FMSc/1.0)`.
    pub flash_ver: String,
    /// What Enhanced RTMP features the client supports.
    pub capabilities: Capabilities,
    /// The whole command object.
    pub object: Object,
}

/// The `publish` command (RTMP §7.2.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishRequest {
    /// The message stream the media will come on.
    pub stream: MessageStreamId,
    /// The stream name, as the client wrote it; may carry a query.
    pub name: String,
    /// `live`, `record` or `append`; a missing one is `live`.
    pub kind: PublishKind,
}

/// How a publisher wants its stream to be kept (RTMP §7.2.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishKind {
    /// Not at all.
    Live,
    /// In a new file.
    Record,
    /// At the end of the file there is.
    Append,
}

/// The `play` command (RTMP §7.2.2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct PlayRequest {
    /// The message stream the media shall go on.
    pub stream: MessageStreamId,
    /// The stream name, as the client wrote it; may carry a query.
    pub name: String,
    /// Where to start. Negative: live (−1, librtmp −1000), or live and failing that recorded (−2, FFmpeg −2000). Else a
    /// position in a recording: milliseconds from Flash Player, FFmpeg and librtmp, seconds from who goes by RTMP §7.2.2.1.
    pub start: f64,
    /// How long to play, in the unit of `start`; negative: to the end.
    pub duration: f64,
    /// Whether the playlist is dropped first.
    pub reset: bool,
}

/// A player whose wire bytes can be shared with others: see [`write_shared`](crate::write_shared).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedForm {
    /// The message stream in the headers.
    pub stream: MessageStreamId,
    /// The chunk size.
    pub chunk_size: u32,
}
