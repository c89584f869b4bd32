//! Carries out what the lifecycle asks for, through [`Container`]. Nothing here decides what is next: every function ends in a
//! [`Report`] to the pool.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use wsk_containers::{Container, Error, Spec, Until};
use wsk_entities::FullName;
use wsk_service::clock;

use super::Shared;
use super::conclude::{Ended, Ending, after, conclude, fail};
use super::groups::Bound;
use super::job::{Init, Job};
use super::lifecycle::After;
use super::recall;
use super::slab::Id;
use crate::control::{Tells, attend};
use crate::fetch::NoCode;
use crate::outcome::{self, Fault, Time, Verdict};
use crate::plan::Plan;
use crate::record::Timing;
use crate::run;
use crate::unlock;

/// What the pool hears of work under way.
pub(crate) enum Report {
    /// An action was read, or why not.
    Planned {
        name: FullName,
        result: Result<Arc<Plan>, Fault>,
    },
    /// The store has no record of this redelivered activation.
    LookedUp(Job),
    Created {
        slot: Id,
        result: Result<Arc<dyn Container>, Error>,
    },
    Initialised {
        slot: Id,
        job: Job,
    },
    /// The container is not to be used; with the job if another one may run it.
    InitFailed {
        slot: Id,
        again: Option<Job>,
    },
    /// The same, because the action was replaced meanwhile.
    Superseded {
        slot: Id,
        job: Job,
    },
    RunEnded {
        slot: Id,
        after: After,
        again: Option<Job>,
        /// How long it ran, if it did.
        took: Option<Duration>,
    },
    /// An activation was cancelled whose container runs others too, or may.
    Abandoned {
        slot: Id,
    },
    /// The code of such an activation has ended.
    AbandonedEnded {
        slot: Id,
    },
    /// Its log could not be read: it must not be used again.
    Condemned {
        slot: Id,
    },
    Paused {
        slot: Id,
        done: bool,
    },
    Resumed {
        slot: Id,
        done: bool,
    },
    Destroyed {
        slot: Id,
    },
}

/// Where reports are left. The pool looks after every turn of the work it holds, so that nothing needs waking.
#[derive(Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<VecDeque<Report>>>);

impl Outbox {
    pub fn put(&self, report: Report) {
        self.0.lock().expect("no panic under this lock").push_back(report);
    }

    pub fn take(&self) -> Option<Report> {
        self.0.lock().expect("no panic under this lock").pop_front()
    }
}

/// A container of the pool, for the functions here.
#[derive(Clone)]
pub(crate) struct Place {
    pub shared: Arc<Shared>,
    pub outbox: Outbox,
    pub slot: Id,
}

const PAUSE: Duration = Duration::from_millis(100);

/// Reads the newest revision of an action.
pub(crate) async fn plan(shared: Arc<Shared>, outbox: Outbox, name: FullName) {
    let result = shared.actions.plan(&name).await;
    outbox.put(Report::Planned { name, result });
}

