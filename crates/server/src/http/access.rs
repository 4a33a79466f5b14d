//! The access log: a line per answer, when it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tracing::{Span, info};

use super::handover::Handover;

/// What is known of an answer when it begins.
pub(super) struct Access {
    pub(super) method: Method,
    pub(super) route: String,
    /// Without what is secret in it.
    pub(super) path: String,
    pub(super) status: StatusCode,
    /// How the client names itself; shortened.
    pub(super) client: String,
    pub(super) begun: Instant,
    /// Has the id of the request.
    pub(super) span: Span,
}

/// The same answer, which is logged when its body is over or nobody wants more of it.
pub(super) fn log(response: Response, access: Access) -> Response {
    let (parts, body) = response.into_parts();
    let entry = Arc::new(Entry { bytes: AtomicU64::new(0), is_whole: AtomicBool::new(false), access });
    if let Some(handover) = parts.extensions.get::<Handover>() {
        handover.note(entry.clone());
    }
    Response::from_parts(parts, Body::new(Logged { body, entry }))
}

/// An answer's line in the log, which is written when nobody sends anything of it any more.
pub(super) struct Entry {
    bytes: AtomicU64,
    /// Whether everything was sent.
    is_whole: AtomicBool,
    access: Access,
}

impl Entry {
    /// So many bytes of the body more.
    pub(super) fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The body is over.
    pub(super) fn complete(&self) {
        self.is_whole.store(true, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Access { method, route, path, status, client, begun, span } = &self.access;
        let ms = begun.elapsed().as_micros() as f64 / 1000.0;
        let (complete, bytes) = (*self.is_whole.get_mut(), *self.bytes.get_mut());
        let status = status.as_u16();
        span.in_scope(|| {
            info!(target: "access", %method, route, path, status, bytes, ms, complete, client, "request");
        });
    }
}

/// A body that is counted.
struct Logged {
    body: Body,
    entry: Arc<Entry>,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.entry.count(frame.data_ref().map_or(0, |data| data.len() as u64)),
            Some(Err(_)) => {}
            None => self.entry.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // What has nothing more to say is not asked again.
        if self.body.is_end_stream() {
            self.entry.complete();
        }
    }
}
