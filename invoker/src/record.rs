//! The record of an activation.

use wsk_bus::messages::{ActivationMessage, CANCELLED};
use wsk_entities::{Activation, Json, Response};

use crate::plan::{self, Plan};

/// When it ran, in milliseconds (since the epoch).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Start of `/init` if there was one, else of `/run`.
    pub start: u64,
    pub end: u64,
    /// Initialisation and run, without what lay between.
    pub duration: u64,
    /// Time of the initialisation this activation caused.
    pub init: Option<u64>,
    /// Whether its time limit struck.
    pub timeout: bool,
}

/// Milliseconds from the acceptance of the request to the start of work.
pub(crate) fn wait(message: &ActivationMessage, timing: Timing) -> u64 {
    timing.start.saturating_sub(message.transid.start)
}

/// Marks the record of an activation that was cancelled.
pub(crate) fn mark_cancelled(record: &mut Activation) {
    record.annotations.set(CANCELLED, plan::boolean(true));
}

/// The record without its log. Without a plan, what the message says stands for what the action would have said.
pub(crate) fn build(
    message: &ActivationMessage,
    plan: Option<&Plan>,
    timing: Timing,
    response: Response,
) -> Activation {
    let mut annotations = match plan {
        Some(plan) => plan.annotations.clone(),
        None => plan::fallback_annotations(message),
    };
    annotations.set("waitTime", plan::number(wait(message, timing)));
    annotations.set("timeout", plan::boolean(timing.timeout));
    if let Some(init) = timing.init {
        annotations.set("initTime", plan::number(init));
    }
    if let Some(binding) = &message.action.binding {
        annotations.set("binding", Json::from(binding.to_string().as_str()));
    }
    if message.cause.is_some() {
        annotations.set("causedBy", plan::sequence());
    }
    Activation {
        namespace: message.user.namespace.name.clone(),
        name: message.action.name.clone(),
        version: plan.map_or(message.action.version, |plan| plan.version),
        subject: message.user.subject.clone(),
        activation_id: message.activation_id,
        cause: message.cause,
        start: timing.start,
        end: timing.end,
        duration: Some(timing.duration),
        response,
        logs: Vec::new(),
        annotations,
        publish: false,
    }
}
