//! `flumen config`: what the settings are, whether they are right, and what there is to set.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::SettingsArgs;
use crate::config::{Loaded, keys, schema};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the settings in effect and where each came from
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Look for mistakes in the settings; print `ok` if there are none
    Check {
        /// Settings file to check, in place of --config
        #[arg(conflicts_with = "config")]
        file: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Print the JSON schema of the settings file
    Schema,
}

pub(super) fn run(arguments: Args) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match arguments.command {
        Command::Show { json, settings } => {
            let loaded = settings.into_sources().load()?;
            let shown = if json { pretty(&as_json(&loaded)) } else { as_table(&loaded) };
            writeln!(stdout, "{shown}")?;
        }
        Command::Check { file, mut settings } => {
            settings.file = file.or(settings.file);
            let loaded = settings.into_sources().load()?;
            let mut stderr = io::stderr().lock();
            for warning in loaded.settings.warnings() {
                writeln!(stderr, "warning: {warning}")?;
            }
            writeln!(stdout, "ok")?;
        }
        Command::Schema => writeln!(stdout, "{}", pretty(&schema()))?,
    }
    Ok(())
}

fn as_table(loaded: &Loaded) -> String {
    let rows: Vec<[String; 3]> = keys()
        .iter()
        .map(|key| {
            let value = key.display(&loaded.settings.value(key));
            [key.name.clone(), value, loaded.origin(key).to_string()]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, values) = (width(0), width(1));
    let line = |[name, value, origin]: &[String; 3]| format!("{name:names$}  {value:values$}  {origin}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn as_json(loaded: &Loaded) -> Value {
    let entry = |key: &crate::config::Key| {
        let value = key.masked(&loaded.settings.value(key));
        (key.name.clone(), json!({ "value": value, "origin": loaded.origin(key).to_string() }))
    };
    keys().iter().map(entry).collect::<Map<_, _>>().into()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}
