//! Tokens over the API.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use humantime::{format_duration, format_rfc3339_seconds};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Action, CannotSign, Scope};
use crate::app::App;
use crate::http::{Problem, Routes};

/// What of `/api/v1` is about tokens.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(make_token))
}

/// What a token is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenRequest {
    /// The stream, `app/name`; a bare name means `live/name`, a `*` at the end anything.
    #[schema(example = "live/show")]
    stream_key: String,
    /// How many seconds it is good, up to the setting `auth.max-expiry`; without it, `auth.default-expiry`.
    #[serde(default)]
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
    /// Whether it is good for one time.
    #[serde(default)]
    single_use: bool,
    /// What it lets do.
    #[serde(default = "publish")]
    action: Action,
}

/// A token and how to use it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TokenResponse {
    /// The address for OBS, FFmpeg and others, to publish to or to play from, with the token in it. Missing where the token
    /// is for more than one stream, or the server does not speak RTMP.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_url: Option<String>,
    /// The stream, written out.
    stream_key: String,
    /// The token.
    token: String,
    /// When it stops being good, RFC 3339.
    expires_at: String,
}

fn publish() -> Action {
    Action::Publish
}

/// Makes a token that lets somebody publish or play.
#[utoipa::path(post, path = "/publish", tag = "tokens", request_body = TokenRequest, responses(
    (status = OK, body = TokenResponse),
    (status = BAD_REQUEST, body = Problem, description = "The stream key is none, or the time is too long."),
    (status = CONFLICT, body = Problem, description = "Tokens are signed by somebody else (`auth.jwks-url`)."),
))]
async fn make_token(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> Result<([(HeaderName, &'static str); 1], Json<TokenResponse>), Problem> {
    let scope: Scope =
        request.stream_key.parse().map_err(|error| Problem::bad_request(format!("streamKey: {error}")))?;
    let expiry = expiry(&app, request.expires_in)?;
    let (token, claims) = app.auth.make_token(scope, request.action, expiry, request.single_use)?;
    info!(stream_key = %claims.sub, action = %claims.act, once = claims.once, "token made");
    let publish_url = claims.sub.key().and_then(|key| {
        let base = rtmp_url(&app, &uri, &headers)?;
        Some(format!("{base}/{key}?token={token}"))
    });
    let response = TokenResponse {
        publish_url,
        stream_key: claims.sub.to_string(),
        token,
        expires_at: format_rfc3339_seconds(claims.expires_at()).to_string(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(response)))
}

fn expiry(app: &App, seconds: Option<u64>) -> Result<Duration, Problem> {
    let auth = &app.settings().auth;
    let expiry = seconds.map_or(auth.default_expiry, Duration::from_secs);
    if expiry.is_zero() || expiry > auth.max_expiry {
        let most = format_duration(auth.max_expiry);
        return Err(Problem::bad_request(format!(
            "expiresIn: from 1 s to {most}, which `auth.max-expiry` allows"
        )));
    }
    Ok(expiry)
}

impl From<CannotSign> for Problem {
    fn from(error: CannotSign) -> Self {
        let status = match error {
            CannotSign::OthersSign => StatusCode::CONFLICT,
            CannotSign::Secret(_) | CannotSign::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

/// Where RTMP clients find the server that was asked at `uri`, without a stream key.
pub(crate) fn rtmp_url(app: &App, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    base_url(&app.rtmp_addresses(), asked_host(uri, headers))
}

/// Where RTMP clients find the server, for who asked at this address: `rtmp://HOST[:PORT]`.
pub(crate) fn rtmp_base(app: &App, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    base_url(&app.rtmp_addresses(), asked_host(uri, headers))
}

/// The host that was asked for, without a port.
fn asked_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Authority> {
    let in_header = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(in_header)
}

/// Where RTMP clients find the server, as far as it knows itself: the host that the API was asked at, where that may also be
/// an address of RTMP, and the port of the first listener, which is one without TLS if there is one.
fn base_url(listeners: &[(&'static str, SocketAddr)], asked: Option<Authority>) -> Option<String> {
    let plain = listeners.iter().find(|(proto, _)| *proto == "rtmp");
    let (proto, bound) = plain.or(listeners.first())?;
    let ip = bound.ip();
    let is_here = |host: &str| {
        let bare = host.trim_matches(['[', ']']);
        host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    };
    let asked = asked.as_ref().map(Authority::host).filter(|host| !host.is_empty());
    let host = match asked {
        Some(host) if ip.is_unspecified() || (!is_here(host) && !ip.is_loopback()) => host.to_owned(),
        _ if ip.is_unspecified() => "127.0.0.1".to_owned(),
        _ if ip.is_ipv6() => format!("[{ip}]"),
        _ => ip.to_string(),
    };
    let usual = if *proto == "rtmp" { 1935 } else { 443 };
    let port = if bound.port() == usual { String::new() } else { format!(":{}", bound.port()) };
    Some(format!("{proto}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_where_clients_find_the_server() {
        for (listeners, asked, expected) in [
            (&[("rtmp", "0.0.0.0:1935")][..], "media.example:8080", Some("rtmp://media.example")),
            (&[("rtmp", "0.0.0.0:1936")], "media.example:8080", Some("rtmp://media.example:1936")),
            (&[("rtmp", "[::]:1935")], "[::1]:8080", Some("rtmp://[::1]")),
            (&[("rtmp", "127.0.0.1:1935")], "localhost:8080", Some("rtmp://127.0.0.1")),
            (&[("rtmp", "127.0.0.1:1935")], "media.example", Some("rtmp://127.0.0.1")),
            (&[("rtmp", "10.0.0.1:1935")], "127.0.0.1:8080", Some("rtmp://10.0.0.1")),
            (&[("rtmp", "10.0.0.1:1935")], "media.example", Some("rtmp://media.example")),
            (&[("rtmp", "[2001:db8::1]:1")], "localhost", Some("rtmp://[2001:db8::1]:1")),
            (&[("rtmp", "0.0.0.0:1935")], "", Some("rtmp://127.0.0.1")),
            (&[("rtmps", "0.0.0.0:443")], "media.example", Some("rtmps://media.example")),
            (&[("rtmps", "0.0.0.0:443"), ("rtmp", "0.0.0.0:1")], "h", Some("rtmp://h:1")),
            (&[], "media.example", None),
        ] {
            let listeners: Vec<_> =
                listeners.iter().map(|(proto, addr)| (*proto, addr.parse().expect("an address"))).collect();
            assert_eq!(
                base_url(&listeners, asked.parse().ok()).as_deref(),
                expected,
                "{listeners:?} {asked}"
            );
        }
    }
}
