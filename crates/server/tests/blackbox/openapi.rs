//! Whether answers are what the API's description says: of JSON Schema as much as the description uses.

use serde_json::Value;

/// Sees to it that the answer to `GET path` with `status` fits the description, no property more or less.
#[track_caller]
pub(crate) fn check(description: &Value, route: &str, answer: &Value) {
    let operation = &description["paths"][route]["get"];
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{route} does not say what it answers");
    if let Err(fault) = fits(description, schema, answer) {
        panic!("{route}: {fault} in {answer:#}");
    }
}

fn fits(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = description.pointer(reference.trim_start_matches('#')).ok_or(reference)?;
        return fits(description, target, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let faults: Vec<_> =
            choices.iter().filter_map(|choice| fits(description, choice, value).err()).collect();
        return if faults.len() < choices.len() { Ok(()) } else { Err(faults.join(" and ")) };
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{value} is none of {values:?}"));
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Err(format!("no type in {schema}")),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.iter().any(|kind| *kind == found || (*kind == "number" && found == "integer")) {
        return Err(format!("{value} is no {types:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(description, &schema["items"], item)?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        object.get(required).ok_or_else(|| format!("{required} is missing"))?;
    }
    for (name, value) in object {
        let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
        fits(description, known.ok_or_else(|| format!("{name} is not described"))?, value)
            .map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}
