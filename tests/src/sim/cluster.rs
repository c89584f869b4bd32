//! A cluster and its troubles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wsk_bus::{Durability, Message, MessageBus, TopicConfig};
use wsk_containers::scripted;
use wsk_controller::api::{ACTIVATION_ID, Request};
use wsk_controller::{App, Duties, Parts};
use wsk_entities::{ActivationId, Entity, Identity, Manifest, Namespace, TransactionId, UserLimits};
use wsk_identity::{Authenticator, Outcome};
use wsk_invoker::Invoker;
use wsk_service::clock;
use wsk_store::Stores;

use super::actions::{self, Book};
use super::plan::{Cancel, Fault, Node, Plan, TROUBLED, Update, What};
use super::seams::{self, Life, NOWHERE, Seen};
use super::sky::Sky;

const MANIFEST: &str = r#"{"runtimes":{"nodejs":[{"kind":"nodejs:20","image":{"name":"node"},"default":true,
    "stemCells":[{"initialCount":1,"memory":"256 MB"}]}]}}"#;

/// The rule that is inactive.
pub const OFF: &str = "off";
/// How long a silent reader keeps its place in its group.
const SESSION: Duration = Duration::from_secs(10);

/// What happened, line by line.
#[derive(Clone)]
pub struct History {
    lines: Arc<Mutex<Vec<String>>>,
    began: Instant,
}

type Ids = Arc<Mutex<BTreeSet<ActivationId>>>;
/// Versions of actions, by number, that some client was told it had written, in the order of telling.
type Written = Arc<Mutex<Vec<(usize, u64)>>>;

/// A controller, alive.
pub struct Controller {
    pub app: Arc<App>,
    duties: Duties,
    life: Life,
    clients: Vec<JoinHandle<()>>,
    /// Compositions that it answered while their callers waited. Nothing was promised with a 202, and it is the controller
    /// that stores their records: when it dies at that moment, they have none.
    fleeting: Ids,
}

/// An invoker's machine: the invoker, when it lives, and the containers of all its lives.
pub struct Machine {
    pub invoker: Option<wsk_invoker::Handle>,
    /// Its wall clock.
    clock: clock::Machine,
    life: Life,
    pub containers: Vec<scripted::Handle>,
}

pub struct Cluster {
    pub plan: Plan,
    pub stores: Stores,
    pub bus: Arc<dyn MessageBus>,
    pub sky: Arc<Sky>,
    pub book: Book,
    pub controllers: Vec<Option<Controller>>,
    pub machines: Vec<Machine>,
    /// The controllers' wall clocks.
    clocks: Vec<clock::Machine>,
    pub identity: Arc<Identity>,
    manifest: Arc<Manifest>,
    history: History,
    ids: Ids,
    cancelled: Ids,
    /// Answers that were never promised to last, see [`Controller::fleeting`].
    excused: BTreeSet<ActivationId>,
    written: Written,
    /// What ran when all was well again: which action, and the oldest version that it may have had.
    pub probes: BTreeMap<ActivationId, (usize, u64)>,
    lives: u64,
}

/// What is to be done at a time.
enum Step {
    Ask(usize),
    Cancel(Cancel),
    Update(Update, usize),
    Break(Fault),
    InvokerBack(usize),
    ControllerBack(usize),
    InvokerThaws(usize),
    ControllerThaws(usize),
}

/// What is to be done, by time in milliseconds; at the same time in the order in which it was set down.
#[derive(Default)]
struct Agenda {
    steps: BTreeMap<(u64, usize), Step>,
    count: usize,
}

impl History {
    pub fn note(&self, line: String) {
        let at = self.began.elapsed().as_millis();
        self.lines
            .lock()
            .expect("no panic under this lock")
            .push(format!("{at:>7} {line}"));
    }
}

impl Agenda {
    fn of(plan: &Plan) -> Agenda {
        let mut agenda = Agenda::default();
        for (n, request) in plan.requests.iter().enumerate() {
            agenda.add(request.at, Step::Ask(n));
        }
        for cancel in &plan.cancels {
            agenda.add(cancel.at, Step::Cancel(*cancel));
        }
        for (n, update) in plan.updates.iter().enumerate() {
            agenda.add(update.at, Step::Update(*update, n));
        }
        for (at, fault) in &plan.faults {
            agenda.add(*at, Step::Break(*fault));
        }
        agenda
    }

