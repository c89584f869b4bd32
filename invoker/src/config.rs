//! What an operator chooses about an invoker.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wsk_entities::{Architecture, LimitBounds, Namespace, StorePolicy};

/// Settings of one invoker. Times are milliseconds, sizes are what their names say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Number of this invoker; it takes work from the topic `invoker<id>`.
    pub id: u32,
    /// Name for people, part of the names of containers.
    pub name: String,
    /// Memory for the containers of actions, in MB. An activation that finds none waits for its turn.
    pub memory_mb: u32,
    /// Labels of this machine, which actions ask for in the annotation `invoker-resources`.
    pub labels: Vec<String>,
    /// Namespaces that this invoker is there for; it then runs nothing of others, and theirs runs nowhere else.
    pub dedicated_namespaces: Vec<Namespace>,
    /// What the containers run on, where it is not what this program was compiled for; such as a remote engine's.
    pub architecture: Option<Architecture>,
    /// Whether containers are made from any image, or only for what the manifest has a program for.
    #[serde(skip)]
    pub images: bool,
    /// `__OW_API_HOST` of actions; both shapes of the platform have a key of their own for it.
    #[serde(skip)]
    pub api_host: String,
    /// More environment of every container.
    pub env: Vec<(String, String)>,
    /// Time without work before a container is frozen; absent: containers are not frozen.
    pub pause_grace_ms: Option<u64>,
    /// Time a container is kept without work after that.
    pub idle_ms: u64,
    /// Whether stem cells of the manifest are held.
    pub prewarm: bool,
    /// Time between two looks at the stem cells; each is varied by up to a sixtieth.
    pub prewarm_check_ms: u64,
    /// Failed creations of a stem cell in a row before its kind is given up until the next look.
    pub prewarm_retries: u32,
    /// Containers that may be in the making at once; further ones wait their turn.
    pub parallel_starts: usize,
    /// Processors there are: so many containers are started at a time where it is not known that more are needed.
    #[serde(skip)]
    pub processors: usize,
    /// Times a container is asked for, when the failure may pass, before an activation fails.
    pub create_attempts: u32,
    /// Other containers an activation is given when one turned out to be shutting down.
    pub reschedules: u32,
    /// Activations taken from the bus and not yet recorded; further ones stay on the bus.
    pub max_in_flight: usize,
    /// Activations that may wait here for memory; when so many do, nothing more is taken from the bus.
    pub run_buffer: usize,
    /// Longest answer of an action that is passed on whole, in bytes.
    pub payload_limit: u64,
    /// How much of a longer answer is shown, in bytes.
    pub truncation_limit: u64,
    /// The ranges that limits of actions must lie in.
    #[serde(skip)]
    pub limits: LimitBounds,
    /// Code of recently started actions that is kept at hand, in bytes.
    pub code_cache_bytes: usize,
    /// Actions whose settings are kept at hand.
    pub action_cache: usize,
    /// Shortest time between two writes of records: so long may a record lag under load.
    pub record_interval_ms: u64,
    /// Most records in one write.
    pub record_batch: usize,
    /// Records that may wait to be written; when so many do, activations wait to be recorded and then to be taken.
    pub record_queue: usize,
    /// Size of the records that may wait to be written, in bytes; beyond it as for their number.
    pub record_queue_bytes: usize,
    /// Times an acknowledgement is offered to a full topic before it is given up; its record is not.
    pub ack_attempts: u32,
    /// Longest wait for the end of an activation's log, for each of the larger of 5 and its limit in MB.
    pub log_wait_ms: u64,
    /// How long the answer of a waiting caller may wait for the end of its log, so that one acknowledgement carries both; zero where
    /// a message costs nothing.
    #[serde(skip)]
    pub log_grace: Duration,
    /// Actions with a series of their own in the metrics of actions; further ones share the name `other`. 0: no such metrics.
    pub user_metrics: usize,
    /// Which records of activations that somebody waits for are kept; components of sequences count among them.
    pub store_blocking: StorePolicy,
    /// Which records of other activations are kept.
    pub store_non_blocking: StorePolicy,
    /// Whether every ended activation is told on the topic `events`.
    pub user_events: bool,
    /// Seed of the little randomness there is.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            id: 0,
            name: "invoker".to_owned(),
            memory_mb: 2048,
            labels: Vec::new(),
            dedicated_namespaces: Vec::new(),
            architecture: None,
            images: true,
            api_host: "http://127.0.0.1:3233".to_owned(),
            env: Vec::new(),
            pause_grace_ms: Some(10_000),
            idle_ms: 600_000,
            prewarm: true,
            prewarm_check_ms: 600_000,
            prewarm_retries: 5,
            parallel_starts: 10,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            create_attempts: 3,
            reschedules: 8,
            max_in_flight: 4096,
            run_buffer: 1024,
            payload_limit: 1_048_576,
            truncation_limit: 1_048_576,
            limits: LimitBounds::default(),
            code_cache_bytes: 4 << 20,
            action_cache: 512,
            record_interval_ms: 50,
            record_batch: 500,
            record_queue: 2048,
            record_queue_bytes: 64 << 20,
            ack_attempts: 20,
            log_wait_ms: 2000,
            log_grace: Duration::ZERO,
            user_metrics: 256,
            store_blocking: StorePolicy::StoreAlways,
            store_non_blocking: StorePolicy::StoreAlways,
            user_events: false,
            seed: 0,
        }
    }
}

