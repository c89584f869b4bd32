//! How a topic is made, OpenWhisk's retention by its name, and whether one that is there already will do.

use std::collections::HashMap;

use rdkafka::admin::{NewTopic, TopicReplication};

use crate::config::Kafka;

/// What brokers take at most where a topic does not say otherwise, unless they were told to take less.
const BROKERS_OWN: u64 = 1_048_588;

/// Kind of a topic by its name, without the operator's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// What must not be lost, until it is done; ours also the promises of compositions, and what waits for another place.
    Work,
    Answers,
    Invalidation,
    Other,
}

/// A topic as it is at the brokers.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: usize,
    /// Fewest copies of a partition.
    pub(super) copies: usize,
    /// Its settings, as far as this user may see them.
    pub(super) settings: HashMap<String, String>,
}

fn purpose(name: &str) -> Purpose {
    let numbered = |word: &str| name.strip_prefix(word).is_some_and(|rest| !rest.is_empty());
    if ["invoker", "scheduler", "owed"].into_iter().any(numbered) || name == crate::messages::ELSEWHERE {
        Purpose::Work
    } else if numbered("completed") {
        Purpose::Answers
    } else if name == crate::messages::CACHE_INVALIDATION {
        Purpose::Invalidation
    } else {
        Purpose::Other
    }
}

impl Purpose {
    /// How long its messages are kept, in milliseconds, and the key that says so.
    fn retention(self, config: &Kafka) -> (u64, &'static str) {
        let topics = &config.topics;
        match self {
            Self::Work => (topics.work_retention_ms, "bus.topics.work_retention_ms"),
            Self::Answers => (topics.answers_retention_ms, "bus.topics.answers_retention_ms"),
            Self::Invalidation => (topics.invalidation_retention_ms, "bus.topics.invalidation_retention_ms"),
            Self::Other => (topics.other_retention_ms, "bus.topics.other_retention_ms"),
        }
    }

    /// How many bytes of messages are kept; -1 is all: what is not done is not for the brokers to drop.
    fn retention_bytes(self, config: &Kafka) -> i64 {
        match self {
            Self::Work => -1,
            Self::Answers | Self::Invalidation | Self::Other => {
                i64::try_from(config.topics.retention_bytes).unwrap_or(i64::MAX)
            }
        }
    }

    /// Whether its messages carry parameters or results.
    fn large(self) -> bool {
        match self {
            Self::Work | Self::Answers => true,
            Self::Invalidation | Self::Other => false,
        }
    }
}

/// The largest message that a topic takes, in bytes and with what Kafka puts around it.
pub(super) fn largest(name: &str, config: &Kafka) -> u64 {
    if purpose(name).large() {
        config.topics.max_message_bytes
    } else {
        BROKERS_OWN
    }
}

/// Whether a topic keeps what is not finished however much that is, and what is finished has to be taken off it.
pub(super) fn keeps_all(name: &str) -> bool {
    purpose(name) == Purpose::Work
}

/// Why a topic cannot be made with so many copies.
pub(super) fn too_few_brokers(full: &str, config: &Kafka) -> String {
    format!(
        "topic `{full}` cannot have `bus.replication` = {} copies, since fewer brokers are up; start more of them, or lower the key",
        config.replication
    )
}

/// Why a topic cannot be made with such settings; the brokers do not say which of them it is.
pub(super) fn unwelcome(full: &str, settings: &[(&'static str, String)]) -> String {
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "the brokers do not make topic `{full}` with {}; one of the keys of `bus.topics` is outside of what they take",
        settings.join(" ")
    )
}

/// What the broker is asked to make: one partition, for order. `full` is the name with its prefix, `name` the one without.
pub(super) fn new_topic(full: &str, name: &str, config: &Kafka) -> Vec<(&'static str, String)> {
    let (topics, purpose) = (&config.topics, purpose(name));
    let mut settings = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", purpose.retention(config).0.to_string()),
        ("retention.bytes", purpose.retention_bytes(config).to_string()),
        ("segment.bytes", topics.segment_bytes.to_string()),
    ];
    if purpose.large() {
        settings.push(("max.message.bytes", topics.max_message_bytes.to_string()));
    }
    tracing::debug!(topic = full, "a topic is declared");
    settings
}

/// The request for [`new_topic`]'s settings.
pub(super) fn request<'a>(full: &'a str, settings: &'a [(&'static str, String)], replication: i32) -> NewTopic<'a> {
    let topic = NewTopic::new(full, 1, TopicReplication::Fixed(replication));
    settings
        .iter()
        .fold(topic, |topic, (name, value)| topic.set(name, value))
}

