//! Taking back what was begun: the activations that somebody cancelled.
//!
//! One that waits leaves its queue. One that is in a worker's hands is ended by the worker, which looks for orders whenever it
//! is woken; after an order all work is woken once. One that is not here yet is met by its order when it comes.
//!
//! **Invariant.** An activation is in one place, so it is ended once: whoever holds the job ends it.

use std::sync::Arc;

use wsk_bus::messages::Control;
use wsk_containers::{Answer, CallError, Container, LogRequest, Until};
use wsk_entities::{ActivationId, Namespace};

use super::Pool;
use super::conclude::{Ended, Ending, conclude};
use super::groups::Bound;
use super::job::Job;
use super::lifecycle::{After, Event};
use super::worker::{Place, Report};
use crate::outcome::{self, Fault};
use crate::record::Timing;

impl Pool {
    /// Acts on an order of a controller.
    pub(super) fn ordered(&mut self, control: &Control) {
        self.shared.orders.take(control);
        match control {
            Control::Cancel {
                activation_id,
                namespace,
            } => {
                if let Some(job) = self.withdraw(*activation_id, namespace) {
                    let plan = job.plan.clone();
                    return self.fail(plan, job, Fault::Cancelled);
                }
            }
            Control::Follow { .. } => {}
        }
        // Orders are rare: waking all work costs less than knowing whose is whose.
        let work = std::mem::take(&mut self.work);
        self.work.extend(work);
    }

    /// Takes an activation that waits out of its queue.
    fn withdraw(&mut self, id: ActivationId, namespace: &Namespace) -> Option<Job> {
        let meant = |job: &Job| job.message.activation_id == id && job.message.user.namespace.name == *namespace;
        for queue in [&mut self.anew, &mut self.buffer] {
            if let Some(at) = queue.iter().position(meant) {
                return queue.remove(at);
            }
        }
        for line in self.lines.clone() {
            if let Some(at) = self.groups.get(line).line.iter().position(meant) {
                return self.take_from_line(line, |line| line.remove(at));
            }
        }
        for waiting in self.planning.values_mut() {
            // The read goes on, for whoever else waits for it, or for nobody.
            if let Some(at) = waiting.iter().position(meant) {
                return Some(waiting.remove(at));
            }
        }
        let find = |slot: &super::Slot| slot.waiting.iter().position(meant);
        let (slot, at) = self.slots.iter().find_map(|(slot, place)| Some((slot, find(place)?)))?;
        let job = self.slots.get_mut(slot)?.waiting.remove(at);
        self.step(slot, Event::Withdrawn);
        job
    }
}

/// Ends an activation that was cancelled during `/init`.
pub(super) async fn in_init(place: Place, container: Arc<dyn Container>, bound: Arc<Bound>, job: Job, timing: Timing) {
    conclude(place, container, ended(bound, job, timing, Ending::Cancelled)).await;
}

/// Ends an activation that was cancelled during `/run`, of which `rest` is what is left. Where the container may run others
/// as well, these are not to be harmed: the code runs on to its own end, unless nobody else is at work there.
pub(super) async fn in_run(
    place: Place,
    container: &Arc<dyn Container>,
    bound: Arc<Bound>,
    job: Job,
    timing: Timing,
    rest: impl Future<Output = Result<Answer, CallError>>,
) {
    let slot = place.slot;
    if bound.plan.limits.concurrency <= 1 {
        drop(rest);
        place.outbox.put(Report::RunEnded {
            slot,
            after: After::Destroy,
            again: None,
            took: None,
        });
        let ended = ended(bound, job, timing, Ending::Cancelled);
        return conclude(place, container.clone(), ended).await;
    }
    place.outbox.put(Report::Abandoned { slot });
    let request = LogRequest {
        limit_bytes: 0,
        ..place.shared.log_request(bound.plan.limits.logs, Until::Drained)
    };
    let outbox = place.outbox.clone();
    let runs_on = async {
        let answered = rest.await.is_ok();
        let marked = answered && bound.plan.program.sentinelled;
        let until = if marked { Until::Sentinel } else { Until::Drained };
        // Its part of the log is taken away, so that it is nobody else's.
        container.logs(LogRequest { until, ..request }).await;
        outbox.put(Report::AbandonedEnded { slot });
    };
    let ended = ended(bound.clone(), job, timing, Ending::Abandoned);
    tokio::join!(conclude(place, container.clone(), ended), runs_on);
}

fn ended(bound: Arc<Bound>, job: Job, timing: Timing, ending: Ending) -> Ended {
    Ended {
        bound,
        job,
        timing,
        response: outcome::cancelled(),
        until: Until::Drained,
        ending,
    }
}
