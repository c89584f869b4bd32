//! What an operator chooses about Kafka.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Options of the bus on Kafka.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Encryption.
    pub tls: Tls,
    /// Who this process says it is to the brokers.
    pub sasl: Sasl,
    /// How topics are made.
    pub topics: Topics,
    /// Further settings of librdkafka by their names. What has a key of its own is refused here.
    #[serde(serialize_with = "hide")]
    pub properties: BTreeMap<String, String>,
}

/// Encryption of the connections to the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether the brokers are spoken to over TLS.
    pub enabled: bool,
    /// The authorities that may have signed the brokers' certificates, PEM; without it those of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Certificate that this process shows, PEM, the intermediate ones behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Password of the private key.
    pub key_password: Secret,
    /// Whether a broker's certificate must name the host that was connected to.
    pub verify_host: bool,
}

/// Authentication by name and password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sasl {
    /// How the password is proved; without it the brokers are not told who this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<Mechanism>,
    /// User.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// How a password is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// By sending it: over TLS only.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By a challenge that does not give it away.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// How topics are made. A topic that is there already must keep its messages as long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// How long what was accepted and is not done yet is kept, in milliseconds: `invoker...`, `owed...`,
    /// `elsewhere`, `scheduler...`.
    pub work_retention_ms: u64,
    /// How long results on their way to a controller are kept: `completed...`.
    pub answers_retention_ms: u64,
    /// How long it is kept what was changed: `cacheInvalidation`.
    pub invalidation_retention_ms: u64,
    /// How long everything else is kept: `health`, `events`, ...
    pub other_retention_ms: u64,
    /// Most bytes that a topic keeps, other than one of accepted work.
    pub retention_bytes: u64,
    /// Size of a segment file in bytes; space comes back a segment at a time.
    pub segment_bytes: u64,
    /// Largest message of accepted work and of results, in bytes.
    pub max_message_bytes: u64,
}

/// A text that never shows itself: not in logs, not where a configuration is printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What a secret shows instead of itself.
const HIDDEN: &str = "(secret)";

/// What each key means.
pub(super) const DOCS: &[(&str, &str)] = &[
    ("type", "`kafka`."),
    ("brokers", "Addresses to begin with, `host:port` separated by commas."),
    (
        "instance",
        "Name of this process among its peers; made from its number when empty.",
    ),
    (
        "topic_prefix",
        "Put before every topic's name; letters, digits, `.`, `_` and `-`.",
    ),
    (
        "replication",
        "Copies of each topic that is made; a topic that is there must have as many.",
    ),
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
    ("tls.enabled", "Whether the brokers are spoken to over TLS."),
    (
        "tls.ca_file",
        "PEM file of the authorities that may have signed the brokers' certificates; without it those of this machine.",
    ),
    (
        "tls.certificate_file",
        "PEM file of the certificate that this process shows, for brokers that ask for one.",
    ),
    ("tls.key_file", "PEM file of that certificate's private key."),
    ("tls.key_password", "Password of the private key; never shown."),
    (
        "tls.verify_host",
        "Whether a broker's certificate must name the host that was connected to.",
    ),
    (
        "sasl.mechanism",
        "How the password is proved: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; without it there is no authentication.",
    ),
    ("sasl.username", "User that this process is to the brokers."),
    ("sasl.password", "That user's password; never shown."),
    (
        "topics.work_retention_ms",
        "How long topics of accepted work (`invoker...`, `owed...`, `elsewhere`) keep a message, in milliseconds; a topic that is there must keep it as long.",
    ),
    (
        "topics.answers_retention_ms",
        "The same of results on their way to a controller (`completed...`).",
    ),
    ("topics.invalidation_retention_ms", "The same of `cacheInvalidation`."),
    (
        "topics.other_retention_ms",
        "The same of all other topics (`health`, `events`, ...).",
    ),
    (
        "topics.retention_bytes",
        "Most bytes that a topic keeps; one of accepted work keeps all that is not done.",
    ),
    (
        "topics.segment_bytes",
        "Size of a segment file of a topic that is made, in bytes.",
    ),
    (
        "topics.max_message_bytes",
        "Largest message of accepted work and of results, in bytes; must hold the largest payload and 6,068 bytes more.",
    ),
    (
        "properties",
        "Further settings of librdkafka by their names, such as `socket.keepalive.enable`; what has a key of its own is refused here.",
    ),
];

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; every call is a place to look at twice.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { HIDDEN }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("instance", &self.instance)
            .field("topic_prefix", &self.topic_prefix)
            .field("tls", &self.tls)
            .field("sasl", &self.sasl)
            .finish_non_exhaustive()
    }
}

