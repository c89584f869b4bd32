//! Starting actions: what is checked, what the arguments are, who waits for how long.
//!
//! An action that is a sequence or a composition is started by [`super::composition`]; every other becomes one message to
//! one invoker. A caller that does not wait is told its id once the message is on disk; one that waits is answered from
//! the acknowledgement, without a store or a disk on the way, and its message is put on disk only when the wait ends
//! without an answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use wsk_bus::messages::{ActionRef, ActivationMessage, Detour};
use wsk_bus::{Durability, Key, Message, Receipt};
use wsk_entities::{Activation, ActivationId, FullName, Json, Namespace, Object, Parameters, Timestamp};
use wsk_service::telemetry::{self, trace};

use super::acks::{Answer, Boarding};
use super::balancer::{Demand, Placement, Refusal};
use super::limits::parse_size;
use super::retry::Policy;
use super::secrets::locked;
use super::throttle::Kind;
use super::underway::{Underway, to_the_end};
use super::wait::Wait;
use super::{App, Caller, Error, ResolvedAction, now};
use crate::metrics;

/// A component may take this much longer than its time limit.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// What the caller gets.
#[derive(Debug)]
pub enum Started {
    /// It was accepted and will have a record.
    Accepted(ActivationId),
    /// It ended within the wait.
    Ended(Arc<Activation>),
}

/// One activation to publish.
#[derive(Debug)]
pub struct Launch<'a> {
    pub caller: &'a Caller,
    pub target: &'a ResolvedAction,
    pub arguments: Option<Json>,
    /// Sealed parameters among what it was given, of the trigger that fired it.
    pub sealed: &'a Parameters,
    pub cause: Option<ActivationId>,
    pub blocking: bool,
}

/// An activation that is ready to be published; capacity is taken and its entry in flight made.
pub struct Ready {
    pub id: ActivationId,
    pub topic: Arc<str>,
    pub message: Message,
    pub answer: oneshot::Receiver<Answer>,
}

