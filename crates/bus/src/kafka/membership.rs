//! A member of a topic's group: the library's consumer, with an end to every wait for the brokers. Two of its own waits have
//! none: that for the answer to a commit, and that for the end of a membership. Where the answer is lost a reader
//! would stand still in them, while the library goes on to tell the brokers that its member is well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::offsets::Place;

/// How often the group is asked for a commit. Questions come to it after the commit, so one is enough unless it moves meanwhile.
const LOOKS: usize = 3;

pub(super) type Membership = BaseConsumer<Told>;

/// What the group told this member.
#[derive(Default)]
pub(super) struct Told {
    /// The topic was given to it or taken from it.
    pub(super) changed: AtomicBool,
}

impl ClientContext for Told {}

impl ConsumerContext for Told {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Error(error) = rebalance {
            tracing::error!(%error, "the members of a topic cannot be agreed on");
        }
        self.changed.store(true, Ordering::Release);
    }
}

/// Says how far the group is on a topic, without waiting for the answer.
pub(super) fn commit(member: &Membership, topic: &str, place: &Place) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    let mut element = list.add_partition(topic, 0);
    element.set_offset(Offset::Offset(place.offset))?;
    element.set_metadata(place.metadata());
    member.commit(&list, CommitMode::Async)
}

/// The same, and returns when the group has it. It is asked for by name, since the library tells no answers to commits that it does
/// not wait for; no question is answered later than `patience`.
pub(super) fn commit_surely(member: &Membership, topic: &str, place: &Place, patience: Duration) -> KafkaResult<()> {
    commit(member, topic, place)?;
    let is_ours = |list: &TopicPartitionList| {
        let elements = list.elements();
        let found = elements
            .first()
            .map(|found| (found.offset(), found.metadata() == place.metadata()));
        found == Some((Offset::Offset(place.offset), true))
    };
    for _ in 0..LOOKS {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        if is_ours(&member.committed_offsets(asked, patience)?) {
            return Ok(());
        }
    }
    // It was answered, and not with ours: only a group whose members are being agreed on anew refuses it.
    Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress))
}

/// Ends a membership. Where that takes longer than `patience` it goes on by itself.
pub(super) fn part(member: Membership, topic: &str, patience: Duration) {
    let (done, ended) = mpsc::channel();
    let parting = std::thread::Builder::new().name("bus-parting".to_owned());
    let started = parting.spawn(move || {
        drop(member);
        // Nobody waits for it any more where this fails.
        let _ = done.send(());
    });
    match started {
        Ok(_) if ended.recv_timeout(patience).is_ok() => {}
        Ok(_) => tracing::warn!(
            topic,
            "a membership with Kafka does not end in time; it is left to end by itself"
        ),
        Err(error) => tracing::error!(topic, %error, "no thread to end a membership with Kafka in"),
    }
}
