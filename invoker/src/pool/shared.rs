//! What the work under way shares.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wsk_bus::MessageBus;
use wsk_bus::messages::ActivationMessage;
use wsk_containers::{Call, ContainerFactory, LogRequest, Payload, Until};
use wsk_entities::Activation;
use wsk_secrets::Vault;
use wsk_service::clock;
use wsk_store::ActivationStore;

use super::groups::Bound;
use crate::ack::Acks;
use crate::config::Config;
use crate::control::Orders;
use crate::fetch::Actions;
use crate::logs;
use crate::machine::Machine;
use crate::metrics::{Metrics, Sample};
use crate::outcome::Sizes;
use crate::plan::Plan;
use crate::record::{self, Timing};
use crate::records::{Open, Sender, Ticket};

/// Seams, settings and counters of one invoker.
pub(crate) struct Shared {
    pub config: Config,
    pub factory: Arc<dyn ContainerFactory>,
    pub activations: Arc<dyn ActivationStore>,
    pub actions: Actions,
    pub machine: Arc<Machine>,
    /// The keys of locked arguments.
    pub secrets: Arc<Vault>,
    pub acks: Acks,
    /// Carries what followed activations print.
    pub bus: Arc<dyn MessageBus>,
    pub orders: Orders,
    pub records: Sender,
    pub open: Arc<Open>,
    /// Turns at making containers.
    pub starts: Semaphore,
    pub metrics: &'static Metrics,
}

impl Shared {
    pub fn call(&self, plan: &Plan, body: Payload) -> Call {
        let limit = Duration::from_millis(plan.limits.timeout.into());
        let kept = self.config.payload_limit.max(self.config.truncation_limit);
        Call {
            body,
            limit,
            answer_limit: usize::try_from(kept).unwrap_or(usize::MAX),
        }
    }

    /// The bounds on answers, which a namespace may have narrowed.
    pub fn sizes_of(&self, message: &ActivationMessage) -> Sizes {
        let limits = &message.user.limits;
        let narrowed = |own: &Option<String>, system: u64| match own.as_deref().and_then(bytes) {
            Some(own) => own.min(system),
            None => system,
        };
        Sizes {
            payload: narrowed(&limits.max_payload_size, self.config.payload_limit),
            truncation: narrowed(&limits.truncation_size, self.config.truncation_limit),
        }
    }

    pub fn log_request(&self, limit_mb: u32, until: Until) -> LogRequest {
        let wait = Duration::from_millis(self.config.log_wait_ms).saturating_mul(limit_mb.max(5));
        LogRequest {
            limit_bytes: logs::limit_bytes(limit_mb),
            until,
            wait,
        }
    }

    pub fn now_ns(&self) -> u64 {
        u64::try_from(clock::since_epoch().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Hands an ended activation to the writer of records, or, where its namespace keeps none, ends it here.
    pub async fn keep(&self, message: &ActivationMessage, record: Arc<Activation>, ticket: Ticket) {
        if self.config.user_events {
            Box::pin(self.acks.event(message, &record)).await;
        }
        if self.is_kept(message, &record) {
            self.records.send(record, ticket).await;
        } else {
            ticket.commit();
        }
    }

    /// As the deployment says, unless the namespace's limits forbid it; always when the request insists.
    fn is_kept(&self, message: &ActivationMessage, record: &Activation) -> bool {
        let policy = match message.blocking {
            true => self.config.store_blocking,
            false => self.config.store_non_blocking,
        };
        message.transid.extra_logging
            || message.user.limits.store_activations != Some(false) && policy.keeps(record.response.status_code)
    }

    /// Counts an ended activation.
    pub fn observe(&self, bound: &Bound, message: &ActivationMessage, record: &Activation, timing: Timing) {
        if let Some(series) = &bound.series {
            series.observe(Sample {
                wait: record::wait(message, timing),
                init: timing.init,
                duration: timing.duration,
                size: record.response.size,
                status: record.response.status_code,
            });
        }
    }
}

/// A size such as `1048576 B` or `2 MB`, in bytes.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let factor = match text[end..].trim().to_ascii_lowercase().as_str() {
        "b" | "" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}
