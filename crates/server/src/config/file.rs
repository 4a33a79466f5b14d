//! The settings file: TOML in, values with their positions out.

use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::key::{self, Key, Kind, keys};
use super::problem::{Origin, Problem};
use super::settings::Settings;

/// A value of the file.
pub(super) struct Entry {
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
    /// Of a list of tables, where each stands.
    pub tables: Vec<Origin>,
}

/// Reads `text`, the contents of `path`: everything that is right, and everything that is wrong.
pub(super) fn read(path: &Path, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let mut reader = Reader { path, text, entries: Vec::new(), problems: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        reader.problems.push(Problem::new(reader.origin(offset), error.message()));
    }
    // After a syntax error the rest may be misread, and its problems would only confuse.
    if reader.problems.is_empty() {
        for (name, value) in root.get_ref() {
            reader.section(name, value);
        }
    }
    (reader.entries, reader.problems)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;

impl<'a> Reader<'a> {
    fn section(&mut self, name: &Name<'a>, value: &Spanned<DeValue<'a>>) {
        let origin = self.origin(name.span().start);
        let section = name.get_ref().as_ref();
        if let Some(key) = key::find(section).filter(|key| key.kind == Kind::Tables) {
            return self.tables(key, origin, value);
        }
        if !keys().iter().any(|key| key.parts().0 == section) {
            let names = keys().iter().flat_map(|key| [key.parts().0, key.name.as_str()]);
            let known = names.filter(|name| !name.is_empty());
            self.problems.push(Problem::unknown(origin, section, known));
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => table.iter().for_each(|(name, value)| self.entry(section, name, value)),
            other => {
                let message = format!("`{section}` is a section of settings and not a {}", other.type_str());
                self.problems.push(Problem::new(origin, message));
            }
        }
    }

    /// A list of tables: it counts if all of them are right.
    fn tables(&mut self, key: &'static Key, origin: Origin, value: &Spanned<DeValue<'a>>) {
        let tables = value.get_ref().as_array();
        let Some(tables) = tables.filter(|items| items.iter().all(|item| item.get_ref().is_table())) else {
            let message = format!("`{0}` is a list of tables: each begins with `[[{0}]]`", key.name);
            self.problems.push(Problem::new(origin, message));
            return;
        };
        let problems: Vec<_> = tables.iter().flat_map(|table| self.check_table(key, table)).collect();
        if problems.is_empty() {
            let places = tables.iter().map(|table| self.origin(table.span().start)).collect();
            self.entries.push(Entry { key, value: to_json(value.get_ref()), origin, tables: places });
        }
        self.problems.extend(problems);
    }

    /// Checks one of a list of tables alone.
    fn check_table(&self, key: &Key, table: &Spanned<DeValue<'a>>) -> Vec<Problem> {
        let is_known = |name: &str| key.fields.iter().any(|field| field.name == name);
        let names = table.get_ref().as_table().into_iter().flatten().map(|(name, _)| name);
        let unknown = names.filter(|name| !is_known(name.get_ref())).map(|name| {
            let full_name = format!("{}.{}", key.name, name.get_ref());
            let known: Vec<_> =
                key.fields.iter().map(|field| format!("{}.{}", key.name, field.name)).collect();
            let known = known.iter().map(String::as_str);
            Problem::unknown(self.origin(name.span().start), &full_name, known)
        });
        let unknown: Vec<_> = unknown.collect();
        if !unknown.is_empty() {
            return unknown;
        }
        let list = DeArray::from_iter([table.clone()]);
        let list = Spanned::new(table.span(), DeValue::Array(list));
        self.check(key, &list).err().into_iter().collect()
    }

    fn entry(&mut self, section: &str, name: &Name<'a>, value: &Spanned<DeValue<'a>>) {
        let origin = self.origin(name.span().start);
        let full_name = format!("{section}.{}", name.get_ref());
        let Some(key) = key::find(&full_name) else {
            let known = keys().iter().map(|key| key.name.as_str());
            self.problems.push(Problem::unknown(origin, &full_name, known));
            return;
        };
        match self.check(key, value) {
            Ok(()) => {
                self.entries.push(Entry { key, value: to_json(value.get_ref()), origin, tables: Vec::new() })
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Checks the value alone, so that one bad value does not hide the next.
    fn check(&self, key: &Key, value: &Spanned<DeValue<'a>>) -> Result<(), Problem> {
        let (section, name) = key.parts();
        let span = value.span();
        let nest = |name: &str, value: Spanned<DeValue<'a>>| {
            let mut table = DeTable::new();
            table.insert(Spanned::new(span.clone(), name.to_owned().into()), value);
            Spanned::new(span.clone(), table)
        };
        let mut root = nest(name, value.clone());
        if !section.is_empty() {
            root = nest(section, Spanned::new(span.clone(), DeValue::Table(root.into_inner())));
        }
        let deserializer: Deserializer<'_> = root.into_deserializer();
        Settings::deserialize(deserializer).map(drop).map_err(|error| {
            let offset = error.span().unwrap_or(span).start;
            Problem::new(self.origin(offset), key.explain(error.message()))
        })
    }

    /// The position of the byte `offset`.
    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { path: self.path.to_owned(), line, column }
    }
}

fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(switch) => (*switch).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let member = |(name, value): (&Name<'_>, &Spanned<DeValue<'_>>)| {
                (name.get_ref().to_string(), to_json(value.get_ref()))
            };
            table.iter().map(member).collect::<Map<_, _>>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read(Path::new("f.toml"), text).1.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn values_carry_their_positions() {
        let (entries, problems) =
            read(Path::new("f.toml"), "[log]\n  level = 'debug'\n[rtmp.users]\nann = 'x'\n");
        assert_eq!(problems, []);
        let seen: Vec<_> =
            entries.iter().map(|entry| (entry.key.name.as_str(), entry.origin.to_string())).collect();
        assert_eq!(seen, [("log.level", "f.toml:2:3".to_owned()), ("rtmp.users", "f.toml:3:7".to_owned())]);
    }

    #[test]
    fn every_problem_is_reported_at_its_place() {
        let text = "htpp.addr = 1\n[rtmp]\nadr = 'x'\naddr = ['127.0.0.1:1', 'é:2']\nusers = { 'ä' = 1 }\n\
                    [limits]\nstreams = 0\nidle-timeout = 5\n";
        let all = problems(text);
        let starts = [
            "f.toml:1:1: there is no setting `htpp`; did you mean ",
            "f.toml:3:1: there is no setting `rtmp.adr`; did you mean `rtmp.addr`?",
            "f.toml:4:8: `rtmp.addr`: invalid value: list [\"127.0.0.1:1\", \"é:2\"], expected an address",
            "f.toml:5:17: `rtmp.users`: expected a string",
            "f.toml:7:11: `limits.streams`: invalid value: integer `0`, expected a whole number from 1",
            "f.toml:8:16: `limits.idle-timeout`: invalid value: integer `5`, expected a duration with its unit",
        ];
        assert_eq!(all.len(), starts.len(), "{all:#?}");
        for start in starts {
            assert!(all.iter().any(|problem| problem.starts_with(start)), "{start}\n{all:#?}");
        }
    }

    #[test]
    fn a_section_is_no_value() {
        assert_eq!(
            problems("log = 'debug'"),
            ["f.toml:1:1: `log` is a section of settings and not a string"]
        );
    }

    #[test]
    fn syntax_errors_have_positions() {
        let all = problems("[log]\nlevel = \nformat = 'text\n");
        assert!(all.len() >= 2 && all[0].starts_with("f.toml:2:"), "{all:#?}");
    }

    #[test]
    fn tables_carry_their_positions() {
        let text = "[[relays]]\nstream-key = 'a/b'\ndirection = 'push'\nurl = 'rtmp://h/a/b'\n\n[[relays]]\n\
                    direction = 'pull'\nstream-key = 'c'\nurl = 'rtmp://h/a/c'\n";
        let (entries, problems) = read(Path::new("f.toml"), text);
        assert_eq!(problems, []);
        let places: Vec<_> = entries[0].tables.iter().map(Origin::to_string).collect();
        assert_eq!(
            (entries[0].key.name.as_str(), places.as_slice()),
            ("relays", &["f.toml:1:1", "f.toml:6:1"].map(str::to_owned)[..])
        );
        assert_eq!(entries[0].value[1]["stream-key"], "c");
    }

    #[test]
    fn every_problem_of_a_table_is_reported_at_its_place() {
        let right = "stream-key = 'a/b'\ndirection = 'push'\nurl = 'rtmp://h/a/hunter2'\n";
        let text = format!(
            "[[relays]]\n{right}on-demnad = true\n[[relays]]\n{right}on-demand = 'yes'\n\
             [[relays]]\ndirection = 'both'\n[[relays]]\nurl = 'hunter2'\n[[relays]]\nstream-key = 'a*b'\n\
             [[relays]]\ndirection = 'push'\nstream-key = 'a/b'\n"
        );
        let all = problems(&text);
        assert_eq!(
            all,
            [
                "f.toml:5:1: there is no setting `relays.on-demnad`; did you mean `relays.on-demand`?",
                "f.toml:10:13: `relays`: expected a boolean",
                "f.toml:12:13: `relays`: expected `push` or `pull`",
                "f.toml:14:7: `relays`: the URL must start with rtmp:// or rtmps://",
                "f.toml:16:14: `relays`: the character '*' is not allowed: only ASCII letters, digits and -_.~ are",
                "f.toml:17:1: `relays`: missing field `url`",
            ]
        );
        for odd in ["relays = 'rtmp://h/a/b'", "relays = ['rtmp://h/a/b']", "[relays]\nurl = 'x'"] {
            let all = problems(odd);
            let expected = "`relays` is a list of tables: each begins with `[[relays]]`";
            assert!(all.len() == 1 && all[0].ends_with(expected), "{all:#?}");
        }
    }

    #[test]
    fn integers_of_any_radix() {
        let (entries, _) = read(Path::new("f.toml"), "[limits]\nstreams = 0x1_0\n");
        assert_eq!(entries[0].value, 16);
    }
    proptest! {
        #[test]
        fn no_text_is_too_odd(tokens in proptest::collection::vec(token(), 0..20)) {
            let text = tokens.concat();
            let (entries, problems) = read(Path::new("f.toml"), &text);
            for origin in entries.iter().map(|entry| &entry.origin).chain(problems.iter().map(|problem| &problem.origin)) {
                let Origin::File { line, column, .. } = origin else { panic!("{origin} in a file") };
                let widest = text.split('\n').nth(line - 1).map(|line| line.chars().count() + 1);
                prop_assert!(widest.is_some_and(|widest| *column <= widest), "{origin} in {text:?}");
            }
        }
    }

    /// Pieces of which files are made, right and wrong.
    fn token() -> impl Strategy<Value = String> {
        let known = ["[log]\n", "[rtmp.users]\n", "[limits]\n", "level", "streams", "rtmp", ".", " = ", "\n"];
        let values = [
            "'info'",
            "7",
            "-1",
            "1_0",
            "0x",
            "1e5",
            "[",
            "]",
            ",",
            "{",
            "}",
            "true",
            "2020-01-01",
            "\"",
            "é",
        ];
        prop_oneof![
            proptest::sample::select([known.as_slice(), &values].concat()).prop_map(str::to_owned),
            any::<String>(),
        ]
    }
}
