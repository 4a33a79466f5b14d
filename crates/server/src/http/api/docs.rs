//! The API's description, for programs and for people.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use bytes::Bytes;
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use super::common;
use crate::http::Routes;

/// The page may show nothing but itself.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(in crate::http) fn routes() -> Routes {
    Routes::new().routes(routes!(openapi)).routes(routes!(page))
}

/// The description of all routes in both forms, an extension of every request.
#[derive(Clone)]
pub(in crate::http) struct Description {
    json: Bytes,
    page: Arc<str>,
}

impl Description {
    pub(in crate::http) fn new(description: &OpenApi) -> Self {
        // Holds because it was made by the routes and has only texts and numbers in it.
        let mut value = serde_json::to_value(description).expect("a description is JSON");
        common::complete(&mut value);
        Self { json: value.to_string().into(), page: render(&value).into() }
    }
}

/// This description, OpenAPI 3.1.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "docs", responses(
    (status = OK, content_type = "application/json", description = "An OpenAPI document"),
))]
async fn openapi(Extension(description): Extension<Description>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], description.json)
}

/// This description as a page.
#[utoipa::path(get, path = "/api/docs", tag = "docs", responses(
    (status = OK, content_type = "text/html", description = "A page for people"),
))]
async fn page(Extension(description): Extension<Description>) -> impl IntoResponse {
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    (policy, Html(description.page.to_string()))
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
    code{font-size:.9em}h2{margin-top:2.5rem;border-bottom:1px solid}h3 code{font-size:1em}\
    table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}\
    @media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}";

fn render(description: &Value) -> String {
    let info = &description["info"];
    let title = text(&info["title"]);
    let mut page = format!(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title} API</title><style>{STYLE}</style><h1>{title} API</h1><p>{} \
         <a href=\"/api/v1/openapi.json\">OpenAPI document</a></p><h2>Requests</h2>",
        text(&info["description"]),
    );
    for (path, item) in entries(&description["paths"]) {
        for (method, operation) in entries(item) {
            render_operation(&mut page, &method.to_uppercase(), path, operation);
        }
    }
    page.push_str("<h2>Types</h2>");
    for (name, schema) in entries(&description["components"]["schemas"]) {
        let _ = write!(
            page,
            "<h3 id=\"{name}\"><code>{name}</code></h3><p>{}</p><table>",
            text(&schema["description"])
        );
        for (field, schema) in entries(&schema["properties"]) {
            row(&mut page, field, &kind(schema), &schema["description"]);
        }
        page.push_str("</table>");
    }
    page
}

fn render_operation(page: &mut String, method: &str, path: &str, operation: &Value) {
    let path = escape(path);
    let summary = [&operation["summary"], &operation["description"]].map(text).join(" ");
    let _ = write!(page, "<h3><code>{method} {path}</code></h3><p>{summary}</p><table>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        row(page, &text(&parameter["name"]), &kind(&parameter["schema"]), &parameter["description"]);
    }
    for (media_type, content) in entries(&operation["requestBody"]["content"]) {
        row(page, &format!("body, {media_type}"), &kind(&content["schema"]), &Value::Null);
    }
    for (status, response) in entries(&operation["responses"]) {
        let bodies = entries(&response["content"]).map(|(_, content)| kind(&content["schema"]));
        row(page, status, &bodies.collect::<Vec<_>>().join(", "), &response["description"]);
    }
    page.push_str("</table>");
}

fn row(page: &mut String, name: &str, kind: &str, meaning: &Value) {
    let _ = write!(page, "<tr><td><code>{name}</code><td>{kind}<td>{}", text(meaning));
}

/// The name of a schema, with a link where it has a heading.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => escape(name),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => {
            let choices = schema["oneOf"].as_array().into_iter().flatten().map(kind);
            choices.filter(|choice| !choice.is_empty()).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
