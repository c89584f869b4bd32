//! The end of an activation: its log, its acknowledgements, its record.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use wsk_bus::messages::{ActivationMessage, Detour, ELSEWHERE};
use wsk_bus::{Durability, Key, Message};
use wsk_containers::{Container, Logs, Until};
use wsk_entities::{Activation, Response, StatusCode};
use wsk_planted::{Bug, planted};
use wsk_service::clock;

use super::Shared;
use super::groups::Bound;
use super::job::Job;
use super::lifecycle::After;
use super::prompt::Promptness;
use super::worker::{Place, Report};
use crate::logs;
use crate::outcome::Fault;
use crate::plan::Plan;
use crate::record::{self, Timing};
use crate::traces::Trace;

/// Whether the container of an activation that ended so may be used again.
pub(super) fn after(status: StatusCode) -> After {
    match status {
        StatusCode::Success | StatusCode::ApplicationError => After::Keep,
        StatusCode::DeveloperError | StatusCode::WhiskError => After::Destroy,
    }
}

/// An activation that a container ended.
pub(super) struct Ended {
    pub bound: Arc<Bound>,
    pub job: Job,
    pub timing: Timing,
    pub response: Response,
    pub until: Until,
    pub ending: Ending,
}

/// Why an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By what its code or its container did.
    Own,
    /// It was cancelled, and its container with it.
    Cancelled,
    /// It was cancelled in a container that others share: what it prints cannot be told from what they print.
    Abandoned,
}

/// Ends an activation whose end was reported. A panic in here hands the activation back and is nobody else's business.
pub(super) async fn conclude(place: Place, container: Arc<dyn Container>, ended: Ended) {
    // In a box, so that a run is not as large as its end.
    let end = Box::pin(finish(place, container, ended));
    if AssertUnwindSafe(end).catch_unwind().await.is_err() {
        tracing::error!("the end of an activation panicked");
    }
}

/// Collects the log, acknowledges and records: the result first, unless the log is there already.
async fn finish(place: Place, container: Arc<dyn Container>, ended: Ended) {
    let Place { shared, outbox, slot } = place;
    let Ended {
        bound,
        job,
        timing,
        response,
        until,
        ending,
    } = ended;
    let (message, status) = (&*job.message, response.status_code);
    let mut record = record::build(message, Some(&bound.plan), timing, response);
    match ending {
        Ending::Own if after(status) == After::Destroy => shared.metrics.run_errors.inc(),
        Ending::Own => {}
        Ending::Cancelled | Ending::Abandoned => {
            shared.metrics.cancelled.inc();
            record::mark_cancelled(&mut record);
        }
    }
    shared.observe(&bound, message, &record, timing);
    let mut trace = Trace::of(message, timing, status, job.ticket.taken());
    trace.ran(timing);
    let limit = match ending {
        Ending::Own | Ending::Cancelled => bound.plan.limits.logs,
        Ending::Abandoned => 0,
    };
    let request = shared.log_request(limit, until);
    let mut answered = !message.blocking;
    let found = match limit {
        0 => Logs::default(),
        _ if planted(Bug::LeavesLog) && status == StatusCode::ApplicationError => Logs::default(),
        _ => {
            let logs = container.logs(request);
            collect(&shared, &bound.logs, logs, message, &record, &mut answered).await
        }
    };
    if found.incomplete && until == Until::Sentinel {
        outbox.put(Report::Condemned { slot });
    }
    let lines = logs::stored(found, limit, status, shared.now_ns());
    let record = acknowledge(&shared, message, record, lines, answered).await;
    tracing::debug!(status = status.label(), duration_ms = timing.duration, init_ms = ?timing.init, "an activation ended");
    trace.record();
    shared.keep(message, record, job.ticket.with_trace(trace)).await;
    if limit == 0 && ending != Ending::Abandoned {
        // Nobody reads them; taken away, so that they do not pile up in the container.
        container.logs(request).await;
    }
}

