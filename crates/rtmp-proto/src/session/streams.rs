//! The message streams of a connection, as the server sees them (RTMP §7.2.2).

use smallvec::SmallVec;

use crate::MessageStreamId;

/// What a message stream is being used for.
///
/// ```text
///              publish              accept_publish
///       Idle ───────────► Publishing { accepted: false } ───► Publishing { accepted: true }
///        ▲ │ play              accept_play                                │
///        │ └────► Playing { accepted: false } ───► Playing { accepted: true }
///        └──────── closeStream, FCUnpublish, refusal ◄────────────────────┘
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Created, not in use.
    Idle,
    /// `publish` was asked for under `name`.
    Publishing { name: String, accepted: bool },
    /// `play` was asked for.
    Playing(Playing),
}

/// A player's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Playing {
    pub(crate) accepted: bool,
    /// `reset` of the play command: drop the playlist first.
    pub(crate) reset: bool,
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) paused: bool,
}

/// The open message streams of one connection. Nearly always there is one.
#[derive(Debug, Default)]
pub(crate) struct Streams(SmallVec<[(MessageStreamId, StreamState); 1]>);

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Opens a stream under the smallest free id, so that nearly every connection uses stream 1 and players can share
    /// wire bytes.
    pub(crate) fn create(&mut self) -> MessageStreamId {
        let id = (1..).map(MessageStreamId).find(|id| self.get(*id).is_none());
        let id = id.expect("holds because fewer than 2^32 streams are open");
        self.0.push((id, StreamState::Idle));
        id
    }

    pub(crate) fn get(&self, id: MessageStreamId) -> Option<&StreamState> {
        self.0.iter().find(|(stream, _)| *stream == id).map(|(_, state)| state)
    }

    pub(crate) fn get_mut(&mut self, id: MessageStreamId) -> Option<&mut StreamState> {
        self.0.iter_mut().find(|(stream, _)| *stream == id).map(|(_, state)| state)
    }

    /// The state of `id`, which is opened if it is not.
    ///
    /// Interop: some hardware encoders publish on stream 0 or on a stream they never created.
    pub(crate) fn open(&mut self, id: MessageStreamId) -> &mut StreamState {
        let index = self.0.iter().position(|(stream, _)| *stream == id).unwrap_or_else(|| {
            self.0.push((id, StreamState::Idle));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }

    /// Puts `id` back to idle and returns what it was.
    pub(crate) fn reset(&mut self, id: MessageStreamId) -> Option<StreamState> {
        self.get_mut(id).map(|state| std::mem::replace(state, StreamState::Idle))
    }

    /// Closes `id` and returns what it was.
    pub(crate) fn remove(&mut self, id: MessageStreamId) -> Option<StreamState> {
        let index = self.0.iter().position(|(stream, _)| *stream == id)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The stream that media arriving on `id` belongs to.
    ///
    /// Interop: some encoders create stream 1 and use it for the media or for `publish`, but not for both; the other is
    /// on stream 0. Between two streams that both exist nothing is moved: media that trails behind the end of one
    /// publisher is not that of another.
    pub(crate) fn publishing(&self, id: MessageStreamId) -> Option<MessageStreamId> {
        let accepted = |state: &StreamState| matches!(state, StreamState::Publishing { accepted: true, .. });
        if self.get(id).is_some_and(accepted) {
            return Some(id);
        }
        let mut all = self.0.iter().filter(|(_, state)| accepted(state)).map(|(stream, _)| *stream);
        let only = all.next().filter(|_| all.next().is_none())?;
        [id, only].contains(&MessageStreamId::CONNECTION).then_some(only)
    }

    /// The stream published under `name`; failing that, the only one that publishes.
    pub(crate) fn published_as(&self, name: &str) -> Option<MessageStreamId> {
        let mut publishing = self.0.iter().filter_map(|(id, state)| match state {
            StreamState::Publishing { name, .. } => Some((*id, name.as_str())),
            _ => None,
        });
        let named = publishing.clone().find(|(_, published)| *published == name);
        named.or_else(|| publishing.next().filter(|_| publishing.next().is_none())).map(|(id, _)| id)
    }
}
