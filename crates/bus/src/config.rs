//! What an operator chooses about the bus.

#[cfg(feature = "kafka")]
mod kafka;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[cfg(feature = "kafka")]
pub use kafka::{Kafka, Mechanism, Sasl, Secret, Tls, Topics};

/// Which adapter carries the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(
    feature = "kafka",
    expect(clippy::large_enum_variant, reason = "there is one, read at the start")
)]
pub enum Config {
    /// Everything in this process; the shape for standalone, tests and simulations.
    InProcess(InProcess),
    /// Apache Kafka, 2.6 or later; the shape for more than one machine.
    #[cfg(feature = "kafka")]
    Kafka(Kafka),
}

/// Options of the in-process bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InProcess {
    /// Where and how durable messages are kept. Without it they live as long as the process.
    pub journal: Option<Journal>,
}

/// The journal of durable messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Folder of the journal's segment files; made when missing. One process at a time.
    pub dir: PathBuf,
    /// Size of one segment file in bytes. Disk space comes back a segment at a time.
    pub segment_bytes: u64,
    /// Most bytes that the journal may hold; beyond it durable publishes answer [`crate::Error::JournalFull`].
    pub max_bytes: u64,
    /// Most durable publishes that wait for the writer; more wait their turn without failing.
    pub queue: usize,
}

/// How a topic shares its messages out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Each message to one subscriber; kept until committed.
    Queue,
    /// Each message to every group subscribed at that moment.
    Broadcast,
}

/// A topic and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Name, as in OpenWhisk: `invoker0`, `completed0`, `health`, ...
    pub name: String,
    /// How messages are shared out.
    pub kind: TopicKind,
    /// Most messages that may wait (of a broadcast: per group).
    pub max_messages: usize,
    /// Most bytes that may wait (of a broadcast: per group), after [`crate::Message::size`].
    pub max_bytes: usize,
}

impl Config {
    /// Whether several services can share it, as those of a cluster do, with messages that hold payloads of so many bytes, as
    /// `key` says; if not, what to configure.
    #[cfg(feature = "kafka")]
    pub fn check_shared(&self, key: &str, payload: u64) -> Result<(), String> {
        match self {
            Config::InProcess(_) => Err(
                "`bus.type` is `in_process`, which is for one process alone: a cluster's services share a `kafka`"
                    .to_owned(),
            ),
            Config::Kafka(kafka) => kafka.check(key, payload),
        }
    }

    /// What each key means, for the reference of configuration.
    #[cfg(feature = "kafka")]
    pub const DOCS: &'static [(&'static str, &'static str)] = kafka::DOCS;

    /// The shape of a cluster: Kafka with its defaults.
    #[cfg(feature = "kafka")]
    pub fn cluster() -> Self {
        Self::Kafka(Kafka::default())
    }

    /// Gives this process its name among the members of a cluster, where the operator gave it none.
    #[must_use]
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "only Kafka has members"))]
    pub fn named(self, instance: &str) -> Self {
        match self {
            Self::InProcess(config) => Self::InProcess(config),
            #[cfg(feature = "kafka")]
            Self::Kafka(config) if config.instance.is_empty() => Self::Kafka(Kafka {
                instance: instance.to_owned(),
                ..config
            }),
            #[cfg(feature = "kafka")]
            Self::Kafka(config) => Self::Kafka(config),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::InProcess(InProcess::default())
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("journal"),
            segment_bytes: 16 << 20,
            max_bytes: 512 << 20,
            queue: 4096,
        }
    }
}

impl TopicConfig {
    /// A queue with the usual bounds: 100,000 messages, 128 MiB. A burst that was accepted waits here, however slow the actions.
    pub fn queue(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: TopicKind::Queue,
            max_messages: 100_000,
            max_bytes: 128 << 20,
        }
    }

    /// A broadcast with the usual bounds: 1,000 messages, 1 MiB per group.
    pub fn broadcast(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: TopicKind::Broadcast,
            max_messages: 1_000,
            max_bytes: 1 << 20,
        }
    }
}
