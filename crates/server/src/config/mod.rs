//! Settings: one tree of values from four layers, each value with its origin, and their reload.
//!
//! The later layer wins: built-in defaults, `flumen.toml`, environment, command-line flags. The names of all keys come from
//! the JSON schema of [`Settings`], so a new field is at once a key of the file, a variable, a flag and a row of the docs.

mod diff;
mod file;
mod key;
mod problem;
mod relays;
mod reload;
mod settings;
mod sources;
mod storage;
mod text;
mod types;
mod validate;

#[cfg(test)]
mod reference;

pub use diff::Diff;
pub use key::{Field, Key, Kind, keys, schema};
pub use problem::{Origin, Problem, Problems};
pub use relays::{Direction, Relay, RelayUrl};
pub use reload::{ConfigWatcher, CurrentSettings};
pub use settings::{
    Api, Auth, Data, Hls, Http, Limits, Log, Metrics, Otel, Play, Publish, Record, Rtmp, Rtmps, Settings,
    Shutdown, Storage, Tls,
};
pub use sources::{Loaded, Sources};
pub use storage::{Bucket, Credential, StorageUrl};
pub(crate) use text::AsText;
pub use types::{
    AfterUpload, AuthMode, HttpUrl, Linger, LogFilter, LogFormat, RecordFormat, Secret, Share, SigningSecret,
    TraceFilter,
};