impl App {
    /// Counts an invocation against the caller's throttles. The first check of all, so that it hides what exists.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub fn charge_invocation(&self, caller: &Caller) -> Result<(), Error> {
        let identity = &caller.identity;
        let (uuid, limits) = (&identity.namespace.uuid, &identity.limits);
        self.work
            .throttle
            .charge(uuid, limits, Kind::Invocation, now())
            .inspect_err(|_| self.refused_timed(caller))?;
        self.work
            .throttle
            .check_concurrency(uuid, limits)
            .inspect_err(|_| self.refused_concurrent(caller))
            .inspect(|()| self.let_through(caller))
    }

    /// Refuses a request body above the caller's payload limit.
    ///
    /// # Errors
    /// [`wsk_entities::Error::TooLarge`].
    pub fn check_payload_size(&self, caller: &Caller, size: usize) -> Result<(), Error> {
        let system = self.config.max_payload_bytes;
        let own = caller.identity.limits.max_payload_size.as_deref().and_then(parse_size);
        let limit = own.map_or(system, |own| own.min(system));
        let size = size as u64;
        if size <= limit {
            return Ok(());
        }
        Err(wsk_entities::Error::TooLarge {
            field: "Request",
            size,
            limit,
        }
        .into())
    }

    /// Starts an action that was resolved and paid for. `payload` is an object.
    ///
    /// # Errors
    /// Those of the checks on action and payload, [`Error::Unavailable`] when nothing can run it.
    pub async fn invoke(
        self: &Arc<App>,
        caller: &Caller,
        target: &ResolvedAction,
        payload: Option<Json>,
        wait: Wait,
    ) -> Result<Started, Error> {
        if let Some(payload) = &payload {
            check_final(target, payload)?;
        }
        self.invoke_judged(caller, target, payload, wait).await
    }

    /// As [`App::invoke`], with a payload that was found to set nothing which is protected.
    pub(super) async fn invoke_judged(
        self: &Arc<App>,
        caller: &Caller,
        target: &ResolvedAction,
        payload: Option<Json>,
        wait: Wait,
    ) -> Result<Started, Error> {
        self.check_runnable(target)?;
        let policy = Policy::of(&target.action.annotations);
        if policy.is_some() || super::composition::is_composed(&target.action) {
            return Box::pin(self.compose(caller, target, payload, policy, wait)).await;
        }
        let arguments = arguments(target, payload);
        self.run(
            Launch {
                caller,
                target,
                arguments,
                sealed: &Parameters::new(),
                cause: None,
                blocking: wait != Wait::No,
            },
            wait,
        )
        .await
    }

    async fn run(self: &Arc<App>, launch: Launch<'_>, wait: Wait) -> Result<Started, Error> {
        let Ready {
            id,
            topic,
            message,
            answer,
        } = self.prepare(&launch)?;
        match wait {
            Wait::No => {
                let app = self.clone();
                let publish = async move { app.publish(id, &topic, message, Durability::Durable).await };
                to_the_end(publish).await.map(|_| Started::Accepted(id))
            }
            Wait::UpTo(limit) => {
                let receipt = self.publish(id, &topic, message, Durability::Volatile).await?;
                let underway = Underway::new(self, id, receipt);
                metrics::BLOCKING_STARTED.inc();
                let started = Instant::now();
                let namespace = &launch.caller.identity.namespace.name;
                let ended = tokio::select! {
                    biased;
                    record = self.await_answer(namespace, id, answer, limit) => Ok(record),
                    error = underway.lost() => Err(error),
                };
                metrics::BLOCKING_FINISHED.observe(started.elapsed().as_secs_f64());
                match ended {
                    Ok(Some(record)) => {
                        underway.answered();
                        Ok(Started::Ended(record))
                    }
                    Ok(None) => underway.persist().await.map(|()| Started::Accepted(id)),
                    Err(error) => Err(underway.end(error)),
                }
            }
        }
    }

    /// Places an activation and makes its message.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no invoker is usable.
    pub(super) fn prepare(&self, launch: &Launch<'_>) -> Result<Ready, Error> {
        let id = self.chance.activation_id();
        telemetry::record("activation_id", id.to_string());
        self.prepare_as(id, launch)
    }

    pub(super) fn prepare_as(&self, id: ActivationId, launch: &Launch<'_>) -> Result<Ready, Error> {
        metrics::STARTED.inc();
        let (identity, action) = (&launch.caller.identity, &launch.target.action);
        let (name, at) = (action.full_name(), now());
        let placement = self.place(&identity.namespace.name, launch.target, &name, at)?;
        let message = self.message(id, launch, placement.last);
        let (waiter, answer) = oneshot::channel();
        self.work.flights.board(
            id,
            Boarding {
                slot: Some(placement.slot),
                permit: Some(self.work.throttle.enter(&identity.namespace.uuid)),
                waiter: Some(waiter),
                action: name,
                version: Some(action.version),
                namespace: identity.namespace.name.clone(),
                force_at: at + force_after(action.limits.timeout),
                departed: false,
            },
        );
        Ok(Ready {
            id,
            topic: placement.topic,
            message,
            answer,
        })
    }

    fn place(
        &self,
        namespace: &Namespace,
        target: &ResolvedAction,
        name: &FullName,
        at: Timestamp,
    ) -> Result<Placement, Error> {
        let limits = &target.action.limits;
        let demand = Demand {
            namespace,
            action: name,
            memory: limits.memory,
            concurrency: limits.concurrency,
            wants: &target.wants,
            refused: &[],
        };
        let placement = self.work.flights.place(&demand, at, self.chance.draw() as u64);
        let placement = placement.map_err(|refusal| match refusal {
            Refusal::NoneUp => {
                Error::Unavailable("no invoker is up that could run the action; see GET /invokers".into())
            }
            Refusal::NoneFits(why) => Error::Unplaceable(why),
        })?;
        if placement.overcommitted {
            metrics::OVERLOADS.inc();
        }
        Ok(placement)
    }

    fn message(&self, id: ActivationId, launch: &Launch<'_>, last: bool) -> Message {
        let (caller, target) = (launch.caller, launch.target);
        let action = &target.action;
        let message = ActivationMessage {
            transid: caller.transid.clone(),
            action: ActionRef {
                path: action.namespace.clone(),
                name: action.name.clone(),
                version: action.version,
                binding: target.binding.clone(),
            },
            revision: target.revision.0.clone(),
            user: caller.identity.clone(),
            activation_id: id,
            root_controller_index: self.work.index.clone(),
            blocking: launch.blocking,
            content: launch.arguments.clone(),
            init_args: target
                .parameters
                .iter()
                .filter(|p| p.init)
                .map(|p| p.key.clone())
                .collect(),
            locked_args: locked(&target.parameters, launch.sealed, launch.arguments.as_ref()),
            cause: launch.cause,
            trace_context: trace::current()
                .and_then(|context| context.carrier())
                .map(|carrier| Json::of(&carrier)),
            detour: last.then(|| {
                Box::new(Detour {
                    last,
                    ..Detour::default()
                })
            }),
        };
        Message::local(Key::Id(id.bits()), Arc::new(message))
    }

    /// Publishes a prepared activation; when that fails its capacity is back.
    pub(super) async fn publish(
        &self,
        id: ActivationId,
        topic: &str,
        message: Message,
        durability: Durability,
    ) -> Result<Receipt, Error> {
        metrics::ACTIVATIONS.inc();
        metrics::PUBLISHING.inc();
        let began = Instant::now();
        let published = {
            let mut span = trace::Span::child("publish", trace::Kind::Producer, trace::current().as_ref());
            span.note("ferrowhisk.activation_id", || id.to_string());
            span.note("messaging.destination.name", || topic.to_owned());
            let published = self.bus.publish(topic, message, durability).await;
            if published.is_err() {
                span.fail("the bus refused the message");
            }
            published
        };
        match &published {
            Ok(_) => {
                metrics::PUBLISHED.observe(began.elapsed().as_secs_f64());
                self.work.flights.depart(id);
            }
            Err(_) => self.work.flights.cancel(id),
        }
        published.map_err(refused)
    }

    /// Refuses what may be kept but no longer run.
    pub(super) fn check_runnable(&self, target: &ResolvedAction) -> Result<(), Error> {
        if target.deprecated {
            let kind = target.action.exec.kind();
            return Err(Error::Rejected(format!(
                "The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action."
            )));
        }
        Ok(())
    }
}

