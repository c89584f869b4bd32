//! What the containers of one scripted factory share: the script, the counts, and each container's state.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use super::{CallKind, Counts, Outcome, Reply, Seen, watched::Watched};
use crate::{Answer, CallError, Error, LogLine, Logs, Spec};

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;
type StartScript = Arc<dyn Fn(&Spec) -> Result<Duration, Error> + Send + Sync>;

/// What all containers of a factory share.
pub(super) struct Stage {
    pub(super) counts: Counts,
    pub(super) next_id: u64,
    pub(super) closed: bool,
    pub(super) epoch: Option<Instant>,
    pub(super) start: StartScript,
    pub(super) next_starts: VecDeque<Result<Duration, Error>>,
    pub(super) behaviour: Script,
    pub(super) next_inits: VecDeque<Reply>,
    pub(super) next_runs: VecDeque<Reply>,
    pub(super) violations: Vec<String>,
    pub(super) actors: BTreeMap<String, Actor>,
}

/// The stage's side of one container.
pub(super) struct Actor {
    pub(super) spec: Spec,
    pub(super) life: Watched<Life>,
    pub(super) inits: u32,
    pub(super) runs: u32,
    /// One permit per `/run` that may be in flight.
    pub(super) permits: Arc<Semaphore>,
    pub(super) segments: VecDeque<Logs>,
    pub(super) open_segment: Vec<LogLine>,
    /// Told when a segment was closed.
    pub(super) written: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Paused,
    Dead,
    Destroyed,
}

impl Life {
    /// Whether it answers no more.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Life::Dead | Life::Destroyed)
    }
}

impl Actor {
    pub(super) fn alive(&self) -> bool {
        match self.life.get() {
            Life::Running | Life::Paused => true,
            Life::Dead | Life::Destroyed => false,
        }
    }

    fn write(&mut self, reply: &Reply, time_ns: u64) {
        let lines = reply.lines.iter().map(|(stream, text)| LogLine {
            time_ns,
            stream: *stream,
            text: text.clone(),
        });
        self.open_segment.extend(lines);
        if reply.sentinel && reply.sentinel_after.is_zero() {
            self.close_segment();
        }
    }

    fn close_segment(&mut self) {
        let lines = std::mem::take(&mut self.open_segment);
        self.segments.push_back(Logs {
            lines,
            truncated: false,
            incomplete: false,
        });
        self.written.notify_waiters();
    }
}

impl Stage {
    /// Containers start at once, accept `/init` and answer `{}`.
    pub(super) fn new() -> Self {
        Stage {
            counts: Counts::default(),
            next_id: 0,
            closed: false,
            epoch: None,
            start: Arc::new(|_| Ok(Duration::ZERO)),
            next_starts: VecDeque::new(),
            behaviour: Arc::new(|_| Reply::ok("{}")),
            next_inits: VecDeque::new(),
            next_runs: VecDeque::new(),
            violations: Vec::new(),
            actors: BTreeMap::new(),
        }
    }

    /// Puts a new container on; `None` once closed.
    pub(super) fn admit(&mut self, spec: Spec) -> Option<(String, Watched<Life>)> {
        if self.closed {
            return None;
        }
        self.next_id += 1;
        self.counts.created += 1;
        let id = format!("scripted-{:08}", self.next_id);
        let life = Watched::new(Life::Running);
        let actor = Actor {
            permits: Arc::new(Semaphore::new(spec.concurrency.max(1) as usize)),
            spec,
            life: life.clone(),
            inits: 0,
            runs: 0,
            segments: VecDeque::new(),
            open_segment: Vec::new(),
            written: Arc::new(Notify::new()),
        };
        self.actors.insert(id.clone(), actor);
        Some((id, life))
    }

    /// Notes the call, checks that it is allowed, and takes its reply.
    pub(super) fn enter(&mut self, id: &str, kind: CallKind, body: Bytes) -> Reply {
        let actor = self.actors.get_mut(id).expect("a container outlives its actor's calls");
        let life = actor.life.get();
        let before = match kind {
            CallKind::Init => actor.inits,
            CallKind::Run => actor.runs,
        };
        let mut wrong = Vec::new();
        match kind {
            CallKind::Init => {
                self.counts.inits += 1;
                actor.inits += 1;
                wrong.extend((before > 0).then_some("second /init"));
            }
            CallKind::Run => {
                self.counts.runs += 1;
                actor.runs += 1;
                wrong.extend((actor.inits == 0).then_some("/run before /init"));
                wrong.extend((actor.permits.available_permits() == 0).then_some("more /run than the concurrency"));
            }
        }
        wrong.extend((life == Life::Paused).then_some("call while paused"));
        wrong.extend((life == Life::Destroyed).then_some("call after destroy"));
        let seen = Seen {
            container: id.to_owned(),
            name: actor.spec.name.clone(),
            kind,
            body,
            before,
        };
        self.violations
            .extend(wrong.into_iter().map(|what| format!("{what}: {id} ({})", seen.name)));
        let queued = match kind {
            CallKind::Init => self.next_inits.pop_front(),
            CallKind::Run => self.next_runs.pop_front(),
        };
        queued.unwrap_or_else(|| (self.behaviour)(&seen))
    }

    /// Sentinels that come after the outcome.
    pub(super) fn close_segment(&mut self, id: &str) {
        if let Some(actor) = self.actors.get_mut(id) {
            actor.close_segment();
        }
    }

    /// Carries the outcome of a call out; `None` when there never is one.
    pub(super) fn finish(
        &mut self,
        id: &str,
        kind: CallKind,
        mut reply: Reply,
        answer_limit: usize,
    ) -> Option<Result<Answer, CallError>> {
        let time_ns = self.time_ns();
        let actor = self.actors.get_mut(id).expect("a container outlives its actor's calls");
        let initialised = kind == CallKind::Init && matches!(reply.outcome, Outcome::Answer { status: 200, .. });
        reply.sentinel &= !initialised && !matches!(reply.outcome, Outcome::Hang);
        if !matches!(reply.outcome, Outcome::Refused) {
            actor.write(&reply, time_ns);
        }
        match reply.outcome {
            Outcome::Answer { status, body } => Some(answer(status, &body, answer_limit, false)),
            Outcome::AnswerAfterMemoryKill { status, body } => Some(answer(status, &body, answer_limit, true)),
            Outcome::Close => Some(Err(CallError::ConnectionLost)),
            Outcome::Refused => Some(Err(CallError::Refused)),
            Outcome::Die => {
                actor.life.set(Life::Dead);
                Some(Err(CallError::ConnectionLost))
            }
            Outcome::OutOfMemory => {
                actor.life.set(Life::Dead);
                Some(Err(CallError::OutOfMemory))
            }
            Outcome::Hang => None,
        }
    }

    /// A log line needs a time that looks like one and moves with the clock of the test.
    fn time_ns(&mut self) -> u64 {
        let now = Instant::now();
        let start = *self.epoch.get_or_insert(now);
        1_700_000_000_000_000_000 + now.saturating_duration_since(start).as_nanos() as u64
    }
}

fn answer(status: u16, body: &Bytes, limit: usize, out_of_memory: bool) -> Result<Answer, CallError> {
    if status == 503 {
        return Err(CallError::Unavailable);
    }
    Ok(Answer {
        status,
        body: body.slice(..body.len().min(limit)),
        length: body.len() as u64,
        truncated: body.len() > limit,
        out_of_memory,
    })
}
