//! The list of all keys, read from the JSON schema of [`Settings`].

use std::sync::LazyLock;

use flumen_rtmp::proto::RtmpUrl;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::relays::RelayUrl;
use super::settings::Settings;
use super::types::Secret;

/// What every environment variable of the settings begins with.
pub(super) const ENV_PREFIX: &str = "FLUMEN_";

/// One setting: its name in three spellings and what the schema says about it.
#[derive(Debug)]
pub struct Key {
    /// The name in the file, such as `limits.message-size`.
    pub name: String,
    /// What it means, with its unit.
    pub description: String,
    /// The built-in default, as JSON.
    pub default: Value,
    /// How text from the environment or the command line becomes a value.
    pub kind: Kind,
    /// Whether a change takes effect without a restart.
    pub is_live: bool,
    /// Whether its values are masked when settings are shown; of a list of tables, the secret fields are.
    pub is_secret: bool,
    /// What each of a list of tables has in it.
    pub fields: Vec<Field>,
}

/// What stands in each table of a list.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Whether its values are masked when settings are shown.
    pub is_secret: bool,
}

/// The shape of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; the bare flag means `true`.
    Switch,
    /// Names with values: a table in the file, `name=value,name=value` elsewhere.
    Map,
    /// A list of tables in the file, `[[name]]`, with [`Key::fields`]; JSON objects separated by commas elsewhere.
    Tables,
    /// Everything else is written as text.
    Text,
}

impl Key {
    /// The name of its environment variable: `FLUMEN_RTMP_ADDR` for `rtmp.addr`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace(['.', '-'], "_").to_uppercase())
    }

    /// The name of its flag, without the dashes in front: `rtmp-addr` for `rtmp.addr`.
    pub fn flag(&self) -> String {
        self.name.replace('.', "-")
    }

    /// The section and the name inside it. A list of tables stands in no section.
    pub fn parts(&self) -> (&str, &str) {
        self.name.split_once('.').unwrap_or(("", &self.name))
    }

    /// Puts its value into a document of settings.
    pub(super) fn put(&self, settings: &mut Value, value: Value) {
        match self.parts() {
            ("", name) => settings[name] = value,
            (section, name) => settings[section][name] = value,
        }
    }

    /// The value that `text` from the environment or the command line means, as the file would have it; the type check
    /// that follows says what is wrong with it.
    ///
    /// # Errors
    ///
    /// What was expected instead, where that check would not know it.
    pub(super) fn value_of(&self, text: &str) -> Result<Value, String> {
        match self.kind {
            Kind::Switch => Ok(text.parse().map_or_else(|_| text.into(), Value::Bool)),
            Kind::Map => parse_map(text).ok_or_else(|| {
                format!("`{}`: expected `name=value`, several separated by commas", self.name)
            }),
            Kind::Tables => parse_tables(text).ok_or_else(|| {
                format!("`{}`: expected JSON objects, `{{…}}`, several separated by commas", self.name)
            }),
            Kind::Text => Ok(text.into()),
        }
    }

    /// What a failed type check has to say about this key.
    pub(super) fn explain(&self, error: &str) -> String {
        match error.split_once(", expected ") {
            // What is left are a field that is missing, and the sentences of our own types, which quote no secret.
            None if self.kind == Kind::Tables => format!("`{}`: {error}", self.name),
            Some((_, expected)) if self.is_secret => format!("`{}`: expected {expected}", self.name),
            None if self.is_secret => format!("`{}`: invalid value", self.name),
            _ => format!("`{}`: {error}", self.name),
        }
    }

    /// `value` for human eyes: without quotes, and without what is secret.
    pub fn display(&self, value: &Value) -> String {
        match self.masked(value) {
            Value::Object(map) if map.is_empty() => "none".to_owned(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Object(map) => {
                let pairs = map.iter().map(|(name, value)| format!("{name}={}", plain(value)));
                pairs.collect::<Vec<_>>().join(",")
            }
            value => plain(&value),
        }
    }

    /// `value` without what is secret; the names in a map are not, nor is the default, nor the server in an address.
    pub fn masked(&self, value: &Value) -> Value {
        if !self.is_secret || *value == self.default {
            return value.clone();
        }
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(name, _)| (name.clone(), Value::from(Secret::MASK)))
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(tables) => tables.iter().map(|table| self.masked_table(table)).collect(),
            _ => Secret::MASK.into(),
        }
    }

    fn masked_table(&self, table: &Value) -> Value {
        let mut masked = table.clone();
        for field in self.fields.iter().filter(|field| field.is_secret) {
            let url = table[&field.name].as_str().and_then(|text| RtmpUrl::parse(text).ok());
            masked[&field.name] =
                url.map_or_else(|| Secret::MASK.to_owned(), |url| RelayUrl::shown(&url)).into();
        }
        masked
    }
}

/// All keys, in the order of [`Settings`].
pub fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let schema = schema();
        let sections = properties(&schema);
        let keys = |section: &str, node: &Value| {
            properties(node)
                .map(|(name, leaf)| Key::new(&format!("{section}.{name}"), leaf))
                .collect::<Vec<_>>()
        };
        let is_list = |node: &Value| node["type"] == "array";
        sections
            .flat_map(
                |(name, node)| if is_list(node) { vec![Key::new(name, node)] } else { keys(name, node) },
            )
            .collect()
    });
    &KEYS
}

