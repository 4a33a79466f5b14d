//! Who may use the API.
//!
//! With `api.token` set, whoever shows it. Without, programs on the same machine; and since a browser on this machine is
//! such a program, whatever page it shows, a request must also not come from a page of another site (cross-site request
//! forgery), not go to a name that only pretends to be this machine (DNS rebinding), and not come through a proxy.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Problem;
use super::listener::Peer;
use crate::app::App;
use crate::auth::ApiToken;

/// Told by browsers: where the page that asks stands to the address that is asked (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What proxies add to say for whom they ask.
const FORWARDED: [HeaderName; 4] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
];

pub(super) async fn guard(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let settings = app.settings();
    let address = request.extensions().get::<Peer>().map(Peer::address);
    match &settings.api.token {
        Some(token) => {
            let address = address.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
            check_token(request.headers(), |shown| app.auth.check_api_token(shown, token, address))?;
        }
        None => check_local(address, &request)?,
    }
    Ok(next.run(request).await)
}

fn check_token(headers: &HeaderMap, judge: impl Fn(&[u8]) -> ApiToken) -> Result<(), Problem> {
    let Some(shown) = headers.get(header::AUTHORIZATION) else {
        return Err(Problem::unauthorized(
            "Bearer",
            "show the token of the setting `api.token`: Authorization: Bearer …",
        ));
    };
    let (scheme, shown) = shown.as_bytes().split_at(shown.len().min("Bearer ".len()));
    let judged = if scheme.eq_ignore_ascii_case(b"Bearer ") { judge(shown) } else { ApiToken::Wrong };
    match judged {
        ApiToken::Right => Ok(()),
        ApiToken::Wrong => Err(Problem::unauthorized(
            r#"Bearer error="invalid_token""#,
            "this is not the token of the setting `api.token`",
        )),
        ApiToken::NotLookedAt => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many wrong tokens came from this address: wait a minute",
        )),
    }
}

fn check_local(address: Option<IpAddr>, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let host = host(headers, request.uri());
    let refusal = if !address.is_some_and(|address| address.to_canonical().is_loopback()) {
        "only programs on the same machine are answered; set `api.token` to let others in"
    } else if FORWARDED.iter().any(|name| headers.contains_key(name)) {
        "a proxy asks for somebody else; set `api.token` to let others in"
    } else if !host.is_some_and(is_local) {
        "ask for localhost or 127.0.0.1; set `api.token` to use other names"
    } else if !is_same_site(headers, host) {
        "a page of another site asks; set `api.token` to let programs of other sites in"
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::FORBIDDEN, refusal))
}

/// The host and port the client asks for.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let in_uri = uri.authority().map(|authority| authority.as_str());
    in_uri.or_else(|| headers.get(header::HOST)?.to_str().ok())
}

/// Whether a host is this machine whatever a name server says.
fn is_local(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = without_port.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(without_port);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether no page asks, or one that this server sent. Old browsers tell only the origin, and not with every request; what
/// they do not tell, they do not let other pages read.
fn is_same_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    let from_here = site.is_none_or(|site| site == b"same-origin" || site == b"none");
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    let is_ours =
        origin.is_none_or(|origin| origin.split_once("://").map(|(_, authority)| authority) == host);
    from_here && is_ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::builder().uri("/api/v1/streams");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::empty()).expect("a request")
    }

    #[test]
    fn without_a_token_only_this_machine_is_answered() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let check = |address: &str, headers: &[(&str, &str)]| {
            check_local(Some(address.parse().expect("an address")), &request(headers)).is_ok()
        };
        assert!(check("127.0.0.1", &[("host", "localhost:8080")]));
        assert!(check("::1", &[("host", "[::1]:8080")]));
        assert!(check("::ffff:127.0.0.1", &[("host", "127.0.0.1")]));
        assert!(!check("10.0.0.1", &[("host", "localhost:8080")]));
        assert!(check_local(None, &request(&[("host", "localhost")])).is_err());
        for headers in [
            &[] as &[_],
            &[("host", "rebound.example:8080")],
            &[("host", "localhost.example:8080")],
            &[("host", "127.0.0.1.example")],
            &[("host", "localhost"), ("x-forwarded-for", "10.0.0.1")],
            &[("host", "localhost"), ("via", "1.1 proxy")],
            &[("host", "localhost:8080"), ("origin", "http://evil.example")],
            &[("host", "localhost:8080"), ("origin", "http://localhost:3000")],
            &[("host", "localhost:8080"), ("origin", "null")],
            &[("host", "localhost:8080"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost:8080"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(check_local(Some(local), &request(headers)).is_err(), "{headers:?}");
        }
        let own_page = [
            ("host", "localhost:8080"),
            ("origin", "http://localhost:8080"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(check("127.0.0.1", &own_page));
    }

    #[test]
    fn a_token_must_be_the_right_one() {
        let judge = |shown: &[u8]| match shown {
            b"0123456789abcdef" => ApiToken::Right,
            _ => ApiToken::Wrong,
        };
        let check = |headers: &[(&str, &str)]| check_token(request(headers).headers(), judge);
        assert_eq!(check(&[("authorization", "Bearer 0123456789abcdef")]), Ok(()));
        assert_eq!(check(&[("authorization", "bearer 0123456789abcdef")]), Ok(()));
        for headers in [
            &[] as &[_],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer 0123456789abcde")],
            &[("authorization", "Bearer 0123456789abcdef0")],
            &[("authorization", "Basic 0123456789abcdef")],
        ] {
            let problem = check(headers).expect_err("refused");
            assert_eq!(problem.status(), StatusCode::UNAUTHORIZED, "{headers:?}");
        }
    }
}
