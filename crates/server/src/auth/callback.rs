//! The operator's own service decides: one POST for each publisher and player.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use flumen_hub::StreamKey;
use parking_lot::Mutex;
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::outbound::{Outbound, body};
use super::{Action, Denied, Protocol, Request};

/// Questions that are open at one time. Others wait, within their deadline.
const AT_ONCE: usize = 64;

/// The longest answer, in bytes: a key and what else there may be.
const MAX_BODY: usize = 64 * 1024;

/// How long a yes to a player of a playlist holds: it asks anew for every segment.
const HOLDS: Duration = Duration::from_secs(10);

/// Such answers that are kept at one time, some 500 bytes each. Beyond that, the service is asked more often.
const MAX_KEPT: usize = 4096;

/// Asks the operator's service.
#[derive(Debug)]
pub(super) struct Callback {
    permits: Semaphore,
    kept: Mutex<HashMap<String, (StreamKey, Instant)>>,
}

/// What the service is asked.
#[derive(Serialize)]
struct Question<'a> {
    action: Action,
    key: &'a str,
    address: IpAddr,
    protocol: &'static str,
    query: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

/// What it may answer beside yes.
#[derive(Default, Deserialize)]
struct Answer {
    /// The stream to publish or play in place of what was asked for.
    key: Option<String>,
}

impl Default for Callback {
    fn default() -> Self {
        Self { permits: Semaphore::new(AT_ONCE), kept: Mutex::default() }
    }
}

impl Callback {
    /// Whether `request` may be. The result is the stream it is about, which the service may have chosen.
    pub(super) async fn ask(
        &self,
        outbound: &Outbound,
        url: &Url,
        deadline: Duration,
        request: &Request<'_>,
    ) -> Result<StreamKey, Denied> {
        let question = serde_json::to_string(&Question::new(request)).map_err(|_| Denied::Unavailable)?;
        let asks_often = request.protocol == Protocol::Hls;
        if asks_often && let Some(key) = self.recall(&question) {
            return Ok(key);
        }
        let answer = timeout(deadline, self.post(outbound, url, question.clone())).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::Broken("no answer in time".to_owned())));
        let key = answer.and_then(|answer| answer.stream(request.key)).map_err(Failure::denied)?;
        if asks_often {
            self.keep(question, key.clone());
        }
        Ok(key)
    }

    async fn post(&self, outbound: &Outbound, url: &Url, question: String) -> Result<Answer, Failure> {
        // Holds because the semaphore is never closed.
        let _permit = self.permits.acquire().await.expect("an open semaphore");
        let request = outbound.client()?.post(url.clone()).header("content-type", "application/json");
        let response = request.body(question).send().await?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::broken("it has too much to do"));
            }
            status if status.is_client_error() => {
                debug!(%status, "refused by `auth.http-url`");
                return Err(Failure::Refused);
            }
            status => return Err(Failure::Broken(format!("the answer is {status}"))),
        }
        let body =
            body(response, MAX_BODY).await?.ok_or_else(|| Failure::broken("the answer is too long"))?;
        if body.trim_ascii().is_empty() {
            return Ok(Answer::default());
        }
        // Many services say `ok` or the like, which is a yes and no more. What looks like JSON must be right.
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(answer),
            Err(_) if !body.trim_ascii_start().starts_with(b"{") => Ok(Answer::default()),
            Err(_) => Err(Failure::broken("the answer is no JSON that says `key`")),
        }
    }

    fn recall(&self, question: &str) -> Option<StreamKey> {
        let kept = self.kept.lock();
        kept.get(question).filter(|(_, at)| at.elapsed() < HOLDS).map(|(key, _)| key.clone())
    }

    fn keep(&self, question: String, key: StreamKey) {
        let mut kept = self.kept.lock();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (_, at)| at.elapsed() < HOLDS);
        }
        if kept.len() < MAX_KEPT {
            kept.insert(question, (key, Instant::now()));
        }
    }
}

impl<'a> Question<'a> {
    fn new(request: &Request<'a>) -> Self {
        let (user, password) = request.shown.plain_login().unzip();
        Self {
            action: request.action,
            key: request.key.as_str(),
            address: request.remote.to_canonical(),
            protocol: request.protocol.label(),
            query: request.shown.query(),
            token: request.shown.token().filter(|_| password.is_none()),
            user: user.or(request.shown.proven_user()),
            password,
        }
    }
}

impl Answer {
    fn stream(self, asked: &StreamKey) -> Result<StreamKey, Failure> {
        let Some(key) = self.key else { return Ok(asked.clone()) };
        // In the API and here a bare name means `live/name`.
        let key = if key.contains('/') { key } else { format!("live/{key}") };
        key.parse()
            .map_err(|error| Failure::Broken(format!("the answer names a `key` that is none: {error}")))
    }
}

/// Why there is no yes.
enum Failure {
    /// The service said no.
    Refused,
    /// It said nothing that can be understood.
    Broken(String),
}

impl Failure {
    fn broken(reason: &str) -> Self {
        Self::Broken(reason.to_owned())
    }

    /// Closed, whatever failed.
    fn denied(self) -> Denied {
        match self {
            Self::Refused => Denied::Refused,
            Self::Broken(reason) => {
                warn!(reason, "nobody is let in: the service that decides failed (`auth.http-url`)");
                Denied::Unavailable
            }
        }
    }
}

/// Without the address, which may have a password in it.
impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(error.without_url().to_string())
    }
}
