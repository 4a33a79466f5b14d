//! Asks the object store, and notes how long that takes, what fails, and whether the store can be reached.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::signer::{Method, Url};
use object_store::{Attributes, Error, MultipartUpload, ObjectMeta, ObjectStoreExt, PutOptions, PutPayload};
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::{info, warn};

use super::backend::{self, Backend};
use crate::config::Storage;
use crate::metrics::StorageMetrics;

/// Whether storage can be used, as far as anybody has found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Health {
    /// Nobody has asked it anything yet.
    #[default]
    Unknown,
    /// The last request was answered.
    Up,
    /// The last request was not, or was refused.
    Away,
}

/// One object store. Names are below `storage.url`.
pub(super) struct Client {
    settings: Storage,
    /// Opened when it is first needed: a server that stores nothing makes no folder.
    backend: Mutex<Option<Backend>>,
    metrics: StorageMetrics,
    health: Mutex<Health>,
}

impl Client {
    pub(super) fn new(settings: Storage, metrics: StorageMetrics) -> Self {
        Self { settings, backend: Mutex::default(), metrics, health: Mutex::default() }
    }

    /// A client of a store that tests have made.
    #[cfg(test)]
    pub(super) fn of(backend: Backend) -> Self {
        let client = Self::new(Storage::default(), StorageMetrics::default());
        *client.backend.lock() = Some(backend);
        client
    }

    /// What it is a client of.
    pub(super) fn settings(&self) -> &Storage {
        &self.settings
    }

    /// Whether storage has answered when it was asked last.
    pub(super) fn is_up(&self) -> bool {
        *self.health.lock() == Health::Up
    }

    /// Whether objects can be put in parts that outlive a restart.
    pub(super) async fn keeps_parts(&self) -> Result<bool, Error> {
        Ok(self.backend().await?.parts.is_some())
    }

    /// Puts a whole object.
    pub(super) async fn put(&self, name: &Path, bytes: Bytes, attributes: Attributes) -> Result<(), Error> {
        self.timed("put", async |backend, prefix| {
            let options = match backend.takes_attributes {
                true => PutOptions::from(attributes),
                false => PutOptions::default(),
            };
            backend
                .objects
                .put_opts(&join(prefix, name), PutPayload::from_bytes(bytes), options)
                .await
                .map(drop)
        })
        .await
    }

    /// Begins an object that comes in parts, and gives the upload's id.
    pub(super) async fn begin(&self, name: &Path) -> Result<String, Error> {
        self.timed("begin", async |backend, prefix| {
            parts(backend)?.create_multipart(&join(prefix, name)).await
        })
        .await
    }

    /// Puts the part `index`, counted from 0, and gives its id.
    pub(super) async fn put_part(
        &self,
        name: &Path,
        upload: &String,
        index: usize,
        bytes: Bytes,
    ) -> Result<String, Error> {
        self.timed("part", async |backend, prefix| {
            let payload = PutPayload::from_bytes(bytes);
            let part = parts(backend)?.put_part(&join(prefix, name), upload, index, payload).await?;
            Ok(part.content_id)
        })
        .await
    }

    /// Makes an object of all its parts.
    pub(super) async fn complete(&self, name: &Path, upload: &String, ids: Vec<String>) -> Result<(), Error> {
        self.timed("complete", async |backend, prefix| {
            let ids = ids.into_iter().map(|content_id| PartId { content_id }).collect();
            parts(backend)?.complete_multipart(&join(prefix, name), upload, ids).await.map(drop)
        })
        .await
    }

    /// Forgets the parts of an object that was not completed.
    pub(super) async fn abort(&self, name: &Path, upload: &String) -> Result<(), Error> {
        self.timed("abort", async |backend, prefix| {
            parts(backend)?.abort_multipart(&join(prefix, name), upload).await
        })
        .await
    }

