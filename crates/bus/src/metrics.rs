//! Metrics of the bus.

use crate::in_process::Topic;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec, Opts};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::Duration;

/// Messages refused because their topic was full.
pub(crate) static REFUSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_refused_total",
        "Messages refused because their topic was full.",
    )
});

/// Messages given back by their consumer.
pub(crate) static REDELIVERED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_redelivered_total",
        "Messages that come again: not committed, or restored.",
    )
});

/// Broadcast messages lost to slow groups.
pub(crate) static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_dropped_total",
        "Broadcast messages that a slow group lost.",
    )
});

/// Messages that Kafka does not have any more.
#[cfg(feature = "kafka")]
pub(crate) static LOST: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_lost_total",
        "Messages that Kafka deleted before they were read or done.",
    )
});

/// Writes of the journal that failed.
pub(crate) static JOURNAL_FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_journal_failures_total",
        "Group writes of the journal that failed.",
    )
});

static JOURNAL_MESSAGES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "ferrowhisk_bus_journal_messages_total",
        "Messages made durable by the journal.",
    )
});

static JOURNAL_WRITES: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = vec![0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
    let (name, help) = (
        "ferrowhisk_bus_journal_write_seconds",
        "Time of one group write with its fdatasync.",
    );
    prometheus::register_histogram!(name, help, buckets).expect("registered once")
});

static JOURNAL_BYTES: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("ferrowhisk_bus_journal_bytes", "Bytes that the journal takes on disk."));

static JOURNAL_LIVE: LazyLock<IntGauge> = LazyLock::new(|| {
    gauge(
        "ferrowhisk_bus_journal_live_messages",
        "Durable messages that are not committed.",
    )
});

/// One group write.
pub(crate) fn journal_write(took: Duration, messages: usize) {
    JOURNAL_WRITES.observe(took.as_secs_f64());
    JOURNAL_MESSAGES.inc_by(messages as u64);
}

/// The state of the journal after a group.
pub(crate) fn journal_size(bytes: u64, live: usize) {
    JOURNAL_BYTES.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    JOURNAL_LIVE.set(i64::try_from(live).unwrap_or(i64::MAX));
}

/// Topics to show the depth of. Asked when the page is made, so that a message costs nothing here.
struct Depths {
    gauge: IntGaugeVec,
    topics: Mutex<Vec<Weak<Topic>>>,
}

static DEPTHS: LazyLock<Arc<Depths>> = LazyLock::new(|| {
    let options = Opts::new("ferrowhisk_bus_waiting_messages", "Messages waiting on a topic.");
    let gauge = IntGaugeVec::new(options, &["topic"]).expect("a good name");
    let depths = Arc::new(Depths {
        gauge,
        topics: Mutex::default(),
    });
    prometheus::register(Box::new(Shown(depths.clone()))).expect("registered once");
    depths
});

struct Shown(Arc<Depths>);

/// Shows a topic's depth as long as the topic lives.
pub(crate) fn show_depth(topic: &Arc<Topic>) {
    let mut topics = DEPTHS.topics.lock().expect("no panic under this lock");
    topics.retain(|topic| topic.strong_count() > 0);
    topics.push(Arc::downgrade(topic));
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.0.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Depths { gauge, topics } = &*self.0;
        gauge.reset();
        for topic in topics
            .lock()
            .expect("no panic under this lock")
            .iter()
            .filter_map(Weak::upgrade)
        {
            let depth = i64::try_from(topic.depth()).unwrap_or(i64::MAX);
            // Several buses of one process (simulations) may have a topic of the same name.
            gauge.with_label_values(&[topic.name()]).add(depth);
        }
        gauge.collect()
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    prometheus::register_int_counter!(name, help).expect("registered once")
}

fn gauge(name: &str, help: &str) -> IntGauge {
    prometheus::register_int_gauge!(name, help).expect("registered once")
}

#[cfg(test)]
mod tests {
    use crate::{Config, Durability, Key, Message, TopicConfig};

    #[tokio::test]
    async fn the_depth_of_a_topic_is_shown_while_it_lives() {
        let shown = || {
            let families = prometheus::gather();
            let family = families
                .iter()
                .find(|family| family.name() == "ferrowhisk_bus_waiting_messages");
            let metrics = family.map(|family| family.get_metric().to_vec()).unwrap_or_default();
            let ours = metrics
                .iter()
                .find(|metric| metric.get_label()[0].value() == "metrics-test");
            ours.map(|metric| metric.get_gauge().get_value())
        };
        let bus = crate::open(&Config::default()).unwrap();
        bus.ensure_topic(&TopicConfig::queue("metrics-test")).await.unwrap();
        assert_eq!(shown(), Some(0.0));
        bus.publish("metrics-test", Message::bytes(Key::None, ""), Durability::Volatile)
            .await
            .unwrap();
        assert_eq!(shown(), Some(1.0));
        drop(bus);
        assert_eq!(shown(), None);
    }
}
