//! The settings file: TOML in, values with their positions out.

use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::key::{self, Key, keys};
use super::problem::{Origin, Problem};
use super::settings::Settings;

/// A value of the file.
pub(super) struct Entry {
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
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
        if !keys().iter().any(|key| key.parts().0 == section) {
            let known = keys().iter().flat_map(|key| [key.parts().0, key.name.as_str()]);
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

    fn entry(&mut self, section: &str, name: &Name<'a>, value: &Spanned<DeValue<'a>>) {
        let origin = self.origin(name.span().start);
        let full_name = format!("{section}.{}", name.get_ref());
        let Some(key) = key::find(&full_name) else {
            let known = keys().iter().map(|key| key.name.as_str());
            self.problems.push(Problem::unknown(origin, &full_name, known));
            return;
        };
        match self.check(key, value) {
            Ok(()) => self.entries.push(Entry { key, value: to_json(value.get_ref()), origin }),
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
        let table = nest(name, value.clone());
        let root = nest(section, Spanned::new(span.clone(), DeValue::Table(table.into_inner())));
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
