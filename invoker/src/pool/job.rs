//! An activation on its way through the pool.

use std::sync::Arc;

use tokio::time::Instant;
use wsk_bus::messages::{ActivationMessage, Detour};

use crate::plan::Plan;
use crate::records::{End, Ticket};

/// An accepted activation. Dropping it hands it back to the bus.
#[derive(Debug)]
pub(crate) struct Job {
    pub message: Arc<ActivationMessage>,
    pub ticket: Ticket,
    /// Set once the action had to be read because no warm container fitted.
    pub plan: Option<Arc<Plan>>,
    /// The initialisation that this activation caused, which few do.
    pub init: Option<Box<Init>>,
    /// Containers it was taken away from.
    pub moved: u32,
    /// Whether the store was asked for its record, where that is needed.
    pub looked_up: bool,
    /// Whether other containers had to go for it.
    pub evicted: bool,
}

/// A finished `/init`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Init {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub began: Instant,
    /// How long it took, in milliseconds.
    pub took: u64,
}

impl Job {
    pub fn new(message: Arc<ActivationMessage>, ticket: Ticket) -> Job {
        Job {
            message,
            ticket,
            plan: None,
            init: None,
            moved: 0,
            looked_up: false,
            evicted: false,
        }
    }

    /// Whether somebody may have run it before, or runs it, so that its record is to be looked for.
    pub fn may_have_run(&self) -> bool {
        let refused = |detour: &Detour| !detour.refused.is_empty();
        self.ticket.attempt() > 1 || self.ticket.is_second() || self.message.detour.as_deref().is_some_and(refused)
    }

    /// Waits until this invoker has the activation in no other hands; whether it ended there, so that it must not run.
    pub async fn alone(&mut self, invoker: u32) -> bool {
        let detour = self.message.detour.as_deref();
        let came_back = detour.is_some_and(|detour| detour.refused.contains(&invoker));
        loop {
            match self.ticket.alone().await {
                // This is the copy that was handed on, back sooner than the bus confirmed here that it has it.
                End::HandedOn if came_back => {}
                End::Committed | End::HandedOn => return true,
                End::HandedBack => return false,
            }
        }
    }

    /// The revision it is to run: the one the controller saw, until the action was read.
    pub fn revision(&self) -> &str {
        self.plan.as_ref().map_or(&self.message.revision, |plan| &plan.revision)
    }
}
