//! The tree of all settings with their defaults. The doc comments are the manual: they become the flags' help, the JSON
//! schema, `config.example.toml` and `docs/config.md`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::relays::Relay;
use super::storage::{Credential, StorageUrl};
use super::text::AsText;
use super::types::{
    AfterUpload, AuthMode, HttpUrl, Linger, LogFilter, LogFormat, RecordFormat, Secret, Share, SigningSecret,
    TraceFilter,
};
use crate::auth::Action;

/// All settings of the server.
///
/// A field marked `x-live` takes effect without a restart; whoever uses it reads it from the current settings each time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// RTMP without encryption.
    pub rtmp: Rtmp,
    /// RTMP over TLS.
    pub rtmps: Rtmps,
    /// HTTP: the API, metrics, and media over HTTP.
    pub http: Http,
    /// The API.
    pub api: Api,
    /// The certificate for everything encrypted.
    pub tls: Tls,
    /// Publishers.
    pub publish: Publish,
    /// Players.
    pub play: Play,
    /// Streams as HLS, Low-Latency HLS and what is made of the same segments.
    pub hls: Hls,
    /// Who may publish and play.
    pub auth: Auth,
    /// State that survives a restart.
    pub data: Data,
    /// Recordings.
    pub record: Record,
    /// Where recordings and archives are kept in the long run.
    pub storage: Storage,
    /// What one server takes. Over a limit, clients get a clear refusal.
    pub limits: Limits,
    /// Metrics for Prometheus, at `/metrics`.
    pub metrics: Metrics,
    /// Logs, on stderr.
    pub log: Log,
    /// Traces for OpenTelemetry.
    pub otel: Otel,
    /// Stopping.
    pub shutdown: Shutdown,
    /// Streams that are pushed to other servers or pulled from them, each in a table `[[relays]]`; no more than 100. On the command line and in the environment, where they replace those of the file: JSON objects, separated by commas; a command line is visible to other users of the machine.
    #[schemars(extend("x-live" = true, "x-secret" = true))]
    pub relays: Vec<Relay>,
}

/// Settings of RTMP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rtmp {
    /// Addresses to listen on: one, or several as an array or separated by commas; `off` for none. `0.0.0.0:1935` is all IPv4 addresses, `[::]:1935` all addresses.
    #[serde(with = "AsText::<Vec<SocketAddr>>")]
    pub addr: Vec<SocketAddr>,
    /// Users and passwords of RTMP's own login (`authmod=adobe`: the user and password fields of OBS and FFmpeg), as `name = "password"`. With none, nobody has to log in. In the environment and on the command line: `name=password,name=password`; a command line is visible to other users of the machine.
    #[schemars(extend("x-live" = true, "x-secret" = true))]
    pub users: BTreeMap<String, Secret>,
}

/// Settings of RTMP over TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rtmps {
    /// Addresses to listen on, written like `rtmp.addr`; `off` for none. Needs `tls.cert` and `tls.key`. The usual port is 443 or 1936.
    #[serde(with = "AsText::<Vec<SocketAddr>>")]
    pub addr: Vec<SocketAddr>,
}

/// Settings of HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// Addresses to listen on, written like `rtmp.addr`; `off` for none.
    #[serde(with = "AsText::<Vec<SocketAddr>>")]
    pub addr: Vec<SocketAddr>,
    /// Whether all of `http.addr` speak HTTPS. Needs `tls.cert` and `tls.key`.
    pub tls: bool,
}

/// Settings of the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Api {
    /// What clients of the API and of the metrics show as `Authorization: Bearer …`: 16 letters and digits or more; `off` for nothing, and then only programs on the same machine are answered. In the file or in the environment; a command line is visible to other users of the machine.
    #[serde(with = "AsText::<Option<Secret>>")]
    #[schemars(extend("x-live" = true, "x-secret" = true))]
    pub token: Option<Secret>,
}

