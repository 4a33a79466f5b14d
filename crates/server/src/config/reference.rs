//! `config.example.toml` and `docs/config.md` are written from the schema: `UPDATE=1 cargo test -p flumen reference`
//! writes them anew, every other run checks them.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::key::{Key, Kind, keys, schema};
use super::settings::Settings;
use super::sources::Sources;

const EXAMPLE_WIDTH: usize = 100;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn check(path: &str, expected: &str) {
    let file = repository(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, expected).expect("the repository can be written");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is not what the settings say; UPDATE=1 writes it anew");
}

/// The sections in order: name, description and keys.
fn sections() -> Vec<(String, String, Vec<&'static Key>)> {
    let schema = schema();
    let properties = schema["properties"].as_object().expect("an object").clone();
    let section = |(name, node): (String, Value)| {
        let keys = keys().iter().filter(|key| key.parts().0 == name || key.name == name).collect();
        (name, node["description"].as_str().unwrap_or_default().to_owned(), keys)
    };
    properties.into_iter().map(section).collect()
}

fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        if lines[lines.len() - 1].len() + 1 + word.len() > EXAMPLE_WIDTH {
            lines.push(String::from("#"));
        }
        let last = lines.len() - 1;
        lines[last].push(' ');
        lines[last].push_str(word);
    }
    lines.join("\n")
}

/// What the schema says about a key.
fn node(key: &Key) -> Value {
    let (section, name) = key.parts();
    schema()["properties"][section]["properties"][name].clone()
}

/// The fields of each of a list of tables, with what the schema says about them.
fn fields(key: &Key) -> Vec<(&str, Value)> {
    let tables = &schema()["properties"][&key.name]["items"]["properties"];
    key.fields.iter().map(|field| (field.name.as_str(), tables[&field.name].clone())).collect()
}

/// What something means, with the values to choose from where there are some: "`a`: what a is. …".
fn meaning(node: &Value) -> String {
    let variants = node["oneOf"].as_array().cloned().unwrap_or_default();
    let choice = |variant: &Value| {
        let description = variant["description"].as_str().unwrap_or_default().trim_end_matches('.');
        format!("`{}`: {description}", variant["const"].as_str().unwrap_or_default())
    };
    let choices: String = variants.iter().map(|variant| format!(" {}.", choice(variant))).collect();
    format!("{}{choices}", node["description"].as_str().unwrap_or_default())
}

fn example() -> String {
    let mut text = String::from(
        "# All settings of Flumen at their defaults. Copy what you change into flumen.toml, which is read from the\n\
         # folder the server starts in, or from /etc/flumen/. Every key is also an environment variable and a flag:\n\
         # rtmp.addr = FLUMEN_RTMP_ADDR = --rtmp-addr. The later wins: file, environment, flag.\n",
    );
    for (section, description, keys) in sections() {
        let _ = write!(text, "\n{}\n", comment(&description));
        if let [list @ Key { kind: Kind::Tables, .. }] = keys.as_slice() {
            text.push_str(&example_of_a_table(list));
            continue;
        }
        let _ = writeln!(text, "[{section}]");
        let (maps, plain): (Vec<&Key>, Vec<&Key>) = keys.into_iter().partition(|key| key.kind == Kind::Map);
        for key in plain {
            let comment = comment(&meaning(&node(key)));
            let _ = write!(text, "\n{comment}\n{} = {}\n", key.parts().1, key.default);
        }
        for key in maps {
            let _ = write!(text, "\n{}\n[{}]\n", comment(&key.description), key.name);
        }
    }
    text
}

/// One of a list of tables, as comments: the default is an empty list.
fn example_of_a_table(list: &Key) -> String {
    let mut text = format!("#\n# [[{}]]\n", list.name);
    for (name, node) in fields(list) {
        let example = node.get("default").unwrap_or(&node["examples"][0]);
        let _ = write!(text, "#\n{}\n# {name} = {example}\n", comment(&meaning(&node)));
    }
    text
}

fn manual() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         Sources, the later wins: built-in defaults, `flumen.toml` (`--config FILE`, else `./flumen.toml`, else\n\
         `/etc/flumen/flumen.toml`), environment, command-line flags. One name in three spellings: `rtmp.addr` in the\n\
         file, `FLUMEN_RTMP_ADDR` in the environment, `--rtmp-addr` as a flag. A key that does not exist is an error.\n\n\
         `flumen config show` prints the settings in effect and where each came from, `flumen config check` finds\n\
         mistakes, `flumen config schema` prints a JSON schema for editors. `config.example.toml` has every key at its\n\
         default.\n\n\
         SIGHUP or a changed file reloads the keys marked *live*; the others wait for a restart, and the log says so.\n\
         If the changed settings have a mistake, the old ones stay. Durations are written `500ms`, `2s`, `1h`; sizes\n\
         `64MiB`. Relative paths start in the folder the server was started in.\n",
    );
    for (section, description, keys) in sections() {
        let _ = write!(
            text,
            "\n## {section}\n\n{description}\n\n| key | default | live | meaning |\n| --- | --- | --- | --- |\n"
        );
        for key in keys {
            let live = if key.is_live { "yes" } else { "" };
            let default = format!("`{}`", key.display(&key.default));
            let row = |name: &str, default: &str, node: &Value| {
                format!("| `{name}` | {default} | {live} | {} |\n", meaning(node))
            };
            if key.kind != Kind::Tables {
                text.push_str(&row(&key.name, &default, &node(key)));
            }
            for (name, node) in fields(key) {
                let default = node.get("default").map(|default| format!("`{default}`")).unwrap_or_default();
                text.push_str(&row(name, &default, &node));
            }
        }
    }
    text
}

#[test]
fn the_example_has_every_key_at_its_default() {
    check("config.example.toml", &example());
    let sources = Sources { file: Some(repository("config.example.toml")), ..Sources::default() };
    let loaded = sources.load().expect("the example is valid");
    assert_eq!(loaded.settings, Settings::default());
    // An empty table sets nothing, so what has one is looked for by its heading.
    let text = example();
    for key in keys() {
        let is_set = loaded.origin(key).to_string() != "default";
        assert!(is_set || text.contains(&format!("[{}]", key.name)), "{} is missing", key.name);
    }
}

#[test]
fn the_manual_has_every_key() {
    check("docs/config.md", &manual());
}
