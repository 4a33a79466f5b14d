//! What object storage is asked for.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};

use super::{Buckets, Counters, Histograms};

/// How long storage takes, in seconds: from a local folder's fraction of a millisecond to a slow line's minute.
const TIMES: [f64; 11] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// What is counted of storage. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct StorageMetrics {
    duration: Histograms,
    errors: Counters<2>,
    uploads: Counters<1>,
    uploaded_bytes: Counter,
    deleted: Counters<1>,
    archived: Counters<1>,
}

impl Default for StorageMetrics {
    fn default() -> Self {
        Self {
            duration: Histograms::new_with_constructor(Buckets(TIMES)),
            errors: Counters::default(),
            uploads: Counters::default(),
            uploaded_bytes: Counter::default(),
            deleted: Counters::default(),
            archived: Counters::default(),
        }
    }
}

impl StorageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let duration = "How long requests to storage took, by what was asked";
        registry.register_with_unit(
            "storage_request_duration",
            duration,
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register("storage_errors", "Requests to storage that failed, by why", self.errors.clone());
        registry.register("uploads", "Uploads of recordings that ended, by how", self.uploads.clone());
        registry.register("uploaded_bytes", "Bytes of recordings uploaded", self.uploaded_bytes.clone());
        registry.register("recordings_deleted", "Recordings deleted, by why", self.deleted.clone());
        registry.register(
            "archive_files",
            "Files of HLS archives, by what became of them",
            self.archived.clone(),
        );
    }

    /// Storage was asked, and answered or failed with an error of this kind.
    pub(crate) fn asked(&self, operation: &'static str, took: Duration, error: Option<&'static str>) {
        self.duration.get_or_create(&[("operation", operation.into())]).observe(took.as_secs_f64());
        if let Some(kind) = error {
            self.errors.get_or_create(&[("operation", operation.into()), ("kind", kind.into())]).inc();
        }
    }

    /// So many bytes of a recording were taken.
    pub(crate) fn sent(&self, bytes: u64) {
        self.uploaded_bytes.inc_by(bytes);
    }

    /// An upload ended: `stored`, `failed` or `abandoned`.
    pub(crate) fn uploaded(&self, outcome: &'static str) {
        self.uploads.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    /// A recording was deleted.
    pub(crate) fn deleted(&self, reason: &'static str) {
        self.deleted.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// A file of an archive was `stored`, `failed`, or `dropped` because too many wait.
    pub(crate) fn archived(&self, outcome: &'static str) {
        self.archived.get_or_create(&[("outcome", outcome.into())]).inc();
    }
}
