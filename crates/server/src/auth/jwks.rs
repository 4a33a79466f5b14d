//! Tokens that somebody else signs: the public keys come from an address (JWK Set, RFC 7517).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use reqwest::Url;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::Denied;
use super::outbound::{Outbound, body};
use super::token::{self, Claims};

/// How old keys may become before they are fetched again beside the decision.
const REFRESH_AFTER: Duration = Duration::from_secs(300);

/// How long to wait before asking again, however many tokens name a key that is not known.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest answer, in bytes. Real ones have some thousand.
const MAX_BODY: usize = 256 * 1024;

/// The most keys that are taken from an answer.
const MAX_KEYS: usize = 64;

/// Keys of somebody else who signs tokens.
#[derive(Default)]
pub(super) struct Jwks {
    keys: ArcSwapOption<Keys>,
    /// The last attempt to fetch, and the right to make the next.
    attempt: tokio::sync::Mutex<Option<(Url, Instant)>>,
}

struct Keys {
    url: Url,
    fetched: Instant,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl Jwks {
    /// Reads a token that was signed with one of the keys at `url`.
    pub(super) async fn read(
        self: &Arc<Self>,
        outbound: &Arc<Outbound>,
        url: &Url,
        token: &str,
    ) -> Result<Claims, Denied> {
        if token.len() > token::MAX_LEN {
            return Err(Denied::Wrong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Denied::Wrong)?;
        // A public key must never be taken for the secret of an HMAC.
        if header.alg.family() == AlgorithmFamily::Hmac {
            return Err(Denied::Wrong);
        }
        let keys = self.keys(outbound, url, header.kid.as_deref()).await?;
        let mut candidates = keys.fitting(header.kid.as_deref(), header.alg);
        candidates.find_map(|key| token::verify(token, &key.key, header.alg).ok()).ok_or(Denied::Wrong)
    }

    /// The keys at `url`, with the one called `id` if it can be had.
    async fn keys(
        self: &Arc<Self>,
        outbound: &Arc<Outbound>,
        url: &Url,
        id: Option<&str>,
    ) -> Result<Arc<Keys>, Denied> {
        let known = self.keys.load_full().filter(|keys| keys.url == *url);
        match known {
            Some(keys) if keys.know(id) => {
                if keys.fetched.elapsed() >= REFRESH_AFTER {
                    let (this, outbound, url) = (self.clone(), outbound.clone(), url.clone());
                    tokio::spawn(async move { this.fetch(&outbound, &url).await });
                }
                Ok(keys)
            }
            known => {
                self.fetch(outbound, url).await;
                let fetched = self.keys.load_full().filter(|keys| keys.url == *url);
                fetched.or(known).ok_or(Denied::Unavailable)
            }
        }
    }

    /// Fetches the keys, unless somebody has just tried. Should that fail, the old ones stay.
    async fn fetch(&self, outbound: &Outbound, url: &Url) {
        let mut attempt = self.attempt.lock().await;
        if attempt.as_ref().is_some_and(|(last, at)| last == url && at.elapsed() < RETRY_AFTER) {
            return;
        }
        *attempt = Some((url.clone(), Instant::now()));
        let fetched = timeout(DEADLINE, fetch(outbound, url)).await;
        match fetched.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(keys) => {
                let keys = Keys { url: url.clone(), fetched: Instant::now(), keys };
                self.keys.store(Some(Arc::new(keys)));
            }
            Err(reason) => warn!(reason, "the keys for tokens cannot be fetched (`auth.jwks-url`)"),
        }
    }
}

impl Keys {
    /// Whether the key that a token names is here; a token that names none may be of any.
    fn know(&self, id: Option<&str>) -> bool {
        id.is_none_or(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id)))
    }

    /// The keys that may have signed a token.
    fn fitting<'a>(&'a self, id: Option<&'a str>, algorithm: Algorithm) -> impl Iterator<Item = &'a Key> {
        let named = move |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        let kind = move |key: &&Key| {
            key.algorithm.is_none_or(|only| only == algorithm) && key.key.family() == algorithm.family()
        };
        self.keys.iter().filter(named).filter(kind)
    }
}

async fn fetch(outbound: &Outbound, url: &Url) -> Result<Vec<Key>, String> {
    // An error names the address, which may have a password in it.
    let told = |error: reqwest::Error| error.without_url().to_string();
    let response = outbound.client().map_err(told)?.get(url.clone()).send().await.map_err(told)?;
    if !response.status().is_success() {
        return Err(format!("the answer is {}", response.status()));
    }
    let body = body(response, MAX_BODY).await.map_err(told)?.ok_or("the answer is too long")?;
    parse(&body).ok_or_else(|| "the answer is no JWK set".to_owned())
}

/// The keys of a set that are of use here. Others are nobody's fault: sets hold keys for encryption, too.
fn parse(body: &[u8]) -> Option<Vec<Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(body).ok()?;
    Some(set.keys.into_iter().filter_map(Key::new).take(MAX_KEYS).collect())
}

impl Key {
    fn new(value: serde_json::Value) -> Option<Self> {
        if value["use"].as_str().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|key| key.family() != AlgorithmFamily::Hmac)?;
        let algorithm = match jwk.common.key_algorithm {
            Some(algorithm) => Some(algorithm.to_string().parse().ok()?),
            None => None,
        };
        Some(Self { id: jwk.common.key_id, algorithm, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_no_use_are_left_out() {
        let set = serde_json::json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "kid": "a", "alg": "EdDSA", "use": "sig",
             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "b", "use": "enc",
             "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "oct", "kid": "c", "alg": "HS256", "k": "c2VjcmV0"},
            {"kty": "unheard-of", "kid": "d"},
            "nonsense",
        ]});
        let keys = parse(set.to_string().as_bytes()).expect("a set");
        let ids: Vec<_> = keys.iter().map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, [Some("a")]);
        assert!(parse(b"[]").is_none());
        assert!(parse(br#"{"keys": 1}"#).is_none());
        let keys = Keys { url: Url::parse("http://h/").expect("an address"), fetched: Instant::now(), keys };
        let fitting = |id, algorithm| keys.fitting(id, algorithm).count();
        assert_eq!([fitting(Some("a"), Algorithm::EdDSA), fitting(None, Algorithm::EdDSA)], [1, 1]);
        assert_eq!([fitting(Some("z"), Algorithm::EdDSA), fitting(Some("a"), Algorithm::RS256)], [0, 0]);
    }
}
