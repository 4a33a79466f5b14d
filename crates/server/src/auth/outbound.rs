//! Requests to other servers that have a say in who may publish and play.

use std::sync::OnceLock;

use reqwest::redirect::Policy;
use reqwest::{Client, Response};

/// The client of all such requests. It follows no redirects: who decides is configured, not found out on the way.
///
/// Made when it is first needed, because it reads the certificates of the system.
#[derive(Debug, Default)]
pub(super) struct Outbound(OnceLock<Client>);

impl Outbound {
    /// The client.
    pub(super) fn client(&self) -> Result<&Client, reqwest::Error> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let made = Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("flumen/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(self.0.get_or_init(|| made))
    }
}

/// The body of an answer; `None` if it is longer than `limit` bytes.
pub(super) async fn body(mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