impl Config {
    /// What each key means, for the reference of configuration.
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        (
            "id",
            "Number of this invoker; it takes work from the topic `invoker<id>`.",
        ),
        ("name", "Name for people, part of the names of containers."),
        (
            "memory_mb",
            "Memory for the containers of actions, in MB. An activation that finds none waits for its turn.",
        ),
        (
            "labels",
            "Labels of this machine, which actions ask for in the annotation `invoker-resources`.",
        ),
        (
            "dedicated_namespaces",
            "Namespaces that this invoker is there for; it then runs nothing of others, and theirs runs nowhere else.",
        ),
        (
            "architecture",
            "What the containers run on (`amd64`, `arm64`, `arm/v7`), where it is not what this program was compiled for.",
        ),
        ("env", "More environment of every container, pairs of name and value."),
        (
            "pause_grace_ms",
            "Milliseconds without work before a container is frozen.",
        ),
        ("idle_ms", "Milliseconds a container is kept without work after that."),
        ("prewarm", "Whether stem cells of the manifest are held."),
        ("prewarm_check_ms", "Milliseconds between two looks at the stem cells."),
        (
            "prewarm_retries",
            "Failed creations of a stem cell in a row before its kind is given up until the next look.",
        ),
        ("parallel_starts", "Containers that may be in the making at once."),
        (
            "create_attempts",
            "Times a container is asked for before an activation fails.",
        ),
        (
            "reschedules",
            "Other containers an activation is given when one turned out to be shutting down.",
        ),
        (
            "max_in_flight",
            "Activations taken from the bus and not yet recorded; further ones stay on the bus.",
        ),
        (
            "run_buffer",
            "Activations that may wait for memory; when so many do, nothing more is taken from the bus.",
        ),
        (
            "payload_limit",
            "Longest answer of an action that is passed on whole, in bytes.",
        ),
        ("truncation_limit", "How much of a longer answer is shown, in bytes."),
        (
            "code_cache_bytes",
            "Code of recently started actions that is kept at hand, in bytes.",
        ),
        ("action_cache", "Actions whose settings are kept at hand."),
        (
            "record_interval_ms",
            "Shortest milliseconds between two writes of records.",
        ),
        ("record_batch", "Most records in one write."),
        (
            "record_queue",
            "Records that may wait to be written; when so many do, activations wait.",
        ),
        (
            "record_queue_bytes",
            "Size of the records that may wait to be written, in bytes.",
        ),
        (
            "ack_attempts",
            "Times an acknowledgement is offered to a full topic before it is given up; its record is not.",
        ),
        (
            "log_wait_ms",
            "Longest wait in milliseconds for the end of an activation's log, for each of the larger of 5 and its limit in MB.",
        ),
        (
            "user_metrics",
            "Actions with a series of their own in the metrics; further ones share the name `other`.",
        ),
        (
            "store_blocking",
            "Which records of activations that somebody waits for, components included, are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`. A sequence that a crash interrupts cannot go on where the record of its component is not kept.",
        ),
        (
            "store_non_blocking",
            "Which records of other activations are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
        ),
        (
            "user_events",
            "Whether every ended activation is told on the topic `events`, in OpenWhisk's form.",
        ),
        ("seed", "Seed of the invoker's little randomness."),
    ];

    pub(crate) fn pause_grace(&self) -> Option<Duration> {
        self.pause_grace_ms.map(Duration::from_millis)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }
}