/// The key called `name` in the file's spelling.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.name == name)
}

/// The JSON schema of the settings file, with descriptions and defaults.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = generator.into_generator().into_root_schema_for::<Settings>().to_value();
    schema["title"] = json!("Settings of Flumen");
    schema
}

impl Key {
    fn new(name: &str, leaf: &Value) -> Self {
        let is = |mark: &str| leaf[mark] == true;
        let field = |(name, node): (&str, &Value)| Field {
            name: name.to_owned(),
            is_secret: node["x-secret"] == true,
        };
        let kind = match leaf["type"].as_str() {
            Some("boolean") => Kind::Switch,
            Some("object") => Kind::Map,
            Some("array") => Kind::Tables,
            _ => Kind::Text,
        };
        Self {
            name: name.to_owned(),
            description: leaf["description"].as_str().unwrap_or_default().to_owned(),
            default: leaf["default"].clone(),
            kind,
            is_live: is("x-live"),
            is_secret: is("x-secret"),
            fields: properties(&leaf["items"]).map(field).collect(),
        }
    }
}

/// The properties of an object's schema.
fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = schema["properties"].as_object();
    properties.into_iter().flatten().map(|(name, node)| (name.as_str(), node))
}

fn parse_map(text: &str) -> Option<Value> {
    if text.is_empty() {
        return Some(Map::new().into());
    }
    let pair = |item: &str| item.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.into()));
    text.split(',').map(pair).collect::<Option<Map<_, _>>>().map(Value::from)
}

/// One object or several, with or without the brackets of an array.
fn parse_tables(text: &str) -> Option<Value> {
    let is_array = text.trim_start().starts_with('[');
    let array = if is_array { text.to_owned() } else { format!("[{text}]") };
    let tables: Vec<Map<String, Value>> = serde_json::from_str(&array).ok()?;
    Some(tables.into())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_three_spellings() {
        let key = find("limits.connections-per-ip").expect("a key");
        assert_eq!(key.env(), "FLUMEN_LIMITS_CONNECTIONS_PER_IP");
        assert_eq!(key.flag(), "limits-connections-per-ip");
        assert_eq!(key.parts(), ("limits", "connections-per-ip"));
    }

    #[test]
    fn every_key_is_complete_and_unique_in_every_spelling() {
        let variables: BTreeSet<_> = keys().iter().map(Key::env).collect();
        let flags: BTreeSet<_> = keys().iter().map(Key::flag).collect();
        assert_eq!((variables.len(), flags.len()), (keys().len(), keys().len()));
        for key in keys() {
            assert!(!key.description.is_empty(), "{} has no description", key.name);
            assert!(!key.default.is_null(), "{} has no default", key.name);
        }
    }

    #[test]
    fn text_becomes_what_the_key_wants() {
        let switch = find("record.all").expect("a key");
        assert_eq!(switch.value_of("true"), Ok(json!(true)));
        assert_eq!(switch.value_of("yes"), Ok(json!("yes")));
        let map = find("rtmp.users").expect("a key");
        assert_eq!(map.value_of("a=1,b=x=y"), Ok(json!({"a": "1", "b": "x=y"})));
        assert!(map.value_of("a").is_err());
        assert_eq!(map.value_of(""), Ok(json!({})));
        let tables = find("relays").expect("a key");
        assert_eq!(tables.value_of(""), Ok(json!([])));
        for text in [r#"{"a": 1}, {"b": 2}"#, r#" [{"a": 1}, {"b": 2}]"#] {
            assert_eq!(tables.value_of(text), Ok(json!([{"a": 1}, {"b": 2}])));
        }
        for odd in ["rtmp://host/app/hunter2", r#"{"a": 1} {"b": 2}"#, r#""hunter2""#] {
            let expected = "`relays`: expected JSON objects, `{…}`, several separated by commas";
            assert_eq!(tables.value_of(odd), Err(expected.to_owned()));
        }
    }

    #[test]
    fn secrets_are_masked() {
        let users = find("rtmp.users").expect("a key");
        assert_eq!(users.display(&json!({"ann": "hunter2"})), "ann=***");
        assert_eq!(users.masked(&json!("odd")), json!("***"));
        assert_eq!(
            users.explain("invalid type: string \"hunter2\", expected a map"),
            "`rtmp.users`: expected a map"
        );
        let relays = find("relays").expect("a key");
        let masked = relays.masked(&json!([
            {"stream-key": "live/a", "url": "rtmps://user:hunter2@host/app/hunter2?key=hunter2"},
            {"stream-key": "live/b", "url": "hunter2"},
        ]));
        let expected = json!([
            {"stream-key": "live/a", "url": "rtmps://host/app/***"},
            {"stream-key": "live/b", "url": "***"},
        ]);
        assert_eq!(masked, expected);
        assert_eq!(relays.display(&json!([])), "none");
    }
}