/// Whether a topic that is there keeps what must be kept, in order; the text says what to do.
pub(super) fn fits(full: &str, name: &str, config: &Kafka, found: &Found) -> Result<(), String> {
    if found.partitions == 0 {
        // So new that the brokers do not tell of it yet: whoever made it just now did so as we would.
        return Ok(());
    }
    if found.partitions != 1 {
        return Err(format!(
            "topic `{full}` has {} partitions, but only one keeps the order of messages; delete it so that it is made anew, or choose another `bus.topic_prefix`",
            found.partitions
        ));
    }
    if found.copies < usize::try_from(config.replication).unwrap_or(0) {
        return Err(format!(
            "topic `{full}` has fewer copies ({}) than `bus.replication` = {}; add copies with kafka-reassign-partitions, or lower the key",
            found.copies, config.replication
        ));
    }
    let alter =
        |setting: &str, value: u64| format!("kafka-configs --alter --topic {full} --add-config {setting}={value}");
    if let Some(policy) = found
        .settings
        .get("cleanup.policy")
        .filter(|policy| policy.contains("compact"))
    {
        return Err(format!(
            "topic `{full}` has cleanup.policy={policy}, which drops messages that are not done; run kafka-configs --alter --topic {full} --add-config cleanup.policy=delete, or choose another `bus.topic_prefix`"
        ));
    }
    let number = |setting: &str| found.settings.get(setting).and_then(|value| value.parse::<i64>().ok());
    let short = |has: i64, wanted: u64| u64::try_from(has).is_ok_and(|has| has < wanted);
    let (retention, key) = purpose(name).retention(config);
    if let Some(has) = number("retention.ms").filter(|has| short(*has, retention)) {
        return Err(format!(
            "topic `{full}` keeps messages for {has} ms, less than `{key}` = {retention}; run {}, or lower the key",
            alter("retention.ms", retention)
        ));
    }
    if let Some(has) = number("retention.bytes").filter(|has| keeps_all(name) && *has >= 0) {
        return Err(format!(
            "topic `{full}` keeps {has} bytes of messages, and drops what is above that although it is not done; run kafka-configs --alter --topic {full} --add-config retention.bytes=-1, or choose another `bus.topic_prefix`"
        ));
    }
    let largest = config.topics.max_message_bytes;
    if let Some(has) = number("max.message.bytes").filter(|has| purpose(name).large() && short(*has, largest)) {
        return Err(format!(
            "topic `{full}` takes messages of {has} bytes, fewer than `bus.topics.max_message_bytes` = {largest}; run {}, or lower the key",
            alter("max.message.bytes", largest)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_known_by_their_names() {
        for (name, known) in [
            ("invoker12", Purpose::Work),
            ("scheduler0", Purpose::Work),
            ("owed0", Purpose::Work),
            ("owed0-cancels", Purpose::Work),
            (crate::messages::ELSEWHERE, Purpose::Work),
            ("completed0", Purpose::Answers),
            (crate::messages::CACHE_INVALIDATION, Purpose::Invalidation),
            (crate::messages::HEALTH, Purpose::Other),
            (crate::messages::EVENTS, Purpose::Other),
            (crate::messages::CONTROL, Purpose::Other),
            (crate::messages::INSTANCES, Purpose::Other),
            ("printed0", Purpose::Other),
            ("invoker", Purpose::Other),
        ] {
            assert_eq!(purpose(name), known, "{name}");
        }
    }

    #[test]
    fn topics_are_made_with_the_originals_retention() {
        let config = Kafka::default();
        let of = |name| HashMap::<_, _>::from_iter(new_topic(name, name, &config));
        assert_eq!(of("invoker0")["retention.ms"], "172800000");
        assert_eq!(of("invoker0")["retention.bytes"], "-1", "what is not done is kept");
        assert_eq!(of("completed0")["retention.bytes"], "1073741824");
        assert_eq!(of("elsewhere"), of("invoker0"), "it takes what invokers leave");
        assert_eq!(of("owed0"), of("invoker0"));
        assert_eq!(of("completed0")["retention.ms"], "3600000");
        assert_eq!(of("cacheInvalidation")["retention.ms"], "300000");
        assert_eq!(of("invoker0")["max.message.bytes"], "1054644");
        assert!(!of("health").contains_key("max.message.bytes"));
    }

    #[test]
    fn what_carries_payloads_takes_larger_messages() {
        let config = Kafka::default();
        for (name, bytes) in [
            ("elsewhere", 1_054_644),
            ("owed0-cancels", 1_054_644),
            ("completed0", 1_054_644),
            ("events", 1_048_588),
        ] {
            assert_eq!(largest(name, &config), bytes, "{name}");
        }
    }

    fn found(settings: &[(&str, &str)]) -> Found {
        Found {
            partitions: 1,
            copies: 1,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_topic_that_will_not_do_is_refused_with_what_to_do() {
        let config = Kafka::default();
        let three = Found {
            partitions: 3,
            ..found(&[])
        };
        let cases = [
            (three, "has 3 partitions"),
            (
                found(&[("cleanup.policy", "compact,delete")]),
                "--add-config cleanup.policy=delete",
            ),
            (
                found(&[("retention.ms", "60000")]),
                "less than `bus.topics.work_retention_ms` = 172800000",
            ),
            (
                found(&[("retention.bytes", "1073741824")]),
                "--topic p_invoker0 --add-config retention.bytes=-1",
            ),
            (
                found(&[("max.message.bytes", "1000")]),
                "fewer than `bus.topics.max_message_bytes`",
            ),
        ];
        for (found, text) in cases {
            let error = fits("p_invoker0", "invoker0", &config, &found).unwrap_err();
            assert!(error.contains(text) && error.contains("p_invoker0"), "{error}");
        }
        let more = Kafka {
            replication: 3,
            ..config.clone()
        };
        assert!(
            fits("health", "health", &more, &found(&[]))
                .unwrap_err()
                .contains("`bus.replication` = 3")
        );
        assert_eq!(
            fits("health", "health", &more, &Found::default()),
            Ok(()),
            "it is being made"
        );
        let elsewhere = found(&[("retention.ms", "3600000")]);
        assert!(
            fits("elsewhere", "elsewhere", &config, &elsewhere)
                .unwrap_err()
                .contains("--topic elsewhere --add-config retention.ms=172800000")
        );
        let kept = found(&[
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "delete"),
            ("max.message.bytes", "2000000"),
        ]);
        assert_eq!(fits("invoker0", "invoker0", &config, &kept), Ok(()));
        assert_eq!(
            fits("health", "health", &config, &found(&[("max.message.bytes", "1000")])),
            Ok(())
        );
        let bounded = found(&[("retention.bytes", "1000")]);
        assert_eq!(fits("completed0", "completed0", &config, &bounded), Ok(()));
    }
}
