//! What an operator chooses about the bus.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which adapter carries the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
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

/// Options of the bus on Kafka.
#[cfg(feature = "kafka")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Addresses to begin with, `host:port` separated by commas.
    pub brokers: String,
    /// Who this process is, such as `invoker0`. Two processes of one name take each other's subscriptions away, and the one
    /// that loses says so.
    pub instance: String,
    /// Put before every topic's name.
    pub topic_prefix: String,
    /// Copies of each topic that is made; with three, `min.insync.replicas=2` on the brokers keeps what was accepted
    /// through the loss of one.
    pub replication: i32,
    /// Longest wait for the brokers' word on one operation, in milliseconds.
    pub timeout_ms: u64,
    /// Time after which a member that is silent loses its subscription to another, in milliseconds.
    pub session_timeout_ms: u64,
    /// Messages of one topic that this process fetches ahead of its consumers.
    pub fetch_ahead: usize,
    /// Further settings of librdkafka by their names, such as `security.protocol`, `ssl.ca.location`, `sasl.username`.
    pub properties: std::collections::BTreeMap<String, String>,
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
    /// What each key means, for the reference of configuration.
    #[cfg(feature = "kafka")]
    pub const DOCS: &'static [(&'static str, &'static str)] = &[
        ("type", "`kafka`."),
        ("brokers", "Addresses to begin with, `host:port` separated by commas."),
        (
            "instance",
            "Name of this process among its peers; made from its number when empty.",
        ),
        ("topic_prefix", "Put before every topic's name."),
        ("replication", "Copies of each topic that is made."),
        (
            "timeout_ms",
            "Longest wait for the brokers' word on one operation, in milliseconds.",
        ),
        (
            "session_timeout_ms",
            "Time after which a member that is silent loses its subscription to another, in milliseconds.",
        ),
        (
            "fetch_ahead",
            "Messages of one topic that this process fetches ahead of its consumers.",
        ),
        (
            "properties",
            "Further settings of librdkafka by their names, such as `security.protocol` or `sasl.username`.",
        ),
    ];

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

#[cfg(feature = "kafka")]
impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            instance: String::new(),
            topic_prefix: String::new(),
            replication: 1,
            timeout_ms: 30_000,
            session_timeout_ms: 10_000,
            fetch_ahead: 2_000,
            properties: std::collections::BTreeMap::new(),
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
