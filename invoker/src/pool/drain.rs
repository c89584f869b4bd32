//! The end of a pool: take nothing more, finish what was taken, record it, remove the containers, all before a deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use wsk_bus::messages::Control;
use wsk_entities::FullName;
use wsk_planted::{Bug, planted};

use super::job::Job;
use super::lifecycle::Event;
use super::{Pool, Turn};
use crate::records::Open;

/// What others may ask of the pool.
pub(crate) enum Command {
    Control(Control),
    /// An entity with this name was changed or deleted.
    Changed(FullName),
    Drain {
        deadline: Instant,
        done: oneshot::Sender<usize>,
    },
}

/// The state of draining.
pub(crate) struct Draining {
    deadline: Pin<Box<Sleep>>,
    /// Until everything taken is recorded.
    recording: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    done: oneshot::Sender<usize>,
}

impl Draining {
    fn new(deadline: Instant, open: Arc<Open>, done: oneshot::Sender<usize>) -> Draining {
        Draining {
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            recording: Some(Box::pin(async move { open.none().await })),
            done,
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.recording.is_none()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Some(recording) = &mut self.recording
            && recording.as_mut().poll(cx).is_ready()
        {
            self.recording = None;
            return Poll::Ready(Turn::Recorded);
        }
        self.deadline.as_mut().poll(cx).map(|()| Turn::Deadline)
    }
}

impl Pool {
    pub(super) fn drain(&mut self, deadline: Instant, done: oneshot::Sender<usize>) {
        // What no container was found for yet has not begun: the bus keeps it for the next life.
        for line in self.lines.clone() {
            self.dissolve(line);
        }
        let waiting: Vec<Job> = self.anew.drain(..).chain(std::mem::take(&mut self.buffer)).collect();
        let handed_back = waiting.len();
        if planted(Bug::DrainsTheWaiting) {
            waiting.into_iter().for_each(|job| job.ticket.commit());
        }
        tracing::info!(handed_back, open = self.shared.open.count(), "draining");
        self.draining = Some(Draining::new(deadline, self.shared.open.clone(), done));
    }

    /// Nothing is left to do in any container.
    pub(super) fn recorded(&mut self) {
        let all: Vec<_> = self.slots.iter().map(|(id, _)| id).collect();
        all.into_iter().for_each(|slot| self.step(slot, Event::Condemn));
    }

    /// Hands back what is left and says how much that was.
    pub(super) fn end(mut self) {
        let Some(draining) = self.draining.take() else { return };
        let handed_back = self.shared.open.count();
        if handed_back > 0 {
            tracing::warn!(
                handed_back,
                "drained without finishing everything; the rest goes back to the bus"
            );
        }
        // Whoever asked may be gone.
        let _ = draining.done.send(handed_back);
    }
}
