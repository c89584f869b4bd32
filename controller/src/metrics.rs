//! What the controller counts, under OpenWhisk's names.

use std::sync::LazyLock;

use dashmap::DashMap;
use hyper::{Method, StatusCode};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use wsk_entities::Namespace;

/// Activations published and not yet completed.
pub static INFLIGHT: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "loadbalancer_activationsInflight_counter",
        "Activations that were published and have not completed.",
    )
});

/// Activations held against a namespace's limit of what may be in flight.
pub static HELD: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "controller_concurrent_counter",
        "Activations in flight as the throttles count them, of all namespaces.",
    )
});

/// Activations published.
pub static ACTIVATIONS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("loadbalancer_activations_counter", "Activations handed to invokers."));

/// Who follows the log of an activation.
pub static FOLLOWERS: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "controller_followers_counter",
        "Clients that follow the log of an activation.",
    )
});

/// Cancellations accepted.
pub static CANCELS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "controller_cancels_counter",
        "Activations that their owners had cancelled, pending or running.",
    )
});

/// Events that found their queue full.
pub static EVENTS_DROPPED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("controller_events_error", "Events that could not be published."));

/// Invocations that began.
pub static STARTED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("controller_activation_start", "Invocations accepted for placement."));

/// Blocking invocations that began.
pub static BLOCKING_STARTED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "controller_blockingActivation_start",
        "Blocking invocations that began to wait.",
    )
});

/// How long blocking invocations waited.
pub static BLOCKING_FINISHED: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "controller_blockingActivation_finish",
        "Seconds from publishing a blocking invocation to its answer.",
    )
});

/// Records fetched from the store for a blocking caller.
pub static RETRIEVED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "controller_blockingActivationDatabaseRetrieval_counter",
        "Blocking answers taken from the store because the acknowledgement did not bring them.",
    )
});

/// Messages that were taken over.
pub static TAKEN_OVER: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "controller_takeover_counter",
        "Messages of controllers and invokers that stay away, passed on to others.",
    )
});

/// Publishes that the bus refused.
pub static UNPUBLISHED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("controller_kafka_error", "Activations that the message bus refused."));

/// Publishes of single invocations that began.
pub static PUBLISHING: LazyLock<IntCounter> =
    LazyLock::new(|| counter("controller_kafka_start", "Single invocations given to the message bus."));

/// How long the bus took to accept them.
pub static PUBLISHED: LazyLock<Histogram> = LazyLock::new(|| {
    histogram(
        "controller_kafka_finish",
        "Seconds until the message bus accepted a single invocation.",
    )
});

static STARTUPS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("controller_startup_counter", "Controllers that this process started."));

static CAPACITY: LazyLock<[IntGauge; 2]> = LazyLock::new(|| {
    ["Managed", "BlackBox"].map(|pool| {
        gauge(
            &format!("loadbalancer_totalCapacity{pool}_counter"),
            "MB of memory that the invokers of the pool have; one may be in both.",
        )
    })
});

/// Placements beyond the invokers' memory.
pub static OVERLOADS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "controller_managedInvokerSystemOverload_counter",
        "Activations placed although no invoker had memory free.",
    )
});

static COMPLETIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let opts = Opts::new(
        "loadbalancer_completionAck_counter",
        "Slots freed, by how that came about.",
    );
    registered(IntCounterVec::new(opts, &["type"]).expect("the description is well formed"))
});

static INVOKERS: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let opts = Opts::new("loadbalancer_invokers_counter", "Invokers, by state.");
    registered(IntGaugeVec::new(opts, &["state"]).expect("the description is well formed"))
});

static MEMORY: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let opts = Opts::new(
        "loadbalancer_memoryInflight_counter",
        "MB of memory placed on invokers, by pool.",
    );
    registered(IntGaugeVec::new(opts, &["pool"]).expect("the description is well formed"))
});

static TIMED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let opts = Opts::new("openwhisk_action_limit_timed_total", "Requests refused for their rate.");
    registered(IntCounterVec::new(opts, &["namespace"]).expect("the description is well formed"))
});

static CONCURRENT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let opts = Opts::new(
        "openwhisk_action_limit_concurrent_total",
        "Requests refused for what is in flight.",
    );
    registered(IntCounterVec::new(opts, &["namespace"]).expect("the description is well formed"))
});