/// The time after which an activation is taken for lost, in milliseconds, for a time limit in milliseconds.
fn force_after(timeout: u32) -> u64 {
    u64::from(timeout).max(60_000) * 2 + 60_000
}

/// Refuses a payload that sets a parameter which `final` protects.
pub(super) fn check_final(target: &ResolvedAction, payload: &Json) -> Result<(), Error> {
    if !target.action.annotations.is_true("final") {
        return Ok(());
    }
    let given = payload.object().unwrap_or_default();
    if target.parameters.bound().any(|key| given.contains_key(key)) {
        return Err(not_allowed());
    }
    Ok(())
}

pub(super) fn not_allowed() -> Error {
    Error::Rejected("Request defines parameters that are not allowed (e.g., reserved properties).".into())
}

/// The action's merged parameters overlaid by the payload. A payload with nothing to merge is passed on as it came, and
/// an array replaces everything.
pub(super) fn arguments(target: &ResolvedAction, payload: Option<Json>) -> Option<Json> {
    if target.parameters.is_empty() {
        return payload;
    }
    let given = match payload {
        None => Object::new(),
        Some(payload) => match payload.object() {
            Some(given) => given,
            None => return Some(payload),
        },
    };
    let mut merged = target.parameters.to_object();
    merged.extend(given);
    Some(Json::from(&merged))
}

/// What a refused publish means to the caller.
pub(super) fn refused(error: wsk_bus::Error) -> Error {
    metrics::UNPUBLISHED.inc();
    match error {
        wsk_bus::Error::TooLarge { .. } | wsk_bus::Error::TornApart { .. } => Error::TooLarge,
        other => unavailable(other),
    }
}

pub(super) fn unavailable(error: wsk_bus::Error) -> Error {
    Error::Unavailable(error.to_string())
}
