//! Carries out what the lifecycle asks for, through [`Container`]. Nothing here decides what is next: every function ends in a
//! [`Report`] to the pool.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;
use wsk_bus::messages::ActivationMessage;
use wsk_containers::{Container, Error, LogRequest, Logs, Spec, Until};
use wsk_entities::{Activation, FullName, Response, StatusCode};
use wsk_service::clock;

use super::Shared;
use super::groups::Bound;
use super::job::{Init, Job};
use super::lifecycle::After;
use super::slab::Id;
use crate::fetch::NoCode;
use crate::logs;
use crate::outcome::{self, Fault, Time, Verdict};
use crate::plan::Plan;
use crate::record::{self, Timing};
use crate::run;

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

/// Finds out whether a redelivered activation was recorded by whoever had it before. Waits for the store as long as need be.
pub(crate) async fn look_up(shared: Arc<Shared>, outbox: Outbox, mut job: Job) {
    let id = job.message.activation_id;
    let mut pause = PAUSE;
    let known = loop {
        match shared.activations.exists(id).await {
            Ok(known) => break known,
            Err(error) if error.retryable() => {
                tracing::warn!(activation_id = %id, %error, "waiting for the store to look up a redelivered activation");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            // What cannot be looked up cannot be stored either; running it is what was promised.
            Err(_) => break false,
        }
    };
    if known {
        shared.acks.known(&job.message, id).await;
        job.ticket.commit();
    } else {
        job.looked_up = true;
        outbox.put(Report::LookedUp(job));
    }
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
        Err(NoCode::Fault(fault)) => {
            outbox.put(Report::InitFailed { slot, again: None });
            return fail(shared, Some(bound.plan.clone()), job, fault).await;
        }
    };
    shared.metrics.inits.inc();
    let (at, began) = (clock::now(), Instant::now());
    let body = run::init_body(plan, &job.message, code, at + u64::from(plan.limits.timeout));
    let result = container.init(shared.call(plan, body)).await;
    let took = millis(began.elapsed());
    let time = Time {
        elapsed: took,
        limit: plan.limits.timeout.into(),
    };
    match outcome::of_init(result, time, shared.sizes_of(&job.message)) {
        None => {
            job.init = Some(Init { at, began, took });
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
            };
            conclude(Place { shared, outbox, slot }, container, ended).await;
        }
    }
}

/// Runs an activation.
pub(crate) async fn run(place: Place, container: Arc<dyn Container>, bound: Arc<Bound>, job: Job) {
    let Place { shared, outbox, slot } = &place;
    let plan = &*bound.plan;
    let (at, began) = (clock::now(), Instant::now());
    let body = run::run_body(plan, &job.message, at + u64::from(plan.limits.timeout));
    let result = container.run(shared.call(plan, body)).await;
    let took = millis(began.elapsed());
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
        }),
        Verdict::Ended { response, timeout } => {
            let after = after(response.status_code);
            outbox.put(Report::RunEnded {
                slot: *slot,
                after,
                again: None,
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
                },
            )
            .await;
        }
    }
}

fn after(status: StatusCode) -> After {
    match status {
        StatusCode::Success | StatusCode::ApplicationError => After::Keep,
        StatusCode::DeveloperError | StatusCode::WhiskError => After::Destroy,
    }
}

fn timing(job: &Job, at: u64, took: u64, timeout: bool) -> Timing {
    match job.init {
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

/// An activation that a container ended.
struct Ended {
    bound: Arc<Bound>,
    job: Job,
    timing: Timing,
    response: Response,
    until: Until,
}

/// Collects the log, acknowledges and records: the result first, unless the log is there already.
async fn conclude(place: Place, container: Arc<dyn Container>, ended: Ended) {
    let Place { shared, outbox, slot } = place;
    let Ended {
        bound,
        job,
        timing,
        response,
        until,
    } = ended;
    let (message, status) = (&*job.message, response.status_code);
    if after(status) == After::Destroy {
        shared.metrics.run_errors.inc();
    }
    let record = record::build(message, Some(&bound.plan), timing, response);
    shared.observe(&bound, message, &record, timing);
    let limit = bound.plan.limits.logs;
    let request = shared.log_request(limit, until);
    let mut answered = !message.blocking;
    let found = match limit {
        0 => Logs::default(),
        _ => collect(&shared, &*container, request, message, &record, &mut answered).await,
    };
    if found.incomplete && until == Until::Sentinel {
        outbox.put(Report::Condemned { slot });
    }
    let lines = logs::stored(found, limit, status, shared.now_ns());
    let record = acknowledge(&shared, message, record, lines, answered).await;
    shared.records.send(record, job.ticket).await;
    if limit == 0 {
        // Nobody reads them; taken away, so that they do not pile up in the container.
        container.logs(request).await;
    }
}

/// The log. Where it takes longer than a look, a waiting caller gets the result first.
async fn collect(
    shared: &Shared,
    container: &dyn Container,
    request: LogRequest,
    message: &ActivationMessage,
    record: &Activation,
    answered: &mut bool,
) -> Logs {
    let mut logs = container.logs(request);
    let look = poll_fn(|cx| Poll::Ready(logs.as_mut().poll(cx))).await;
    match look {
        Poll::Ready(found) => found,
        Poll::Pending => {
            if !*answered {
                *answered = true;
                shared.acks.result(message, Arc::new(record.clone())).await;
            }
            logs.await
        }
    }
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

/// Ends an activation without a container.
pub(crate) async fn fail(shared: Arc<Shared>, plan: Option<Arc<Plan>>, job: Job, fault: Fault) {
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
        transid = %job.message.transid, activation_id = %job.message.activation_id, fault = ?fault,
        "activation ended without its code having run"
    );
    let record = Arc::new(record::build(&job.message, plan.as_deref(), timing, response));
    if job.message.blocking {
        shared.acks.combined(&job.message, record.clone()).await;
    } else {
        shared.acks.completion(&job.message, record.response.status_code).await;
    }
    shared.records.send(record, job.ticket).await;
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
