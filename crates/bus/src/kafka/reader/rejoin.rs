//! When a reader has to be another member of its group: because the group has turned it out, or has forgotten it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;

use super::super::ANSWER;
use super::super::log::Joining;
use super::super::membership::{self, Told};
use super::super::settings;
use super::super::vigil::Vigil;
use super::{LOOK, Reader};
use crate::{Error, TopicKind};

/// How long after the end of a session the brokers may still count its member.
const MARGIN: Duration = Duration::from_secs(2);

impl Reader {
    /// Begins anew after the group has turned this member out. Kafka says "fenced" when another process of our name has come,
    /// and also to a member whose own request to join was answered twice, after a silence of the brokers. So the first time our
    /// place is taken back at once; one that takes it away again soon is alive, and has it when our session would be over.
    pub(super) fn join_again(&mut self) -> Result<(), Error> {
        let (shared, log) = (self.shared.clone(), self.log.clone());
        let failed = |error: KafkaError| shared.error("take a subscription to", &log.name, &error);
        self.be_another().map_err(failed)?;
        let session = Duration::from_millis(self.shared.config.session_timeout_ms) + MARGIN;
        let again = self.joined_again.is_some_and(|before| before.elapsed() < session);
        if again && self.is_usurped(session) {
            return Err(Error::Configuration(format!(
                "another process is called {} as well, or has taken its place; give each its own name",
                self.shared.config.instance
            )));
        }
        self.joined_again = Some(Instant::now());
        self.consumer.subscribe(&[&self.log.full]).map_err(failed)
    }

    /// Whether another process of our name is still in the group after `session`, in which we did nothing.
    fn is_usurped(&self, session: Duration) -> bool {
        let over = Instant::now() + session;
        while !self.stop.load(Ordering::Acquire) {
            self.consumer.poll(LOOK);
            if Instant::now() < over {
                continue;
            }
            let timeout = self.shared.timeout();
            match self.consumer.fetch_group_list(Some(&self.log.full), timeout) {
                Ok(list) => {
                    let mut members = list.groups().iter().flat_map(|group| group.members());
                    return members.any(|member| member.client_id() == self.shared.config.instance);
                }
                Err(error) => {
                    tracing::warn!(topic = %self.log.name, %error, "who reads a topic is not known; asking again");
                    self.way.show(self.consumer.client(), &self.shared.config.brokers);
                }
            }
        }
        false
    }

    /// Puts a new member in the place of this one, without a subscription yet.
    fn be_another(&mut self) -> Result<(), KafkaError> {
        self.turn = None;
        self.queue.clear();
        let new = settings::consumer(&self.shared, &self.log, self.joining).create_with_context(Told::default())?;
        let old = std::mem::replace(&mut self.consumer, new);
        self.paused = false;
        self.vigil = Vigil::new(Instant::now());
        membership::part(old, &self.log.name, self.shared.timeout());
        Ok(())
    }

    /// Joins anew where messages are not given though they are there. Whatever the reason, on this side or theirs, what was accepted
    /// must not wait for a restart.
    pub(super) fn watch(&mut self) -> Result<(), KafkaError> {
        let now = Instant::now();
        if self.paused {
            self.vigil.heard(now);
        }
        if !self.vigil.is_long(now) || !self.is_passed_over(now)? {
            return Ok(());
        }
        tracing::warn!(topic = %self.log.name, held = self.turn.is_some(), "messages do not come; the topic's readers are joined anew");
        self.be_another()?;
        self.consumer.subscribe(&[&self.log.full])
    }

    fn is_passed_over(&mut self, now: Instant) -> Result<bool, KafkaError> {
        self.vigil.looks(now);
        // Asked also where nothing follows from it: a client that Kafka has no answer for does not say so by itself.
        // Messages, and the end of this reader, wait meanwhile.
        let patience = ANSWER.min(self.shared.timeout());
        let (low, end) = self.consumer.fetch_watermarks(&self.log.full, 0, patience)?;
        if self.log.kind == TopicKind::Broadcast || self.joining == Joining::Guest {
            return Ok(false);
        }
        match self.turn.as_ref().map(|turn| turn.fetch.progress().next()) {
            Some(next) => Ok(self.vigil.looked(next.max(low), end)),
            None if self.vigil.is_left_out(now) => {
                let is_anothers = self.is_anothers()?;
                if is_anothers {
                    self.vigil.heard(now);
                }
                Ok(!is_anothers)
            }
            None => Ok(false),
        }
    }

    /// Whether another member of the group has the topic.
    fn is_anothers(&self) -> Result<bool, KafkaError> {
        let list = self
            .consumer
            .fetch_group_list(Some(&self.log.full), self.shared.timeout())?;
        let mut members = list.groups().iter().flat_map(|group| group.members());
        Ok(members.any(|member| {
            member.client_id() != self.shared.config.instance && member.assignment().is_some_and(has_topic)
        }))
    }
}

/// Whether an assignment, as members of a group send it to each other, names a topic: a version of two bytes, a count of four.
fn has_topic(assignment: &[u8]) -> bool {
    assignment.get(2..6).is_some_and(|count| count != [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_says_whether_it_has_a_topic() {
        let one = [0, 0, 0, 0, 0, 1, 0, 8];
        assert!(has_topic(&one));
        assert!(!has_topic(&[0, 0, 0, 0, 0, 0]));
        assert!(!has_topic(&[]), "a member that has been told nothing yet");
    }
}
