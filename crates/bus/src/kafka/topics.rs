//! How a topic is made: one partition, and OpenWhisk's retention by its name.

use rdkafka::admin::{NewTopic, TopicReplication};

/// Largest message of topics that carry parameters or results: the largest payload and what goes around it. Upstream's rule.
const LARGE: &str = "1054644";

/// Kind of a topic by its name, without the operator's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// What must not be lost, until it is done; ours also the promises of compositions.
    Work,
    Answers,
    Invalidation,
    Other,
}

fn purpose(name: &str) -> Purpose {
    let numbered = |word: &str| name.strip_prefix(word).is_some_and(|rest| !rest.is_empty());
    if ["invoker", "scheduler", "owed"].into_iter().any(numbered) {
        Purpose::Work
    } else if numbered("completed") {
        Purpose::Answers
    } else if name == crate::messages::CACHE_INVALIDATION {
        Purpose::Invalidation
    } else {
        Purpose::Other
    }
}

/// What the broker is asked to make. `full` is the name with its prefix, `name` the one without.
pub(super) fn new_topic<'a>(full: &'a str, name: &str, replication: i32) -> NewTopic<'a> {
    let (retention, large) = match purpose(name) {
        Purpose::Work => ("172800000", true),
        Purpose::Answers => ("3600000", true),
        Purpose::Invalidation => ("300000", false),
        Purpose::Other => ("3600000", false),
    };
    let topic = NewTopic::new(full, 1, TopicReplication::Fixed(replication))
        .set("retention.ms", retention)
        .set("retention.bytes", "1073741824")
        .set("segment.bytes", "536870912");
    if large {
        topic.set("max.message.bytes", LARGE)
    } else {
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_known_by_their_names() {
        assert_eq!(purpose("invoker12"), Purpose::Work);
        assert_eq!(purpose("scheduler0"), Purpose::Work);
        assert_eq!(purpose("completed0"), Purpose::Answers);
        assert_eq!(purpose("cacheInvalidation"), Purpose::Invalidation);
        assert_eq!(purpose("health"), Purpose::Other);
        assert_eq!(purpose("invoker"), Purpose::Other);
    }
}
