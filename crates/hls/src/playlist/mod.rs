//! The text of playlists.

mod media;
mod multivariant;
mod text;

pub(crate) use media::media;
pub(crate) use multivariant::{codec, frame_rate, multivariant};
pub(crate) use text::{KeyUri, Seconds, Uri, Utc};

/// What a request for a media playlist asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaylistRequest<'a> {
    /// `_HLS_skip`: leave out old segments (HLS §6.2.5.1).
    pub skip: bool,
    /// Follows a `?` at every address in the playlist, if not empty: an access token. Percent-encoded.
    pub query: &'a str,
}
