//! Makes sandboxes and keeps the list of those that exist.

use std::{
    collections::HashMap,
    ffi::CString,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    Config, Network,
    cgroup::{self, Cgroups, Pool, Resource},
    config::Guards,
    container::{Making, Remains, Sandbox},
    doctor::{self, Ability},
    lives::{self, Life, random_hex},
    plan::{Plan, Planner},
    program,
    seccomp::Filter,
    spawner::{Common, Order, Spawner},
};
use crate::{Container, ContainerFactory, Error, Layer, Spec};

/// The factory behind the seam.
pub(super) struct Factory {
    /// Itself, for the sandboxes it makes.
    this: Weak<Factory>,
    config: Config,
    guards: Guards,
    ability: Ability,
    cgroups: Arc<Cgroups>,
    groups: Arc<Pool>,
    /// Whether system calls are filtered, and why not.
    filter: Result<(), String>,
    life: Life,
    spawner: Spawner,
    plans: Mutex<Plans>,
    state: Mutex<State>,
    closed: AtomicBool,
}

struct Plans {
    planner: Planner,
    current: Arc<Plan>,
    checked: Instant,
}

struct State {
    existing: HashMap<String, Weak<Remains>>,
    /// User ids not in use.
    free_users: Vec<u32>,
}

/// How often copied files are looked after.
const PLAN_AGE: Duration = Duration::from_secs(1);

/// Opens the backend.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn ContainerFactory>, Error> {
    let guards = config.guards();
    let ability = doctor::ability(&guards);
    if let (Err(reason), None, true) = (&ability.namespaces, ability.landlock, config.require_isolation) {
        let reason = format!("nothing keeps actions apart here: {reason}, and the kernel has no Landlock");
        return Err(Error::Config {
            setting: "require_isolation",
            reason,
        });
    }
    let life = Life::begin(config.run_dir.as_deref())?;
    let parent = config.cgroup_parent.as_deref();
    let cgroups = if guards.cgroups {
        cgroup::detect(parent, guards.cgroup_v2)
    } else {
        Cgroups::default()
    };
    let cgroups = Arc::new(cgroups);
    let groups = Arc::new(Pool::new(cgroups.clone(), life.tag()));
    let compiled = compiled(&guards, &ability);
    let filter = compiled.as_ref().map(|_| ()).map_err(String::clone);
    let plans = Plans::new(config, &guards, &life)?;
    let spawner = Spawner::start(common(config, &guards, &ability, &life, groups.clone(), compiled.ok()))?;
    let free_users = (config.uid_base..config.uid_base.saturating_add(config.uid_count))
        .rev()
        .collect();
    let factory = Arc::new_cyclic(|this| Factory {
        this: this.clone(),
        config: config.clone(),
        guards,
        ability,
        cgroups,
        groups,
        filter,
        life,
        spawner,
        plans: Mutex::new(plans),
        state: Mutex::new(State {
            existing: HashMap::new(),
            free_users,
        }),
        closed: AtomicBool::new(false),
    });
    doctor::announce(&factory.layers());
    Ok(factory)
}

/// The filter of system calls, or why there is none.
fn compiled(guards: &Guards, ability: &Ability) -> Result<Filter, String> {
    ability.seccomp.clone()?;
    match guards.seccomp {
        true => Filter::compile().map_err(|error| error.to_string()),
        false => Err("switched off".to_owned()),
    }
}

fn common(
    config: &Config,
    guards: &Guards,
    ability: &Ability,
    life: &Life,
    groups: Arc<Pool>,
    filter: Option<Filter>,
) -> Common {
    Common {
        folder: life.folder(),
        groups,
        filter,
        guards: guards.clone(),
        namespaces: namespaces(config, guards, ability),
        landlock: ability.landlock,
        as_root: ability.root,
        own_network: config.network == Network::None && ability.namespaces.is_ok(),
        pids: config.pids,
        limits: limits(config, guards),
    }
}