/// Where the certificate is. The files are read again when they change; open connections stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// File with the certificate and its chain, PEM, the server's own first. A changed file is taken within seconds.
    #[serde(with = "AsText::<Option<PathBuf>>")]
    pub cert: Option<PathBuf>,
    /// File with the private key of `tls.cert`, PEM (PKCS#8, PKCS#1 or SEC1), without a passphrase.
    #[serde(with = "AsText::<Option<PathBuf>>")]
    pub key: Option<PathBuf>,
}

/// Settings of publishers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Publish {
    /// What happens to a second publisher of a live stream: `false` refuses it (`NetStream.Publish.BadName`), `true` lets it replace the first.
    #[schemars(extend("x-live" = true))]
    pub takeover: bool,
    /// How long a stream stays after its publisher's connection broke, so that a reconnect continues it. A publisher that says goodbye ends it at once. A duration; `0s` for not at all.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub grace: Duration,
    /// How long a publisher may send nothing before its connection counts as dead. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub timeout: Duration,
}

/// Settings of players.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Play {
    /// Whether a player may come before the publisher and wait; `false` refuses it (`NetStream.Play.StreamNotFound`).
    #[schemars(extend("x-live" = true))]
    pub wait: bool,
    /// How long messages are collected to be written to players together, which saves CPU and costs latency: `auto` writes video at once and lets audio ride along, `0ms` writes every message at once, a longer duration collects that long.
    #[serde(with = "AsText::<Linger>")]
    #[schemars(extend("x-live" = true))]
    pub linger: Linger,
}

/// Settings of HLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hls {
    /// Whether streams can be played as HLS.
    #[schemars(extend("x-live" = true))]
    pub enabled: bool,
    /// Whether every stream is packaged from its beginning, and not only while somebody asks for it: the first viewer then waits for nothing.
    #[schemars(extend("x-live" = true))]
    pub always: bool,
    /// How long a segment is at least; it ends at the next key frame. A duration from `500ms` to `60s`. A change holds for streams that are packaged from then on.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub segment_duration: Duration,
    /// How long a part of a segment is, which players of Low-Latency HLS get while the segment is made. A duration from `50ms` up to `hls.segment-duration`, or `0s` for plain HLS. A change holds for streams that are packaged from then on.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub part_duration: Duration,
    /// How many segments a playlist has: from 3 to 1000. A change holds for streams that are packaged from then on.
    #[serde(with = "AsText::<NonZeroU32>")]
    #[schemars(extend("x-live" = true))]
    pub window: NonZeroU32,
    /// How far viewers can go back, if that is farther than `hls.window`; kept in memory. A duration, or `off`. A change holds for streams that are packaged from then on.
    #[serde(with = "AsText::<Option<Duration>>")]
    #[schemars(extend("x-live" = true))]
    pub dvr_window: Option<Duration>,
    /// Whether segments are encrypted with AES-128, against caches and whoever reads along; who may play gets the keys. Then there are no parts and no DASH. A change holds for streams that are packaged from then on.
    #[schemars(extend("x-live" = true))]
    pub encryption: bool,
    /// How long the first request for a stream waits until there is something to play. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub wait: Duration,
    /// How long a stream is packaged after the last request for it. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub close_after: Duration,
    /// Whether every stream is packaged from its beginning and its segments and playlists are kept in `storage.url`, below `hls/`. What is encrypted for viewers is not encrypted there.
    #[schemars(extend("x-live" = true))]
    pub archive: bool,
}

