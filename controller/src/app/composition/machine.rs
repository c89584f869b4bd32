//! Sequences and compositions as a machine: what runs next, and what an answer leads to. Pure, and serialisable, so that
//! a composition that was accepted goes on after a crash from the step it had reached.
//!
//! A composition is a stack of frames, the innermost on top: a sequence, a conductor or an action that is run again when
//! it fails, each with the account that its record will give. Budgets: a sequence counts atomic actions with those of the
//! sequences inside it; a conductor counts components and its own turns with those of the compositions inside it.
//! Upstream behaviour honoured: when a sequence stops, what a conductor's answer means, budgets, records and texts of both.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wsk_entities::{
    ActionLimits, Activation, ActivationId, FullName, Identity, Json, Namespace, Response, Timestamp, Version,
};

use super::frame::{Entry, Frame, Head};
use super::plot::{Counting, Plot};
use crate::app::retry::Policy;

/// A running composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// Most atomic actions of a sequence, most components of a conductor.
    limit: u32,
    pub(super) frames: Vec<Frame>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Resolve and run this; a sequence or conductor is to be entered instead.
    Component {
        name: FullName,
        input: Option<Json>,
        cause: ActivationId,
    },
    /// Run this conductor; it is never entered.
    Conductor {
        name: FullName,
        input: Option<Json>,
        cause: ActivationId,
    },
    /// Wait so many milliseconds, then ask again.
    Pause(u64),
    /// The innermost frame is over; see [`Composition::leave`].
    Over,
}

/// What became of what was to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Ran {
        id: ActivationId,
        response: Response,
        duration: u64,
        memory: Option<u32>,
    },
    /// No answer came in time.
    Unanswered(ActivationId),
    Unpublished,
    Missing,
    NotEntitled,
}

impl Outcome {
    /// What a record tells.
    pub fn of(record: &Activation) -> Outcome {
        let limits = record
            .annotations
            .get("limits")
            .and_then(|l| serde_json::from_str::<ActionLimits>(l.as_str()).ok());
        Outcome::Ran {
            id: record.activation_id,
            response: record.response.clone(),
            duration: record
                .duration
                .unwrap_or_else(|| record.end.saturating_sub(record.start)),
            memory: limits.map(|limits| limits.memory),
        }
    }
}

impl Composition {
    pub fn new(limit: u32) -> Composition {
        Composition {
            limit,
            frames: Vec::new(),
        }
    }

    /// The id of the outermost frame.
    pub fn id(&self) -> ActivationId {
        self.frames.first().expect("a composition has a frame until its end").id
    }

    /// The action of the outermost frame.
    pub fn name(&self) -> &FullName {
        self.frames
            .first()
            .expect("a composition has a frame until its end")
            .name()
    }

    /// The version of that action which was accepted.
    pub fn version(&self) -> Version {
        self.frames
            .first()
            .expect("a composition has a frame until its end")
            .version()
    }

    /// Begins a sequence inside the innermost frame.
    pub fn enter_sequence(&mut self, id: ActivationId, head: Head, components: Vec<FullName>, entry: Entry) {
        let plot = Plot::sequence(components, self.frames.last().map(|frame| &frame.plot));
        self.enter(id, head, plot, entry);
    }

    /// Begins a composition inside the innermost frame.
    pub fn enter_conductor(&mut self, id: ActivationId, head: Head, entry: Entry) {
        let plot = Plot::conductor(self.frames.last_mut().map(|frame| &mut frame.plot));
        self.enter(id, head, plot, entry);
    }

    /// Begins an action that is run again when it fails. `kind` is the action's.
    pub fn enter_retry(&mut self, id: ActivationId, head: Head, kind: Arc<str>, policy: Policy, entry: Entry) {
        self.enter(id, head, Plot::retry(kind, policy), entry);
    }

    fn enter(&mut self, id: ActivationId, head: Head, plot: Plot, entry: Entry) {
        let cause = self.frames.last().map(|parent| parent.id);
        self.frames.push(Frame::new(id, cause, head, plot, entry));
    }

    /// What is to be done now. Asking counts the turn of a conductor.
    pub fn next(&mut self) -> Next {
        let limit = self.limit;
        let frame = self.frames.last_mut().expect("a composition has a frame until its end");
        frame.next(limit)
    }

    /// Takes in what became of the last [`Next`].
    pub fn absorb(&mut self, outcome: Outcome, namespace: &Namespace) {
        let frame = self.frames.last_mut().expect("a composition has a frame until its end");
        frame.absorb(outcome, namespace, Counting::Yes);
    }

    /// Takes the frame that is over off the stack, as its record. Its parent, if there is one, takes in the outcome.
    pub fn leave(&mut self, identity: &Identity, now: Timestamp) -> Activation {
        let frame = self.frames.pop().expect("only a frame that is over is left");
        let record = frame.record(identity, now);
        if let Some(parent) = self.frames.last_mut() {
            let counting = parent.plot.take_account(&frame.plot);
            parent.absorb(Outcome::of(&record), &identity.namespace.name, counting);
        }
        record
    }

    /// Ends every frame that has not ended: nothing of it runs any more.
    pub fn cancel(&mut self) {
        self.frames.iter_mut().for_each(Frame::cancel);
    }

    /// The run that was just absorbed was cancelled: an action that is run again when it fails is not.
    pub fn forgo_retry(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && matches!(frame.plot, Plot::Retry { .. })
        {
            frame.cancel();
        }
    }

    /// Roughly the bytes it occupies.
    pub fn weight(&self) -> usize {
        self.frames.iter().map(Frame::weight).sum()
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests;
