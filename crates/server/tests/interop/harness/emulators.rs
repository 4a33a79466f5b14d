//! Object stores of other makers, on this machine.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, run};
use super::programs::{azurite, program, python};
use super::transfer::{LIMIT, wait_for_listener};

/// An address that nobody else uses, so that a port that was free once stays free.
const ADDRESS: &str = "127.0.0.2";
/// The name of the bucket, or container. Without a hyphen: moto does not know one that the client of GCS has encoded.
const BUCKET: &str = "archive";
/// The account that every Azurite has, as Microsoft publishes it.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The key of a service account, which signs links. Nobody asks whether there is such an account.
const SERVICE_ACCOUNT: &str = include_str!("../../../testdata/google-signatures/service-account.json");

/// Asks Azurite something about a container.
const ASK_AZURITE: &str = r#"
import base64, datetime, hashlib, hmac, sys, urllib.request
endpoint, account, key, name, method, query = sys.argv[1:]
date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0"}
signed = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{account}/{account}/{name}"
signed += "".join("\n" + part.replace("=", ":") for part in sorted(query.split("&")))
text = method + "\n" * 12 + signed
mac = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(mac).decode()}"
url = f"{endpoint}/{name}?{query}"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(urllib.request.Request(url, None, headers, method=method)).read().decode())
"#;

/// Runs moto with a clock that is so many hours slow.
const SLOW_MOTO: &str = r#"
import datetime, sys
import moto.core.utils as utils
now, hours = utils.utcnow, int(sys.argv.pop(1))
utils.utcnow = lambda: now() - datetime.timedelta(hours=hours)
from moto.server import main
sys.exit(main())
"#;

/// Sets the clock of a program of Node.js back by `HOURS`.
const SLOW_CLOCK: &str = r#"
const late = HOURS * 3600e3;
globalThis.Date = new Proxy(Date, {
  construct: (date, given) => (given.length ? new date(...given) : new date(date.now() - late)),
  get: (date, name) => (name === "now" ? () => date.now() - late : Reflect.get(date, name)),
});
"#;

/// An emulator of an object store, and how a server gets to it.
pub(crate) struct Emulator {
    kind: Kind,
    port: u16,
    /// How many hours its clock is slow.
    hours: u32,
    process: Option<Process>,
    folder: TempDir,
}

#[derive(Clone, Copy)]
enum Kind {
    S3,
    Gcs,
    Azure,
}

impl Emulator {
    /// Amazon S3, as moto has it. It does not run yet.
    pub(crate) fn s3() -> Self {
        Self::of(Kind::S3)
    }

    /// Google Cloud Storage, whose requests are so much like those of S3 that moto answers them.
    pub(crate) fn gcs() -> Self {
        Self::of(Kind::Gcs)
    }

    /// Azure Blob Storage, as Azurite has it.
    pub(crate) fn azure() -> Self {
        Self::of(Kind::Azure)
    }

    fn of(kind: Kind) -> Self {
        let free = TcpListener::bind((ADDRESS, 0)).and_then(|free| free.local_addr());
        let port = free.expect("a free port").port();
        Self { kind, port, hours: 0, process: None, folder: tempfile::tempdir().expect("a folder") }
    }

    /// The same with a clock that is so many hours slow: what is put there seems to be as old.
    pub(crate) fn slow(self, hours: u32) -> Self {
        Self { hours, ..self }
    }

    /// The same, with an empty bucket.
    pub(crate) fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts it with an empty bucket.
    pub(crate) fn start(&mut self) {
        let (port, hours) = (self.port.to_string(), self.hours.to_string());
        let command = match self.kind {
            Kind::S3 | Kind::Gcs => {
                let mut moto = python();
                moto.args(["-c", SLOW_MOTO, &hours, "-H", ADDRESS, "-p", &port]);
                moto
            }
            Kind::Azure => {
                let clock = self.folder.path().join("clock.js");
                fs::write(&clock, SLOW_CLOCK.replace("HOURS", &hours)).expect("written");
                let mut azurite = azurite();
                azurite.env("NODE_OPTIONS", format!("--require={}", clock.display()));
                azurite.args([
                    "--blobHost",
                    ADDRESS,
                    "--blobPort",
                    &port,
                    "--skipApiVersionCheck",
                    "--silent",
                ]);
                azurite.args(["--inMemoryPersistence", "--disableTelemetry"]);
                azurite
            }
        };
        self.process = Some(Process::start(command));
        wait_for_listener(&format!("{ADDRESS}:{}", self.port));
        run(self.make_bucket(), LIMIT).succeeded();
    }

