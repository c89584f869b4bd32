//! A factory whose containers do what a test tells them, without any real I/O: it runs on tokio's paused clock and in the
//! deterministic simulation. [`pair`] gives the factory and the [`Handle`] that drives it.
//!
//! It also watches how it is used: a second `/init`, a `/run` while paused or beyond the concurrency of the spec, a call
//! after `destroy` are noted as [`Handle::violations`], so that a test of a pool can end with "and none of that happened".

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use crate::{
    Answer, Call, CallError, Container, ContainerFactory, Error, Layer, LogLine, LogRequest, Logs, Spec, Stream, Until,
};

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
    /// Whether the sentinels follow the lines.
    pub sentinel: bool,
}

/// How a call ends.
#[derive(Debug, Clone)]
pub enum Outcome {
    Answer {
        status: u16,
        body: Bytes,
    },
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

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;
type StartScript = Arc<dyn Fn(&Spec) -> Result<Duration, Error> + Send + Sync>;

struct Stage {
    counts: Counts,
    next_id: u64,
    leftovers: usize,
    closed: bool,
    epoch: Option<Instant>,
    start: StartScript,
    next_starts: VecDeque<Result<Duration, Error>>,
    behaviour: Script,
    next_inits: VecDeque<Reply>,
    next_runs: VecDeque<Reply>,
    violations: Vec<String>,
    actors: BTreeMap<String, Actor>,
}

/// The stage's side of one container.
struct Actor {
    spec: Spec,
    life: watch::Sender<Life>,
    inits: u32,
    runs: u32,
    in_flight: u32,
    segments: VecDeque<Logs>,
    open_segment: Vec<LogLine>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Paused,
    Dead,
    Destroyed,
}

struct Scripted {
    id: String,
    stage: Arc<Mutex<Stage>>,
    life: watch::Receiver<Life>,
}

/// A new factory whose containers start at once, accept `/init` and answer `{}` to `/run`, with the handle to change that.
pub fn pair() -> (Factory, Handle) {
    let stage = Arc::new(Mutex::new(Stage {
        counts: Counts::default(),
        next_id: 0,
        leftovers: 0,
        closed: false,
        epoch: None,
        start: Arc::new(|_| Ok(Duration::ZERO)),
        next_starts: VecDeque::new(),
        behaviour: Arc::new(|_| Reply::ok("{}")),
        next_inits: VecDeque::new(),
        next_runs: VecDeque::new(),
        violations: Vec::new(),
        actors: BTreeMap::new(),
    }));
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
}

impl Handle {
    /// Decides every call that has no reply queued.
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

    /// Pretends that an earlier life left this many containers for `sweep`.
    pub fn leave_behind(&self, containers: usize) {
        self.stage().leftovers = containers;
    }

