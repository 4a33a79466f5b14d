//! Decisions, with the services that have a say in them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use flumen_hub::{Config, PublishError};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::*;
use crate::config::{HttpUrl, Secret, SigningSecret};
use crate::encodings::Hub;
use crate::store::{Pending, StoreError};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A store that forgets, and may be broken.
#[derive(Default)]
struct Memory {
    claims: Mutex<HashSet<String>>,
    is_broken: bool,
}

impl Memory {
    fn answer<T: Send + 'static>(&self, answer: T) -> Pending<'_, T> {
        let broken = self.is_broken.then(|| StoreError::InUse("memory".to_owned()));
        Box::pin(async move { broken.map_or(Ok(answer), Err) })
    }
}

impl Store for Memory {
    fn claim(&self, name: &str, _: SystemTime, _: SystemTime) -> Pending<'_, bool> {
        self.answer(self.claims.lock().insert(name.to_owned()))
    }

    fn release(&self, name: &str) -> Pending<'_, ()> {
        self.claims.lock().remove(name);
        self.answer(())
    }
}

fn auth_with(store: Memory, change: impl FnOnce(&mut Settings)) -> Arc<Auth> {
    let mut settings = Settings::default();
    settings.auth.secret = SigningSecret(Some(Secret::new(SECRET)));
    change(&mut settings);
    Auth::new(watch::channel(Arc::new(settings)).1, Arc::new(store), Arc::default())
}

fn auth(change: impl FnOnce(&mut Settings)) -> Arc<Auth> {
    auth_with(Memory::default(), change)
}

fn with_tokens() -> Arc<Auth> {
    auth(|settings| (settings.auth.publish, settings.auth.play) = (AuthMode::Token, AuthMode::Token))
}

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

/// What comes of asking for `live/show` over RTMP with this query.
async fn ask(auth: &Arc<Auth>, action: Action, query: &str) -> Result<Decision, Denied> {
    ask_from(auth, action, Protocol::Rtmp, query, address(1)).await
}

async fn ask_from(
    auth: &Arc<Auth>,
    action: Action,
    protocol: Protocol,
    query: &str,
    remote: IpAddr,
) -> Result<Decision, Denied> {
    let key = "live/show".parse().expect("a key");
    let shown = Shown::http(Some(query), None);
    auth.decide(Request { action, key: &key, shown: &shown, remote, protocol }).await
}

/// `token=…` for `live/show`, good for an hour.
fn token(auth: &Auth, action: Action, once: bool) -> String {
    let scope = "live/show".parse().expect("a scope");
    let made = auth.make_token(scope, action, Duration::from_secs(3600), once);
    format!("token={}", made.expect("a token").0)
}

fn url(text: &str) -> Option<HttpUrl> {
    let settings: Settings = serde_json::from_value(json!({"auth": {"http-url": text}})).expect("an address");
    settings.auth.http_url
}

/// Serves `router` on a free port; gives its address.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

#[tokio::test]
async fn an_open_server_lets_in_whoever_comes() {
    let auth = auth(|_| {});
    for query in ["", "token=nonsense", "user=ann&pass=guess"] {
        assert_eq!(ask(&auth, Action::Publish, query).await.expect("open").key.as_str(), "live/show");
    }
    assert!(!auth.is_locked_out(address(1)), "where nobody has to show anything nothing is a guess");
}

#[tokio::test]
async fn a_token_opens_what_it_is_for() {
    let auth = with_tokens();
    let publish = token(&auth, Action::Publish, false);
    for _ in 0..3 {
        assert!(ask(&auth, Action::Publish, &publish).await.is_ok());
    }
    let other = Denied::OtherAction { allowed: Action::Publish };
    assert_eq!(ask(&auth, Action::Play, &publish).await.err(), Some(other));
    assert_eq!(ask(&auth, Action::Publish, "").await.err(), Some(Denied::Missing));
    assert_eq!(ask(&auth, Action::Publish, "token=").await.err(), Some(Denied::Missing));
    assert_eq!(ask(&auth, Action::Publish, &format!("{publish}x")).await.err(), Some(Denied::Wrong));
    let elsewhere = auth.make_token("b".parse().expect("a scope"), Action::Publish, Duration::ZERO, false);
    let elsewhere = format!("token={}", elsewhere.expect("a token").0);
    assert_eq!(ask(&auth, Action::Publish, &elsewhere).await.err(), Some(Denied::OtherStream));
    let counted = auth.decisions();
    assert_eq!(counted[&("publish", "allowed")], 3);
    assert_eq!(counted[&("publish", "missing")], 2);
}