/// Finds out whether a redelivered activation was recorded by whoever had it before, which may be this invoker, and may have it
/// yet. Waits for that, and for the store, as long as need be. What this invoker ended meanwhile does not run again, with a
/// record or without.
pub(crate) async fn look_up(shared: Arc<Shared>, outbox: Outbox, mut job: Job) {
    let is_over = job.alone(shared.config.id).await;
    let (id, namespace) = (job.message.activation_id, &job.message.user.namespace.name);
    let mut pause = PAUSE;
    let known = loop {
        match shared.activations.exists(namespace, id).await {
            Ok(known) => break known,
            Err(error) if error.retryable() => {
                tracing::warn!(activation_id = %id, %error, "waiting for the store to look up a redelivered activation");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            // What cannot be looked up cannot be stored either; running it is what was promised.
            Err(error) => {
                tracing::warn!(activation_id = %id, %error, "a redelivered activation cannot be looked up; it runs again");
                break false;
            }
        }
    };
    if known {
        shared.acks.known(&job.message, id).await;
    }
    if known || is_over {
        return job.ticket.commit();
    }
    job.looked_up = true;
    outbox.put(Report::LookedUp(job));
}

/// Makes a container, and meanwhile reads the code it will be given.
pub(crate) async fn create(place: Place, spec: Spec, plan: Option<Arc<Plan>>) {
    let Place { shared, outbox, slot } = place;
    let _turn = shared.starts.acquire().await.expect("never closed");
    let reads = async {
        if let Some(plan) = plan {
            // A failure shows again, and is dealt with, when the code is needed.
            let _ = shared.actions.code(&plan).await;
        }
    };
    let (result, ()) = tokio::join!(make(&shared, spec), reads);
    outbox.put(Report::Created { slot, result });
}

async fn make(shared: &Shared, spec: Spec) -> Result<Arc<dyn Container>, Error> {
    let mut attempt = 1;
    loop {
        match shared.factory.create(spec.clone()).await {
            Err(Error::ShuttingDown) => return Err(Error::ShuttingDown),
            Err(error) if error.retryable() && attempt < shared.config.create_attempts => {
                shared.metrics.start_errors.inc();
                tracing::warn!(name = %spec.name, error = &error as &dyn std::error::Error, "container not made; again");
                tokio::time::sleep(PAUSE * attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Initialises a container for an activation.
pub(crate) async fn init(place: Place, container: Arc<dyn Container>, bound: Arc<Bound>, mut job: Job) {
    let Place { shared, outbox, slot } = place;
    let plan = &bound.plan;
    let code = match shared.actions.code(plan).await {
        Ok(code) => code,
        Err(NoCode::Superseded) => return outbox.put(Report::Superseded { slot, job }),
        Err(NoCode::Foreign(program)) => {
            // It is placed again, and refused with what is known now.
            let why = format!("the program of the action was compiled for {program}");
            shared.machine.learn(&plan.names[1], &why, clock::now());
            return outbox.put(Report::InitFailed { slot, again: Some(job) });
        }
        Err(NoCode::Fault(fault)) => {
            outbox.put(Report::InitFailed { slot, again: None });
            return fail(shared, Some(bound.plan.clone()), job, fault).await;
        }
    };
    shared.metrics.inits.inc();
    let (at, began) = (clock::now(), Instant::now());
    let body = match run::init_body(
        &shared.secrets,
        plan,
        &job.message,
        code,
        at + u64::from(plan.limits.timeout),
    ) {
        Ok(body) => body,
        Err(fault) => {
            outbox.put(Report::InitFailed { slot, again: None });
            return fail(shared, Some(bound.plan.clone()), job, fault).await;
        }
    };
    let mut call = container.init(shared.call(plan, body));
    let result = attend(&shared, &job.message, &*container, Tells::Nothing, &mut call).await;
    drop(call);
    let took = millis(began.elapsed());
    let Some(result) = result else {
        // Dropped or not, what is inside has seen the call: the container goes.
        outbox.put(Report::InitFailed { slot, again: None });
        let place = Place { shared, outbox, slot };
        return recall::in_init(
            place,
            container,
            bound,
            job,
            Timing {
                start: at,
                end: at + took,
                duration: took,
                init: Some(took),
                timeout: false,
            },
        )
        .await;
    };
    let time = Time {
        elapsed: took,
        limit: plan.limits.timeout.into(),
    };
    match outcome::of_init(result, time, shared.sizes_of(&job.message)) {
        None => {
            job.init = Some(Box::new(Init { at, began, took }));
            outbox.put(Report::Initialised { slot, job });
        }
        Some(Verdict::Elsewhere) => outbox.put(Report::InitFailed { slot, again: Some(job) }),
        Some(Verdict::Ended { response, timeout }) => {
            shared.metrics.init_errors.inc();
            outbox.put(Report::InitFailed { slot, again: None });
            let timing = Timing {
                start: at,
                end: at + took,
                duration: took,
                init: Some(took),
                timeout,
            };
            let ended = Ended {
                bound,
                job,
                timing,
                response,
                until: Until::Drained,
                ending: Ending::Own,
            };
            conclude(Place { shared, outbox, slot }, container, ended).await;
        }
    }
}

/// Runs an activation.
pub(crate) async fn run(place: Place, container: Arc<dyn Container>, bound: Arc<Bound>, job: Job) {
    let Place { shared, outbox, slot } = &place;
    let plan = &*bound.plan;
    let opened = match unlock::arguments(&shared.secrets, &job.message) {
        Ok(opened) => opened,
        Err(fault) => {
            let (slot, again) = (*slot, None);
            let after = After::Keep;
            outbox.put(Report::RunEnded {
                slot,
                after,
                again,
                took: None,
            });
            return fail(shared.clone(), Some(bound.plan.clone()), job, fault).await;
        }
    };
    if plan.limits.concurrency <= 1 && !plan.program.sentinelled {
        container.settle().await;
    }
    let (at, began) = (clock::now(), Instant::now());
    let body = run::run_body(plan, &job.message, opened, at + u64::from(plan.limits.timeout));
    let mut call = container.run(shared.call(plan, body));
    let tells = Tells::of(&plan.limits);
    let result = attend(shared, &job.message, &*container, tells, &mut call).await;
    let span = began.elapsed();
    let took = millis(span);
    let Some(result) = result else {
        let timing = timing(&job, at, took, false);
        return Box::pin(recall::in_run(place.clone(), &container, bound, job, timing, call)).await;
    };
    drop(call);
    let time = Time {
        elapsed: took,
        limit: plan.limits.timeout.into(),
    };
    let answered = result.is_ok();
    match outcome::of_run(result, time, shared.sizes_of(&job.message)) {
        Verdict::Elsewhere => outbox.put(Report::RunEnded {
            slot: *slot,
            after: After::Destroy,
            again: Some(job),
            took: None,
        }),
        Verdict::Ended { response, timeout } => {
            let after = after(response.status_code);
            outbox.put(Report::RunEnded {
                slot: *slot,
                after,
                again: None,
                took: Some(span),
            });
            let timing = timing(&job, at, took, timeout);
            let marked = answered && plan.program.sentinelled && after == After::Keep;
            let until = if marked { Until::Sentinel } else { Until::Drained };
            conclude(
                place,
                container,
                Ended {
                    bound,
                    job,
                    timing,
                    response,
                    until,
                    ending: Ending::Own,
                },
            )
            .await;
        }
    }
}

fn timing(job: &Job, at: u64, took: u64, timeout: bool) -> Timing {
    match &job.init {
        None => Timing {
            start: at,
            end: at + took,
            duration: took,
            init: None,
            timeout,
        },
        Some(init) => Timing {
            start: init.at,
            end: init.at + millis(init.began.elapsed()),
            duration: init.took + took,
            init: Some(init.took),
            timeout,
        },
    }
}

pub(crate) async fn pause(place: Place, container: Arc<dyn Container>) {
    let result = container.pause().await;
    if let Err(error) = &result {
        tracing::warn!(container = container.id(), %error, "container could not be frozen; it is removed");
    }
    place.outbox.put(Report::Paused {
        slot: place.slot,
        done: result.is_ok(),
    });
}

pub(crate) async fn resume(place: Place, container: Arc<dyn Container>) {
    let result = container.resume().await;
    if let Err(error) = &result {
        tracing::warn!(container = container.id(), %error, "container could not be thawed; it is removed");
    }
    place.outbox.put(Report::Resumed {
        slot: place.slot,
        done: result.is_ok(),
    });
}

/// Removes a container. A failure that stays is the backend's to repair: the container is dropped with the future.
pub(crate) async fn destroy(place: Place, container: Arc<dyn Container>) {
    for attempt in 1..=5u32 {
        match container.destroy().await {
            Ok(()) => break,
            Err(error) => {
                tracing::error!(container = container.id(), attempt, %error, "container could not be removed");
                tokio::time::sleep(PAUSE * attempt).await;
            }
        }
    }
    place.outbox.put(Report::Destroyed { slot: place.slot });
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
