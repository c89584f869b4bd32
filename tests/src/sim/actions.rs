//! What containers do in a simulation, and a book of what ran.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;
use wsk_containers::scripted::{self, CallKind, Outcome, Reply, Seen};
use wsk_containers::{Error, Stream};
use wsk_entities::ActivationId;

use super::cluster::History;
use super::plan::Plan;
use super::seams::Sky;

/// What the code of all containers went through.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    /// How often each activation began to run.
    runs: BTreeMap<ActivationId, u32>,
    /// When containers die of themselves.
    deaths: BTreeMap<String, Instant>,
}

impl Book {
    pub fn runs(&self) -> BTreeMap<ActivationId, u32> {
        self.pages().runs.clone()
    }

    fn note(&self, seen: &Seen, reply: &Reply) {
        let mut pages = self.pages();
        let now = Instant::now();
        // A dead container refuses whatever the script says.
        let alive = pages.deaths.get(&seen.container).is_none_or(|death| now < *death);
        if alive && seen.kind == CallKind::Run && reaches_the_code(reply) {
            *pages.runs.entry(activation(&seen.body)).or_default() += 1;
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

/// A factory whose containers behave as the plan and the weather say.
pub fn factory(plan: &Plan, sky: &Arc<Sky>, book: &Book, history: &History) -> (scripted::Factory, scripted::Handle) {
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
        book.note(seen, &reply);
        reply
    });
    (factory, handle)
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
            _ => Reply::ok(r#"{"error":"mine"}"#),
        }
    } else {
        Reply::ok(r#"{"ok":true}"#).line(Stream::Stdout, "said")
    };
    let longest = takes.get(action(&seen.name)).copied().unwrap_or(5);
    reply.after(Duration::from_millis(sky.draw(longest + 1)))
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