#[tokio::test]
async fn the_same_token_is_the_same_publisher_whatever_else_is_shown() {
    let auth = with_tokens();
    let token = token(&auth, Action::Publish, false);
    let credential =
        async |query: String| ask(&auth, Action::Publish, &query).await.expect("let in").credential;
    assert_eq!(credential(token.clone()).await, credential(format!("x=y&{token}")).await);
}

#[tokio::test]
async fn guesses_are_counted_and_right_tokens_still_taken() {
    let auth = with_tokens();
    for _ in 0..10 {
        assert_eq!(ask(&auth, Action::Play, "token=guess").await.err(), Some(Denied::Wrong));
    }
    assert_eq!(ask(&auth, Action::Play, "token=guess").await.err(), Some(Denied::TooManyAttempts));
    let right = token(&auth, Action::Play, false);
    assert!(ask(&auth, Action::Play, &right).await.is_ok(), "a viewer behind the same proxy");
    let other = ask_from(&auth, Action::Play, Protocol::Flv, "token=guess", address(2)).await;
    assert_eq!(other.err(), Some(Denied::Wrong));
}

#[tokio::test]
async fn passwords_cannot_be_guessed_as_tokens() {
    let auth = auth(|settings| {
        settings.auth.play = AuthMode::Token;
        settings.rtmp.users.insert("ann".to_owned(), Secret::new("hunter2"));
    });
    assert!(ask(&auth, Action::Play, "user=ann&pass=hunter2").await.is_ok());
    assert!(ask(&auth, Action::Publish, "user=ann&pass=hunter2").await.is_ok());
    assert_eq!(ask(&auth, Action::Publish, "").await.err(), Some(Denied::LoginMissing));
    for _ in 0..5 {
        assert_eq!(ask(&auth, Action::Publish, "user=ann&pass=guess").await.err(), Some(Denied::WrongLogin));
        assert_eq!(ask(&auth, Action::Play, "user=ann&pass=guess").await.err(), Some(Denied::Wrong));
    }
    for action in [Action::Publish, Action::Play] {
        let right = ask(&auth, action, "user=ann&pass=hunter2").await;
        assert!(right.is_err(), "{action}: the right password does not help any more");
    }
}

#[tokio::test]
async fn a_token_for_one_time_publishes_once_and_may_resume() {
    let auth = with_tokens();
    let hub = Hub::new(Config::default());
    let query = token(&auth, Action::Publish, true);
    let publish = async || {
        let decision = ask(&auth, Action::Publish, &query).await.map_err(PublishRefusal::Denied)?;
        decision.publish(&hub, "rtmp", "here".into()).await
    };
    let first = publish().await.expect("the first time");
    drop(first);
    let second = publish().await.expect("its connection was lost");
    second.finish();
    assert_eq!(publish().await.err(), Some(PublishRefusal::Denied(Denied::Used)));
    let play = token(&auth, Action::Play, true);
    assert!(ask(&auth, Action::Play, &play).await.is_ok());
    assert_eq!(ask(&auth, Action::Play, &play).await.err(), Some(Denied::Used));
}

#[tokio::test]
async fn a_token_that_came_to_nothing_is_good_again() {
    let auth = with_tokens();
    let hub = Hub::new(Config { max_streams: 0, ..Config::default() });
    let query = token(&auth, Action::Publish, true);
    for _ in 0..2 {
        let decision = ask(&auth, Action::Publish, &query).await.expect("let in");
        let refused = decision.publish(&hub, "rtmp", "here".into()).await.err();
        assert_eq!(refused, Some(PublishError::TooManyStreams { limit: 0 }.into()));
    }
}

#[tokio::test]
async fn of_two_who_use_a_token_at_the_same_time_one_is_let_in() {
    let auth = with_tokens();
    let query = token(&auth, Action::Play, true);
    let (one, other) = tokio::join!(ask(&auth, Action::Play, &query), ask(&auth, Action::Play, &query));
    assert!(one.is_ok() != other.is_ok());
}

