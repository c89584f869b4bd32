use super::*;
use crate::telemetry::trace::{inherit, within};
use std::sync::Once;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSEEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// A tracer that exports nothing: what is tested here is what travels.
fn started() {
    static START: Once = Once::new();
    START.call_once(|| {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(1.0)));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        TRACER.set(provider.tracer("test")).unwrap();
    });
}

fn request(parent: Option<&str>) -> Parts {
    let mut request = hyper::Request::post("/api/v1/namespaces");
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    request.body(()).unwrap().into_parts().0
}

fn trace_of(context: &Context) -> String {
    context.0.trace_id().to_string()
}

#[test]
fn a_request_continues_the_callers_trace_or_begins_one() {
    started();
    let ours = Span::serve(&request(Some(PARENT))).context().unwrap();
    assert_eq!(trace_of(&ours), "0af7651916cd43dd8448eb211c80319c");
    assert_ne!(ours.0.span_id().to_string(), "b7ad6b7169203331");
    let fresh = Span::serve(&request(None)).context().unwrap();
    assert_ne!(trace_of(&fresh), trace_of(&ours));
    let nonsense = Span::serve(&request(Some("00-zz-1-01"))).context().unwrap();
    assert_ne!(trace_of(&nonsense), trace_of(&ours));
}

#[test]
fn the_place_survives_headers_and_messages() {
    started();
    let context = Span::serve(&request(Some(PARENT))).context().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("tracestate", "stale=1".parse().unwrap());
    context.inject(&mut headers);
    let text = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", context.0.span_id());
    assert_eq!(headers["traceparent"], text);
    assert!(!headers.contains_key("tracestate"));
    let carrier = context.carrier().unwrap();
    assert_eq!(carrier, BTreeMap::from([("traceparent".to_owned(), text)]));
    let read = Context::carried(&serde_json::to_string(&carrier).unwrap()).unwrap();
    assert_eq!((read.0.span_id(), read.0.is_sampled()), (context.0.span_id(), true));
    for other in ["{}", "[]", r#"{"X-B3-TraceId":"1"}"#, r#"{"traceparent":"00-zz"}"#] {
        assert_eq!(Context::carried(other), None, "{other}");
    }
}

#[test]
fn what_the_caller_does_not_record_is_not_recorded_on_the_way() {
    started();
    let context = Span::serve(&request(Some(UNSEEN))).context().unwrap();
    assert_eq!(context.carrier(), None);
    let mut headers = HeaderMap::new();
    context.inject(&mut headers);
    assert!(headers["traceparent"].to_str().unwrap().ends_with("-00"), "{headers:?}");
}

#[tokio::test]
async fn children_belong_to_the_task_that_causes_them() {
    started();
    assert_eq!(current(), None);
    let span = Span::serve(&request(Some(PARENT)));
    let context = span.context().unwrap();
    within(Some(context.clone()), async {
        assert_eq!(current().as_ref(), Some(&context));
        let spawned = tokio::spawn(inherit(async { current() })).await.unwrap();
        assert_eq!(spawned.as_ref(), Some(&context));
        let child = Span::child("publish", Kind::Producer, current().as_ref());
        assert_eq!(trace_of(&child.context().unwrap()), trace_of(&context));
    })
    .await;
    assert!(
        Span::child("publish", Kind::Producer, current().as_ref())
            .context()
            .is_none()
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named() {
    let refused = |config: Config| start(&config, "test").unwrap_err().to_string();
    let share = refused(Config {
        sampling: 1.5,
        ..Config::default()
    });
    assert!(share.starts_with("`log.sampling` is 1.5"), "{share}");
    let scheme = refused(Config {
        otlp_endpoint: "collector:4318".to_owned(),
        ..Config::default()
    });
    assert!(
        scheme.contains("`log.otlp_endpoint`") && scheme.contains("http://"),
        "{scheme}"
    );
}
