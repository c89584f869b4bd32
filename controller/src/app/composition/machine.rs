//! Sequences and compositions as a machine: what runs next, and what an answer leads to. Pure, and serialisable, so that
//! a composition that was accepted goes on after a crash from the step it had reached.
//!
//! A composition is a stack of frames, the innermost on top: a sequence or a conductor each, with the account that its
//! record will give. Budgets: a sequence counts atomic actions with those of the sequences inside it; a conductor counts
//! components and its own turns with those of the compositions inside it. Upstream behaviour honoured: §4.6 and §4.7.

use serde::{Deserialize, Serialize};
use wsk_entities::{
    ActionLimits, Activation, ActivationId, EntityPath, FullName, Identity, Json, Namespace, Parameters, Response,
    Timestamp, Version,
};

use crate::app::conductor::{self, Decision};
use crate::app::sequences::{self, Onward};

/// A running composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// Most atomic actions of a sequence, most components of a conductor.
    limit: u32,
    frames: Vec<Frame>,
}

/// One sequence or conductor that has not ended, or has just ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub id: ActivationId,
    cause: Option<ActivationId>,
    head: Head,
    start: Timestamp,
    /// Milliseconds between the request and the start.
    wait: u64,
    logs: Vec<ActivationId>,
    duration: u64,
    /// Largest memory among what ran, in MB.
    memory: Option<u32>,
    /// What runs next gets this.
    input: Option<Json>,
    plot: Plot,
    ended: Option<Response>,
}

/// What a frame was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The name it was called by, by which it is found again.
    pub called: FullName,
    /// Its own name.
    pub name: FullName,
    pub version: Version,
    pub binding: Option<EntityPath>,
    pub limits: ActionLimits,
}

/// How far a frame got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Plot {
    Sequence {
        components: Vec<FullName>,
        at: usize,
        atomic: u32,
    },
    Conductor {
        state: Option<Json>,
        turn: Turn,
        components: u32,
        conductors: u32,
    },
}

/// Whose turn it is in a composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Turn {
    Conductor,
    Component(FullName),
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

    /// Begins a sequence inside the innermost frame.
    pub fn enter_sequence(&mut self, id: ActivationId, head: Head, components: Vec<FullName>, entry: Entry) {
        let atomic = match self.frames.last().map(|f| &f.plot) {
            Some(Plot::Sequence { atomic, .. }) => *atomic,
            Some(Plot::Conductor { .. }) | None => 0,
        };
        self.enter(
            id,
            head,
            Plot::Sequence {
                components,
                at: 0,
                atomic,
            },
            entry,
        );
    }

    /// Begins a composition inside the innermost frame.
    pub fn enter_conductor(&mut self, id: ActivationId, head: Head, entry: Entry) {
        let (components, conductors) = match self.frames.last_mut().map(|f| &mut f.plot) {
            Some(Plot::Conductor {
                components, conductors, ..
            }) => {
                // A composition inside costs turns; its own components are what counts as components.
                *components -= 1;
                (*components, *conductors)
            }
            Some(Plot::Sequence { .. }) | None => (0, 0),
        };
        self.enter(
            id,
            head,
            Plot::Conductor {
                state: None,
                turn: Turn::Conductor,
                components,
                conductors,
            },
            entry,
        );
    }

    fn enter(&mut self, id: ActivationId, head: Head, plot: Plot, entry: Entry) {
        let memory = match plot {
            Plot::Sequence { .. } => None,
            Plot::Conductor { .. } => Some(head.limits.memory),
        };
        let cause = self.frames.last().map(|parent| parent.id);
        self.frames.push(Frame {
            id,
            cause,
            head,
            start: entry.now,
            wait: entry.now.saturating_sub(entry.requested),
            logs: Vec::new(),
            duration: 0,
            memory,
            input: entry.input,
            plot,
            ended: None,
        });
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
            let counting = parent.take_account(&frame.plot);
            parent.absorb(Outcome::of(&record), &identity.namespace.name, counting);
        }
        record
    }

    /// Roughly the bytes it occupies.
    pub fn weight(&self) -> usize {
        let text = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let frame = |frame: &Frame| {
            let state = match &frame.plot {
                Plot::Conductor { state, .. } => text(state),
                Plot::Sequence { components, .. } => 128 * components.len(),
            };
            512 + 36 * frame.logs.len() + text(&frame.input) + state
        };
        self.frames.iter().map(frame).sum()
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.frames.is_empty()
    }
}