fn namespaces(config: &Config, guards: &Guards, ability: &Ability) -> u64 {
    if ability.namespaces.is_err() {
        return 0;
    }
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    flags |= if guards.pids { libc::CLONE_NEWPID } else { 0 };
    flags |= if ability.root { 0 } else { libc::CLONE_NEWUSER };
    flags |= if config.network == Network::None {
        libc::CLONE_NEWNET
    } else {
        0
    };
    flags as u32 as u64
}

fn limits(config: &Config, guards: &Guards) -> Vec<(i32, u64)> {
    if !guards.rlimits {
        return Vec::new();
    }
    let limits = [
        (libc::RLIMIT_NOFILE as i32, u64::from(config.open_files)),
        // Counts per user, and so per container where each has a user or a user namespace of its own.
        (libc::RLIMIT_NPROC as i32, u64::from(config.pids)),
        (libc::RLIMIT_CORE as i32, 0),
    ];
    limits.to_vec()
}

impl Plans {
    fn new(config: &Config, guards: &Guards, life: &Life) -> Result<Self, Error> {
        let mut config = config.clone();
        config.shown.extend((!guards.socket).then(|| life.folder()));
        let planner = Planner::new(&config, !guards.root)?;
        let current = Arc::new(planner.plan()?);
        Ok(Plans {
            planner,
            current,
            checked: Instant::now(),
        })
    }

    /// The plan to use now, made anew when this program or folder is not in it or the machine's settings changed, and where
    /// the program is found in it.
    fn current(&mut self, program: &Path, folder: Option<&Path>) -> Result<(Arc<Plan>, PathBuf), Error> {
        let (place, mut stale) = self.planner.place(program);
        if let Some(folder) = folder {
            stale |= self.planner.make_room(folder)?;
        }
        if self.checked.elapsed() > PLAN_AGE {
            self.checked = Instant::now();
            stale |= self.planner.outdated();
        }
        if stale {
            self.current = Arc::new(self.planner.plan()?);
        }
        Ok((self.current.clone(), place))
    }
}

impl Factory {
    /// A sandbox is gone: its user id may be given again.
    pub(super) fn forget(&self, id: &str, user: Option<u32>) {
        let mut state = self.state();
        state.existing.remove(id);
        state.free_users.extend(user);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    fn order(&self, id: &str, spec: &Spec, sentinel: &str, user: Option<u32>) -> Result<Order, Error> {
        let named = program::find(spec)?;
        let folder = spec.folder.as_deref();
        let (plan, place) = self
            .plans
            .lock()
            .expect("no panic while locked")
            .current(&named, folder)?;
        let own_folder = self.own_folder(id);
        let invalid = |what: &str| Error::Step {
            id: id.to_owned(),
            step: "prepare program",
            source: io::Error::new(io::ErrorKind::InvalidInput, format!("{what} holds a zero byte")),
        };
        let argv = spec.program.iter().map(|argument| CString::new(argument.as_str()));
        Ok(Order {
            id: id.to_owned(),
            image: spec.image.clone(),
            plan,
            program: if self.ability.namespaces.is_ok() { place } else { named },
            argv: argv.collect::<Result<_, _>>().map_err(|_| invalid("an argument"))?,
            envp: program::environment(spec, sentinel, own_folder.as_deref())
                .ok_or_else(|| invalid("a variable's name is impossible, or the environment"))?,
            memory_mb: spec.memory_mb,
            tmp_mb: if self.guards.rlimits {
                (spec.memory_mb * self.config.tmp_percent / 100).max(1)
            } else {
                65_536
            },
            user,
            folder: spec.folder.clone(),
            own_folder,
        })
    }

    /// Whether nothing but a regular look limits memory.
    fn watches(&self) -> bool {
        self.guards.watch && self.cgroups.tree(Resource::Memory).is_none()
    }

    /// The writable folder of a sandbox, where it has no root of its own to hold one.
    fn own_folder(&self, id: &str) -> Option<PathBuf> {
        self.ability.namespaces.is_err().then(|| lives::box_folder(id))
    }

    /// A user id for a new sandbox; `None` where they do not have one each.
    fn take_user(&self) -> Result<Option<u32>, Error> {
        let mut state = self.state();
        let most = self.config.uid_count as usize;
        let full = || Error::Exhausted {
            reason: format!("all {most} user ids for sandboxes are in use"),
        };
        if state.existing.len() >= most {
            return Err(full());
        }
        match self.ability.users && self.guards.users {
            true => state.free_users.pop().map(Some).ok_or_else(full),
            false => Ok(None),
        }
    }

    async fn make(&self, id: String, spec: &Spec, user: Option<u32>) -> Result<Sandbox, Error> {
        let step = |step, source| Error::Step {
            id: id.clone(),
            step,
            source,
        };
        let sentinel = random_hex(16).map_err(|source| step("make secret", source))?;
        let order = self.order(&id, spec, &sentinel, user)?;
        let made = self.spawner.make(order).await?;
        let making = Making {
            id: id.clone(),
            own_pids: self.guards.pids && self.ability.namespaces.is_ok(),
            user,
            kill_wait: Duration::from_millis(self.config.kill_wait_ms),
            sentinel: &sentinel,
            log_capacity: self.config.log_buffer_bytes.saturating_mul(2),
            concurrency: spec.concurrency,
            groups: self.groups.clone(),
            own_folder: self.own_folder(&id),
            watched_mb: self.watches().then_some(spec.memory_mb),
            factory: &self.this.upgrade().ok_or(Error::ShuttingDown)?,
        };
        Sandbox::new(made, making)
            .await
            .map_err(|source| step("connect", source))
    }
}

impl Factory {
    async fn create_to_the_end(&self, spec: Spec) -> Result<Arc<Sandbox>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::ShuttingDown);
        }
        let mut user = TakenUser {
            factory: self,
            user: self.take_user()?,
        };
        let id = self.life.next_id(&spec.name);
        let sandbox = Arc::new(self.make(id.clone(), &spec, user.user).await?);
        user.user = None;
        self.state().existing.insert(id, Arc::downgrade(sandbox.remains()));
        if self.closed.load(Ordering::Acquire) {
            sandbox.destroy().await?;
            return Err(Error::ShuttingDown);
        }
        Ok(sandbox)
    }
}