#[tokio::test]
async fn a_playlist_is_one_viewing() {
    let auth = with_tokens();
    let query = token(&auth, Action::Play, true);
    let from = async |last| ask_from(&auth, Action::Play, Protocol::Hls, &query, address(last)).await.err();
    assert_eq!([from(1).await, from(1).await, from(1).await], [None, None, None]);
    assert_eq!(from(2).await, Some(Denied::Used), "somebody else with the address of the playlist");
}

#[tokio::test]
async fn without_the_store_no_token_for_one_time_is_good() {
    let broken = Memory { is_broken: true, ..Memory::default() };
    let auth = auth_with(broken, |settings| settings.auth.play = AuthMode::Token);
    let once = token(&auth, Action::Play, true);
    assert_eq!(ask(&auth, Action::Play, &once).await.err(), Some(Denied::Unavailable));
    let many = token(&auth, Action::Play, false);
    assert!(ask(&auth, Action::Play, &many).await.is_ok());
}

fn with_service(url_text: &str) -> Arc<Auth> {
    let url = url(url_text);
    auth(|settings| {
        (settings.auth.publish, settings.auth.play) = (AuthMode::Http, AuthMode::Http);
        settings.auth.http_url = url;
        settings.auth.http_timeout = Duration::from_millis(300);
    })
}

#[tokio::test]
async fn the_service_is_asked_everything_and_may_rename() {
    let (sender, mut asked) = mpsc::unbounded_channel::<Value>();
    let answer = |axum::Json(question): axum::Json<Value>| async move {
        sender.send(question).expect("the test listens");
        axum::Json(json!({"key": "live/public", "more": 1}))
    };
    let auth = with_service(&serve(Router::new().route("/", post(answer))).await);
    let query = "token=abc&a=b%20c&authmod=adobe&challenge=1&response=2&opaque=3";
    let decision = ask(&auth, Action::Publish, query).await.expect("let in");
    assert_eq!(decision.key.as_str(), "live/public");
    let question = json!({
        "action": "publish", "key": "live/show", "address": "192.0.2.1", "protocol": "rtmp",
        "query": "token=abc&a=b%20c", "token": "abc",
    });
    assert_eq!(asked.recv().await, Some(question));
    let login = ask(&auth, Action::Play, "user=ann&pass=pw").await;
    assert!(login.is_ok());
    let question = asked.recv().await.expect("asked");
    assert_eq!((&question["user"], &question["password"]), (&json!("ann"), &json!("pw")));
    assert_eq!((&question["action"], &question["token"]), (&json!("play"), &Value::Null));
}

#[tokio::test]
async fn whatever_else_the_service_answers_is_no() {
    let router = Router::new()
        .route("/ok", post(|| async { "ok" }))
        .route("/empty", post(|| async { StatusCode::NO_CONTENT }))
        .route("/no", post(|| async { StatusCode::FORBIDDEN }))
        .route("/unknown", post(|| async { (StatusCode::NOT_FOUND, "no such key") }))
        .route("/broken", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/busy", post(|| async { StatusCode::TOO_MANY_REQUESTS }))
        .route("/elsewhere", post(|| async { Redirect::temporary("/ok").into_response() }))
        .route("/traversal", post(|| async { axum::Json(json!({"key": "live/../x"})) }))
        .route("/number", post(|| async { axum::Json(json!({"key": 1})) }))
        .route("/long", post(|| async { "x".repeat(1 << 20) }))
        .route("/slow", post(|| async { sleep(Duration::from_secs(60)).await }));
    let base = serve(router).await;
    let answer =
        async |path: &str| ask(&with_service(&format!("{base}{path}")), Action::Publish, "").await.err();
    for path in ["ok", "empty"] {
        assert_eq!(answer(path).await, None, "{path}");
    }
    for path in ["no", "unknown"] {
        assert_eq!(answer(path).await, Some(Denied::Refused), "{path}");
    }
    for path in ["broken", "busy", "elsewhere", "traversal", "number", "long", "slow"] {
        assert_eq!(answer(path).await, Some(Denied::Unavailable), "{path}");
    }
    let nobody = ask(&with_service("http://127.0.0.1:1/"), Action::Publish, "").await;
    assert_eq!(nobody.err(), Some(Denied::Unavailable));
}

#[tokio::test]
async fn a_player_of_a_playlist_costs_the_service_little() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move || async move {
        count.fetch_add(1, Ordering::Relaxed);
    };
    let auth = with_service(&serve(Router::new().route("/", post(answer))).await);
    for _ in 0..5 {
        let decision = ask_from(&auth, Action::Play, Protocol::Hls, "token=a", address(1)).await;
        assert!(decision.is_ok());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for (query, from, protocol) in
        [("token=b", 1, Protocol::Hls), ("token=a", 2, Protocol::Hls), ("token=a", 1, Protocol::Flv)]
    {
        assert!(ask_from(&auth, Action::Play, protocol, query, address(from)).await.is_ok());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn whoever_is_refused_again_and_again_is_not_asked_about() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answer = move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::FORBIDDEN
    };
    let auth = with_service(&serve(Router::new().route("/", post(answer))).await);
    for _ in 0..10 {
        assert_eq!(ask(&auth, Action::Publish, "").await.err(), Some(Denied::Refused));
    }
    assert_eq!(ask(&auth, Action::Publish, "").await.err(), Some(Denied::TooManyAttempts));
    assert_eq!(asked.load(Ordering::Relaxed), 10);
}

/// An Ed25519 key pair that RFC 8037, appendix A, makes public.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// A token that the owner of the key pair signs.
fn foreign_token(key_id: &str) -> String {
    use base64::Engine as _;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    let seed = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(PRIVATE).expect("base64");
    // PKCS#8 (RFC 8410, section 7): a fixed head, then the seed.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(seed);
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::EdDSA) };
    let claims = json!({"sub": "live/*", "act": "play", "exp": 32_503_680_000_u64});
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&der));
    format!("token={}", token.expect("signed"))
}

