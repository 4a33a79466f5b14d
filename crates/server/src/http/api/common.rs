//! What the API's description says of all operations alike, so that no handler has to: which errors the layers around the
//! handlers answer with, that errors are problem documents, what a stream key is.

use serde_json::{Map, Value, json};

/// A stream key in a path: segments of what may stand in one, or a single one of the app `live`.
const KEY_PATTERN: &str = "^[A-Za-z0-9._~-]{1,255}(/[A-Za-z0-9._~-]{1,255})*$";

/// Completes the description that the routes have made.
pub(super) fn complete(description: &mut Value) {
    let Some(paths) = description.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete_operation(is_guarded(path), operation);
        }
    }
}

/// Whether the operations of this path are for those who may use the API.
fn is_guarded(path: &str) -> bool {
    (path.starts_with("/api/v1/") && path != "/api/v1/openapi.json") || path == "/metrics"
}

fn complete_operation(is_guarded: bool, operation: &mut Value) {
    let mut errors = vec![(503, "The server has as many connections as it takes, or it stops.")];
    if is_guarded {
        errors.push((401, "The token of the API is missing or wrong."));
        errors.push((429, "Too many wrong tokens came from the same address."));
        errors.push((403, "Without `api.token`, only programs on the same machine are answered."));
    } else if let Some(operation) = operation.as_object_mut() {
        operation.insert("security".to_owned(), json!([]));
    }
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        errors.push((400, "A part of the address cannot be understood."));
        parameters.iter_mut().for_each(complete_parameter);
    }
    if operation["requestBody"].is_object() {
        errors.push((400, "The body is no JSON."));
        errors.push((413, "The body is too long."));
        errors.push((422, "The body is JSON, but not what it should be."));
        if operation["requestBody"]["required"] == true {
            errors.push((415, "The body does not say that it is JSON."));
        }
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, meaning) in errors {
        let answer =
            json!({ "description": meaning, "content": { "application/json": { "schema": problem() } } });
        responses.entry(status.to_string()).or_insert(answer);
    }
    responses.values_mut().for_each(name_problems);
    responses.sort_keys();
}

fn complete_parameter(parameter: &mut Value) {
    if parameter["name"] == "key" && parameter["in"] == "path" {
        parameter["schema"]["pattern"] = KEY_PATTERN.into();
    }
}

fn problem() -> Value {
    json!({ "$ref": "#/components/schemas/Problem" })
}

/// Gives problem documents their own media type.
fn name_problems(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    let is_problem = content.get("application/json").is_some_and(|body| body["schema"] == problem());
    if is_problem && let Some(body) = content.remove("application/json") {
        content.insert("application/problem+json".to_owned(), body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(path: &str, operation: Value) -> Value {
        let mut description = json!({ "paths": { path: { "get": operation } } });
        complete(&mut description);
        description["paths"][path]["get"].take()
    }

    fn statuses(operation: &Value) -> Vec<&str> {
        operation["responses"].as_object().expect("responses").keys().map(String::as_str).collect()
    }

    #[test]
    fn operations_tell_all_their_errors() {
        let own = json!({ "responses": { "404": { "description": "x", "content": { "application/json": { "schema": problem() } } } } });
        let guarded = completed("/api/v1/streams", own.clone());
        assert_eq!(statuses(&guarded), ["401", "403", "404", "429", "503"]);
        let not_found = &guarded["responses"]["404"];
        assert_eq!(not_found["description"], "x", "what the handler says stays");
        assert_eq!(not_found["content"]["application/problem+json"]["schema"], problem());
        assert!(not_found["content"]["application/json"].is_null());
        let open = completed("/health", own);
        assert_eq!(statuses(&open), ["404", "503"]);
        assert_eq!(open["security"], json!([]));
    }

    #[test]
    fn operations_with_bodies_and_keys_tell_what_may_be_wrong_with_them() {
        let operation = json!({
            "parameters": [{ "name": "key", "in": "path", "schema": { "type": "string" } }],
            "requestBody": { "required": true },
            "responses": {},
        });
        let operation = completed("/api/v1/streams/{key}", operation);
        assert_eq!(statuses(&operation), ["400", "401", "403", "413", "415", "422", "429", "503"]);
        assert_eq!(operation["parameters"][0]["schema"]["pattern"], KEY_PATTERN);
    }
}