/// How a frame begins.
#[derive(Debug)]
pub struct Entry {
    pub input: Option<Json>,
    /// When the request came.
    pub requested: Timestamp,
    pub now: Timestamp,
}

/// Whether a component's answer adds to its parent's budget, or has brought its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counting {
    Yes,
    No,
}

impl Frame {
    fn next(&mut self, limit: u32) -> Next {
        if self.ended.is_some() {
            return Next::Over;
        }
        let cause = self.id;
        match &mut self.plot {
            Plot::Sequence { components, at, atomic } => match components.get(*at) {
                Some(name) if *atomic < limit => Next::Component {
                    name: name.clone(),
                    input: self.input.take(),
                    cause,
                },
                Some(_) | None => {
                    self.end(sequences::too_long());
                    Next::Over
                }
            },
            Plot::Conductor {
                turn: Turn::Component(_),
                components,
                ..
            } if *components >= limit => {
                self.turn_back(conductor::no_components_left());
                self.next(limit)
            }
            Plot::Conductor {
                turn: Turn::Component(name),
                components,
                ..
            } => {
                *components += 1;
                Next::Component {
                    name: name.clone(),
                    input: self.input.take(),
                    cause,
                }
            }
            Plot::Conductor { conductors, .. } if *conductors > 2 * limit => {
                self.end(conductor::too_long());
                Next::Over
            }
            Plot::Conductor {
                state,
                turn: Turn::Conductor,
                conductors,
                ..
            } => {
                *conductors += 1;
                let input = conductor::with_state(self.input.take(), state.as_ref());
                Next::Conductor {
                    name: self.head.called.clone(),
                    input,
                    cause,
                }
            }
        }
    }

    fn absorb(&mut self, outcome: Outcome, namespace: &Namespace, counting: Counting) {
        match &outcome {
            Outcome::Ran {
                id, duration, memory, ..
            } => {
                self.logs.push(*id);
                self.duration += duration;
                self.memory = self.memory.max(*memory);
            }
            Outcome::Unanswered(id) => self.logs.push(*id),
            Outcome::Unpublished | Outcome::Missing | Outcome::NotEntitled => {}
        }
        match &self.plot {
            Plot::Sequence { .. } => self.absorb_component(outcome, counting),
            Plot::Conductor {
                turn: Turn::Conductor, ..
            } => self.absorb_conductor(outcome, namespace),
            Plot::Conductor {
                turn: Turn::Component(name),
                ..
            } => {
                let name = name.clone();
                self.absorb_composed(outcome, &name);
            }
        }
    }

    fn absorb_component(&mut self, outcome: Outcome, counting: Counting) {
        let Plot::Sequence { components, at, atomic } = &mut self.plot else {
            unreachable!("only a sequence has bare components");
        };
        let response = match outcome {
            Outcome::Ran { response, .. } => response,
            Outcome::Unanswered(id) => return self.end(sequences::unanswered(id)),
            Outcome::Unpublished => return self.end(sequences::unpublished()),
            Outcome::Missing | Outcome::NotEntitled => return self.end(sequences::component_missing()),
        };
        *at += 1;
        *atomic += u32::from(counting == Counting::Yes);
        match sequences::after(response, *at == components.len()) {
            Onward::Input(input) => self.input = Some(input),
            Onward::Stop(response) => self.end(response),
        }
    }

