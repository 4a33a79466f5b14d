//! The status codes of `onStatus`, `_result` and `_error` (RTMP §7.2): one table, so that no code is spelled twice.

use flumen_amf0::{Object, Value};

use crate::Command;

/// A status code with its level.
///
/// OBS ends a session for good on `Publish.BadName`, `Publish.Denied`, `Publish.Rejected`, `Connect.InvalidApp`,
/// `Play.Failed`, `Play.StreamNotFound` and `NetStream.Failed`; they are never sent for a passing trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// `status`, `warning` or `error`.
    pub level: &'static str,
    /// Such as `NetStream.Publish.Start`.
    pub code: &'static str,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $level:literal $code:literal;)*) => {
        impl Status {
            $($(#[$doc])* pub const $name: Self = Self { level: $level, code: $code };)*
        }
    };
}

statuses! {
    /// `connect` was accepted.
    CONNECT_SUCCESS = "status" "NetConnection.Connect.Success";
    /// `connect` was refused: credentials, limits, draining.
    CONNECT_REJECTED = "error" "NetConnection.Connect.Rejected";
    /// `connect` names an application that is not served.
    CONNECT_INVALID_APP = "error" "NetConnection.Connect.InvalidApp";
    /// The server goes away.
    CONNECT_CLOSED = "status" "NetConnection.Connect.Closed";
    /// Publishing may begin.
    PUBLISH_START = "status" "NetStream.Publish.Start";
    /// The stream key is taken, or is no valid name.
    PUBLISH_BAD_NAME = "error" "NetStream.Publish.BadName";
    /// The publisher may not publish this key.
    PUBLISH_DENIED = "error" "NetStream.Publish.Denied";
    /// Publishing has ended, as the publisher asked.
    UNPUBLISH_SUCCESS = "status" "NetStream.Unpublish.Success";
    /// The playlist was reset before playing.
    PLAY_RESET = "status" "NetStream.Play.Reset";
    /// Playing begins.
    PLAY_START = "status" "NetStream.Play.Start";
    /// Playing has ended.
    PLAY_STOP = "status" "NetStream.Play.Stop";
    /// All of a recording was sent.
    PLAY_COMPLETE = "status" "NetStream.Play.Complete";
    /// Playing is impossible or not allowed.
    PLAY_FAILED = "error" "NetStream.Play.Failed";
    /// There is no such stream, and the player does not want to wait for one.
    PLAY_STREAM_NOT_FOUND = "error" "NetStream.Play.StreamNotFound";
    /// A publisher has begun on the stream being played.
    PLAY_PUBLISH_NOTIFY = "status" "NetStream.Play.PublishNotify";
    /// The publisher of the stream being played has ended.
    PLAY_UNPUBLISH_NOTIFY = "status" "NetStream.Play.UnpublishNotify";
    /// The player is too slow for the stream.
    PLAY_INSUFFICIENT_BW = "warning" "NetStream.Play.InsufficientBW";
    /// Playing pauses.
    PAUSE_NOTIFY = "status" "NetStream.Pause.Notify";
    /// Playing goes on.
    UNPAUSE_NOTIFY = "status" "NetStream.Unpause.Notify";
    /// A seek was carried out.
    SEEK_NOTIFY = "status" "NetStream.Seek.Notify";
    /// A live stream cannot be sought.
    SEEK_FAILED = "error" "NetStream.Seek.Failed";
}

impl Status {
    /// The information object, with `description` for people.
    pub fn info(self, description: &str) -> Object {
        let fields = [("level", self.level), ("code", self.code), ("description", description)];
        fields.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }

    /// The `onStatus` command that reports it.
    pub(crate) fn command(self, description: &str) -> Command {
        Command::on_status(self.info(description))
    }
}
