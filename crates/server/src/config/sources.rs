//! The layers: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::file::{self, Entry};
use super::key::{ENV_PREFIX, Key, Kind, keys};
use super::problem::{Origin, Problem, Problems};
use super::settings::Settings;

/// Where the file is looked for, the first that exists, when no flag names one.
const SEARCH: [&str; 2] = ["flumen.toml", "/etc/flumen/flumen.toml"];

/// Everything that settings are made from. Loading again reads the file again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if one was named; otherwise `./flumen.toml`, else `/etc/flumen/flumen.toml`, else none.
    pub file: Option<PathBuf>,
    /// The environment; variables without the prefix `FLUMEN_` are skipped.
    pub env: Vec<(String, String)>,
    /// Flags: the key's name with the text that was given.
    pub flags: Vec<(String, String)>,
}

/// Valid settings, and where they came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the value of `key` was set.
    pub fn origin(&self, key: &Key) -> &Origin {
        self.origins.get(key.name.as_str()).unwrap_or(&Origin::Default)
    }
}

impl Sources {
    /// The environment of this process, with `file` and `flags` from its command line.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self {
            file,
            env: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            flags,
        }
    }

    /// Reads, merges and checks all layers.
    ///
    /// # Errors
    ///
    /// All problems of all layers. Those between settings are looked for once each setting alone is right.
    pub fn load(&self) -> Result<Loaded, Problems> {
        let mut layers = Layers::new();
        let file = self.read_file(&mut layers);
        self.read_env(&mut layers);
        self.read_flags(&mut layers);
        let settings = layers.settings();
        let Layers { origins, tables, problems, .. } = layers;
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let origin = |name: &str| origins.get(name).cloned().unwrap_or(Origin::Default);
        let in_table = |index| tables.get(index).cloned().unwrap_or_else(|| origin("relays"));
        let problem = |(name, message): (&str, String)| Problem::new(origin(name), message);
        let relay_problem = |(index, message): (usize, String)| Problem::new(in_table(index), message);
        let mistakes = settings.validate().into_iter().map(problem);
        let mistakes: Vec<_> =
            mistakes.chain(settings.validate_relays().into_iter().map(relay_problem)).collect();
        if !mistakes.is_empty() {
            return Err(Problems(mistakes));
        }
        Ok(Loaded { settings, file, origins })
    }

    fn read_file(&self, layers: &mut Layers) -> Option<PathBuf> {
        let search = || SEARCH.map(PathBuf::from).into_iter().find(|path| path.exists());
        let path = self.file.clone().or_else(search)?;
        match fs::read_to_string(&path) {
            Ok(text) => {
                let (entries, problems) = file::read(&path, &text);
                layers.problems.extend(problems);
                entries.into_iter().for_each(|entry| layers.set(entry));
            }
            Err(error) => layers.problems.push(Problem::new(Origin::Default, unreadable(&path, &error))),
        }
        Some(path)
    }

    fn read_env(&self, layers: &mut Layers) {
        for (variable, text) in &self.env {
            if !variable.starts_with(ENV_PREFIX) || is_service_link(variable, text) {
                continue;
            }
            let origin = Origin::Env(variable.clone());
            match keys().iter().find(|key| key.env() == *variable) {
                Some(key) => layers.set_text(key, text, origin),
                None => {
                    let names: Vec<_> = keys().iter().map(Key::env).collect();
                    let known = names.iter().map(String::as_str);
                    layers.problems.push(Problem::unknown(origin, variable, known));
                }
            }
        }
    }

    fn read_flags(&self, layers: &mut Layers) {
        for (name, text) in &self.flags {
            match keys().iter().find(|key| key.name == *name) {
                Some(key) => layers.set_text(key, text, Origin::Flag(key.flag())),
                None => {
                    let known = keys().iter().map(|key| key.name.as_str());
                    layers.problems.push(Problem::unknown(Origin::Flag(name.clone()), name, known));
                }
            }
        }
    }
}

/// The layers while they are put on one another.
struct Layers {
    /// Valid values, as a document of settings.
    values: Value,
    origins: BTreeMap<&'static str, Origin>,
    /// Where each of the relays stands in the file, if they come from there.
    tables: Vec<Origin>,
    problems: Vec<Problem>,
}

impl Layers {
    fn new() -> Self {
        Self { values: json!({}), origins: BTreeMap::new(), tables: Vec::new(), problems: Vec::new() }
    }

    fn set(&mut self, Entry { key, value, origin, tables }: Entry) {
        key.put(&mut self.values, value);
        self.origins.insert(&key.name, origin);
        if key.kind == Kind::Tables {
            self.tables = tables;
        }
    }

    fn set_text(&mut self, key: &'static Key, text: &str, origin: Origin) {
        let checked = key.value_of(text).and_then(|value| {
            let mut document = json!({});
            key.put(&mut document, value.clone());
            let checked = serde_json::from_value::<Settings>(document);
            checked.map(|_| value).map_err(|error| key.explain(&error.to_string()))
        });
        match checked {
            Ok(value) => self.set(Entry { key, value, origin, tables: Vec::new() }),
            Err(message) => self.problems.push(Problem::new(origin, message)),
        }
    }

    fn settings(&self) -> Settings {
        // Holds because every value was read as part of `Settings` before it came here, and they do not depend on one another.
        serde_json::from_value(self.values.clone()).expect("valid values make valid settings")
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => {
            format!("the settings file {path} does not exist; check the path after --config")
        }
        _ => format!("the settings file {path} cannot be read: {error}"),
    }
}

/// Whether Kubernetes made this variable for a service whose name begins with `flumen`: every container of the namespace
/// gets them, so they are no typing mistakes.
fn is_service_link(variable: &str, text: &str) -> bool {
    let has_address = text.starts_with("tcp://") || text.starts_with("udp://");
    let is_port = variable.split("_PORT_").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    variable.ends_with("_SERVICE_HOST")
        || variable.ends_with("_SERVICE_PORT")
        || variable.contains("_SERVICE_PORT_")
        || is_port
        || (variable.ends_with("_PORT") && has_address)
}

#[cfg(test)]
mod tests;