/// Settings of admission. What changes here holds for whoever comes next; who is there stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    /// Who may publish.
    #[schemars(extend("x-live" = true))]
    pub publish: AuthMode,
    /// Who may play.
    #[schemars(extend("x-live" = true))]
    pub play: AuthMode,
    /// What signs tokens (JWT, HS256): any text, best 32 random bytes or more; `auto` for one that is made on first start and kept in `data.dir`.
    #[serde(with = "AsText::<SigningSecret>")]
    #[schemars(extend("x-live" = true, "x-secret" = true))]
    pub secret: SigningSecret,
    /// Where to get the keys (JWKS) of somebody else who signs tokens, with RSA, ECDSA or Ed25519, in place of `auth.secret`; `off` for nobody.
    #[serde(with = "AsText::<Option<HttpUrl>>")]
    #[schemars(extend("x-live" = true))]
    pub jwks_url: Option<HttpUrl>,
    /// How long a token of the API lasts that is asked for without saying how long. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub default_expiry: Duration,
    /// The longest that a token of the API may last. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub max_expiry: Duration,
    /// Who is asked where `auth.publish` or `auth.play` is `http`, with a POST; `off` for nobody.
    #[serde(with = "AsText::<Option<HttpUrl>>")]
    #[schemars(extend("x-live" = true))]
    pub http_url: Option<HttpUrl>,
    /// How long `auth.http-url` may take to answer; after that the answer is no. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub http_timeout: Duration,
}

/// Settings of durable state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Data {
    /// Folder for small state that survives a restart: the generated secret, used tokens. Made when needed, for the server's user alone. Relative to the folder the server was started in.
    pub dir: PathBuf,
}

/// Settings of recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Record {
    /// Whether every published stream is recorded.
    #[schemars(extend("x-live" = true))]
    pub all: bool,
    /// Folder for recordings, made when needed. Relative to the folder the server was started in.
    #[schemars(extend("x-live" = true))]
    pub dir: PathBuf,
    /// Container of recordings: `flv`, `mp4`, or both as an array or separated by a comma; then each stream is recorded twice.
    #[serde(with = "AsText::<Vec<RecordFormat>>")]
    #[schemars(extend("x-live" = true))]
    pub format: Vec<RecordFormat>,
    /// How long a recording becomes before a new file goes on with the next key frame. A duration, or `off`: a file for a whole publication.
    #[serde(with = "AsText::<Option<Duration>>")]
    #[schemars(extend("x-live" = true))]
    pub segment_duration: Option<Duration>,
    /// How large a recording becomes before a new file goes on with the next key frame. A size, or `off`.
    #[serde(with = "AsText::<Option<ByteSize>>")]
    #[schemars(extend("x-live" = true))]
    pub segment_size: Option<ByteSize>,
    /// Whether finished recordings are copied to `storage.url`, those among them that an earlier run has left.
    #[schemars(extend("x-live" = true))]
    pub upload: bool,
    /// What becomes of the file in `record.dir` once its copy in `storage.url` was compared with it.
    #[schemars(extend("x-live" = true))]
    pub after_upload: AfterUpload,
    /// How long finished recordings are kept, here and in `storage.url`: a duration from their end on, or `off` for as long as there is space.
    #[serde(with = "AsText::<Option<Duration>>")]
    #[schemars(extend("x-live" = true))]
    pub keep_for: Option<Duration>,
    /// How much all finished recordings together may take, here and in `storage.url`, one that is in both counted once: a size, or `off` for no limit. The oldest go first.
    #[serde(with = "AsText::<Option<ByteSize>>")]
    #[schemars(extend("x-live" = true))]
    pub keep_bytes: Option<ByteSize>,
    /// Space that shall stay free on the disk of `record.dir`: a size, or `off`. Where there is less, files that were uploaded are removed first, then the oldest recordings that need no upload.
    #[serde(with = "AsText::<Option<ByteSize>>")]
    #[schemars(extend("x-live" = true))]
    pub min_free: Option<ByteSize>,
    /// Whether `record.min-free` may also delete recordings that wait for their upload.
    #[schemars(extend("x-live" = true))]
    pub delete_waiting: bool,
}