impl Mechanism {
    /// Its name, as brokers know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

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
            tls: Tls::default(),
            sasl: Sasl::default(),
            topics: Topics::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            enabled: false,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            key_password: Secret::default(),
            verify_host: true,
        }
    }
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            work_retention_ms: 48 * 60 * 60 * 1000,
            answers_retention_ms: 60 * 60 * 1000,
            invalidation_retention_ms: 5 * 60 * 1000,
            other_retention_ms: 60 * 60 * 1000,
            retention_bytes: 1 << 30,
            segment_bytes: 512 << 20,
            max_message_bytes: 1_048_576 + 6_068,
        }
    }
}

/// What a message has beside the payload, in bytes, as OpenWhisk counts it.
const OVERHEAD: u64 = 6068;

impl Kafka {
    pub(super) fn check(&self, key: &str, payload: u64) -> Result<(), String> {
        let zero = [
            ("bus.session_timeout_ms", self.session_timeout_ms),
            ("bus.timeout_ms", self.timeout_ms),
            ("bus.topics.segment_bytes", self.topics.segment_bytes),
        ];
        if let Some((key, _)) = zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(format!("`{key}` is 0; it has to be 1 or more"));
        }
        let least = payload.saturating_add(OVERHEAD);
        match self.topics.max_message_bytes < least {
            true => Err(format!(
                "`bus.topics.max_message_bytes` is {}, too little for payloads of {payload} bytes (`{key}`); make it {least} or more",
                self.topics.max_message_bytes
            )),
            false => Ok(()),
        }
    }
}

/// Names alone: a value may be a secret, whatever its name is, and a name may be misspelt.
fn hide<S: serde::Serializer>(properties: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(properties.keys().map(|name| (name, HIDDEN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_is_not_shown() {
        let mut kafka = Kafka::default();
        kafka.tls.key_password = Secret::new("hush");
        kafka.sasl.password = Secret::new("hush");
        kafka
            .properties
            .insert("ssl.keystore.password".to_owned(), "hush".to_owned());
        kafka
            .properties
            .insert("socket.keepalive.enable".to_owned(), "true".to_owned());
        let printed = serde_json::to_string(&kafka).unwrap();
        assert!(!printed.contains("hush"), "{printed}");
        assert!(printed.contains(r#""socket.keepalive.enable":"(secret)""#), "{printed}");
        assert!(!format!("{kafka:?}").contains("hush"));
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        assert_eq!(
            Kafka::default().check("controller.max_payload_bytes", 1_048_576),
            Ok(())
        );
        for (spoil, key) in [
            (
                (|kafka| kafka.session_timeout_ms = 0) as fn(&mut Kafka),
                "`bus.session_timeout_ms`",
            ),
            (|kafka| kafka.timeout_ms = 0, "`bus.timeout_ms`"),
            (|kafka| kafka.topics.segment_bytes = 0, "`bus.topics.segment_bytes`"),
            (
                |kafka| kafka.topics.max_message_bytes = 1000,
                "`bus.topics.max_message_bytes` is 1000",
            ),
        ] {
            let mut kafka = Kafka::default();
            spoil(&mut kafka);
            let error = kafka.check("controller.max_payload_bytes", 1_048_576).unwrap_err();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
