//! Traces: one span for each request, sent to a collector over OTLP. Off unless an endpoint is set, and
//! then nothing is made for any request. A span says by which route, with what outcome and under which
//! request id, never whose request it was.

use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{Span, SpanKind, Status, Tracer, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::task::spawn_blocking;

use crate::{config::Telemetry as Config, failure::Failure};

/// Spans wait so long for company before they are sent.
const DELAY: Duration = Duration::from_secs(1);
/// Neither a collector that hangs nor the end of the server takes longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way to the collector.
#[derive(Clone)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Telemetry {
    /// Starts to send, where the configuration names a collector.
    pub async fn start(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = config.traces_url()? else { return Ok(None) };
        let sampled = f64::from(config.sample_percent) / 100.0;
        // The exporter blocks, on a thread of its own; it must not even be made on an async one.
        let started = spawn_blocking(move || start(endpoint.as_str(), sampled));
        let provider = started.await.map_err(|error| Failure::of("telemetry", error))?;
        let provider = provider.map_err(|error| Failure::of("telemetry.otlp_endpoint", error))?;
        let tracer = provider.tracer("procura");
        Ok(Some(Self { provider, tracer }))
    }

    /// A request has come; `route` is its template. The span ends when it is dropped.
    #[must_use]
    pub fn begin(&self, method: &Method, route: Option<&str>, headers: &HeaderMap) -> Request {
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let method = crate::metrics::http::word(method);
        let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let mut attributes = vec![KeyValue::new("http.request.method", method)];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let span = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        Request(span)
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let stopped = spawn_blocking(move || self.provider.shutdown_with_timeout(PATIENCE)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}

fn start(endpoint: &str, sampled: f64) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint);
    let exporter = exporter.with_timeout(PATIENCE).build().map_err(|error| error.to_string())?;
    let config = BatchConfigBuilder::default().with_scheduled_delay(DELAY).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let resource = Resource::builder()
        .with_service_name("procura")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sampled))))
        .with_resource(resource.build())
        .build())
}

/// The span of a request.
pub struct Request(opentelemetry_sdk::trace::Span);

impl Request {
    /// It was answered.
    pub fn end(mut self, status: StatusCode, request_id: Option<&str>) {
        let code = i64::from(status.as_u16());
        self.0.set_attribute(KeyValue::new("http.response.status_code", code));
        if let Some(id) = request_id {
            self.0.set_attribute(KeyValue::new("procura.request_id", id.to_owned()));
        }
        if status.is_server_error() {
            self.0.set_status(Status::error(""));
        }
    }
}

/// The caller's place in its own trace (W3C Trace Context).
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
