//! `flumen token`: makes and inspects tokens, with the configured secret and without a server.

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Subcommand;
use humantime::{format_duration, format_rfc3339_seconds, parse_duration};
use serde_json::json;

use super::SettingsArgs;
use crate::auth::{Action, Claims, Scope, SigningKey, read};
use crate::config::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a token that lets somebody publish or play
    Make(Make),
    /// Tell what a token says and whether it is good; exit status 1 if it is not
    Inspect(Inspect),
}

#[derive(Debug, clap::Args)]
struct Make {
    /// The stream, app/name; a bare name means live/name, a `*` at the end anything
    #[arg(value_name = "STREAM")]
    scope: Scope,
    /// What it lets do
    #[arg(long, value_enum, default_value_t = Action::Publish)]
    action: Action,
    /// How long it is good, such as 90m or 7days [default: auth.default-expiry]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
    /// Make it good for one time
    #[arg(long)]
    single_use: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, clap::Args)]
struct Inspect {
    /// The token; `-` reads it from standard input, out of sight of other users of the machine
    token: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(arguments: Args) -> anyhow::Result<()> {
    match arguments.command {
        Command::Make(arguments) => make(arguments),
        Command::Inspect(arguments) => inspect(arguments),
    }
}

fn make(arguments: Make) -> anyhow::Result<()> {
    let Make { scope, action, expires_in, single_use, json, settings } = arguments;
    let settings = settings.into_sources().load()?.settings;
    let secret = secret(&settings)?;
    let expiry = expires_in.unwrap_or(settings.auth.default_expiry);
    let claims = Claims::new(scope, action, SystemTime::now(), expiry, single_use)
        .context("the system gives no random bytes")?;
    let token = claims.sign(&secret).context("the token cannot be signed")?;
    let text = if json {
        let value = json!({
            "token": token,
            "streamKey": claims.sub.as_str(),
            "action": claims.act,
            "expiresAt": format_rfc3339_seconds(claims.expires_at()).to_string(),
            "singleUse": claims.once,
        });
        format!("{value:#}")
    } else {
        token
    };
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

fn inspect(arguments: Inspect) -> anyhow::Result<()> {
    let Inspect { token, json, settings } = arguments;
    let settings = settings.into_sources().load()?.settings;
    let token = if token == "-" { read_stdin()? } else { token };
    let secret = secret(&settings)?;
    let Ok(claims) = read(token.trim(), &secret) else {
        bail!("this is no token of this server's secret (`auth.secret`, or the file in `data.dir`)");
    };
    let good = claims.check_time(SystemTime::now());
    let text = if json { as_json(&claims, good.is_ok()) } else { as_text(&claims) };
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(good?)
}

fn as_json(claims: &Claims, is_good: bool) -> String {
    let value = json!({
        "streamKey": claims.sub.as_str(),
        "action": claims.act,
        "expiresAt": format_rfc3339_seconds(claims.expires_at()).to_string(),
        "singleUse": claims.once,
        "id": claims.jti,
        "valid": is_good,
    });
    format!("{value:#}")
}

fn as_text(claims: &Claims) -> String {
    let (end, now) = (claims.expires_at(), SystemTime::now());
    let seconds = |duration: Duration| format_duration(Duration::from_secs(duration.as_secs())).to_string();
    let distance = match end.duration_since(now) {
        Ok(left) => format!("in {}", seconds(left)),
        Err(past) => format!("{} ago", seconds(past.duration())),
    };
    format!(
        "stream      {}\naction      {}\nexpires     {} ({distance})\nsingle use  {}\nid          {}",
        claims.sub,
        claims.act,
        format_rfc3339_seconds(end),
        if claims.once { "yes; whether it has been used, only the server knows" } else { "no" },
        if claims.jti.is_empty() { "none" } else { &claims.jti },
    )
}

fn secret(settings: &Settings) -> anyhow::Result<Vec<u8>> {
    if settings.auth.jwks_url.is_some() {
        bail!("tokens are signed by whoever has the keys of `auth.jwks-url`, not by this server");
    }
    Ok(SigningKey::new(settings).bytes(settings)?)
}

fn read_stdin() -> anyhow::Result<String> {
    let mut token = String::new();
    io::stdin().take(64 * 1024).read_to_string(&mut token).context("standard input cannot be read")?;
    Ok(token)
}
