//! Opens what `storage.url` names.

use std::fs;
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "gcs")]
use std::time::SystemTime;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::{Method, Url};
use object_store::{Error, ObjectStore};

use crate::config::{Storage, StorageUrl};

/// A place for objects, and what it can do besides keeping them.
#[derive(Clone)]
pub(super) struct Backend {
    pub(super) objects: Arc<dyn ObjectStore>,
    /// Takes an object in parts that a restart does not lose.
    pub(super) parts: Option<Arc<dyn MultipartStore>>,
    /// Makes addresses that need no credentials.
    pub(super) signer: Option<Signer>,
    /// What all names begin with.
    pub(super) prefix: Path,
    /// Whether objects carry cache control and the like.
    pub(super) takes_attributes: bool,
}

/// What makes addresses that need no credentials.
#[derive(Clone)]
pub(super) enum Signer {
    /// The client of the store itself.
    Store(Arc<dyn object_store::signer::Signer>),
    /// The key of a service account of Google's.
    #[cfg(feature = "gcs")]
    Google(Arc<super::google::Signer>),
}

impl Signer {
    /// An address of the object with this full name.
    ///
    /// # Errors
    /// When the credentials are not good for it, or cannot be got.
    pub(super) async fn sign(&self, method: Method, name: &Path, expiry: Duration) -> Result<Url, Error> {
        match self {
            Self::Store(signer) => signer.signed_url(method, name, expiry).await,
            #[cfg(feature = "gcs")]
            Self::Google(signer) => signer.sign(&method, name.as_ref(), expiry, SystemTime::now()),
        }
    }
}

/// Whether [`open`] will not fail for what the settings say; nothing is made and nobody is asked.
pub(super) fn check(settings: &Storage) -> Result<(), Error> {
    match &settings.url {
        StorageUrl::File(_) | StorageUrl::Memory => Ok(()),
        _ => open(settings).map(drop),
    }
}

/// Opens it: makes the folder; of other stores nobody is asked yet.
///
/// # Errors
/// When the folder cannot be made, or credentials or addresses are not what the store takes.
pub(super) fn open(settings: &Storage) -> Result<Backend, Error> {
    match &settings.url {
        StorageUrl::File(folder) => {
            fs::create_dir_all(folder)
                .map_err(|error| Error::Generic { store: "folder", source: error.into() })?;
            // A recording's own file is deleted for the one in there, so that must be on the disk.
            let folder =
                LocalFileSystem::new_with_prefix(folder)?.with_fsync(true).with_automatic_cleanup(true);
            Ok(Backend {
                objects: Arc::new(folder),
                parts: None,
                signer: None,
                prefix: Path::default(),
                takes_attributes: false,
            })
        }
        StorageUrl::Memory => {
            let memory = Arc::new(InMemory::new());
            Ok(Backend {
                objects: memory.clone(),
                parts: Some(memory),
                signer: None,
                prefix: Path::default(),
                takes_attributes: true,
            })
        }
        #[cfg(feature = "s3")]
        StorageUrl::S3(bucket) => super::remote::s3(settings, bucket),
        #[cfg(feature = "gcs")]
        StorageUrl::Gcs(bucket) => super::remote::gcs(settings, bucket),
        #[cfg(feature = "azure")]
        StorageUrl::Azure(container) => super::remote::azure(settings, container),
        #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
        _ => Err(Error::Generic {
            store: "this program",
            source: "it was built without this kind of storage".into(),
        }),
    }
}
