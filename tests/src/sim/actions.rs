//! What containers do in a simulation, and a book of what ran.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use wsk_containers::scripted::{self, CallKind, Outcome, Reply, Seen};
use wsk_containers::{
    Answer, Call, CallError, Container, ContainerFactory, Error, Layer, LogLine, LogRequest, Logs, Spec, Stream,
};
use wsk_entities::ActivationId;

use super::cluster::History;
use super::plan::Plan;
use super::sky::Sky;

/// Before the id, in the line that an activation prints.
pub const SAID: &str = "said by ";

/// What the code of all containers went through.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    /// How often each activation began to run.
    runs: BTreeMap<ActivationId, u32>,
    /// Those that began to run when they had their record already.
    late: BTreeSet<ActivationId>,
    /// When containers die of themselves.
    deaths: BTreeMap<String, Instant>,
}

impl Book {
    pub fn runs(&self) -> BTreeMap<ActivationId, u32> {
        self.pages().runs.clone()
    }

    pub fn late(&self) -> BTreeSet<ActivationId> {
        self.pages().late.clone()
    }

    fn note(&self, sky: &Sky, seen: &Seen, reply: &Reply) {
        let mut pages = self.pages();
        let now = Instant::now();
        // A dead container refuses whatever the script says.
        let alive = pages.deaths.get(&seen.container).is_none_or(|death| now < *death);
        if alive && seen.kind == CallKind::Run && reaches_the_code(reply) {
            let id = activation(&seen.body);
            *pages.runs.entry(id).or_default() += 1;
            if sky.is_recorded(id) {
                pages.late.insert(id);
            }
        }
        if matches!(reply.outcome, Outcome::Die) {
            let death = pages.deaths.entry(seen.container.clone()).or_insert(now + reply.after);
            *death = (*death).min(now + reply.after);
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("no panic under this lock")
    }
}

/// A factory whose containers behave as the plan and the weather say, on a machine with so many MB for them.
pub fn factory(
    plan: &Plan,
    memory: u32,
    sky: &Arc<Sky>,
    book: &Book,
    history: &History,
) -> (Machine, scripted::Handle) {
    let (factory, handle) = scripted::pair();
    let starts = sky.clone();
    handle.starts(move |_| {
        if starts.chance(starts.weather().no_start) {
            return Err(Error::Backend {
                backend: "simulated",
                reason: "bad luck".to_owned(),
            });
        }
        Ok(Duration::from_millis(1 + starts.draw(80)))
    });
    let takes: Vec<u64> = plan.actions.iter().map(|action| action.takes).collect();
    let machine = Machine {
        factory,
        sky: sky.clone(),
        memory,
        used: Arc::default(),
    };
    let (sky, book, history) = (sky.clone(), book.clone(), history.clone());
    handle.behave(move |seen| {
        let reply = match seen.kind {
            CallKind::Init => init(&sky),
            CallKind::Run => run(&sky, seen, &takes),
        };
        history.note(format!(
            "{} {:?} {}: {:?}",
            seen.name, seen.kind, seen.before, reply.outcome
        ));
        book.note(&sky, seen, &reply);
        reply
    });
    (machine, handle)
}

fn init(sky: &Sky) -> Reply {
    let reply = if sky.chance(sky.weather().bad_call) {
        match sky.draw(4) {
            0 => Reply::status(503, ""),
            1 => Reply::outcome(Outcome::Die),
            2 => Reply::outcome(Outcome::Hang),
            _ => Reply::status(502, r#"{"error":"no"}"#),
        }
    } else {
        Reply::ok("").without_sentinel()
    };
    reply.after(Duration::from_millis(sky.draw(60)))
}

fn run(sky: &Sky, seen: &Seen, takes: &[u64]) -> Reply {
    let reply = if sky.chance(sky.weather().bad_call) {
        match sky.draw(7) {
            0 => Reply::status(503, "").without_sentinel(),
            1 => Reply::outcome(Outcome::Refused),
            2 => Reply::outcome(Outcome::Die),
            3 => Reply::outcome(Outcome::Hang),
            4 => Reply::status(502, r#"{"error":"no"}"#),
            5 => Reply::ok("{}").without_sentinel(),
            _ => Reply::ok(r#"{"error":"mine"}"#).line(Stream::Stdout, said(seen)),
        }
    } else {
        Reply::ok(r#"{"ok":true}"#).line(Stream::Stdout, said(seen))
    };
    let longest = takes.get(action(&seen.name)).copied().unwrap_or(5);
    reply.after(Duration::from_millis(sky.draw(longest + 1)))
}

/// What every activation prints that ends in an answer of its own.
fn said(seen: &Seen) -> String {
    format!("{SAID}{}", activation(&seen.body))
}

/// A refused call and a 503 say that the code saw nothing of the activation.
fn reaches_the_code(reply: &Reply) -> bool {
    match reply.outcome {
        Outcome::Refused | Outcome::Answer { status: 503, .. } => false,
        Outcome::Answer { .. }
        | Outcome::AnswerAfterMemoryKill { .. }
        | Outcome::Close
        | Outcome::Hang
        | Outcome::Die
        | Outcome::OutOfMemory => true,
    }
}

/// The number of the action that a container was made for; stem cells do not tell.
fn action(container: &str) -> usize {
    container
        .rsplit_once("_a")
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(usize::MAX)
}

fn activation(body: &[u8]) -> ActivationId {
    let text = std::str::from_utf8(body).expect("bodies are text");
    let (_, after) = text
        .split_once(r#""activation_id":""#)
        .expect("every run names its activation");
    after[..32].parse().expect("an id has 32 digits")
}

/// A factory on a machine with memory for so much and no more, where removing a container takes its time.
pub struct Machine {
    factory: scripted::Factory,
    sky: Arc<Sky>,
    /// MB.
    memory: u32,
    used: Arc<AtomicU32>,
}

struct Occupant {
    inner: Arc<dyn Container>,
    sky: Arc<Sky>,
    /// MB, until it is removed.
    memory: AtomicU32,
    used: Arc<AtomicU32>,
}

impl Occupant {
    fn make_room(&self) {
        self.used
            .fetch_sub(self.memory.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn holds(&self, call: &'static str) -> Result<(), Error> {
        match self.sky.chance(self.sky.weather().bad_pause) {
            true => Err(Error::Backend {
                backend: "simulated",
                reason: format!("it does not {call}"),
            }),
            false => Ok(()),
        }
    }
}

impl Drop for Occupant {
    fn drop(&mut self) {
        self.make_room();
    }
}

#[async_trait]
impl ContainerFactory for Machine {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let (name, memory) = (spec.name.clone(), spec.memory_mb);
        let inner = self.factory.create(spec).await?;
        let used = memory + self.used.fetch_add(memory, Ordering::Relaxed);
        if used > self.memory {
            let most = self.memory;
            self.sky
                .note_wrong(format!("{name} makes it {used} MB on a machine with {most} MB"));
        }
        Ok(Arc::new(Occupant {
            inner,
            sky: self.sky.clone(),
            memory: memory.into(),
            used: self.used.clone(),
        }))
    }

    async fn sweep(&self) -> Result<usize, Error> {
        self.factory.sweep().await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.factory.shutdown().await
    }

    fn layers(&self) -> Vec<Layer> {
        self.factory.layers()
    }
}

#[async_trait]
impl Container for Occupant {
    fn id(&self) -> &str {
        self.inner.id()
    }

    async fn init(&self, call: Call) -> Result<Answer, CallError> {
        self.inner.init(call).await
    }

    async fn run(&self, call: Call) -> Result<Answer, CallError> {
        self.inner.run(call).await
    }

    async fn settle(&self) {
        self.inner.settle().await;
    }

    async fn logs(&self, request: LogRequest) -> Logs {
        self.inner.logs(request).await
    }

    fn printed(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        self.inner.printed(from, limit_bytes)
    }

    async fn pause(&self) -> Result<(), Error> {
        self.holds("stand still")?;
        self.inner.pause().await
    }

    async fn resume(&self) -> Result<(), Error> {
        self.holds("go on")?;
        self.inner.resume().await
    }

    async fn destroy(&self) -> Result<(), Error> {
        self.sky.pause(5, 60).await;
        self.inner.destroy().await?;
        self.make_room();
        Ok(())
    }
}