/// Settings of storage: a folder, or an object store. What is not set here is taken from the environment that programs of the store's maker read, such as `AWS_ACCESS_KEY_ID`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Storage {
    /// Where to: `file:FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or `memory:` for tests. A folder is made when needed, relative to the one the server was started in.
    #[serde(with = "AsText::<StorageUrl>")]
    pub url: StorageUrl,
    /// Address of the object store where it is not its maker's own, such as `http://minio:9000`; `off` for the maker's.
    #[serde(with = "AsText::<Option<HttpUrl>>")]
    pub endpoint: Option<HttpUrl>,
    /// Region of the bucket (S3); `off` for `AWS_REGION`, else `us-east-1`.
    #[serde(with = "AsText::<Option<String>>")]
    pub region: Option<String>,
    /// Who asks: the access key's id (S3) or the storage account's name (Azure); `off` for what the environment says.
    #[serde(with = "AsText::<Option<String>>")]
    pub access_key: Option<String>,
    /// What proves it: the secret access key (S3), the account's key (Azure), or the service account's key as JSON (GCS); `off` for what the environment says, or the machine's own role.
    #[serde(with = "AsText::<Credential>")]
    #[schemars(extend("x-secret" = true))]
    pub secret_key: Credential,
    /// Address under which everybody may read what is in `storage.url`, such as a CDN's; recordings are fetched from there then. `off` for addresses that the store signs.
    #[serde(with = "AsText::<Option<HttpUrl>>")]
    #[schemars(extend("x-live" = true))]
    pub public_url: Option<HttpUrl>,
    /// How long an address that the store signs is good for. A duration, up to 7 days.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub link_expiry: Duration,
    /// How long archives of streams (`hls.archive`) are kept: a duration from their end on, or `off` for as long as there is space.
    #[serde(with = "AsText::<Option<Duration>>")]
    #[schemars(extend("x-live" = true))]
    pub archive_keep_for: Option<Duration>,
    /// How much all finished archives of streams together may take: a size, or `off` for no limit. The oldest go first.
    #[serde(with = "AsText::<Option<ByteSize>>")]
    #[schemars(extend("x-live" = true))]
    pub archive_keep_bytes: Option<ByteSize>,
    /// Whether the server is not ready (`/ready` answers 503) while storage cannot be reached.
    #[schemars(extend("x-live" = true))]
    pub required: bool,
}

/// Settings of limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Streams that are published at one time: a number, or `off` for no limit.
    #[serde(with = "AsText::<Option<NonZeroU32>>")]
    #[schemars(extend("x-live" = true))]
    pub streams: Option<NonZeroU32>,
    /// Viewers of one stream at one time, those over RTMP, HTTP-FLV, MP4 and HLS together: a number, or `off` for no limit.
    #[serde(with = "AsText::<Option<NonZeroU32>>")]
    #[schemars(extend("x-live" = true))]
    pub viewers_per_stream: Option<NonZeroU32>,
    /// Open connections: a number, or `off` for no limit.
    #[serde(with = "AsText::<Option<NonZeroU32>>")]
    #[schemars(extend("x-live" = true))]
    pub connections: Option<NonZeroU32>,
    /// Open connections of one IP address: a number, or `off` for no limit.
    #[serde(with = "AsText::<Option<NonZeroU32>>")]
    #[schemars(extend("x-live" = true))]
    pub connections_per_ip: Option<NonZeroU32>,
    /// Length of one RTMP message, so of one video frame: a size from `4KiB` to `16MiB`.
    #[serde(with = "AsText::<ByteSize>")]
    #[schemars(extend("x-live" = true))]
    pub message_size: ByteSize,
    /// How long a connection may take from its beginning to its `connect` command, TLS included. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub handshake_timeout: Duration,
    /// How long a connection may stay silent, not even answering pings. A duration.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub idle_timeout: Duration,
}

/// Settings of metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// Whether streams have metrics of their own, with the label `stream_key`: the 200 that are on air longest.
    #[schemars(extend("x-live" = true))]
    pub stream_labels: bool,
}

