//! The settings on the command line: `--config FILE` and a flag for every key.

use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};

use crate::config::{Key, Kind, Sources, keys};

/// The id and the name of the flag that names the file.
const FILE: &str = "config";

/// What the command line says about settings; `#[command(flatten)]` adds it to a command.
#[derive(Clone, Debug, Default)]
pub struct SettingsArgs {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Keys with the text of their flags.
    pub flags: Vec<(String, String)>,
}

impl SettingsArgs {
    /// All sources of settings: these flags, the environment of this process, and the file.
    pub fn into_sources(self) -> Sources {
        Sources::from_process(self.file, self.flags)
    }
}

impl clap::Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long(FILE)
            .value_name("FILE")
            .value_parser(PathBufValueParser::new())
            .help("Settings file [default: ./flumen.toml, else /etc/flumen/flumen.toml]");
        command.arg(file).args(keys().iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let text = |key: &Key| {
            let values: Vec<&String> = matches.get_many(&key.name)?.collect();
            let joined = values.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(",");
            Some((key.name.clone(), joined))
        };
        Ok(Self { file: matches.get_one(FILE).cloned(), flags: keys().iter().filter_map(text).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flag of `key`. Hidden from `-h`, where dozens of them would bury the rest.
fn flag(key: &'static Key) -> Arg {
    let help = format!("{} [default: {}]", key.description, key.display(&key.default));
    let flag = Arg::new(key.name.as_str())
        .long(key.flag())
        .help(help)
        .help_heading("Settings")
        .hide_short_help(true)
        .allow_hyphen_values(true)
        .value_name("VALUE")
        .action(ArgAction::Append);
    match key.kind {
        Kind::Switch => flag
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("true|false"),
        Kind::Map => flag.value_name("NAME=VALUE"),
        Kind::Tables => flag.value_name("JSON"),
        Kind::Text => flag,
    }
}
