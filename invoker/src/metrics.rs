//! What the invoker counts, under OpenWhisk's names.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use wsk_entities::StatusCode;

/// The invoker's own series; one set per process.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub activations: IntCounter,
    pub inits: IntCounter,
    pub init_errors: IntCounter,
    pub run_errors: IntCounter,
    pub starts: IntCounterVec,
    pub start_errors: IntCounter,
    pub records: IntCounter,
    pub record_failures: IntCounter,
    pub ack_failures: IntCounter,
    pub event_failures: IntCounter,
    pub rescheduled: IntCounter,
    pub cancelled: IntCounter,
    pub lines_followed: IntCounter,
    pub active_count: IntGauge,
    pub idle_count: IntGauge,
    pub prewarm_count: IntGauge,
    pub memory: IntGauge,
    pub buffer_count: IntGauge,
}

/// How an activation came by its container: the states of upstream's container start metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Warm,
    /// Waits with others for a container that is being made.
    Warming,
    Prewarmed,
    Cold,
    /// Others had to go for it.
    Recreated,
}

impl Start {
    fn label(self) -> &'static str {
        match self {
            Start::Warm => "warmed",
            Start::Warming => "warming",
            Start::Prewarmed => "prewarmed",
            Start::Cold => "cold",
            Start::Recreated => "recreated",
        }
    }
}

impl Metrics {
    pub fn get() -> &'static Metrics {
        static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
        &METRICS
    }

    pub fn started(&self, start: Start) {
        self.starts.with_label_values(&[start.label()]).inc();
    }

    fn new() -> Metrics {
        let starts = Opts::new(
            "invoker_containerStart_counter",
            "Activations, by how they came by a container.",
        );
        counter("invoker_startup_counter", "Invokers that this process started.").inc();
        Metrics {
            activations: counter("invoker_activation_start", "Activations taken from the bus."),
            inits: counter("invoker_activationInit_start", "Containers initialised or tried to."),
            init_errors: counter("invoker_activationInit_error", "Initialisations that failed."),
            run_errors: counter(
                "invoker_activationRun_error",
                "Runs that ended in a developer or platform error.",
            ),
            starts: registered(IntCounterVec::new(starts, &["state"]).expect("the description is well formed")),
            start_errors: counter("invoker_containerStart_error", "Containers that could not be made."),
            records: counter("invoker_records_finish", "Activation records stored."),
            record_failures: counter(
                "invoker_records_error",
                "Writes of records that failed and were tried again.",
            ),
            ack_failures: counter(
                "invoker_acknowledgement_error",
                "Acknowledgements that no controller took.",
            ),
            event_failures: counter("invoker_events_error", "Events that could not be published."),
            rescheduled: counter("invoker_rescheduled_counter", "Activations given to another container."),
            cancelled: counter(
                "invoker_cancelled_counter",
                "Activations ended because somebody cancelled them.",
            ),
            lines_followed: counter(
                "invoker_followedLines_counter",
                "Log lines told while their activations ran, because somebody followed them.",
            ),
            active_count: gauge("containerPool_activeCount_counter", "Containers at work."),
            idle_count: gauge(
                "containerPool_idlesCount_counter",
                "Containers initialised and without work.",
            ),
            prewarm_count: gauge("containerPool_prewarmCount_counter", "Stem cells."),
            memory: gauge("containerPool_memory_counter", "MB of memory set aside for containers."),
            buffer_count: gauge(
                "containerPool_runBufferCount_counter",
                "Activations that wait for memory.",
            ),
        }
    }
}

/// The series of one action as called by one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    activations: IntCounter,
    cold_starts: IntCounter,
    wait: Histogram,
    init: Histogram,
    duration: Histogram,
    size: Histogram,
    status: [IntCounter; 4],
}

/// The series by namespace, initiator and action.
static KNOWN: LazyLock<Mutex<HashMap<[String; 3], Arc<Series>>>> = LazyLock::new(Mutex::default);

/// How many pairs of an action and a status of its own are told apart: the statuses are the users' to choose.
const OWN_STATUSES: usize = 1000;

/// Namespace, initiator and action, and the status.
type OwnStatus = ([String; 3], u16);

/// Counts a status that an action put into its result, where events tell of it. Actions without series have none here.
pub(crate) fn own_status(namespace: &str, initiator: &str, action: &str, status: u16) {
    static SEEN: LazyLock<Mutex<HashSet<OwnStatus>>> = LazyLock::new(Mutex::default);
    let key = [namespace, initiator, action].map(str::to_owned);
    {
        let known = KNOWN.lock().expect("no panic under this lock");
        if !known.contains_key(&key) {
            return;
        }
    }
    let mut seen = SEEN.lock().expect("no panic under this lock");
    let pair = (key, status);
    let told = seen.contains(&pair) || seen.len() < OWN_STATUSES && seen.insert(pair);
    let code = if told { status.to_string() } else { "other".to_owned() };
    User::get()
        .status_code
        .with_label_values(&[namespace, initiator, action, &code])
        .inc();
}

/// One ended activation, for its series. Times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub wait: u64,
    pub init: Option<u64>,
    pub duration: u64,
    pub size: Option<u64>,
    pub status: StatusCode,
}

