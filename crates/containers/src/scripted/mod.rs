//! A factory whose containers do what a test tells them, without any real I/O: it runs on tokio's paused clock and in the
//! deterministic simulation. [`pair`] gives the factory and the [`Handle`] that drives it.
//!
//! It also watches how it is used: a second `/init`, a `/run` while paused or beyond the concurrency of the spec, a call
//! after `destroy` are noted as [`Handle::violations`], so that a test of a pool can end with "and none of that happened".

mod container;
mod stage;
#[cfg(test)]
mod tests;
pub mod watched;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{Error, Spec, Stream};

use stage::{Life, Stage};

/// Makes scripted containers.
#[derive(Clone)]
pub struct Factory(Arc<Mutex<Stage>>);

/// Tells the containers of one [`Factory`] what to do, and what they did.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<Stage>>);

/// Which of the two calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    Init,
    Run,
}

/// A call as the script sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub container: String,
    /// `Spec::name` of the container.
    pub name: String,
    pub kind: CallKind,
    /// The body posted.
    pub body: Bytes,
    /// How many calls of this kind the container had before.
    pub before: u32,
}

/// What a call gets.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Time until the outcome.
    pub after: Duration,
    pub outcome: Outcome,
    /// Lines written just before the outcome.
    pub lines: Vec<(Stream, String)>,
    /// Whether the sentinels follow the lines. None ever follow a successful `/init`, a `Hang` or a `Refused`.
    pub sentinel: bool,
    /// How long after the outcome they come.
    pub sentinel_after: Duration,
}

/// How a call ends.
#[derive(Debug, Clone)]
pub enum Outcome {
    Answer {
        status: u16,
        body: Bytes,
    },
    /// As `Answer`, but the kernel killed a process inside for its memory meanwhile.
    AnswerAfterMemoryKill {
        status: u16,
        body: Bytes,
    },
    /// The connection ends without an answer, the container lives.
    Close,
    /// Never answered: the limit strikes.
    Hang,
    /// Nothing delivered.
    Refused,
    /// The container dies.
    Die,
    /// The container dies for its memory.
    OutOfMemory,
}

/// What became of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Containers that `create` returned.
    pub created: usize,
    /// `create` calls that failed as scripted.
    pub failed: usize,
    /// Containers destroyed; a second `destroy` of one does not count.
    pub destroyed: usize,
    /// Containers dropped without `destroy`.
    pub dropped: usize,
    pub inits: usize,
    pub runs: usize,
    /// Times a running container was frozen.
    pub paused: usize,
    /// Times a frozen container was thawed.
    pub resumed: usize,
}

/// A new factory whose containers start at once, accept `/init` and answer `{}` to `/run`, with the handle to change that.
pub fn pair() -> (Factory, Handle) {
    let stage = Arc::new(Mutex::new(Stage::new()));
    (Factory(stage.clone()), Handle(stage))
}

impl Reply {
    /// 200 with this body, at once, with sentinels.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Reply::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Reply::outcome(Outcome::Answer {
            status,
            body: body.into(),
        })
    }

    pub fn outcome(outcome: Outcome) -> Self {
        Reply {
            after: Duration::ZERO,
            outcome,
            lines: Vec::new(),
            sentinel: true,
            sentinel_after: Duration::ZERO,
        }
    }

    /// The same after this time.
    pub fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// The same with one more line in the log.
    pub fn line(mut self, stream: Stream, text: impl Into<String>) -> Self {
        self.lines.push((stream, text.into()));
        self
    }

    /// The same without the sentinels after the lines.
    pub fn without_sentinel(mut self) -> Self {
        self.sentinel = false;
        self
    }

    /// The same with the sentinels so long after the outcome.
    pub fn sentinel_after(mut self, after: Duration) -> Self {
        self.sentinel_after = after;
        self
    }
}

impl Handle {
    /// Decides every call that has no reply queued. The script must not use this handle.
    pub fn behave(&self, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.stage().behaviour = Arc::new(script);
    }

    /// The reply to the next `/init`, whichever container; several queue up.
    pub fn next_init(&self, reply: Reply) {
        self.stage().next_inits.push_back(reply);
    }

    /// The reply to the next `/run`, whichever container; several queue up.
    pub fn next_run(&self, reply: Reply) {
        self.stage().next_runs.push_back(reply);
    }

    /// Decides every `create` that has nothing queued: how long it takes, or why it fails.
    pub fn starts(&self, script: impl Fn(&Spec) -> Result<Duration, Error> + Send + Sync + 'static) {
        self.stage().start = Arc::new(script);
    }

    /// What the next `create` does; several queue up.
    pub fn next_start(&self, start: Result<Duration, Error>) {
        self.stage().next_starts.push_back(start);
    }

    /// Kills the container: calls in flight are lost, later ones refused. False when it is not alive.
    pub fn kill(&self, id: &str) -> bool {
        let stage = self.stage();
        let alive = stage.actors.get(id).filter(|actor| actor.alive());
        alive.is_some_and(|actor| actor.life.set(Life::Dead) != Life::Dead)
    }

    /// Containers that neither died nor were destroyed, in the order of creation, with their specs.
    pub fn alive(&self) -> Vec<(String, Spec)> {
        let stage = self.stage();
        stage
            .actors
            .iter()
            .filter(|(_, actor)| actor.alive())
            .map(|(id, actor)| (id.clone(), actor.spec.clone()))
            .collect()
    }

    pub fn counts(&self) -> Counts {
        self.stage().counts
    }

    /// What a user of the seam did that it must not do.
    pub fn violations(&self) -> Vec<String> {
        self.stage().violations.clone()
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        lock(&self.0)
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted::Factory")
    }
}

fn lock(stage: &Arc<Mutex<Stage>>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}