/// The log. Where it takes longer than a look, or than a message is worth, a waiting caller gets the result first.
async fn collect(
    shared: &Shared,
    prompt: &Promptness,
    mut logs: BoxFuture<'_, Logs>,
    message: &ActivationMessage,
    record: &Activation,
    answered: &mut bool,
) -> Logs {
    if *answered {
        return logs.await;
    }
    if let Poll::Ready(found) = poll_fn(|cx| Poll::Ready(logs.as_mut().poll(cx))).await {
        return found;
    }
    let grace = shared.config.log_grace;
    if !grace.is_zero() && prompt.is_likely() {
        if let Ok(found) = tokio::time::timeout(grace, logs.as_mut()).await {
            return found;
        }
        prompt.disappointed();
    }
    *answered = true;
    Box::pin(shared.acks.result(message, Arc::new(record.clone()))).await;
    logs.await
}

/// The last acknowledgement. Gives the record as it is to be stored: shared with the message where there is no log.
async fn acknowledge(
    shared: &Shared,
    message: &ActivationMessage,
    record: Activation,
    lines: Vec<String>,
    answered: bool,
) -> Arc<Activation> {
    if answered {
        shared.acks.completion(message, record.response.status_code).await;
        return Arc::new(Activation { logs: lines, ..record });
    }
    if lines.is_empty() {
        let record = Arc::new(record);
        shared.acks.combined(message, record.clone()).await;
        return record;
    }
    shared.acks.combined(message, Arc::new(record.clone())).await;
    Arc::new(Activation { logs: lines, ..record })
}

/// Ends an activation without a container. In a box: it is rare, and what may end so is not to be as large as this.
pub(super) fn fail(shared: Arc<Shared>, plan: Option<Arc<Plan>>, job: Job, fault: Fault) -> BoxFuture<'static, ()> {
    Box::pin(end_without(shared, plan, job, fault))
}

async fn end_without(shared: Arc<Shared>, plan: Option<Arc<Plan>>, job: Job, fault: Fault) {
    let now = clock::now();
    let timing = Timing {
        start: now,
        end: now,
        duration: 0,
        init: None,
        timeout: false,
    };
    let response = fault.response();
    tracing::info!(
        fault = ?fault,
        "activation ended without its code having run"
    );
    let mut record = record::build(&job.message, plan.as_deref(), timing, response);
    if fault == Fault::Cancelled {
        shared.metrics.cancelled.inc();
        record::mark_cancelled(&mut record);
    }
    let record = Arc::new(record);
    if job.message.blocking {
        shared.acks.combined(&job.message, record.clone()).await;
    } else {
        shared.acks.completion(&job.message, record.response.status_code).await;
    }
    let mut trace = Trace::of(&job.message, timing, record.response.status_code, job.ticket.taken());
    trace.record();
    shared.keep(&job.message, record, job.ticket.with_trace(trace)).await;
}

/// Hands an activation that this machine cannot run to whoever finds another for it; where there is none, ends it.
pub(super) async fn refuse(shared: Arc<Shared>, plan: Arc<Plan>, job: Job, why: Arc<str>) {
    let detour = job.message.detour.as_deref().cloned().unwrap_or_default();
    let machine = &shared.machine.architecture;
    let ends = |others: &str| Fault::Architecture {
        text: format!("The action cannot run on {machine}: {why}{others}."),
        managed: plan.is_ours(),
    };
    if detour.last {
        let fault = ends(", and no other invoker can run it");
        return fail(shared, Some(plan), job, fault).await;
    }
    let mut refused = detour.refused;
    refused.push(shared.config.id);
    let message = Arc::new(ActivationMessage {
        detour: Some(Box::new(Detour {
            refused,
            ..Detour::default()
        })),
        ..(*job.message).clone()
    });
    let message = Message::local(Key::Id(message.activation_id.bits()), message);
    match shared.bus.publish(ELSEWHERE, message, Durability::Durable).await {
        Ok(_) => job.ticket.hand_on(),
        Err(error) => {
            tracing::warn!(activation_id = %job.message.activation_id, %error, "an activation cannot be handed on");
            let fault = ends(", and it could not be handed to another invoker");
            fail(shared, Some(plan), job, fault).await;
        }
    }
}