    /// Begins an object in parts of a store that does not keep them over a restart.
    pub(super) async fn write(&self, name: &Path) -> Result<Box<dyn MultipartUpload>, Error> {
        self.timed("begin", async |backend, prefix| backend.objects.put_multipart(&join(prefix, name)).await)
            .await
    }

    /// What is known of an object.
    pub(super) async fn head(&self, name: &Path) -> Result<ObjectMeta, Error> {
        self.timed("head", async |backend, prefix| backend.objects.head(&join(prefix, name)).await).await
    }

    /// The same; none if there is no such object, or nobody may know.
    pub(super) async fn find(&self, name: &Path) -> Result<Option<ObjectMeta>, Error> {
        let found =
            self.timed("find", async |backend, prefix| backend.objects.head(&join(prefix, name)).await).await;
        match found {
            Ok(object) => Ok(Some(object)),
            // S3 refuses to tell who may not list.
            Err(error) if matches!(kind(&error), "not_found" | "denied") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A part of an object, whole.
    pub(super) async fn read(&self, name: &Path, range: Range<u64>) -> Result<Bytes, Error> {
        self.timed("get", async |backend, prefix| backend.objects.get_range(&join(prefix, name), range).await)
            .await
    }

    /// Deletes an object; that there is none is fine.
    pub(super) async fn delete(&self, name: &Path) -> Result<(), Error> {
        let deleted =
            self.timed("delete", async |backend, prefix| backend.objects.delete(&join(prefix, name)).await);
        match deleted.await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes objects, in no order; that there is none is fine. Stops at the first that cannot be deleted.
    pub(super) async fn delete_all(&self, names: &[Path]) -> Result<(), Error> {
        self.timed("delete", async |backend, prefix| {
            let names: Vec<_> = names.iter().map(|name| Ok(join(prefix, name))).collect();
            let mut deleted = backend.objects.delete_stream(stream::iter(names).boxed());
            while let Some(one) = deleted.next().await {
                match one {
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
        .await
    }

    /// All objects in a folder and in those below it: their names, how large they are, and since when.
    pub(super) async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, Error> {
        let mut all = Vec::new();
        self.each(folder, |object| all.push(object)).await?;
        Ok(all)
    }

    /// Shows `see` what [`list`](Self::list) gives, one by one: there may be millions.
    pub(super) async fn each(
        &self,
        folder: &Path,
        mut see: impl FnMut(ObjectMeta) + Send,
    ) -> Result<(), Error> {
        self.timed("list", async |backend, prefix| {
            let mut objects = backend.objects.list(Some(&join(prefix, folder)));
            let mut is_empty = true;
            loop {
                match objects.try_next().await {
                    Ok(Some(object)) => {
                        see(ObjectMeta { location: below(prefix, &object.location), ..object });
                        is_empty = false;
                    }
                    Ok(None) => return Ok(()),
                    // A folder that nobody has made yet. What is cut short must not look like all there is.
                    Err(Error::NotFound { .. }) if is_empty => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        })
        .await
    }

    /// An address of an object that needs no credentials for `expiry`; nothing where the store makes none.
    pub(super) async fn sign(
        &self,
        method: Method,
        name: &Path,
        expiry: Duration,
    ) -> Result<Option<Url>, Error> {
        let backend = self.backend().await?;
        // Most sign by themselves: that says nothing about storage.
        match &backend.signer {
            Some(signer) => signer.sign(method, &join(&backend.prefix, name), expiry).await.map(Some),
            None => Ok(None),
        }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        work: impl AsyncFnOnce(&Backend, &Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let done = match self.backend().await {
            Ok(backend) => work(&backend, &backend.prefix).await,
            Err(error) => Err(error),
        };
        let failed = done.as_ref().err();
        let away = failed.filter(|error| is_away(operation, error));
        let error = failed.filter(|error| away.is_some() || !is_answer(operation, error));
        self.metrics.asked(operation, begun.elapsed(), error.map(kind));
        // Nothing to be found says nothing of whether something could be put there.
        if operation != "find" || failed.is_none() || away.is_some() {
            self.note(away);
        }
        done
    }

    async fn backend(&self) -> Result<Backend, Error> {
        if let Some(backend) = &*self.backend.lock() {
            return Ok(backend.clone());
        }
        let settings = self.settings.clone();
        let opened = spawn_blocking(move || backend::open(&settings)).await??;
        Ok(self.backend.lock().get_or_insert(opened).clone())
    }

    /// Notes whether the store is away, and why.
    fn note(&self, away: Option<&Error>) {
        let health = if away.is_some() { Health::Away } else { Health::Up };
        let last = std::mem::replace(&mut *self.health.lock(), health);
        match (last, away) {
            (Health::Unknown | Health::Up, Some(error)) => {
                let error = reason(error);
                warn!(url = %self.settings.url, error, "storage cannot be used; it will be tried again");
            }
            (Health::Away, None) => info!(url = %self.settings.url, "storage is back"),
            _ => {}
        }
    }
}

/// The full name of an object.
fn join(prefix: &Path, name: &Path) -> Path {
    prefix.parts().chain(name.parts()).collect()
}

/// The name of an object whose full name this is.
fn below(prefix: &Path, name: &Path) -> Path {
    name.prefix_match(prefix).map_or_else(|| name.clone(), Iterator::collect)
}

fn parts(backend: &Backend) -> Result<&Arc<dyn object_store::multipart::MultipartStore>, Error> {
    backend.parts.as_ref().ok_or_else(|| Error::NotSupported { source: "this store keeps no parts".into() })
}

/// What a failure is, in few words that never grow more: a label of metrics.
pub(super) fn kind(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "not_found",
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => "denied",
        Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => "conflict",
        Error::Generic { .. } | Error::JoinError { .. } => "unavailable",
        _ => "invalid",
    }
}

/// Whether a failure is one that was to be expected: there is no such object, or nobody may know.
fn is_answer(operation: &str, error: &Error) -> bool {
    kind(error) == "not_found" || (operation == "find" && kind(error) == "denied")
}

/// Whether a failure means that nothing else would have gone well either. Who may put objects need not be allowed to list
/// or to delete them.
fn is_away(operation: &str, error: &Error) -> bool {
    match kind(error) {
        "unavailable" => true,
        "denied" => !matches!(operation, "abort" | "delete" | "find" | "list"),
        // There is no such bucket.
        "not_found" => matches!(operation, "put" | "begin"),
        _ => false,
    }
}

/// A failure in words, without queries of addresses: what signs them may be in there.
pub(super) fn reason(error: &Error) -> String {
    let text = match error {
        Error::Generic { store, source } => format!("{store}: {source}"),
        error => error.to_string(),
    };
    let without_query = |word: &str| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address.to_owned(),
        _ => word.to_owned(),
    };
    text.split_whitespace().map(without_query).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_no_queries() {
        let source = "Error performing GET https://host/name?sig=hunter2 in 1s - what? nothing".into();
        let text = reason(&Error::Generic { store: "Azure", source });
        assert_eq!(text, "Azure: Error performing GET https://host/name in 1s - what? nothing");
    }

    #[tokio::test]
    async fn a_store_is_away_and_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("taken");
        std::fs::write(&file, "x").expect("written");
        let url = crate::config::StorageUrl::File(file.clone());
        let client = Client::new(Storage { url, ..Storage::default() }, StorageMetrics::default());
        assert!(!client.is_up(), "nobody knows");
        let name = Path::from("a");
        client.head(&name).await.expect_err("a file is no folder");
        assert!(!client.is_up());
        std::fs::remove_file(&file).expect("removed");
        assert!(matches!(client.head(&name).await, Err(Error::NotFound { .. })));
        assert!(client.is_up(), "an answer, if not a good one");
        assert!(client.find(&name).await.expect("an answer").is_none());
        assert!(client.list(&name).await.expect("an answer").is_empty());
    }
}
