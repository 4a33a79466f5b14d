//! Traces for OpenTelemetry: what took how long, over the borders of this program.
//!
//! Traced are requests over HTTP, decisions about who may do what, publications and playbacks, recordings and relays; frames
//! never. A span of theirs is an ordinary one whose target is `TARGET`; a layer beside the log picks those out and sends
//! them to a collector (OTLP over HTTP), in batches and on a thread of its own: a collector that is slow or gone costs spans
//! and nothing else. Without `otel.endpoint` there is no such layer.

use axum::http::HeaderMap;
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Otel;

/// The target of spans that are sent.
pub(crate) const TARGET: &str = "flumen::trace";

/// Why no traces can be sent.
#[derive(Debug, thiserror::Error)]
#[error("`otel.endpoint`: {0}")]
pub struct Unsendable(String);

#[cfg(feature = "otel")]
pub use self::sending::Traces;
#[cfg(not(feature = "otel"))]
pub use self::silent::Traces;

/// Makes the span of a request a part of the trace that its client began (W3C Trace Context).
pub(crate) fn continue_from(span: &Span, headers: &HeaderMap) {
    #[cfg(feature = "otel")]
    sending::continue_from(span, headers);
    #[cfg(not(feature = "otel"))]
    let _ = (span, headers);
}

/// Notes what became known of a span. The log does not show it.
pub(crate) fn note(span: &Span, name: &'static str, value: impl Into<String>) {
    #[cfg(feature = "otel")]
    tracing_opentelemetry::OpenTelemetrySpanExt::set_attribute(span, name, value.into());
    #[cfg(not(feature = "otel"))]
    let _ = (span, name, value.into());
}

#[cfg(feature = "otel")]
mod sending {
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderName};
    use opentelemetry::KeyValue;
    use opentelemetry::propagation::{Extractor, TextMapPropagator};
    use opentelemetry::trace::{TraceContextExt, TracerProvider};
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::filter::filter_fn;

    use super::*;

    /// How long the collector has to take a batch, also the last one when the server stops.
    const PATIENCE: Duration = Duration::from_secs(3);

    /// What sends the traces. Call [`finish`](Self::finish) at the end: what waits is sent then.
    #[derive(Debug)]
    pub struct Traces(SdkTracerProvider);

    impl Traces {
        /// Sends traces as `settings` say, if they do. Outside of any async runtime: the client that sends blocks.
        ///
        /// # Errors
        /// When no client can be made.
        pub fn start(settings: &Otel) -> Result<Option<Self>, Unsendable> {
            let Some(endpoint) = &settings.endpoint else { return Ok(None) };
            let mut url = endpoint.url().clone();
            if url.path() == "/" {
                url.set_path("/v1/traces");
            }
            let exporter = SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(url)
                .with_timeout(PATIENCE)
                .build()
                .map_err(|error| Unsendable(error.to_string()))?;
            let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
            let resource =
                Resource::builder().with_service_name(settings.service_name.clone()).with_attribute(version);
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                    settings.sample.ratio(),
                ))))
                .with_resource(resource.build())
                .build();
            Ok(Some(Self(provider)))
        }

        /// What takes the spans from the program.
        pub fn layer<S>(&self) -> impl Layer<S> + use<S>
        where
            S: Subscriber + for<'lookup> LookupSpan<'lookup>,
        {
            tracing_opentelemetry::layer()
                .with_tracer(self.0.tracer("flumen"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false)
                .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
        }

        /// Sends what waits.
        pub fn finish(self) {
            // What the collector does not take now is lost.
            let _ = self.0.shutdown();
        }
    }

    pub(super) fn continue_from(span: &Span, headers: &HeaderMap) {
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        if parent.span().span_context().is_valid() {
            // Without the layer there is nobody to take it.
            let _ = span.set_parent(parent);
        }
    }

    struct Headers<'a>(&'a HeaderMap);

    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(HeaderName::as_str).collect()
        }
    }
}

#[cfg(not(feature = "otel"))]
mod silent {
    use super::*;

    /// Traces of a program that was built without them.
    #[derive(Debug)]
    pub enum Traces {}

    impl Traces {
        /// Refuses to send traces.
        ///
        /// # Errors
        /// When the settings ask for traces.
        pub fn start(settings: &Otel) -> Result<Option<Self>, Unsendable> {
            match settings.endpoint {
                Some(_) => Err(Unsendable("this program was built without the feature `otel`".to_owned())),
                None => Ok(None),
            }
        }

        /// What takes the spans from the program.
        pub fn layer<S>(&self) -> impl Layer<S> + use<S>
        where
            S: Subscriber + for<'lookup> LookupSpan<'lookup>,
        {
            tracing_subscriber::layer::Identity::new()
        }

        /// Sends what waits.
        pub fn finish(self) {}
    }
}
