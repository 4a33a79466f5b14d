//! The access log: a line per answer, when it is over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tracing::{Span, info};

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
    Response::from_parts(parts, Body::new(Logged { body, bytes: 0, is_whole: false, access }))
}

/// A body that is counted.
struct Logged {
    body: Body,
    bytes: u64,
    /// Whether it was asked for to its end.
    is_whole: bool,
    access: Access,
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
            Some(Ok(frame)) => self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {}
            None => self.is_whole = true,
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
        let Access { method, route, path, status, client, begun, span } = &self.access;
        let ms = begun.elapsed().as_micros() as f64 / 1000.0;
        // What has nothing more to say is not asked again.
        let complete = self.is_whole || self.body.is_end_stream();
        let (status, bytes) = (status.as_u16(), self.bytes);
        span.in_scope(|| {
            info!(target: "access", %method, route, path, status, bytes, ms, complete, client, "request");
        });
    }
}
