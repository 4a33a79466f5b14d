//! The pages for people, embedded in the binary: the dashboard at `/`, a player for each stream at `/{app}/{name}`.
//!
//! `make pages` builds them from `crates/server/pages`. They are plain files: what they show comes over the API and the
//! media addresses that everybody else uses. Names of what stands under `/assets/` carry a hash of the content, so a
//! browser keeps it for ever; the pages themselves it asks for again each time, and mostly hears that nothing changed.

#[cfg(test)]
mod tests;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::{Problem, Routes};

/// What a page may load and do: what this server sends, and media that its own scripts put together. Nothing is inline, so
/// that a stream's name can never become a script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";

/// Of the dashboard: it shows players in frames. Another site may do so, too, but in a frame with the dashboard it could
/// make somebody click.
const FRAMES: &str = "; frame-src 'self'; frame-ancestors 'none'";

const REFERRER_POLICY: HeaderName = HeaderName::from_static("referrer-policy");

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/pages"]
struct Files;

/// `/` and what the pages consist of.
pub(crate) fn routes() -> Routes {
    Routes::new()
        .route("/", get(async |headers: HeaderMap| page("index.html", FRAMES, &headers)))
        .route("/assets/{*path}", get(asset))
}

/// The page that plays a stream or a recording. Its scripts find out which from the address.
pub(crate) fn player(request: &HeaderMap) -> Response {
    page("player.html", "", request)
}

/// The page that says that there is nothing at an address.
pub(crate) fn not_found(request: &HeaderMap, status: StatusCode) -> Response {
    let mut response = page("not-found.html", FRAMES, request);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// Whether somebody reads the answer who wants a page: browsers say so when an address is opened.
pub(crate) fn is_for_people(request: &HeaderMap) -> bool {
    list(request, &header::ACCEPT).any(|accepted| accepted.starts_with("text/html"))
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let cache = HeaderValue::from_static("public, max-age=31536000, immutable");
    file(&format!("assets/{path}"), cache, &headers)
        .ok_or_else(|| Problem::not_found("there is nothing at this address"))
}

fn page(name: &str, more_policy: &str, request: &HeaderMap) -> Response {
    let cache = HeaderValue::from_static("no-cache");
    let Some(mut response) = file(name, cache, request) else {
        return Problem::not_found("there is nothing at this address").into_response();
    };
    let policy = format!("{CONTENT_SECURITY_POLICY}{more_policy}");
    // Holds because it is made of two constants of ASCII.
    let policy = HeaderValue::try_from(policy).expect("a header value");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    // The address of a player may have a token in it.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// An embedded file, compressed where the client takes that, or that the client has it already.
fn file(name: &str, cache: HeaderValue, request: &HeaderMap) -> Option<Response> {
    let plain = Files::get(name)?;
    let takes_gzip = list(request, &header::ACCEPT_ENCODING).any(|coding| coding == "gzip");
    let compressed = takes_gzip.then(|| Files::get(&format!("{name}.gz"))).flatten();
    let encoding = compressed.is_some().then_some((header::CONTENT_ENCODING, "gzip"));
    let file = compressed.unwrap_or(plain);
    let tag = entity_tag(&file);
    let is_known = list(request, &header::IF_NONE_MATCH)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            ([(header::CONTENT_TYPE, media_type(name))], encoding.map(|e| [e]), file.data).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::ETAG, HeaderValue::try_from(tag).ok()?);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Some(response)
}

/// Half of the hash of the content says well enough which it is.
fn entity_tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// What the build makes, by its ending.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// The members of a header that is a list, without their parameters.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let members = values.flat_map(|value| value.split(','));
    members.map(|member| member.split(';').next().unwrap_or_default().trim())
}