#[tokio::test]
async fn tokens_of_somebody_else_are_checked_with_its_public_keys() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let keys = move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        axum::Json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": PUBLIC}]}))
    };
    let url = url(&serve(Router::new().route("/", get(keys))).await);
    let auth = auth(|settings| {
        settings.auth.play = AuthMode::Token;
        settings.auth.jwks_url = url;
    });
    for _ in 0..3 {
        assert!(ask(&auth, Action::Play, &foreign_token("a")).await.is_ok());
        assert_eq!(ask(&auth, Action::Play, &foreign_token("b")).await.err(), Some(Denied::Wrong));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "an unknown key is no reason to ask again at once");

    let scope: Scope = "live/*".parse().expect("a scope");
    let made = auth.make_token(scope.clone(), Action::Play, Duration::ZERO, false);
    assert!(matches!(made, Err(CannotSign::OthersSign)));
    // A public key is known to everybody: as the secret of an HMAC it must open nothing.
    let claims = Claims::new(scope, Action::Play, SystemTime::now(), Duration::from_secs(60), false);
    let forged = claims.expect("claims").sign(PUBLIC.as_bytes()).expect("signed");
    assert_eq!(ask(&auth, Action::Play, &format!("token={forged}")).await.err(), Some(Denied::Wrong));
    let unsigned =
        "token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJsaXZlL3Nob3ciLCJhY3QiOiJwbGF5IiwiZXhwIjozMjUwMzY4MDAwMH0.";
    assert_eq!(ask(&auth, Action::Play, unsigned).await.err(), Some(Denied::Wrong));
}

#[tokio::test]
async fn without_the_keys_of_somebody_else_nobody_is_let_in() {
    let url = url("http://127.0.0.1:1/keys");
    let auth = auth(|settings| {
        settings.auth.play = AuthMode::Token;
        settings.auth.jwks_url = url;
    });
    assert_eq!(ask(&auth, Action::Play, &foreign_token("a")).await.err(), Some(Denied::Unavailable));
}

#[tokio::test]
async fn what_is_no_good_for_anything_is_told_at_connect() {
    let shown = |query: &str| Shown::http(Some(query), None);
    let auth = with_tokens();
    let right = token(&auth, Action::Play, false);
    assert_eq!(auth.check_early(&shown(&right), address(1)).await, Ok(()));
    assert_eq!(auth.check_early(&shown(""), address(1)).await, Ok(()));
    assert_eq!(auth.check_early(&shown("token=x"), address(1)).await, Err(Denied::Wrong));
    let half_open = self::auth(|settings| settings.auth.publish = AuthMode::Token);
    assert_eq!(half_open.check_early(&shown("token=x"), address(1)).await, Ok(()), "it may want to play");
}
