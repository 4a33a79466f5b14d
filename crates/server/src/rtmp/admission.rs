//! What a client's address means.

use flumen_hub::{InvalidKey, StreamKey};
use flumen_rtmp::proto::{ConnectRequest, StreamAddress};

use crate::auth::Shown;

/// What a client's address means.
#[derive(Debug)]
pub(super) struct Target {
    /// The stream.
    pub(super) key: StreamKey,
    /// What the client shows to be let in.
    pub(super) shown: Shown,
    /// The client takes all tracks (`?tracks=all`). FFmpeg reads multitrack streams and has no way to say so in
    /// `connect`.
    pub(super) all_tracks: bool,
}

/// What the address of a client means that publishes or plays `name`.
pub(super) fn resolve(
    request: &ConnectRequest,
    user: Option<&str>,
    name: &str,
) -> Result<Target, InvalidKey> {
    let address = StreamAddress::resolve(&request.tc_url, &request.app, name);
    Ok(Target {
        key: address.key().parse()?,
        all_tracks: address.param("tracks") == Some("all"),
        shown: Shown::rtmp(address.params, user.map(str::to_owned)),
    })
}