#[async_trait]
impl ContainerFactory for Factory {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let this = self.this.upgrade().ok_or(Error::ShuttingDown)?;
        // In a task of its own, so that a caller who gives up does not stop it half-way: what is made is then dropped whole.
        let made = tokio::spawn(async move { this.create_to_the_end(spec).await });
        Ok(made.await.unwrap_or(Err(Error::ShuttingDown))?)
    }

    async fn sweep(&self) -> Result<usize, Error> {
        self.life.sweep(&self.cgroups).await
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let existing: Vec<Arc<Remains>> = self.state().existing.values().filter_map(Weak::upgrade).collect();
        // All signals first: they die side by side.
        existing.iter().for_each(|remains| remains.kill());
        let mut result = Ok(());
        for remains in existing {
            result = result.and(remains.bury().await);
        }
        self.groups.close();
        result
    }

    fn layers(&self) -> Vec<Layer> {
        doctor::layers(&self.config, &self.ability, &self.cgroups, &self.filter)
    }
}

/// Gives a user id back unless a sandbox took it over.
struct TakenUser<'a> {
    factory: &'a Factory,
    user: Option<u32>,
}

impl Drop for TakenUser<'_> {
    fn drop(&mut self) {
        self.factory.state().free_users.extend(self.user.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerState;

    #[test]
    fn the_report_says_why_no_system_calls_are_filtered() {
        let on = Config::default().guards();
        let off = Guards {
            seccomp: false,
            ..on.clone()
        };
        let ability = |seccomp| Ability {
            root: false,
            users: false,
            namespaces: Ok(()),
            processes: true,
            seccomp,
            landlock: None,
        };
        for (guards, ability, detail) in [
            (&on, ability(Err("an old kernel".to_owned())), "an old kernel"),
            (&off, ability(Ok(())), "switched off"),
        ] {
            let filter = compiled(guards, &ability).map(|_| ());
            let layers = doctor::layers(&Config::default(), &ability, &Cgroups::default(), &filter);
            let layer = layers.iter().find(|layer| layer.name == "seccomp").unwrap();
            assert_eq!((layer.state, &*layer.detail), (LayerState::Missing, detail));
        }
    }
}
