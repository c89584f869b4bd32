//! Spans by OpenTelemetry's SDK, which samples, batches and exports them.

use super::Kind;
use super::transport::Transport;
use crate::telemetry::{Config, Error};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context as Place, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// A place in a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Context(SpanContext);

/// A span under way, or nothing. Dropping it ends it.
#[derive(Debug, Default)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

/// Traces of this process.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Option<Context>;
}

/// Where a collector takes traces.
const PATH: &str = "/v1/traces";
/// How long a collector may take for a batch.
const EXPORT: Duration = Duration::from_secs(5);
/// How long the end of the process may wait for the last batch.
const LAST: Duration = Duration::from_secs(2);

/// Starts exporting, where the configuration says whereto. Called within the runtime that carries the requests.
///
/// # Errors
/// [`Error::Endpoint`] for an address that is none, [`Error::Sampling`] for a share outside 0 and 1.
pub fn start(config: &Config, service: &'static str) -> Result<Traces, Error> {
    if !(0.0..=1.0).contains(&config.sampling) {
        return Err(Error::Sampling(config.sampling));
    }
    if config.otlp_endpoint.is_empty() {
        return Ok(Traces(None));
    }
    let endpoint = |reason: String| Error::Endpoint {
        endpoint: config.otlp_endpoint.clone(),
        reason,
    };
    if !config.otlp_endpoint.starts_with("http://") {
        return Err(endpoint("it does not begin with `http://`".to_owned()));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(Transport::new())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!(
            "{}{PATH}",
            config.otlp_endpoint.trim_end_matches('/').trim_end_matches(PATH)
        ))
        .with_timeout(EXPORT)
        .build()
        .map_err(|error| endpoint(error.to_string()))?;
    let about = [
        KeyValue::new("service.namespace", "ferrowhisk"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            config.sampling,
        ))))
        .with_resource(
            Resource::builder_empty()
                .with_service_name(service)
                .with_attributes(about)
                .build(),
        )
        .build();
    TRACER.set(provider.tracer("ferrowhisk")).map_err(|_| Error::Twice)?;
    Ok(Traces(Some(provider)))
}

/// Whether spans are recorded.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Where the running task is.
pub fn current() -> Option<Context> {
    if !is_on() {
        return None;
    }
    CURRENT.try_with(Clone::clone).ok().flatten()
}

pub(super) fn scope<F: Future>(context: Option<Context>, future: F) -> impl Future<Output = F::Output> + use<F> {
    CURRENT.scope(context, future)
}

impl Traces {
    /// Exports what is left; blocks, within bounds.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(LAST)
        {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

impl Context {
    /// The place that a message carries, as [`Context::carrier`] gave it; also OpenWhisk's, where that uses W3C's form.
    pub fn carried(text: &str) -> Option<Context> {
        if !is_on() {
            return None;
        }
        let carrier: HashMap<String, String> = serde_json::from_str(text).ok()?;
        let found = TraceContextPropagator::new().extract_with_context(&Place::new(), &carrier);
        Context::of(&found)
    }

    fn of(place: &Place) -> Option<Context> {
        let context = place.span().span_context().clone();
        context.is_valid().then_some(Context(context))
    }

    fn place(&self) -> Place {
        Place::new().with_remote_span_context(self.0.clone())
    }

    /// Names and values for the `traceContext` of a message; none where nobody would see what follows.
    pub fn carrier(&self) -> Option<BTreeMap<String, String>> {
        if !self.0.is_sampled() {
            return None;
        }
        let mut carrier = HashMap::new();
        TraceContextPropagator::new().inject_context(&self.place(), &mut carrier);
        Some(carrier.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Puts the place into the headers of a request or an answer.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.remove("tracestate");
        TraceContextPropagator::new().inject_context(&self.place(), &mut HeaderInjector(headers));
        if headers.get("tracestate").is_some_and(|state| state.is_empty()) {
            headers.remove("tracestate");
        }
    }
}

impl Span {
    /// The span of a request that is served: a child where a `traceparent` came along, which then also says whether it is
    /// recorded.
    pub fn serve(head: &Parts) -> Span {
        let Some(tracer) = TRACER.get() else {
            return Span(None);
        };
        let parent = TraceContextPropagator::new().extract_with_context(&Place::new(), &HeaderExtractor(&head.headers));
        let builder = tracer.span_builder(head.method.to_string()).with_kind(SpanKind::Server);
        let mut span = Span(Some(Box::new(tracer.build_with_context(builder, &parent))));
        span.note("http.request.method", || head.method.to_string());
        span.note("url.path", || head.uri.path().to_owned());
        span
    }

    /// A child; nothing without a parent.
    pub fn child(name: &'static str, kind: Kind, parent: Option<&Context>) -> Span {
        Span::begin(name, kind, parent, None)
    }

    /// The same, begun at a time in milliseconds since the epoch.
    pub fn child_at(name: &'static str, kind: Kind, parent: Option<&Context>, begun: u64) -> Span {
        Span::begin(name, kind, parent, Some(time(begun)))
    }

    fn begin(name: &'static str, kind: Kind, parent: Option<&Context>, begun: Option<SystemTime>) -> Span {
        let (Some(tracer), Some(parent)) = (TRACER.get(), parent) else {
            return Span(None);
        };
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        };
        let mut builder = tracer.span_builder(name).with_kind(kind);
        if let Some(begun) = begun {
            builder = builder.with_start_time(begun);
        }
        Span(Some(Box::new(tracer.build_with_context(builder, &parent.place()))))
    }

    /// Where its children belong.
    pub fn context(&self) -> Option<Context> {
        let context = self.0.as_ref()?.span_context();
        context.is_valid().then(|| Context(context.clone()))
    }

    /// Adds an attribute.
    pub fn note(&mut self, key: &'static str, value: impl FnOnce() -> String) {
        if let Some(span) = self.0.as_mut().filter(|span| span.is_recording()) {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// Says that what it stands for has failed.
    pub fn fail(&mut self, reason: &'static str) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(reason));
        }
    }

    /// Notes the status of an answer.
    pub fn answered(&mut self, status: StatusCode) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            if status.is_server_error() {
                span.set_status(Status::error("the request failed"));
            }
        }
    }

    /// Ends it at a time in milliseconds since the epoch; dropping it ends it now.
    pub fn end_at(mut self, end: u64) {
        if let Some(span) = &mut self.0 {
            span.end_with_timestamp(time(end));
        }
    }
}

fn time(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