/// Makes all of them, so that they show from the start: a rate misses what a counter was born with.
pub fn show() {
    for gauge in [&INFLIGHT, &HELD, &FOLLOWERS] {
        LazyLock::force(gauge);
    }
    let counters = [
        &ACTIVATIONS,
        &CANCELS,
        &EVENTS_DROPPED,
        &STARTED,
        &BLOCKING_STARTED,
        &RETRIEVED,
        &UNPUBLISHED,
        &PUBLISHING,
    ];
    for counter in counters
        .into_iter()
        .chain([&OVERLOADS, &CACHE_HITS, &CACHE_MISSES, &TAKEN_OVER])
    {
        LazyLock::force(counter);
    }
    for histogram in [&BLOCKING_FINISHED, &PUBLISHED] {
        LazyLock::force(histogram);
    }
    LazyLock::force(&CAPACITY);
    STARTUPS.inc();
    for kind in ["regular", "forced", "regularAfterForced"] {
        COMPLETIONS.with_label_values(&[kind]);
    }
    for family in [&TIMED, &CONCURRENT] {
        LazyLock::force(family);
    }
}

/// A slot was freed: by its acknowledgement, which is what mostly happens.
pub fn completion_regular() {
    static REGULAR: LazyLock<IntCounter> = LazyLock::new(|| COMPLETIONS.with_label_values(&["regular"]));
    REGULAR.inc();
}

/// A slot was freed otherwise: `forced`, or `regularAfterForced`.
pub fn completion(kind: &str) {
    COMPLETIONS.with_label_values(&[kind]).inc();
}

/// A rate throttle refused a request of a namespace.
pub fn timed_refusal(namespace: &Namespace) {
    TIMED.with_label_values(&[namespace.as_str()]).inc();
}

/// The concurrency throttle refused a request of a namespace.
pub fn concurrent_refusal(namespace: &Namespace) {
    CONCURRENT.with_label_values(&[namespace.as_str()]).inc();
}

/// How many invokers are in a state.
pub fn invokers(state: &str, count: usize) {
    INVOKERS
        .with_label_values(&[state])
        .set(i64::try_from(count).unwrap_or(i64::MAX));
}

/// MB placed on a pool.
pub fn memory(pool: &str, placed: i64) {
    MEMORY.with_label_values(&[pool]).set(placed);
}

/// MB that the invokers of the two pools have, managed and blackbox.
pub fn capacity(pools: [i64; 2]) {
    for (gauge, all) in CAPACITY.iter().zip(pools) {
        gauge.set(all);
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help).expect("the description is well formed"))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help).expect("the description is well formed"))
}

fn histogram(name: &str, help: &str) -> Histogram {
    let buckets = vec![
        0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0,
    ];
    registered(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect("the buckets ascend"))
}

fn registered<C: prometheus::core::Collector + Clone + 'static>(collector: C) -> C {
    // A second registration can only be the same metric again, when two controllers share a process.
    let _ = prometheus::register(Box::new(collector.clone()));
    collector
}

/// Entities found in the cache.
pub static CACHE_HITS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "database_cacheHit_counter",
        "Entities that needed no read of the store.",
    )
});

/// Entities read from the store.
pub static CACHE_MISSES: LazyLock<IntCounter> =
    LazyLock::new(|| counter("database_cacheMiss_counter", "Entities that were read from the store."));

/// Counts an answer under `http_<method>_<status>_counter`, OpenWhisk's name for it.
pub fn answered(method: &Method, status: StatusCode) {
    static ANSWERS: LazyLock<DashMap<(&'static str, u16), IntCounter>> = LazyLock::new(DashMap::new);
    let key = (named(method), status.as_u16());
    if let Some(counter) = ANSWERS.get(&key) {
        return counter.inc();
    }
    let made = || {
        counter(
            &format!("http_{}_{}_counter", key.0, key.1),
            "Answers with this method and status.",
        )
    };
    ANSWERS.entry(key).or_insert_with(made).inc();
}

/// Methods that clients make up are one.
fn named(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::POST => "post",
        Method::PUT => "put",
        Method::DELETE => "delete",
        Method::HEAD => "head",
        Method::OPTIONS => "options",
        Method::PATCH => "patch",
        _ => "other",
    }
}