/// Settings of logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`; other levels for parts of the program stand behind it, as in `info,flumen_rtmp=debug`.
    #[serde(with = "AsText::<LogFilter>")]
    #[schemars(extend("x-live" = true))]
    pub level: LogFilter,
    /// Form of a log line.
    pub format: LogFormat,
    /// Whether every answer over HTTP gets a line (`target` is `access`) when it is over: method, route, path without its query, status, bytes, time, who asked. Without, only what changes something and what fails gets one. A player of low-latency HLS asks several times a second.
    #[schemars(extend("x-live" = true))]
    pub access: bool,
    /// Folder for traces, two files per traced connection: the bytes it received (`.c2s.bin`) and sent (`.s2c.bin`); `off` for none. Passwords and tokens of clients are in there.
    #[serde(with = "AsText::<Option<PathBuf>>")]
    #[schemars(extend("x-live" = true))]
    pub trace_dir: Option<PathBuf>,
    /// Which connections `log.trace-dir` traces: `all`, or a list of IP addresses and stream keys (`app/name`; a `*` at the end stands for anything), as an array or separated by commas.
    #[serde(with = "AsText::<TraceFilter>")]
    #[schemars(extend("x-live" = true))]
    pub trace_filter: TraceFilter,
}

/// Settings of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Otel {
    /// Where traces go: the address of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; `off` for nowhere. Without a path, `/v1/traces` is added.
    #[serde(with = "AsText::<Option<HttpUrl>>")]
    pub endpoint: Option<HttpUrl>,
    /// What the collector calls this server (`service.name`).
    pub service_name: String,
    /// The part of all traces that is sent, such as `10%`. A request that comes with a `traceparent` goes by that.
    #[serde(with = "AsText::<Share>")]
    pub sample: Share,
}

/// Settings of stopping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shutdown {
    /// How long clients and recordings have to finish after the first SIGINT or SIGTERM. A duration. A second signal ends the server at once.
    #[serde(with = "AsText::<Duration>")]
    #[schemars(extend("x-live" = true))]
    pub grace: Duration,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self { addr: vec![(Ipv4Addr::LOCALHOST, 1935).into()], users: BTreeMap::new() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { addr: vec![(Ipv4Addr::LOCALHOST, 8080).into()], tls: false }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { takeover: false, grace: Duration::from_secs(8), timeout: Duration::from_secs(10) }
    }
}

impl Default for Play {
    fn default() -> Self {
        Self { wait: true, linger: Linger::Auto }
    }
}

impl Default for Hls {
    fn default() -> Self {
        Self {
            enabled: true,
            always: false,
            segment_duration: Duration::from_secs(2),
            part_duration: Duration::from_millis(200),
            window: const { NonZeroU32::new(10).unwrap() },
            dvr_window: None,
            encryption: false,
            wait: Duration::from_secs(10),
            close_after: Duration::from_secs(60),
            archive: false,
        }
    }
}

impl Auth {
    /// What `action` takes.
    pub fn mode(&self, action: Action) -> AuthMode {
        match action {
            Action::Publish => self.publish,
            Action::Play => self.play,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            publish: AuthMode::Open,
            play: AuthMode::Open,
            secret: SigningSecret::default(),
            jwks_url: None,
            default_expiry: Duration::from_secs(3600),
            max_expiry: Duration::from_secs(24 * 3600),
            http_url: None,
            http_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "./data".into() }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            all: false,
            dir: "./recordings".into(),
            format: vec![RecordFormat::Flv],
            segment_duration: None,
            segment_size: None,
            upload: false,
            after_upload: AfterUpload::Remove,
            keep_for: None,
            keep_bytes: None,
            min_free: None,
            delete_waiting: false,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            url: StorageUrl::default(),
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: Credential::default(),
            public_url: None,
            link_expiry: Duration::from_secs(3600),
            archive_keep_for: None,
            archive_keep_bytes: None,
            required: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: NonZeroU32::new(100),
            viewers_per_stream: NonZeroU32::new(1000),
            connections: NonZeroU32::new(10_000),
            connections_per_ip: None,
            message_size: ByteSize::mib(16),
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { stream_labels: true }
    }
}

impl Default for Otel {
    fn default() -> Self {
        Self { endpoint: None, service_name: "flumen".to_owned(), sample: Share::ALL }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10) }
    }
}
