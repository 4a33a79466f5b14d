//! Errors over HTTP: problem documents (RFC 9457).

use std::any::Any;
use std::borrow::Cow;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

/// The media type of a problem document (RFC 9457 §6.1).
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The longest text of somebody else's that becomes the detail of a problem.
const MAX_DETAIL: usize = 4096;

/// Why a request was not answered as it wished, as a problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is wrong and what to do about it, in one sentence.
    detail: Cow<'static, str>,
    /// What the client must show to be let in, for the header of that name.
    #[serde(skip)]
    authenticate: Option<&'static str>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with its sentence for the client.
    pub fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status, detail: detail.into(), authenticate: None }
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 503: storage does not answer, or refuses.
    pub(crate) fn storage_is_away() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage cannot be reached now")
    }

    /// 401: the client must show who it is, in the way that `challenge` says (RFC 9110 §11.6.1).
    pub fn unauthorized(challenge: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { authenticate: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Holds because it has nothing but numbers and texts.
        let body = serde_json::to_vec(&self).expect("a problem is JSON");
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.authenticate {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Makes a problem document of every error that is none yet: of what the router and the extractors answer by themselves.
/// Pages for people stay what they are.
pub(super) async fn complete(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_told = response.headers().get(header::CONTENT_TYPE).is_some_and(|media_type| {
        media_type == MEDIA_TYPE || media_type.as_bytes().starts_with(b"text/html")
    });
    if !is_error || is_told {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_DETAIL).await.unwrap_or_default();
    let detail = match std::str::from_utf8(&text) {
        Ok(text) if !text.is_empty() => text.to_owned(),
        _ => default_detail(status).to_owned(),
    };
    let (problem, body) = Problem::new(status, detail).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    // What else was said, such as which methods are allowed, stays.
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

fn default_detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is nothing at this address",
        StatusCode::METHOD_NOT_ALLOWED => {
            "this address does not take that method; the header Allow has those it takes"
        }
        _ => "the request cannot be answered",
    }
}

/// The answer of a handler that panicked, which is our fault and costs this one request.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    error!(
        panic = text.unwrap_or_default(),
        "a request could not be answered because of a mistake in the server"
    );
    let detail = "the server made a mistake; its log says which";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}
