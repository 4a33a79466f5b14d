//! What the router answers, without sockets.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use flumen_hub::Config;
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Routes, router};
use crate::app::App;
use crate::config::Settings;
use crate::encodings::Hub;
use crate::shutdown::Shutdown;

fn app() -> Arc<App> {
    let (_, settings) = watch::channel(Arc::new(Settings::default()));
    App::new(Hub::new(Config::default()), settings, Shutdown::new())
}

async fn answer(app: &Arc<App>, request: axum::http::request::Builder) -> Response<Body> {
    let request = request.body(Body::empty()).expect("a request");
    router(app.clone()).oneshot(request).await.expect("the router always answers")
}

async fn json(response: Response<Body>) -> Value {
    let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn a_server_that_stops_is_alive_and_not_ready() {
    let app = app();
    let status = async |path: &str| answer(&app, Request::get(path)).await.status();
    assert_eq!((status("/health").await, status("/ready").await), (StatusCode::OK, StatusCode::OK));
    app.shutdown.request();
    assert_eq!(
        (status("/health").await, status("/ready").await),
        (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE)
    );
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let app = app();
    let long = format!("/{}", "x".repeat(9000));
    for (request, status) in [
        (Request::get("/nowhere"), 404),
        (Request::get("/api/v1/nowhere"), 404),
        (Request::post("/health"), 405),
        (Request::get("/api/v1/streams"), 403),
        (Request::get(long.as_str()), 414),
    ] {
        let response = answer(&app, request).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert!(response.headers().contains_key("x-request-id"));
        let problem = json(response).await;
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&Value::from(status), &Value::from("about:blank"))
        );
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
    }
    let response = answer(&app, Request::post("/health")).await;
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn people_get_a_page_where_programs_get_a_problem() {
    let app = app();
    for (path, accept, status, media_type) in [
        ("/", "*/*", 200, "text/html; charset=utf-8"),
        ("/live/show", "*/*", 200, "text/html; charset=utf-8"),
        ("/nowhere", "text/html,*/*;q=0.8", 404, "text/html; charset=utf-8"),
        ("/live/no%20name", "text/html,*/*;q=0.8", 400, "text/html; charset=utf-8"),
        ("/live/no%20name", "*/*", 400, "application/problem+json"),
        ("/api/v1/nowhere", "application/json", 404, "application/problem+json"),
        ("/assets/none.js", "*/*", 404, "application/problem+json"),
    ] {
        let response = answer(&app, Request::get(path).header("accept", accept)).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], media_type, "{path}");
    }
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let routes =
        Routes::new().route("/", axum::routing::get(async || -> &'static str { panic!("a mistake") }));
    let (router, _) = routes
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(super::problem::panicked))
        .split_for_parts();
    let request = Request::get("/").body(Body::empty()).expect("a request");
    let response = router.with_state(app()).oneshot(request).await.expect("an answer");
    assert_eq!(json(response).await["status"], 500);
}

#[tokio::test]
async fn a_request_keeps_the_id_that_a_proxy_gave_it() {
    let app = app();
    for (given, kept) in [("abc-123", true), ("two words", false), (&"x".repeat(65), false)] {
        let response = answer(&app, Request::get("/health").header("x-request-id", given)).await;
        assert_eq!(response.headers()["x-request-id"] == given, kept, "{given}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_play_and_not_administrate() {
    let app = app();
    let allowed = async |request: axum::http::request::Builder| {
        let response = answer(&app, request.header("origin", "https://page.example")).await;
        response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).cloned()
    };
    for path in ["/health", "/live/none/index.m3u8"] {
        assert_eq!(allowed(Request::get(path)).await.expect("allowed"), "*");
        let preflight = Request::options(path).header("access-control-request-method", "GET");
        assert_eq!(allowed(preflight).await.expect("allowed"), "*");
    }
    assert_eq!(allowed(Request::get("/api/v1/streams")).await, None);
}
