//! An activation in the trace of the request that caused it.
//!
//! Its spans are told when it has ended, from the times that its record has: nothing is opened while it runs.

use wsk_bus::messages::ActivationMessage;
use wsk_entities::{Json, StatusCode};
use wsk_service::telemetry::trace::{Context, Kind, Span};

use crate::record::Timing;

/// The spans that end with the record's write, the inner one first.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    record: Span,
    activation: Span,
}

impl Trace {
    /// Its span. `taken` is when the message came.
    pub fn of(message: &ActivationMessage, timing: Timing, status: StatusCode, taken: Option<u64>) -> Trace {
        let carried = message.trace_context.as_ref().map(Json::as_str);
        let Some(context) = carried.and_then(Context::carried) else {
            return Trace::default();
        };
        let begun = taken.unwrap_or(timing.start).min(timing.start);
        let mut activation = Span::child_at("activation", Kind::Consumer, Some(&context), begun);
        activation.note("ferrowhisk.activation_id", || message.activation_id.to_string());
        activation.note("ferrowhisk.action", || message.action.full_name().to_string());
        activation.note("ferrowhisk.status", || status.label().to_owned());
        match status {
            StatusCode::Success => {}
            StatusCode::ApplicationError | StatusCode::DeveloperError | StatusCode::WhiskError => {
                activation.fail("the activation failed");
            }
        }
        Trace {
            activation,
            ..Trace::default()
        }
    }

    /// Tells what its container was asked.
    pub fn ran(&self, timing: Timing) {
        let inside = self.activation.context();
        let call = |name, start: u64, end: u64| {
            Span::child_at(name, Kind::Client, inside.as_ref(), start).end_at(end.max(start));
        };
        if let Some(init) = timing.init {
            call("container init", timing.start, timing.start + init);
        }
        let run = timing.duration.saturating_sub(timing.init.unwrap_or(0));
        call("container run", timing.end.saturating_sub(run), timing.end);
    }

    /// The record is on its way.
    pub fn record(&mut self) {
        self.record = Span::child("record", Kind::Client, self.activation.context().as_ref());
    }
}