/// Which series to use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub namespace: &'a str,
    pub initiator: &'a str,
    pub action: &'a str,
    pub kind: &'a str,
    pub memory_mb: u32,
}

impl Series {
    /// The series of an action, within a bound on their number; beyond it, those of the action `other`.
    pub fn of(labels: Labels<'_>, bound: usize) -> Option<Arc<Series>> {
        if bound == 0 {
            return None;
        }
        let mut known = KNOWN.lock().expect("no panic under this lock");
        let key = [labels.namespace, labels.initiator, labels.action].map(str::to_owned);
        if let Some(series) = known.get(&key) {
            return Some(series.clone());
        }
        let other = Labels {
            namespace: "other",
            initiator: "other",
            action: "other",
            ..labels
        };
        let (key, labels) = if known.len() < bound {
            (key, labels)
        } else {
            (["other"; 3].map(str::to_owned), other)
        };
        Some(
            known
                .entry(key)
                .or_insert_with(|| Arc::new(Series::new(labels)))
                .clone(),
        )
    }

    fn new(labels: Labels<'_>) -> Series {
        let user = User::get();
        let three = [labels.namespace, labels.initiator, labels.action];
        let memory = labels.memory_mb.to_string();
        let five = [labels.namespace, labels.initiator, labels.action, labels.kind, &memory];
        user.memory.with_label_values(&three).set(i64::from(labels.memory_mb));
        let status = |code: StatusCode| {
            user.status
                .with_label_values(&[labels.namespace, labels.initiator, labels.action, code.label()])
        };
        Series {
            activations: user.activations.with_label_values(&five),
            cold_starts: user.cold_starts.with_label_values(&three),
            wait: user.wait.with_label_values(&three),
            init: user.init.with_label_values(&three),
            duration: user.duration.with_label_values(&three),
            size: user.size.with_label_values(&three),
            status: [
                status(StatusCode::Success),
                status(StatusCode::ApplicationError),
                status(StatusCode::DeveloperError),
                status(StatusCode::WhiskError),
            ],
        }
    }

    pub fn observe(&self, sample: Sample) {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        self.activations.inc();
        self.wait.observe(seconds(sample.wait));
        self.duration.observe(seconds(sample.duration));
        if let Some(init) = sample.init {
            self.cold_starts.inc();
            self.init.observe(seconds(init));
        }
        if let Some(size) = sample.size {
            self.size.observe(size as f64);
        }
        self.status[sample.status as usize].inc();
    }
}

/// The families of the user metrics.
struct User {
    activations: IntCounterVec,
    cold_starts: IntCounterVec,
    wait: HistogramVec,
    init: HistogramVec,
    duration: HistogramVec,
    size: HistogramVec,
    memory: IntGaugeVec,
    status: IntCounterVec,
    status_code: IntCounterVec,
}

impl User {
    fn get() -> &'static User {
        static USER: LazyLock<User> = LazyLock::new(User::new);
        &USER
    }

    fn new() -> User {
        const THREE: [&str; 3] = ["namespace", "initiator", "action"];
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels);
            registered(family.expect("the description is well formed"))
        };
        let histograms = |name: &str, help: &str, buckets: &[f64]| {
            let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(HistogramVec::new(opts, &THREE).expect("the description is well formed"))
        };
        let seconds = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];
        let bytes = [64.0, 1024.0, 16384.0, 131_072.0, 1_048_576.0];
        let memory = Opts::new("openwhisk_action_memory", "Memory limit of the action in MB.");
        User {
            activations: counters(
                "openwhisk_action_activations_total",
                "Activations of the action.",
                &["namespace", "initiator", "action", "kind", "memory"],
            ),
            cold_starts: counters(
                "openwhisk_action_coldStarts_total",
                "Activations that initialised a container.",
                &THREE,
            ),
            wait: histograms(
                "openwhisk_action_waitTime_seconds",
                "From acceptance to the start of work.",
                &seconds,
            ),
            init: histograms(
                "openwhisk_action_initTime_seconds",
                "Time of initialisation, where there was one.",
                &seconds,
            ),
            duration: histograms(
                "openwhisk_action_duration_seconds",
                "Time of initialisation and run.",
                &seconds,
            ),
            size: histograms("openwhisk_action_response_size_bytes", "Length of the answer.", &bytes),
            memory: registered(IntGaugeVec::new(memory, &THREE).expect("the description is well formed")),
            status: counters(
                "openwhisk_action_status",
                "Activations by how they ended.",
                &["namespace", "initiator", "action", "status"],
            ),
            status_code: counters(
                "openwhisk_action_status_code",
                "Activations by the statusCode in their result; with user events only.",
                &["namespace", "initiator", "action", "status_code"],
            ),
        }
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    registered(IntCounter::new(name, help).expect("the description is well formed"))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    registered(IntGauge::new(name, help).expect("the description is well formed"))
}

/// Enters a series into the default registry.
fn registered<C: Collector + Clone + 'static>(collector: C) -> C {
    prometheus::register(Box::new(collector.clone())).expect("each name is registered once");
    collector
}
