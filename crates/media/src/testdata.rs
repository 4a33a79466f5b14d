//! Files that tests of several modules read.

use bytes::Bytes;

/// A file of `testdata/codecs`: a configuration or a frame that a real encoder wrote.
#[track_caller]
pub(crate) fn load(file: &str) -> Bytes {
    let path = format!("{}/testdata/codecs/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}