    /// What would be later than the troubles is left to [`Cluster::heal`].
    fn add(&mut self, at: u64, step: Step) {
        if at <= TROUBLED + 12_000 {
            self.steps.insert((at, self.count), step);
            self.count += 1;
        }
    }

    fn next(&mut self) -> Option<(u64, Step)> {
        self.steps.pop_first().map(|((at, _), step)| (at, step))
    }
}

impl Controller {
    /// Whether a client of this life waits for an answer.
    pub fn busy(&self) -> bool {
        self.clients.iter().any(|client| !client.is_finished())
    }
}

impl Cluster {
    pub async fn start(plan: Plan) -> Cluster {
        let memory = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig {
            retain_ms: 24 * 60 * 60 * 1000,
            ..wsk_store::EmbeddedConfig::default()
        });
        let sky = Sky::new(StdRng::seed_from_u64(plan.seed ^ 0x5EED), plan.narrow);
        let mut clocks: Vec<clock::Machine> = plan.clocks.iter().copied().map(clock::Machine::off_by).collect();
        let of_invokers = clocks.split_off(plan.controllers);
        let namespace = Namespace::new("guest").expect("a good name");
        let identity = Identity::new("guesty", namespace, "guest-uuid", "key", UserLimits::default());
        let mut cluster = Cluster {
            stores: wsk_store::open(&memory).await.expect("memory opens"),
            bus: wsk_bus::open(&wsk_bus::Config::default()).expect("memory opens"),
            sky,
            book: Book::default(),
            controllers: Vec::new(),
            machines: Vec::new(),
            clocks,
            identity: Arc::new(identity),
            manifest: Arc::new(Manifest::parse(MANIFEST).expect("a good manifest")),
            history: History {
                lines: Arc::default(),
                began: Instant::now(),
            },
            ids: Ids::default(),
            cancelled: Ids::default(),
            excused: BTreeSet::new(),
            written: Written::default(),
            probes: BTreeMap::new(),
            lives: 0,
            plan,
        };
        let nowhere = cluster.bus.ensure_topic(&TopicConfig::broadcast(NOWHERE)).await;
        nowhere.expect("memory takes any topic");
        for which in 0..cluster.plan.controllers {
            let controller = cluster.new_controller(which).await;
            cluster.controllers.push(Some(controller));
        }
        for (which, clock) in of_invokers.into_iter().enumerate() {
            cluster.machines.push(Machine {
                invoker: None,
                clock,
                life: Life::new(),
                containers: Vec::new(),
            });
            cluster.start_invoker(which).await;
        }
        cluster.store_entities().await;
        cluster.sky.set(cluster.plan.weather);
        cluster
    }

    pub fn accepted(&self) -> usize {
        self.ids().len()
    }

    /// Ids that some client was given.
    pub fn ids(&self) -> BTreeSet<ActivationId> {
        self.ids.lock().expect("no panic under this lock").clone()
    }

    pub fn excused(&self, id: ActivationId) -> bool {
        self.excused.contains(&id)
    }

    pub fn history(&self) -> Vec<String> {
        self.history.lines.lock().expect("no panic under this lock").clone()
    }

    pub fn note(&self, line: String) {
        self.history.note(line);
    }

    /// Load and trouble, as planned.
    pub async fn live(&mut self) {
        let mut agenda = Agenda::of(&self.plan);
        while let Some((at, step)) = agenda.next() {
            tokio::time::sleep_until(self.history.began + Duration::from_millis(at)).await;
            if let Some((after, step)) = self.take(step).await {
                agenda.add(at + after, step);
            }
        }
    }

    /// Does what is to be done; gives what puts it right, and after how many milliseconds.
    async fn take(&mut self, step: Step) -> Option<(u64, Step)> {
        match step {
            Step::Ask(request) => self.ask(request),
            Step::Cancel(cancel) => self.cancel(cancel),
            Step::Update(update, n) => self.update(update, n),
            Step::Break(fault) => return self.break_down(fault).await,
            Step::InvokerBack(which) => self.start_invoker(which).await,
            Step::ControllerBack(which) => self.start_controller(which).await,
            Step::InvokerThaws(which) => self.thaw_invoker(which),
            Step::ControllerThaws(which) => self.thaw_controller(which),
        }
        None
    }

    async fn break_down(&mut self, fault: Fault) -> Option<(u64, Step)> {
        let fault = self.aimed(fault);
        self.note(format!("{fault:?}"));
        match fault {
            Fault::Invoker { which, back_after } => {
                self.kill_invoker(which).await;
                return Some((back_after, Step::InvokerBack(which)));
            }
            Fault::Drain {
                which,
                limit,
                back_after,
            } => {
                self.drain_invoker(which, limit).await;
                return Some((limit + back_after, Step::InvokerBack(which)));
            }
            Fault::FrozenInvoker { which, thaw_after } => {
                if self.machines[which].invoker.is_some() {
                    let life = self.machines[which].life.clone();
                    self.sky.silent(&reads(which));
                    self.freeze(life, reads(which));
                }
                return Some((thaw_after, Step::InvokerThaws(which)));
            }
            Fault::Controller { which, back_after } => {
                self.kill_controller(which).await;
                return Some((back_after, Step::ControllerBack(which)));
            }
            Fault::FrozenController { which, thaw_after } => {
                if let Some(controller) = &self.controllers[which] {
                    self.freeze(controller.life.clone(), format!("owed{which}"));
                }
                return Some((thaw_after, Step::ControllerThaws(which)));
            }
            // These pass by themselves: a controller that starts meanwhile may wait for the store or the bus before anything
            // else is done here.
            Fault::Store { back_after } => self.for_a_while(back_after, Sky::store_away),
            Fault::SlowStore { well_after } => self.for_a_while(well_after, Sky::store_slow),
            Fault::Bus { back_after } => self.for_a_while(back_after, Sky::bus_away),
            Fault::Regrouped { node } => self.regroup(node).await,
            Fault::Clock { node, by } => self.clock(node).step(by),
        }
        None
    }

    /// Every other fault of an invoker meets one that has work, the next if not the one that was drawn: most of a hundred have
    /// none at a given moment.
    fn aimed(&self, mut fault: Fault) -> Fault {
        let which = match &mut fault {
            Fault::Invoker { which, .. }
            | Fault::Drain { which, .. }
            | Fault::FrozenInvoker { which, .. }
            | Fault::Regrouped {
                node: Node::Invoker(which),
            }
            | Fault::Clock {
                node: Node::Invoker(which),
                ..
            } => which,
            Fault::Controller { .. }
            | Fault::FrozenController { .. }
            | Fault::Store { .. }
            | Fault::SlowStore { .. }
            | Fault::Bus { .. }
            | Fault::Regrouped {
                node: Node::Controller(_),
            }
            | Fault::Clock {
                node: Node::Controller(_),
                ..
            } => return fault,
        };
        if which.is_multiple_of(2) {
            let busy = |at: &usize| {
                self.machines[*at]
                    .invoker
                    .as_ref()
                    .is_some_and(|invoker| invoker.open() > 0)
            };
            let others = (*which..self.machines.len()).chain(0..*which);
            *which = others.into_iter().find(busy).unwrap_or(*which);
        }
        fault
    }

    fn clock(&self, node: Node) -> &clock::Machine {
        match node {
            Node::Controller(which) => &self.clocks[which],
            Node::Invoker(which) => &self.machines[which].clock,
        }
    }

    async fn drain_invoker(&mut self, which: usize, limit: u64) {
        // One that stands still hears no word and is killed in the end.
        if self.machines[which].life.is_frozen() {
            return self.kill_invoker(which).await;
        }
        let machine = &mut self.machines[which];
        if let Some(invoker) = machine.invoker.take() {
            let history = self.history.clone();
            self.sky.silent(&reads(which));
            self.sky.gives_back(&reads(which));
            tokio::spawn(machine.clock.runs(async move {
                let drained = invoker.drain(Duration::from_millis(limit)).await;
                history.note(format!("invoker {which} {drained:?}"));
            }));
        }
    }

    /// What a node that is well has in hand comes to it a second time.
    async fn regroup(&self, node: Node) {
        let (topics, well) = match node {
            Node::Invoker(which) => (vec![reads(which)], self.machines[which].invoker.is_some()),
            Node::Controller(which) => (hears(which).into(), self.controllers[which].is_some()),
        };
        for topic in topics.into_iter().filter(|_| well) {
            deliver_again(&self.bus, &topic, self.sky.regrouped(&topic)).await;
        }
    }

    fn for_a_while(&self, millis: u64, is: impl Fn(&Sky, bool) + Send + 'static) {
        is(&self.sky, true);
        let sky = self.sky.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            is(&sky, false);
        });
    }

    async fn kill_invoker(&mut self, which: usize) {
        let machine = &mut self.machines[which];
        if machine.invoker.is_none() {
            return;
        }
        machine.life.end();
        machine.invoker = None;
        self.sky.silent(&reads(which));
        self.sky.gives_back(&reads(which));
        self.lose_commits(&reads(which)).await;
    }

    async fn kill_controller(&mut self, which: usize) {
        let Some(controller) = self.controllers[which].take() else {
            return;
        };
        controller.life.end();
        controller.clients.iter().for_each(JoinHandle::abort);
        self.excused
            .append(&mut controller.fleeting.lock().expect("no panic under this lock"));
        drop(controller.duties);
        for topic in hears(which) {
            self.lose_commits(&topic).await;
        }
    }

    /// What the reader of a topic finished last comes again: the broker had not heard of it.
    async fn lose_commits(&self, topic: &str) {
        if self.sky.chance(500) {
            deliver_again(&self.bus, topic, self.sky.uncommitted(topic)).await;
        }
    }

    /// Stops a node. When that lasts longer than the session of its place in a group, others may have what it holds.
    fn freeze(&self, life: Life, topic: String) {
        life.freeze();
        let (sky, bus) = (self.sky.clone(), self.bus.clone());
        tokio::spawn(async move {
            tokio::time::sleep(SESSION).await;
            if life.is_frozen() {
                let open = sky.expel(&topic);
                deliver_again(&bus, &topic, open).await;
            }
        });
    }

    fn thaw_invoker(&mut self, which: usize) {
        if self.machines[which].life.is_frozen() {
            self.machines[which].life.thaw();
            self.sky.heard(&reads(which));
            self.note(format!("invoker {which} goes on"));
        }
    }

    fn thaw_controller(&mut self, which: usize) {
        let frozen = self.controllers[which]
            .as_ref()
            .filter(|controller| controller.life.is_frozen());
        if let Some(controller) = frozen {
            controller.life.thaw();
            self.sky.heard(&format!("owed{which}"));
            self.sky.blind_for_a_while();
            self.note(format!("controller {which} goes on"));
        }
    }

    /// Everything is put right, and given time.
    pub async fn heal(&mut self) {
        self.sky.clear();
        for which in 0..self.controllers.len() {
            self.thaw_controller(which);
            self.start_controller(which).await;
        }
        for which in 0..self.machines.len() {
            self.thaw_invoker(which);
            self.start_invoker(which).await;
        }
        self.note("healed".to_owned());
    }

    async fn start_invoker(&mut self, which: usize) {
        if self.machines[which].invoker.is_some() {
            return;
        }
        let life = Life::new();
        let memory = self.plan.invokers[which];
        let (factory, containers) = actions::factory(&self.plan, memory, &self.sky, &self.book, &self.history);
        let config = wsk_invoker::Config {
            id: which as u32,
            memory_mb: memory,
            pause_grace_ms: Some(1_500),
            idle_ms: 9_000,
            limits: wsk_entities::LimitBounds {
                concurrency: wsk_entities::Bounds { min: 1, max: 8 },
                ..wsk_entities::LimitBounds::default()
            },
            user_metrics: 0,
            seed: self.plan.seed,
            ..wsk_invoker::Config::default()
        };
        let bus: Arc<dyn MessageBus> = Seen::new(self.bus.clone(), &life, &self.sky);
        let stores = seams::stores(&self.stores, &life, &self.sky);
        let (manifest, factory) = (self.manifest.clone(), Arc::new(factory));
        let secrets = Arc::new(wsk_secrets::Vault::empty());
        let (entities, records) = (stores.entities, stores.activations);
        let machine = &mut self.machines[which];
        let starts = Invoker::start(config, manifest, bus, entities, records, factory, secrets);
        let started = machine.clock.runs(starts).await;
        machine.invoker = Some(started.expect("nothing refuses an invoker"));
        machine.life = life;
        machine.containers.push(containers);
        self.sky.heard(&reads(which));
        self.note(format!("invoker {which} is up"));
    }

    async fn start_controller(&mut self, which: usize) {
        if self.controllers[which].is_none() {
            let controller = self.new_controller(which).await;
            self.controllers[which] = Some(controller);
            self.note(format!("controller {which} is up"));
        }
    }

    async fn new_controller(&mut self, which: usize) -> Controller {
        self.lives += 1;
        let life = Life::new();
        let stores = seams::stores(&self.stores, &life, &self.sky);
        let app = App::new(Parts {
            config: wsk_controller::Config {
                id: which.to_string(),
                concurrent_invocations: Some(if self.plan.invokers.len() > 4 { 240 } else { 60 }),
                max_action_concurrency: 8,
                cluster_size: self.plan.controllers as u32,
                takeover_after_ms: self.plan.takeover.then_some(12_000),
                ..wsk_controller::Config::default()
            },
            manifest: self.manifest.clone(),
            identities: Arc::new(Authenticator::new(stores.subjects.clone())),
            stores,
            bus: Seen::new(self.bus.clone(), &life, &self.sky),
            secrets: Arc::new(wsk_secrets::Vault::empty()),
            rng: StdRng::seed_from_u64(self.plan.seed.wrapping_mul(1000) + self.lives),
        });
        let duties = self.clocks[which].runs(async { app.take_up_duties().await }).await;
        let duties = duties.expect("nothing refuses a controller");
        Controller {
            app,
            duties,
            life,
            clients: Vec::new(),
            fleeting: Ids::default(),
        }
    }

    /// A client's request, on its way by itself.
    fn ask(&mut self, request: usize) {
        let planned = self.plan.requests[request];
        let path = match planned.what {
            What::Action(action) => format!("actions/a{action}?blocking={}", planned.blocking),
            What::Sequence => format!("actions/chain?blocking={}", planned.blocking),
            What::Trigger => "triggers/all".to_owned(),
        };
        let call = self.request("POST", &path, format!(r#"{{"n":{request}}}"#));
        let (history, ids) = (self.history.clone(), self.ids.clone());
        let Some(controller) = &mut self.controllers[planned.controller] else {
            return self.note(format!("request {request} finds no controller"));
        };
        let (app, fleeting) = (controller.app.clone(), controller.fleeting.clone());
        let clock = &self.clocks[planned.controller];
        controller.clients.push(tokio::spawn(clock.runs(async move {
            let response = app.handle(call).await;
            let id = response
                .headers()
                .get(ACTIVATION_ID)
                .and_then(|id| id.to_str().ok()?.parse().ok());
            history.note(format!("request {request} {path}: {} {id:?}", response.status()));
            let promised = response.status() == 202 || !matches!(planned.what, What::Sequence);
            for ids in [Some(ids), (!promised).then_some(fleeting)].into_iter().flatten() {
                ids.lock()
                    .expect("no panic under this lock")
                    .extend::<Option<ActivationId>>(id);
            }
        })));
    }

    /// A client that has something ended which is in flight, on any controller.
    fn cancel(&mut self, planned: Cancel) {
        let alive = self.controllers.iter().flatten();
        let flying: BTreeSet<ActivationId> = alive.flat_map(|c| c.app.in_flight()).map(|(id, _)| id).collect();
        let Some(id) = flying.iter().nth(planned.which % flying.len().max(1)).copied() else {
            return self.note("nothing to cancel".to_owned());
        };
        let call = self.request("DELETE", &format!("activations/{id}"), String::new());
        let (history, ids, cancelled) = (self.history.clone(), self.ids.clone(), self.cancelled.clone());
        let Some(controller) = &mut self.controllers[planned.controller] else {
            return self.note(format!("nobody is there to cancel {id}"));
        };
        let (app, clock) = (controller.app.clone(), &self.clocks[planned.controller]);
        controller.clients.push(tokio::spawn(clock.runs(async move {
            let status = app.handle(call).await.status().as_u16();
            history.note(format!("cancelled {id}: {status}"));
            // An accepted request promises a record, one that was carried out also what it says.
            let told = match status {
                200 => cancelled,
                202 => ids,
                _ => return,
            };
            told.lock().expect("no panic under this lock").insert(id);
        })));
    }

    /// A client that gives an action new code.
    fn update(&mut self, planned: Update, n: usize) {
        let action = planned.action;
        let path = format!("actions/a{action}?overwrite=true");
        let call = self.request("PUT", &path, self.action(action, &format!("update {n}")));
        let (history, written) = (self.history.clone(), self.written.clone());
        let Some(controller) = &mut self.controllers[planned.controller] else {
            return self.note(format!("nobody is there to update a{action}"));
        };
        let (app, clock) = (controller.app.clone(), &self.clocks[planned.controller]);
        controller.clients.push(tokio::spawn(clock.runs(async move {
            let response = app.handle(call).await;
            let status = response.status();
            history.note(format!("update {n} of a{action}: {status}"));
            if status == StatusCode::OK {
                let body = response.into_body().collect().await.expect("it is there").to_bytes();
                let version = version_in(&body);
                written
                    .lock()
                    .expect("no panic under this lock")
                    .push((action, version));
            }
        })));
    }

    /// Versions of actions that some client was told it had written.
    pub fn written(&self) -> Vec<(usize, u64)> {
        self.written.lock().expect("no panic under this lock").clone()
    }

    /// The version of an action that is stored.
    pub async fn version(&self, action: usize) -> u64 {
        let name = format!("guest/a{action}").parse().expect("a good name");
        let stored = self.stores.entities.get(&name).await.expect("memory answers");
        match stored.map(|stored| stored.value) {
            Some(Entity::Action(action)) => version_number(&action.version.to_string()),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// Whether the bus was away for a while.
    pub fn lost_the_bus(&self) -> bool {
        let faults = &self.plan.faults;
        faults.iter().any(|(_, fault)| matches!(fault, Fault::Bus { .. }))
    }

    /// Has a controller run an action, now that all is well; the last status when it does not within some minutes. A controller
    /// that died may have died before it could announce what it wrote: then others have these minutes to find out.
    pub async fn probe(&mut self, controller: usize, action: usize) -> Result<(), StatusCode> {
        let mut patience = 10;
        let dies = |(_, fault): &(u64, Fault)| matches!(fault, Fault::Controller { .. });
        let dies = self.plan.faults.iter().any(dies);
        loop {
            let of_it = self.written().into_iter().filter(|(written, _)| *written == action);
            let oldest = of_it.map(|(_, version)| version).max().unwrap_or(0);
            let call = self.request("POST", &format!("actions/a{action}?blocking=true"), "{}".to_owned());
            let app = self.controllers[controller]
                .as_ref()
                .expect("all were healed")
                .app
                .clone();
            let response = self.clocks[controller].runs(async { app.handle(call).await }).await;
            let id = response.headers().get(ACTIVATION_ID);
            let id: Option<ActivationId> = id.and_then(|id| id.to_str().ok()?.parse().ok());
            let status = response.status();
            self.ids.lock().expect("no panic under this lock").extend(id);
            let body = response.into_body().collect().await.expect("it is there").to_bytes();
            let unannounced = status == StatusCode::OK && dies && version_in(&body) < oldest;
            if let Some(id) = id.filter(|_| !unannounced || patience == 0) {
                self.probes.insert(id, (action, oldest));
            }
            match status {
                StatusCode::OK if !unannounced || patience == 0 => return Ok(()),
                status if patience == 0 => return Err(status),
                _ => patience -= 1,
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    }

    /// What some client was told has been cancelled.
    pub fn cancelled(&self) -> BTreeSet<ActivationId> {
        self.cancelled.lock().expect("no panic under this lock").clone()
    }

    pub fn request(&self, method: &str, path: &str, body: String) -> Request {
        let head = hyper::Request::builder()
            .method(method)
            .uri(format!("/api/v1/namespaces/_/{path}"));
        let (parts, ()) = head
            .header(CONTENT_TYPE, "application/json")
            .body(())
            .expect("a good request")
            .into_parts();
        Request {
            parts,
            body: Bytes::from(body),
            caller: Outcome::Known(self.identity.clone()),
            transid: TransactionId::new(format!("t{}", clock::now()), clock::now()),
        }
    }

    /// The actions, the sequence of two of them, and the trigger with its rules.
    async fn store_entities(&self) {
        for n in 0..self.plan.actions.len() {
            self.put(&format!("actions/a{n}"), self.action(n, "first")).await;
        }
        let chain = r#"{"exec":{"kind":"sequence","components":["/_/a0","/_/a1"]}}"#;
        self.put("actions/chain", chain.to_owned()).await;
        self.put("triggers/all", "{}".to_owned()).await;
        for n in 0..self.plan.actions.len() {
            let body = format!(r#"{{"trigger":"/_/all","action":"/_/a{n}","status":"active"}}"#);
            self.put(&format!("rules/r{n}"), body).await;
        }
        let off = r#"{"trigger":"/_/all","action":"/_/a0"}"#;
        self.put(&format!("rules/{OFF}"), off.to_owned()).await;
        let status = r#"{"status":"inactive"}"#;
        self.does("POST", &format!("rules/{OFF}"), status.to_owned()).await;
    }

    /// An action's document, with this code.
    fn action(&self, n: usize, code: &str) -> String {
        let action = &self.plan.actions[n];
        let once = match action.once {
            true => r#"{"key":"max-attempts","value":1}"#,
            false => "",
        };
        format!(
            r#"{{"exec":{{"kind":"nodejs:20","code":"// {n} {code}"}},"annotations":[{once}],
                "limits":{{"memory":{},"timeout":{},"concurrency":{}}}}}"#,
            action.memory, action.timeout, action.concurrency
        )
    }

    async fn put(&self, path: &str, body: String) {
        self.does("PUT", path, body).await;
    }

    async fn does(&self, verb: &str, path: &str, body: String) {
        let app = &self.controllers[0].as_ref().expect("it was just started").app;
        let call = self.request(verb, path, body);
        let response = self.clocks[0].runs(async { app.handle(call).await }).await;
        assert_eq!(response.status(), 200, "{verb} {path}");
    }
}

/// The topic that an invoker reads.
fn reads(invoker: usize) -> String {
    format!("invoker{invoker}")
}

/// The queues that a controller reads.
fn hears(controller: usize) -> [String; 3] {
    ["completed#", "owed#", "owed#-cancels"].map(|topic| topic.replace('#', &controller.to_string()))
}

async fn deliver_again(bus: &Arc<dyn MessageBus>, topic: &str, messages: Vec<Message>) {
    for message in messages {
        if let Some(message) = seams::again(bus, message).await {
            let published = bus.publish(topic, message, Durability::Volatile).await;
            published.expect("memory takes it");
        }
    }
}

/// The version in an action's document: the last part, which every write raises.
fn version_in(body: &[u8]) -> u64 {
    let document: serde_json::Value = serde_json::from_slice(body).expect("a document");
    version_number(document["version"].as_str().expect("a version"))
}

/// `0.0.7` is 7.
pub fn version_number(version: &str) -> u64 {
    version
        .rsplit('.')
        .next()
        .and_then(|part| part.parse().ok())
        .expect("three parts")
}
