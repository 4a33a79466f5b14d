//! Stores of other makers. Settings go before what the environment says.

use std::sync::Arc;
use std::time::Duration;

use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig};

use super::backend::{Backend, Signer};
use crate::config::{Bucket, Storage};

/// How often one request is sent again, and for how long. What takes longer is the business of whoever asked: uploads have
/// pauses of their own, and viewers do not wait.
const RETRY: RetryConfig = RetryConfig {
    backoff: BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    },
    max_retries: 2,
    retry_timeout: Duration::from_secs(10),
};
/// A part of 8 MiB takes this long at 1.2 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What names end with, and what is in there.
const CONTENT_TYPES: [(&str, &str); 6] = [
    ("flv", "video/x-flv"),
    ("mp4", "video/mp4"),
    ("m4s", "video/iso.segment"),
    ("ts", "video/mp2t"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
];

/// How requests are sent.
fn client(settings: &Storage) -> ClientOptions {
    let is_plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.url().scheme() == "http");
    let options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(is_plain);
    CONTENT_TYPES
        .into_iter()
        .fold(options, |options, (suffix, kind)| options.with_content_type_for_suffix(suffix, kind))
}

/// The address of `storage.endpoint`, as builders take it.
fn endpoint(settings: &Storage) -> Option<String> {
    settings.endpoint.as_ref().map(|endpoint| endpoint.url().as_str().trim_end_matches('/').to_owned())
}

/// The backend of a store that keeps parts and attributes.
fn remote<S: ObjectStore + MultipartStore>(store: Arc<S>, signer: Option<Signer>, prefix: &Path) -> Backend {
    Backend {
        objects: store.clone(),
        parts: Some(store),
        signer,
        prefix: prefix.clone(),
        takes_attributes: true,
    }
}

/// Opens a bucket of Amazon S3, or of what speaks like it.
#[cfg(feature = "s3")]
pub(super) fn s3(settings: &Storage, bucket: &Bucket) -> Result<Backend, Error> {
    use object_store::aws::AmazonS3Builder;

    let mut builder = AmazonS3Builder::from_env().with_client_options(client(settings)).with_retry(RETRY);
    if let Some(endpoint) = endpoint(settings) {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(key) = &settings.access_key {
        builder = builder.with_access_key_id(key);
    }
    if let Some(key) = &settings.secret_key.0 {
        builder = builder.with_secret_access_key(key.reveal());
    }
    let store = Arc::new(builder.with_bucket_name(&bucket.name).build()?);
    Ok(remote(store.clone(), Some(Signer::Store(store)), &bucket.prefix))
}

/// Opens a bucket of Google Cloud Storage.
#[cfg(feature = "gcs")]
pub(super) fn gcs(settings: &Storage, bucket: &Bucket) -> Result<Backend, Error> {
    use object_store::gcp::GoogleCloudStorageBuilder;

    let mut builder =
        GoogleCloudStorageBuilder::from_env().with_client_options(client(settings)).with_retry(RETRY);
    if let Some(endpoint) = endpoint(settings) {
        builder = builder.with_base_url(&endpoint);
    }
    if let Some(key) = &settings.secret_key.0 {
        builder = builder.with_service_account_key(key.reveal());
    }
    let signer = super::google::Signer::of(&builder, &bucket.name);
    let store = Arc::new(builder.with_bucket_name(&bucket.name).build()?);
    Ok(remote(store, signer.map(|signer| Signer::Google(Arc::new(signer))), &bucket.prefix))
}

/// Opens a container of Azure Blob Storage.
#[cfg(feature = "azure")]
pub(super) fn azure(settings: &Storage, container: &Bucket) -> Result<Backend, Error> {
    use object_store::azure::MicrosoftAzureBuilder;

    let mut builder =
        MicrosoftAzureBuilder::from_env().with_client_options(client(settings)).with_retry(RETRY);
    if let Some(endpoint) = endpoint(settings) {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(account) = &settings.access_key {
        builder = builder.with_account(account);
    }
    if let Some(key) = &settings.secret_key.0 {
        builder = builder.with_access_key(key.reveal());
    }
    let store = Arc::new(builder.with_container_name(&container.name).build()?);
    Ok(remote(store.clone(), Some(Signer::Store(store)), &container.prefix))
}
