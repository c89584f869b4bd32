//! One step of an accepted composition: the message of a component, and with it the state that waits for it.
//!
//! Invariant: a component that the bus has, or may have, is not begun under another id. While nobody knows whether it was
//! taken, the step is published again, marked as one that somebody may have had: then its invoker looks whether it has run.
//! That it was answered says that it has, also where no record of it is kept.
//! What is known to have been taken is waited for, though its state was not; of what was not, nothing can run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use wsk_bus::{Error as Refusal, Message};
use wsk_entities::{Activation, ActivationId};

use super::run::Moved;
use crate::app::Error;
use crate::app::acks::Answer;
use crate::app::invoke::{Ready, refused};

/// A component to publish.
pub(super) struct Step {
    pub(super) id: ActivationId,
    pub(super) topic: Arc<str>,
    pub(super) message: Message,
    answer: oneshot::Receiver<Answer>,
    /// How long its answer is waited for.
    patience: Duration,
    /// Whether it may have been published before.
    in_doubt: bool,
}

/// What became of a step.
#[derive(Debug)]
pub(super) enum Published {
    /// The bus has the component.
    Taken,
    /// It may have it, or get it yet.
    InDoubt(Refusal),
    /// It has not.
    Refused(Error),
}

impl Step {
    pub(super) fn new(ready: Ready, patience: Duration) -> Step {
        let Ready {
            id,
            topic,
            message,
            answer,
        } = ready;
        Step {
            id,
            topic,
            message,
            answer,
            patience,
            in_doubt: false,
        }
    }

    pub(super) fn again(self) -> Step {
        Step {
            message: self.message.again(),
            in_doubt: true,
            ..self
        }
    }

    /// How it has ended, when that was heard.
    pub(super) fn record(&mut self) -> Option<Arc<Activation>> {
        match self.answer.try_recv() {
            Ok(Answer::Record(record)) => return Some(record),
            // It was taken for lost, or the store knows more: whoever waits looks there.
            Ok(Answer::Stored) | Err(TryRecvError::Closed) => self.answer = oneshot::channel().1,
            Err(TryRecvError::Empty) => {}
        }
        None
    }

    /// What becomes of it, from what the bus said of the component and its state, in this order.
    pub(super) fn judge(&self, published: Result<(), Refusal>) -> Published {
        match published {
            Ok(()) => Published::Taken,
            Err(Refusal::TornApart { taken, .. }) if taken.first() == Some(&true) => {
                tracing::warn!(activation_id = %self.id, "a component was published, and its composition's state is too large");
                Published::Taken
            }
            Err(error @ (Refusal::TooLarge { .. } | Refusal::TornApart { .. })) => Published::Refused(refused(error)),
            Err(error @ Refusal::Broker { .. }) => Published::InDoubt(error),
            // That it is not taken now says nothing of the last time.
            Err(error) if self.in_doubt => Published::InDoubt(error),
            Err(error) => Published::Refused(refused(error)),
        }
    }

    pub(super) fn wait(self) -> Moved {
        Moved::Waiting {
            id: self.id,
            answer: self.answer,
            patience: self.patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wsk_bus::Key;

    fn step() -> Step {
        Step {
            id: ActivationId::from_bits(7),
            topic: "invoker0".into(),
            message: Message::bytes(Key::None, "x"),
            answer: oneshot::channel().1,
            patience: Duration::ZERO,
            in_doubt: false,
        }
    }

    fn torn(taken: [bool; 2]) -> Refusal {
        Refusal::TornApart {
            topic: "owed0".to_owned(),
            taken: taken.into(),
        }
    }

    #[test]
    fn the_component_decides_and_not_its_state() {
        for step in [step(), step().again()] {
            assert!(matches!(step.judge(Ok(())), Published::Taken));
            assert!(matches!(step.judge(Err(torn([true, false]))), Published::Taken));
            let refused = step.judge(Err(torn([false, true])));
            assert!(matches!(refused, Published::Refused(Error::TooLarge)), "{refused:?}");
        }
    }

    #[test]
    fn what_may_have_been_taken_stays_in_doubt_until_the_bus_takes_it() {
        let silence = Refusal::Broker {
            brokers: "nowhere:9092".to_owned(),
            operation: "take a message for",
            topic: "invoker0".to_owned(),
            reason: "silence".to_owned(),
            transient: true,
        };
        let full = || Refusal::TopicFull {
            topic: "invoker0".to_owned(),
            messages: 1,
            bytes: 1,
        };
        let refused = step().judge(Err(full()));
        assert!(
            matches!(refused, Published::Refused(Error::Unavailable(_))),
            "{refused:?}"
        );
        for outcome in [step().judge(Err(silence)), step().again().judge(Err(full()))] {
            assert!(matches!(outcome, Published::InDoubt(_)), "{outcome:?}");
        }
    }
}