    fn absorb_conductor(&mut self, outcome: Outcome, namespace: &Namespace) {
        let response = match outcome {
            Outcome::Ran { response, .. } => response,
            Outcome::Unanswered(id) => return self.end(conductor::unanswered(id)),
            Outcome::Unpublished | Outcome::Missing | Outcome::NotEntitled => {
                return self.end(conductor::unpublished());
            }
        };
        let Decision { state: kept, next } = conductor::decide(&response, namespace);
        let Plot::Conductor { state, turn, .. } = &mut self.plot else {
            unreachable!("only a conductor takes a conductor's turn");
        };
        *state = kept;
        match next {
            conductor::Next::Component { name, input } => {
                *turn = Turn::Component(name);
                self.input = input;
            }
            conductor::Next::Unreadable(error) => self.turn_back(error),
            conductor::Next::End(response) => self.end(response),
        }
    }

    fn absorb_composed(&mut self, outcome: Outcome, name: &FullName) {
        match outcome {
            Outcome::Ran { response, .. } if response.result.is_array() => self.turn_back(conductor::not_found(name)),
            Outcome::Ran { response, .. } => self.turn_back(response.result),
            Outcome::Missing => self.uncounted(conductor::not_found(name)),
            Outcome::NotEntitled => self.uncounted(conductor::not_entitled(name)),
            Outcome::Unanswered(id) => self.end(conductor::unanswered(id)),
            Outcome::Unpublished => self.end(conductor::unpublished()),
        }
    }

    /// What never ran is not counted.
    fn uncounted(&mut self, input: Json) {
        if let Plot::Conductor { components, .. } = &mut self.plot {
            *components -= 1;
        }
        self.turn_back(input);
    }

    /// The conductor's turn, with this input.
    fn turn_back(&mut self, given: Json) {
        if let Plot::Conductor { turn, .. } = &mut self.plot {
            *turn = Turn::Conductor;
        }
        self.input = Some(given);
    }

    fn end(&mut self, response: Response) {
        self.ended = Some(response);
    }

    /// Takes over the counts of a frame inside this one that shares its budget.
    fn take_account(&mut self, inner: &Plot) -> Counting {
        match (&mut self.plot, inner) {
            (Plot::Sequence { atomic, .. }, Plot::Sequence { atomic: counted, .. }) => {
                *atomic = *counted;
                Counting::No
            }
            (
                Plot::Conductor {
                    components, conductors, ..
                },
                Plot::Conductor {
                    components: inner_components,
                    conductors: inner_conductors,
                    ..
                },
            ) => {
                (*components, *conductors) = (*inner_components, *inner_conductors);
                Counting::No
            }
            (Plot::Sequence { .. }, Plot::Conductor { .. }) | (Plot::Conductor { .. }, Plot::Sequence { .. }) => {
                Counting::Yes
            }
        }
    }

    fn record(&self, identity: &Identity, now: Timestamp) -> Activation {
        Activation {
            namespace: identity.namespace.name.clone(),
            name: self.head.name.name.clone(),
            version: self.head.version,
            subject: identity.subject.clone(),
            activation_id: self.id,
            cause: self.cause,
            start: self.start,
            end: now.max(self.start),
            duration: Some(self.duration),
            response: self.ended.clone().expect("only a frame that is over is left"),
            logs: self.logs.iter().map(ToString::to_string).collect(),
            annotations: self.annotations(),
            publish: false,
        }
    }

    fn annotations(&self) -> Parameters {
        let mut out = Parameters::new();
        out.set("topmost", Json::of(&self.cause.is_none()));
        out.set("path", Json::of(&self.head.name.to_string()));
        out.set("waitTime", Json::of(&self.wait));
        if let Plot::Conductor { .. } = self.plot {
            out.set("conductor", Json::of(&true));
        }
        out.set("kind", Json::from("sequence"));
        if self.cause.is_some() {
            out.set("causedBy", Json::from("sequence"));
        }
        if let Some(binding) = &self.head.binding {
            out.set("binding", Json::of(&binding.to_string()));
        }
        if let Some(memory) = self.memory {
            let limits = ActionLimits {
                memory,
                concurrency: 1,
                instances: None,
                ..self.head.limits
            };
            out.set("limits", Json::of(&limits));
        }
        out
    }
}

#[cfg(test)]
mod tests;
