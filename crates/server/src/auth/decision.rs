//! A decision for somebody, and what follows from it in the hub.

use std::sync::Arc;

use flumen_hub::{Credential, PublishError, PublishRequest, Publisher, StreamKey};

use super::{ALLOWED, Action, Auth, Denied, Request};
use crate::encodings::{Encodings, Hub};
use crate::replay::is_replay;

/// Somebody may publish or play.
#[must_use = "a token that is good for one time has been used up for it"]
pub struct Decision {
    /// The stream: what was asked for, or what the operator's service made of that.
    pub key: StreamKey,
    /// What the same publisher shows again when it comes back.
    pub credential: Credential,
    usage: Usage,
}

/// What a decision did to a token.
pub(super) enum Usage {
    /// Nothing.
    Unlimited,
    /// It is used up.
    First {
        /// Who can make it good again.
        auth: Arc<Auth>,
        /// Its name.
        token: String,
    },
    /// It was used up before: its publisher may go on with what it has begun. Only the hub knows whether there is anything.
    Again {
        /// Who counts what comes of it.
        auth: Arc<Auth>,
    },
}

/// Why somebody who may publish cannot do it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefusal {
    /// The token was used before, and there is nothing to go on with.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The app is no place to publish to.
    #[error("the app {} is where recordings are played from: publish to another one", crate::replay::APP)]
    Reserved,
    /// The hub refuses.
    #[error(transparent)]
    Hub(#[from] PublishError),
}

impl Decision {
    pub(super) fn new(request: &Request<'_>, key: StreamKey) -> Self {
        Self { key, credential: request.shown.credential(), usage: Usage::Unlimited }
    }

    /// Whoever has the token is the same, whatever else is shown.
    pub(super) fn by_token(request: &Request<'_>, token: &str, usage: Usage) -> Self {
        let credential = Credential::new(format!("token\0{token}"));
        Self { key: request.key.clone(), credential, usage }
    }

    /// Becomes the publisher, over `protocol` and from `peer`.
    ///
    /// # Errors
    /// If the stream cannot be published now. A token that was used up for it is good again.
    pub async fn publish(
        &self,
        hub: &Hub,
        protocol: &'static str,
        peer: Arc<str>,
    ) -> Result<Publisher<Encodings>, PublishRefusal> {
        if is_replay(&self.key) {
            self.give_back().await;
            return Err(PublishRefusal::Reserved);
        }
        let request = PublishRequest { credential: self.credential.clone(), protocol, peer };
        if let Usage::Again { auth } = &self.usage {
            let resumed = hub.resume(&self.key, request).await;
            let is_used = matches!(resumed, Err(PublishError::NothingToResume));
            auth.count(Action::Publish, if is_used { Denied::Used.label() } else { ALLOWED });
            return resumed.map_err(|error| if is_used { Denied::Used.into() } else { error.into() });
        }
        let published = hub.publish(&self.key, request).await;
        if published.is_err() {
            self.give_back().await;
        }
        Ok(published?)
    }

    /// Whether it is not known yet that it stands: [`publish`](Self::publish) counts it then.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.usage, Usage::Again { .. })
    }

    /// Makes a token good again that was used up for nothing, because what it was shown for could not be.
    pub async fn give_back(&self) {
        if let Usage::First { auth, token } = &self.usage {
            auth.give_back(token).await;
        }
    }
}

/// Nothing of who it is for.
impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decision").field("key", &self.key).finish_non_exhaustive()
    }
}
