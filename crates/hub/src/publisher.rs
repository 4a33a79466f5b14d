//! The writing end of a stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flumen_media::Frame;

use crate::on_air::Closed;
use crate::stream::{Departure, Stream};

/// Who asks to publish, and with what.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// Tells whether two publishers are the same one.
    pub credential: Credential,
    /// What the publisher speaks, such as `rtmp`.
    pub protocol: &'static str,
    /// Where the publisher is, for people.
    pub peer: Arc<str>,
}

/// What a publisher proved to be allowed to publish with: a token, a user's name, the query of its address.
///
/// The hub never looks inside: equal credentials are the same publisher. Where everybody may publish all have the same,
/// empty one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential(Option<Arc<[u8]>>);

impl Credential {
    /// What everybody has where everybody may publish.
    pub fn open() -> Self {
        Self(None)
    }

    /// The credential `secret`.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(Some(secret.as_ref().into()))
    }
}

/// Tells nothing: credentials are secrets.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credential(secret)" } else { "Credential(open)" })
    }
}

/// Why a stream cannot be published now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Another publisher is there and well.
    #[error("the stream is already published")]
    AlreadyPublished,
    /// A publisher of this stream was kicked and the ban still holds.
    #[error("publishing this stream is banned for another {} s", .remaining.as_secs_f64().ceil())]
    Banned {
        /// How much longer.
        remaining: Duration,
    },
    /// As many streams are on air as the configuration allows.
    #[error("the limit of {limit} streams is reached")]
    TooManyStreams {
        /// [`Config::max_streams`](crate::Config::max_streams).
        limit: usize,
    },
    /// There is no publication that this publisher could go on with, and it wanted nothing else.
    #[error("the stream has ended")]
    NothingToResume,
    /// The hub is closed.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why a publisher was closed from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Another publisher took its place.
    #[error("superseded by another publisher")]
    Superseded,
    /// The stream was stopped.
    #[error("the stream was stopped")]
    Stopped,
    /// The publisher was kicked.
    #[error("kicked")]
    Kicked,
    /// It sent nothing for [`Config::publish_timeout`](crate::Config::publish_timeout).
    #[error("nothing was sent for too long")]
    Idle,
    /// The hub was closed.
    #[error("the server is shutting down")]
    Shutdown,
}

/// The writing end of a stream; there is one at a time.
///
/// Dropping it means that the connection was lost: readers stay, and the same publisher may resume within
/// [`Config::grace`](crate::Config::grace). [`finish`](Self::finish) ends the stream at once.
#[derive(Debug)]
pub struct Publisher<E> {
    stream: Arc<Stream<E>>,
    session: u64,
    closed: Closed,
    departure: Departure,
}

impl<E: Default + Send + Sync + 'static> Publisher<E> {
    pub(crate) fn new(stream: Arc<Stream<E>>, session: u64, closed: Closed) -> Self {
        Self { stream, session, closed, departure: Departure::Lost }
    }

    /// Appends a frame.
    ///
    /// Its decode time comes out as it went in unless it would step back or jump; see the [crate's](crate) table.
    /// `encodings` may already hold what came off the wire, as long as it carries no decode time. It is replaced by an
    /// empty one if the composition time had to be changed.
    ///
    /// # Errors
    /// The publisher was closed, and why.
    pub fn push(&mut self, frame: Frame, encodings: E) -> Result<(), CloseReason> {
        if self.stream.push(self.session, frame, encodings) {
            Ok(())
        } else {
            Err(close_reason(&self.closed))
        }
    }

    /// Waits until the publisher is closed from the other side.
    ///
    /// The future borrows nothing, so frames can be pushed while it waits.
    pub fn closed(&self) -> impl Future<Output = CloseReason> + Send + use<E> {
        let mut closed = self.closed.clone();
        async move {
            // An error means that the session is gone, and `close_reason` knows what that means.
            let _ = closed.wait_for(Option::is_some).await;
            close_reason(&closed)
        }
    }

    /// Ends the stream, as an encoder does that says goodbye.
    pub fn finish(mut self) {
        self.departure = Departure::Finished;
    }
}

impl<E> Drop for Publisher<E> {
    fn drop(&mut self) {
        self.stream.depart(self.session, self.departure);
    }
}

/// Why the session was closed. Only its end without a reason, a finished publisher, leaves none; whoever still holds its
/// future may call that stopped.
fn close_reason(closed: &Closed) -> CloseReason {
    closed.borrow().unwrap_or(CloseReason::Stopped)
}
