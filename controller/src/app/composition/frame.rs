//! One frame of a composition: how far it got, what it does next, what an answer does to it, and the record it leaves.

use serde::{Deserialize, Serialize};
use wsk_bus::messages::CANCELLED;
use wsk_entities::{
    ActionLimits, Activation, ActivationId, EntityPath, FullName, Identity, Json, Namespace, Parameters, Response,
    StatusCode, Timestamp, Version,
};

use super::machine::{Next, Outcome};
use super::plot::{Counting, Plot, Turn};
use crate::app::cancel;
use crate::app::conductor::{self, Decision};
use crate::app::sequences::{self, Onward};

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
    pub plot: Plot,
    ended: Option<Response>,
    /// Whether it ended because it was cancelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
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

/// How a frame begins.
#[derive(Debug)]
pub struct Entry {
    pub input: Option<Json>,
    /// When the request came.
    pub requested: Timestamp,
    pub now: Timestamp,
}

impl Frame {
    pub fn new(id: ActivationId, cause: Option<ActivationId>, head: Head, plot: Plot, entry: Entry) -> Frame {
        let memory = match plot {
            Plot::Sequence { .. } => None,
            Plot::Conductor { .. } | Plot::Retry { .. } => Some(head.limits.memory),
        };
        Frame {
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
            cancelled: false,
        }
    }

    pub fn name(&self) -> &FullName {
        &self.head.name
    }

    pub fn version(&self) -> Version {
        self.head.version
    }

    /// Roughly the bytes it occupies.
    pub fn weight(&self) -> usize {
        let text = |json: &Option<Json>| json.as_ref().map_or(0, |json| json.as_str().len());
        let plot = match &self.plot {
            Plot::Conductor { state, .. } => text(state),
            Plot::Sequence { components, .. } => 128 * components.len(),
            Plot::Retry { .. } => 0,
        };
        512 + 36 * self.logs.len() + text(&self.input) + plot
    }

    /// What this frame does next.
    pub fn next(&mut self, limit: u32) -> Next {
        if self.ended.is_some() {
            return Next::Over;
        }
        match &self.plot {
            Plot::Sequence { .. } => self.next_of_sequence(limit),
            Plot::Conductor {
                turn: Turn::Component(_),
                ..
            } => self.next_component(limit),
            Plot::Conductor {
                turn: Turn::Conductor, ..
            } => self.next_turn(limit),
            Plot::Retry { .. } => self.next_run(),
        }
    }

    fn next_of_sequence(&mut self, limit: u32) -> Next {
        let Plot::Sequence { components, at, atomic } = &self.plot else {
            unreachable!("only a sequence has bare components");
        };
        match components.get(*at) {
            Some(name) if *atomic < limit => Next::Component {
                name: name.clone(),
                input: self.input.take(),
                cause: self.id,
            },
            Some(_) | None => {
                self.end(sequences::too_long());
                Next::Over
            }
        }
    }

    fn next_component(&mut self, limit: u32) -> Next {
        match &mut self.plot {
            Plot::Conductor {
                turn: Turn::Component(name),
                components,
                ..
            } if *components < limit => {
                *components += 1;
                Next::Component {
                    name: name.clone(),
                    input: self.input.take(),
                    cause: self.id,
                }
            }
            Plot::Sequence { .. } | Plot::Conductor { .. } | Plot::Retry { .. } => {
                self.turn_back(conductor::no_components_left());
                self.next_turn(limit)
            }
        }
    }

    fn next_turn(&mut self, limit: u32) -> Next {
        let Plot::Conductor { state, conductors, .. } = &mut self.plot else {
            unreachable!("only a composition has turns");
        };
        if *conductors > 2 * limit {
            self.end(conductor::too_long());
            return Next::Over;
        }
        *conductors += 1;
        Next::Conductor {
            name: self.head.called.clone(),
            input: conductor::with_state(self.input.take(), state.as_ref()),
            cause: self.id,
        }
    }

    fn next_run(&mut self) -> Next {
        let Plot::Retry {
            policy, runs, paused, ..
        } = &mut self.plot
        else {
            unreachable!("only an action that is run again has runs");
        };
        if std::mem::take(paused) {
            return Next::Pause(policy.pause_after(*runs).unwrap_or(0));
        }
        *runs += 1;
        Next::Component {
            name: self.head.called.clone(),
            input: self.input.clone(),
            cause: self.id,
        }
    }

    pub fn absorb(&mut self, outcome: Outcome, namespace: &Namespace, counting: Counting) {
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
        if self.ended.is_some() {
            // It was cancelled meanwhile: what came out changes nothing any more.
            return;
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
            Plot::Retry { .. } => self.absorb_run(outcome),
        }
    }

    /// A run of an action that is run again: only what may come out otherwise is.
    fn absorb_run(&mut self, outcome: Outcome) {
        let Plot::Retry {
            policy, runs, paused, ..
        } = &mut self.plot
        else {
            unreachable!("only an action that is run again has runs");
        };
        let response = match outcome {
            Outcome::Ran { response, .. } => response,
            Outcome::Unanswered(id) => conductor::unanswered(id),
            Outcome::Unpublished => conductor::unpublished(),
            Outcome::Missing | Outcome::NotEntitled => return self.end(sequences::component_missing()),
        };
        if response.status_code != StatusCode::Success && policy.pause_after(*runs).is_some() {
            *paused = true;
        } else {
            self.end(response);
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

    /// Ends it, unless it has ended.
    pub fn cancel(&mut self) {
        if self.ended.is_none() {
            self.cancelled = true;
            self.end(cancel::response());
        }
    }

    fn end(&mut self, response: Response) {
        self.ended = Some(response);
    }

    pub fn record(&self, identity: &Identity, now: Timestamp) -> Activation {
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
        out.set("path", Json::of(&self.head.name.to_string()));
        out.set("waitTime", Json::of(&self.wait));
        match &self.plot {
            Plot::Sequence { .. } | Plot::Conductor { .. } => {
                out.set("topmost", Json::of(&self.cause.is_none()));
                out.set("kind", Json::from("sequence"));
            }
            Plot::Retry { kind, runs, .. } => {
                out.set("kind", Json::from(&**kind));
                out.set("retries", Json::of(&runs.saturating_sub(1)));
            }
        }
        if let Plot::Conductor { .. } = self.plot {
            out.set("conductor", Json::of(&true));
        }
        if self.cause.is_some() {
            out.set("causedBy", Json::from("sequence"));
        }
        if let Some(binding) = &self.head.binding {
            out.set("binding", Json::of(&binding.to_string()));
        }
        if self.cancelled {
            out.set(CANCELLED, Json::of(&true));
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