    /// Kills the container: calls in flight are lost, later ones refused. False when it is not alive.
    pub fn kill(&self, id: &str) -> bool {
        let stage = self.stage();
        let alive = stage.actors.get(id).filter(|actor| actor.alive());
        alive.is_some_and(|actor| actor.life.send_replace(Life::Dead) != Life::Dead)
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

    /// Whether the container is frozen now.
    pub fn is_paused(&self, id: &str) -> bool {
        self.stage()
            .actors
            .get(id)
            .is_some_and(|actor| *actor.life.borrow() == Life::Paused)
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

impl Actor {
    fn alive(&self) -> bool {
        match *self.life.borrow() {
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
        if reply.sentinel {
            let lines = std::mem::take(&mut self.open_segment);
            self.segments.push_back(Logs {
                lines,
                truncated: false,
                incomplete: false,
            });
        }
    }
}

impl Stage {
    /// Notes the call, checks that it is allowed, and takes its reply.
    fn enter(&mut self, id: &str, kind: CallKind, body: Bytes) -> Reply {
        let actor = self.actors.get_mut(id).expect("a container outlives its actor's calls");
        let life = *actor.life.borrow();
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
                wrong.extend(
                    (actor.in_flight >= actor.spec.concurrency.max(1)).then_some("more /run than the concurrency"),
                );
            }
        }
        wrong.extend((life == Life::Paused).then_some("call while paused"));
        wrong.extend((life == Life::Destroyed).then_some("call after destroy"));
        actor.in_flight += 1;
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

    /// Carries the outcome of a call out; `None` when there never is one.
    fn finish(&mut self, id: &str, mut reply: Reply, answer_limit: usize) -> Option<Result<Answer, CallError>> {
        let time_ns = self.time_ns();
        let actor = self.actors.get_mut(id).expect("a container outlives its actor's calls");
        reply.sentinel &= !matches!(reply.outcome, Outcome::Hang);
        if !matches!(reply.outcome, Outcome::Refused) {
            actor.write(&reply, time_ns);
        }
        match reply.outcome {
            Outcome::Answer { status, body } => Some(answer(status, &body, answer_limit)),
            Outcome::Refused => Some(Err(CallError::Refused)),
            Outcome::Die => {
                actor.life.send_replace(Life::Dead);
                Some(Err(CallError::ConnectionLost))
            }
            Outcome::OutOfMemory => {
                actor.life.send_replace(Life::Dead);
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

/// Counts a call out again, also when its future is dropped.
struct InFlight<'a>(&'a Scripted);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(actor) = lock(&self.0.stage).actors.get_mut(&self.0.id) {
            actor.in_flight -= 1;
        }
    }
}

impl Scripted {
    async fn call(&self, kind: CallKind, call: Call) -> Result<Answer, CallError> {
        let reply = lock(&self.stage).enter(&self.id, kind, call.body.to_bytes());
        let _in_flight = InFlight(self);
        match tokio::time::timeout(call.limit, self.perform(reply, call.answer_limit)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn perform(&self, reply: Reply, answer_limit: usize) -> Result<Answer, CallError> {
        let mut life = self.life.clone();
        if matches!(*life.borrow_and_update(), Life::Dead | Life::Destroyed) {
            return Err(CallError::Refused);
        }
        let dead = async {
            let _ = life.wait_for(|life| matches!(life, Life::Dead | Life::Destroyed)).await;
        };
        tokio::select! {
            biased;
            () = dead => return Err(CallError::ConnectionLost),
            () = self.thawed_for(reply.after) => {}
        }
        let finished = lock(&self.stage).finish(&self.id, reply, answer_limit);
        match finished {
            Some(result) => result,
            None => {
                let _ = self
                    .life
                    .clone()
                    .wait_for(|life| matches!(life, Life::Dead | Life::Destroyed))
                    .await;
                Err(CallError::ConnectionLost)
            }
        }
    }

    /// Sleeps, and then waits until the container is not frozen.
    async fn thawed_for(&self, span: Duration) {
        if !span.is_zero() {
            tokio::time::sleep(span).await;
        }
        let _ = self.life.clone().wait_for(|life| *life != Life::Paused).await;
    }

    /// Moves between running and paused; `Ok(false)` when it was there already.
    fn turn(&self, from: Life, to: Life) -> Result<bool, Error> {
        let stage = lock(&self.stage);
        let actor = stage.actors.get(&self.id).filter(|actor| actor.alive());
        let actor = actor.ok_or_else(|| Error::Gone { id: self.id.clone() })?;
        Ok(actor.life.send_if_modified(|life| {
            let moves = *life == from;
            *life = if moves { to } else { *life };
            moves
        }))
    }
}

#[async_trait]
impl ContainerFactory for Factory {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let planned = {
            let mut stage = lock(&self.0);
            if stage.closed {
                return Err(Error::ShuttingDown);
            }
            let planned = stage.next_starts.pop_front();
            let planned = planned.unwrap_or_else(|| (stage.start.clone())(&spec));
            stage.counts.failed += usize::from(planned.is_err());
            planned?
        };
        if !planned.is_zero() {
            tokio::time::sleep(planned).await;
        }
        let mut stage = lock(&self.0);
        stage.next_id += 1;
        stage.counts.created += 1;
        let id = format!("scripted-{:08}", stage.next_id);
        let (sender, life) = watch::channel(Life::Running);
        let actor = Actor {
            spec,
            life: sender,
            inits: 0,
            runs: 0,
            in_flight: 0,
            segments: VecDeque::new(),
            open_segment: Vec::new(),
        };
        stage.actors.insert(id.clone(), actor);
        Ok(Arc::new(Scripted {
            id,
            stage: self.0.clone(),
            life,
        }))
    }

    async fn sweep(&self) -> Result<usize, Error> {
        Ok(std::mem::take(&mut lock(&self.0).leftovers))
    }

    async fn shutdown(&self) -> Result<(), Error> {
        let mut stage = lock(&self.0);
        stage.closed = true;
        let mut destroyed = 0;
        for actor in stage.actors.values() {
            destroyed += usize::from(actor.life.send_replace(Life::Destroyed) != Life::Destroyed);
        }
        stage.counts.destroyed += destroyed;
        Ok(())
    }

    fn layers(&self) -> Vec<Layer> {
        Vec::new()
    }
}

#[async_trait]
impl Container for Scripted {
    fn id(&self) -> &str {
        &self.id
    }

    async fn init(&self, call: Call) -> Result<Answer, CallError> {
        // A refused `/init` is retried by contract, so a script that says "refused" asks for a retry in 50 ms.
        let retry = Duration::from_millis(50);
        let limit = call.limit;
        let attempts = async {
            let mut result = self.call(CallKind::Init, call.clone()).await;
            while result == Err(CallError::Refused) && !matches!(*self.life.borrow(), Life::Dead | Life::Destroyed) {
                tokio::time::sleep(retry).await;
                if let Some(actor) = lock(&self.stage).actors.get_mut(&self.id) {
                    actor.inits = 0;
                }
                result = self.call(CallKind::Init, call.clone()).await;
            }
            result
        };
        match tokio::time::timeout(limit, attempts).await {
            Ok(Err(CallError::Refused)) => Err(CallError::ConnectionLost),
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn run(&self, call: Call) -> Result<Answer, CallError> {
        self.call(CallKind::Run, call).await
    }

    async fn logs(&self, request: LogRequest) -> Logs {
        let mut stage = lock(&self.stage);
        let Some(actor) = stage.actors.get_mut(&self.id) else {
            return Logs::default();
        };
        let mut logs = actor.segments.pop_front().unwrap_or_else(|| Logs {
            lines: std::mem::take(&mut actor.open_segment),
            truncated: false,
            incomplete: request.until == Until::Sentinel,
        });
        let mut room = request.limit_bytes;
        let fits = logs
            .lines
            .iter()
            .position(|line| match room.checked_sub(line.text.len() as u64) {
                Some(left) => {
                    room = left;
                    false
                }
                None => true,
            });
        if let Some(end) = fits {
            logs.lines.truncate(end);
            logs.truncated = true;
        }
        logs
    }

    async fn pause(&self) -> Result<(), Error> {
        let changed = self.turn(Life::Running, Life::Paused)?;
        lock(&self.stage).counts.paused += usize::from(changed);
        Ok(())
    }

    async fn resume(&self) -> Result<(), Error> {
        let changed = self.turn(Life::Paused, Life::Running)?;
        lock(&self.stage).counts.resumed += usize::from(changed);
        Ok(())
    }

    async fn destroy(&self) -> Result<(), Error> {
        let mut stage = lock(&self.stage);
        let Some(actor) = stage.actors.get(&self.id) else {
            return Ok(());
        };
        let first = actor.life.send_replace(Life::Destroyed) != Life::Destroyed;
        stage.counts.destroyed += usize::from(first);
        Ok(())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let mut stage = lock(&self.stage);
        let left = stage
            .actors
            .remove(&self.id)
            .is_some_and(|actor| *actor.life.borrow() != Life::Destroyed);
        stage.counts.dropped += usize::from(left);
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted::Factory")
    }
}

fn answer(status: u16, body: &Bytes, limit: usize) -> Result<Answer, CallError> {
    if status == 503 {
        return Err(CallError::Unavailable);
    }
    Ok(Answer {
        status,
        body: body.slice(..body.len().min(limit)),
        length: body.len() as u64,
        truncated: body.len() > limit,
        out_of_memory: false,
    })
}

fn lock(stage: &Arc<Mutex<Stage>>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
