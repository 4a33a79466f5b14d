//! Every request: its id, and its line in the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::{Instrument, Span, debug, info, info_span, warn};

use super::Problem;
use super::access::{self, Access};
use super::listener::Peer;
use crate::app::App;
use crate::auth::Action;
use crate::log::excerpt;
use crate::traces::{self, TARGET};

/// Names a request in the log; a proxy may have given it one already.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client.
const MAX_ID: usize = 64;

/// How much of a path is logged, in bytes.
const LOGGED_PATH: usize = 256;

/// An address that is longer than this is no address of ours: two names of 255 bytes, percent-encoded, and a token.
const MAX_URI: usize = 8192;

/// The route of what no route matches, in the metrics.
const UNMATCHED: Route = Route("unmatched");

/// What the metrics call the route of an answer that was found without the router.
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

impl Route {
    /// An answer that the metrics count under this route.
    pub(super) fn label(self, answer: impl IntoResponse) -> Response {
        let mut answer = answer.into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let path = loggable_path(&app, &request);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let _active = app.metrics.request();
    let span = info_span!(target: TARGET, "request", request_id = id.to_str().unwrap_or_default());
    traces::continue_from(&span, request.headers());
    let client = excerpt(header_text(&request, header::USER_AGENT)).to_owned();
    let inside = span.clone();
    async move {
        let mut response = match refusal(&request) {
            Some(problem) => problem.into_response(),
            None => next.run(request).await,
        };
        response.headers_mut().insert(REQUEST_ID, id);
        let (status, took) = (response.status(), begun.elapsed());
        let named = response.extensions().get::<Route>().copied().unwrap_or(UNMATCHED).0;
        let route = route.as_ref().map_or(named, MatchedPath::as_str);
        app.metrics.answered(method_label(&method), route, status.as_u16(), took);
        trace(&inside, method_label(&method), route, &path, status);
        if app.settings().log.access {
            let route = route.to_owned();
            return access::log(
                response,
                Access { method, route, path, status, client, begun, span: inside },
            );
        }
        log(&method, &path, status, took);
        response
    }
    .instrument(span)
    .await
}

/// The path without its query, which may hold a token. Where a stream's name is its viewers' secret, the path to it is as
/// well.
fn loggable_path(app: &App, request: &Request) -> String {
    const OURS: [&str; 5] = ["/api/", "/health", "/ready", "/metrics", "/assets/"];
    let path = request.uri().path();
    let is_ours = OURS.iter().any(|prefix| path.starts_with(prefix));
    if !is_ours && (app.auth.hides_keys(Action::Play) || app.auth.hides_keys(Action::Publish)) {
        return "(hidden)".to_owned();
    }
    path[..path.floor_char_boundary(LOGGED_PATH)].to_owned()
}

/// Why a request is not even looked at, if it is not.
fn refusal(request: &Request) -> Option<Problem> {
    let peer = request.extensions().get::<Peer>();
    if let Some(reason) = peer.and_then(Peer::refusal) {
        return Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason.to_owned()));
    }
    let is_too_long = request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > MAX_URI);
    is_too_long
        .then(|| Problem::new(StatusCode::URI_TOO_LONG, "the address is too long: 8192 bytes are the most"))
}

/// The id a proxy gave, if it can stand in a log, or a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID);
    let is_sane = |id: &&HeaderValue| {
        (1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    given.filter(is_sane).cloned().unwrap_or_else(|| {
        // Holds because hexadecimal digits may stand in a header.
        HeaderValue::try_from(format!("{:016x}", new_id())).expect("a header value")
    })
}

/// An id that hardly another request has, here or in another server: what is counted, hashed with what is random since the
/// process began. To ask the system for something random takes longer.
fn new_id() -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static MADE: AtomicU64 = AtomicU64::new(0);
    HASHER.hash_one(MADE.fetch_add(1, Ordering::Relaxed))
}

/// What traces tell of a request, by the names that OpenTelemetry has for it.
fn trace(span: &Span, method: &'static str, route: &str, path: &str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    traces::note(span, "otel.name", format!("{method} {route}"));
    traces::note(span, "otel.kind", "server");
    traces::note(span, "http.request.method", method);
    traces::note(span, "http.route", route);
    traces::note(span, "url.path", path);
    traces::note(span, "http.response.status_code", status.as_str());
}

fn header_text(request: &Request, name: HeaderName) -> &str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A method as a label. Clients may invent others.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == *known).unwrap_or("other")
}

/// What changes something is news; what only looks, or plays, is not. That there is no room, or nothing to play yet, is an
/// answer and no fault.
fn log(method: &Method, path: &str, status: StatusCode, took: Duration) {
    let (status, ms) = (status.as_u16(), took.as_micros() as f64 / 1000.0);
    if status >= 500 && status != StatusCode::SERVICE_UNAVAILABLE.as_u16() {
        warn!(%method, path, status, ms, "request");
    } else if method.is_safe() {
        debug!(%method, path, status, ms, "request");
    } else {
        info!(%method, path, status, ms, "request");
    }
}
