//! The kinds of frames, with how far each got and the budgets it shares.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wsk_entities::{FullName, Json};

use crate::app::retry::Policy;

/// How far a frame got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plot {
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
    Retry {
        /// The action's kind, for the record.
        kind: Arc<str>,
        policy: Policy,
        runs: u32,
        /// Whether the pause before the next run is still to come.
        paused: bool,
    },
}

/// Whose turn it is in a composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    Conductor,
    Component(FullName),
}

/// Whether a component's answer adds to its parent's budget, or has brought its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    Yes,
    No,
}

impl Plot {
    /// A sequence, which shares the count of a sequence around it.
    pub fn sequence(components: Vec<FullName>, around: Option<&Plot>) -> Plot {
        let atomic = match around {
            Some(Plot::Sequence { atomic, .. }) => *atomic,
            Some(Plot::Conductor { .. } | Plot::Retry { .. }) | None => 0,
        };
        Plot::Sequence {
            components,
            at: 0,
            atomic,
        }
    }

    /// A composition, which shares the counts of a composition around it.
    pub fn conductor(around: Option<&mut Plot>) -> Plot {
        let (components, conductors) = match around {
            Some(Plot::Conductor {
                components, conductors, ..
            }) => {
                // A composition inside costs turns; its own components are what counts as components.
                *components -= 1;
                (*components, *conductors)
            }
            Some(Plot::Sequence { .. } | Plot::Retry { .. }) | None => (0, 0),
        };
        Plot::Conductor {
            state: None,
            turn: Turn::Conductor,
            components,
            conductors,
        }
    }

    pub fn retry(kind: Arc<str>, policy: Policy) -> Plot {
        Plot::Retry {
            kind,
            policy,
            runs: 0,
            paused: false,
        }
    }

    /// Takes over the counts of one inside this that shares its budget.
    pub fn take_account(&mut self, inner: &Plot) -> Counting {
        match (self, inner) {
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
            (Plot::Retry { .. }, _)
            | (_, Plot::Retry { .. })
            | (Plot::Sequence { .. }, Plot::Conductor { .. })
            | (Plot::Conductor { .. }, Plot::Sequence { .. }) => Counting::Yes,
        }
    }
}