    fn make_bucket(&self) -> Command {
        let endpoint = self.endpoint();
        match self.kind {
            Kind::S3 | Kind::Gcs => {
                let mut curl = program("curl");
                curl.args(["--silent", "--fail", "--noproxy", "*", "--request", "PUT"]);
                curl.arg(format!("{endpoint}/{BUCKET}"));
                curl
            }
            Kind::Azure => {
                let mut script = python();
                script.args(["-c", ASK_AZURITE, &endpoint, ACCOUNT, ACCOUNT_KEY, BUCKET]);
                script.args(["PUT", "restype=container"]);
                script
            }
        }
    }

    /// The names of all objects, and their sizes.
    pub(crate) fn objects(&self) -> Vec<(String, u64)> {
        let endpoint = self.endpoint();
        let (list, name, size) = match self.kind {
            Kind::S3 | Kind::Gcs => {
                let mut curl = program("curl");
                curl.args(["--silent", "--fail", "--noproxy", "*"]).arg(format!("{endpoint}/{BUCKET}"));
                (curl, "Key", "Size")
            }
            Kind::Azure => {
                let mut script = python();
                script.args(["-c", ASK_AZURITE, &endpoint, ACCOUNT, ACCOUNT_KEY, BUCKET]);
                script.args(["GET", "restype=container&comp=list"]);
                (script, "Name", "Content-Length")
            }
        };
        let text = String::from_utf8(run(list, LIMIT).succeeded().stdout).expect("text");
        assert!(!text.contains("<IsTruncated>true") && !text.contains("<NextMarker>"), "all of them: {text}");
        let sizes = elements(&text, size).map(|size| size.parse().expect("a number"));
        elements(&text, name).map(str::to_owned).zip(sizes).collect()
    }

    fn endpoint(&self) -> String {
        let path = if matches!(self.kind, Kind::Azure) { format!("/{ACCOUNT}") } else { String::new() };
        format!("http://{ADDRESS}:{}{path}", self.port)
    }

    /// The environment of a server that shall use it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let scheme = match self.kind {
            Kind::S3 => "s3",
            Kind::Gcs => "gs",
            Kind::Azure => "az",
        };
        let mut environment = vec![
            ("FLUMEN_STORAGE_URL", format!("{scheme}://{BUCKET}/flumen")),
            ("FLUMEN_STORAGE_ENDPOINT", self.endpoint()),
        ];
        match self.kind {
            Kind::S3 => {
                environment.push(("AWS_ACCESS_KEY_ID", "test".to_owned()));
                environment.push(("AWS_SECRET_ACCESS_KEY", "test".to_owned()));
            }
            // What moto takes for a signature of S3; the key is for links.
            Kind::Gcs => {
                let token = "Credential=x/20260101/us-east-1/s3/aws4_request";
                environment.push(("GOOGLE_BEARER_TOKEN", token.to_owned()));
                environment.push(("FLUMEN_STORAGE_SECRET_KEY", SERVICE_ACCOUNT.to_owned()));
            }
            Kind::Azure => {
                environment.push(("FLUMEN_STORAGE_ACCESS_KEY", ACCOUNT.to_owned()));
                environment.push(("FLUMEN_STORAGE_SECRET_KEY", ACCOUNT_KEY.to_owned()));
            }
        }
        environment
    }
}

/// The texts in all elements of this name.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let [begin, end] = [format!("<{name}>"), format!("</{name}>")];
    let parts: Vec<_> = xml.split(&begin).skip(1).collect();
    parts.into_iter().filter_map(move |rest| Some(rest.split_once(&end)?.0))
}
