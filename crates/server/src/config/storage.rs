//! The types of the settings of storage.

use std::path::PathBuf;

use object_store::path::Path;

use super::text::{OFF, Textual};
use super::types::Secret;

/// Where recordings and archives are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageUrl {
    /// A folder of this machine, or what is mounted there.
    File(PathBuf),
    /// Amazon S3, or what speaks like it.
    S3(Bucket),
    /// Google Cloud Storage.
    Gcs(Bucket),
    /// Azure Blob Storage; a bucket is called container there.
    Azure(Bucket),
    /// The memory of this process.
    Memory,
}

/// A part of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What all names in it begin with; may be empty.
    pub prefix: Path,
}

impl Default for StorageUrl {
    fn default() -> Self {
        Self::File("./data/storage".into())
    }
}

impl Bucket {
    fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_prefix("//").unwrap_or(text);
        let (name, prefix) = text.split_once('/').unwrap_or((text, ""));
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let prefix = Path::parse(prefix.strip_suffix('/').unwrap_or(prefix)).ok()?;
        is_name.then(|| Self { name: name.to_owned(), prefix })
    }

    fn to_text(&self, scheme: &str) -> String {
        let slash = if self.prefix.is_root() { "" } else { "/" };
        format!("{scheme}://{}{slash}{}", self.name, self.prefix)
    }
}

impl Textual for StorageUrl {
    const EXPECTED: &'static str = "`file:FOLDER`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` \
        or `memory:`";

    fn from_text(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("file", folder) => {
                let folder = folder.strip_prefix("//").unwrap_or(folder);
                (!folder.is_empty()).then(|| Self::File(folder.into()))
            }
            ("s3", bucket) => Bucket::from_text(bucket).map(Self::S3),
            ("gs", bucket) => Bucket::from_text(bucket).map(Self::Gcs),
            ("az", container) => Bucket::from_text(container).map(Self::Azure),
            ("memory", "") => Some(Self::Memory),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::File(folder) => format!("file:{}", folder.display()),
            Self::S3(bucket) => bucket.to_text("s3"),
            Self::Gcs(bucket) => bucket.to_text("gs"),
            Self::Azure(container) => container.to_text("az"),
            Self::Memory => "memory:".to_owned(),
        }
    }
}

impl std::fmt::Display for StorageUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// A secret that an object store has given, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential(pub Option<Secret>);

impl Textual for Credential {
    const EXPECTED: &'static str = "a text, or `off`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "" => None,
            OFF => Some(Self(None)),
            secret => Some(Self(Some(Secret::new(secret)))),
        }
    }

    fn to_text(&self) -> String {
        self.0.as_ref().map_or(OFF, Secret::reveal).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_storage() {
        for (text, canonical) in [
            ("file:./data/storage", "file:./data/storage"),
            ("file:///mnt/nfs", "file:/mnt/nfs"),
            ("s3://bucket", "s3://bucket"),
            ("s3:bucket/a/b", "s3://bucket/a/b"),
            ("s3://bucket/a/", "s3://bucket/a"),
            ("gs://my_bucket.example/x", "gs://my_bucket.example/x"),
            ("az:container/x", "az://container/x"),
            ("memory:", "memory:"),
        ] {
            let url = StorageUrl::from_text(text).unwrap_or_else(|| panic!("{text} is refused"));
            assert_eq!(url.to_text(), canonical);
            assert_eq!(StorageUrl::from_text(canonical), Some(url));
        }
        for text in [
            "",
            "file:",
            "./data",
            "s3:",
            "s3://",
            "s3:///prefix",
            "s3://a b",
            "s3://user:key@bucket",
            "s3://b/../c",
            "memory:x",
            "http://host/bucket",
            "S3://bucket",
        ] {
            assert_eq!(StorageUrl::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_credential_does_not_print() {
        let given = Credential::from_text("hunter2").expect("a text");
        assert!(!format!("{given:?}").contains("hunter2"));
        assert_eq!(given.to_text(), "hunter2");
        assert_eq!(Credential::from_text("off"), Some(Credential(None)));
        assert_eq!(Credential::from_text(""), None);
    }
}
