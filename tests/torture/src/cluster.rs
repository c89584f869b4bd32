//! The cluster that `cluster.sh` started, and what can be done to its parts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use crate::admin::{self, Counts};
use crate::links::{Link, Protocol};
use crate::part::Part;
use crate::plan::{Fault, Role};

/// All of it.
pub struct Cluster {
    pub gateways: Vec<String>,
    pub auth: String,
    /// Where CouchDB is, and what its databases' names begin with.
    pub couchdb: String,
    pub prefix: String,
    pub parts: Vec<Part>,
    /// Folder of the configurations and logs.
    pub dir: PathBuf,
    /// The Docker engine of invokers that use one.
    pub engine: Option<String>,
}

const SERVICES: [(&str, Role); 7] = [
    ("gateway0", Role::Gateway),
    ("gateway1", Role::Gateway),
    ("controller0", Role::Controller),
    ("controller1", Role::Controller),
    ("invoker0", Role::Invoker),
    ("invoker1", Role::Invoker),
    ("invoker2", Role::Invoker),
];
/// Longest wait until everything runs, and every invoker has had work.
const WARM: Duration = Duration::from_secs(120);
/// Longest wait for a good moment to kill an invoker.
const RIPE: Duration = Duration::from_secs(5);
/// So old are the records that a killed invoker leaves unwritten: what it commits, it has committed by then.
const UNRECORDED: Duration = Duration::from_millis(400);
const LOOK: Duration = Duration::from_millis(50);

impl Cluster {
    /// The cluster that the environment describes.
    pub fn here() -> Result<Cluster> {
        let dir = PathBuf::from(variable("CLUSTER_DIR")?);
        let mut parts = Vec::new();
        for (name, role) in SERVICES {
            let file = dir.join(format!("{name}.pid"));
            let pid = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let mut part = Part::of(name, role, &pid, Some(file))?;
            part.admin = Some(configured(&dir.join(format!("{name}.toml")), "admin")?);
            parts.push(part);
        }
        let kafka = variable("FERROWHISK_TEST_KAFKA_PID")?;
        parts.push(Part::of("kafka", Role::Kafka, &kafka, None)?);
        let couchdb = variable("FERROWHISK_TEST_COUCHDB_PID")?;
        parts.push(Part::of("couchdb", Role::CouchDb, &couchdb, None)?);
        Ok(Cluster {
            gateways: variable("CLUSTER_GATEWAYS")?.split(' ').map(str::to_owned).collect(),
            auth: variable("CLUSTER_AUTH")?,
            couchdb: variable("FERROWHISK_TEST_COUCHDB")?,
            prefix: configured(&dir.join("invoker0.toml"), "prefix")?,
            parts,
            dir,
            engine: std::env::var("FERROWHISK_TEST_DOCKER").ok(),
        })
    }

    /// Puts a link that can be cut into every way from a service to Kafka and CouchDB, and starts the services anew on them.
    pub async fn link(&mut self) -> Result<()> {
        let kafka = variable("FERROWHISK_TEST_KAFKA")?;
        let (_, couchdb) = self.couchdb.rsplit_once(['/', '@']).context("the address of CouchDB")?;
        let ways = [
            (Fault::CutKafka, Protocol::Kafka, kafka.as_str()),
            (Fault::CutCouch, Protocol::Http, couchdb),
        ];
        for part in self.parts.iter_mut().filter(|part| part.is_ours()) {
            let file = self.dir.join(format!("{}.toml", part.name));
            let mut text = std::fs::read_to_string(&file)?;
            for (fault, protocol, target) in ways {
                let target: SocketAddr = target.parse().with_context(|| target.to_owned())?;
                if part.role.faults().contains(&fault) {
                    let link = Link::open(target, protocol).await?;
                    text = text.replace(&target.to_string(), &link.address.to_string());
                    part.links.push((fault, link));
                }
            }
            std::fs::write(&file, text)?;
            part.end().await?;
            part.start().await?;
        }
        self.ready().await
    }

    /// Waits until every service is ready.
    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + WARM;
        for part in &self.parts {
            let Some(admin) = &part.admin else { continue };
            while !admin::is_ready(admin).await {
                if Instant::now() >= deadline {
                    bail!("{} is not ready", part.name);
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// How many containers of an invoker are there.
    pub async fn containers(&self, invoker: &str) -> Result<u32> {
        let file = self.dir.join(format!("{invoker}.toml"));
        match (configured(&file, "engine"), &self.engine) {
            (Ok(_), Some(engine)) => in_engine(engine, invoker).await,
            (Ok(_), None) => bail!("FERROWHISK_TEST_DOCKER does not say which engine {invoker} uses"),
            (Err(_), _) => sandboxes(&file).with_context(|| format!("the control groups of {invoker}")),
        }
    }

    /// Place of the part of a name.
    pub fn place(&self, name: &str) -> Result<usize> {
        let found = self.parts.iter().position(|part| part.name == name);
        found.with_context(|| format!("no part of the cluster is called {name}"))
    }

    /// Places and roles of the parts to harm.
    pub fn chosen(&self, only: Option<&str>) -> Result<Vec<(usize, Role)>> {
        let wanted = |part: &Part| only.is_none_or(|start| part.name.starts_with(start));
        let parts = self.parts.iter().enumerate();
        let chosen: Vec<_> = parts
            .filter(|(_, part)| wanted(part))
            .map(|(at, part)| (at, part.role))
            .collect();
        if chosen.is_empty() {
            bail!("no part of the cluster is called {}...", only.unwrap_or_default());
        }
        Ok(chosen)
    }

    pub async fn harm(&mut self, at: usize, fault: Fault, time: Duration) -> Result<()> {
        match fault {
            Fault::Freeze => self.parts[at].freeze(time).await,
            Fault::CutKafka | Fault::CutCouch => self.parts[at].cut(fault, time).await,
            Fault::Kill => {
                self.ripen(at).await;
                self.parts[at].kill().await
            }
        }
    }

    /// Waits until every invoker has recorded something, so that a fault finds all of them at work.
    pub async fn warm(&self) -> Result<()> {
        let deadline = Instant::now() + WARM;
        for part in self.parts.iter().filter(|part| part.role == Role::Invoker) {
            let admin = part.admin.as_deref().context("an invoker has an address")?;
            while !Counts::of(admin).await.is_ok_and(|counts| counts.records() > 0.0) {
                if Instant::now() >= deadline {
                    bail!("{} has recorded nothing for {} s under load", part.name, WARM.as_secs());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Waits, but not for long, for a moment when an invoker has ended activations for a while and not recorded them: what
    /// it has of them in memory only must be done again by somebody.
    async fn ripen(&self, at: usize) {
        let part = &self.parts[at];
        let Some(admin) = part.admin.as_ref().filter(|_| part.role == Role::Invoker) else {
            return;
        };
        let deadline = Instant::now() + RIPE;
        let mut since: Option<(Instant, f64)> = None;
        while Instant::now() < deadline {
            let counts = Counts::of(admin).await.ok();
            let due = counts
                .filter(|counts| counts.unrecorded() >= 1.0)
                .map(|counts| counts.records());
            since = match (due, since) {
                (Some(records), Some((at, before))) if records == before => {
                    if at.elapsed() >= UNRECORDED {
                        return;
                    }
                    since
                }
                (Some(records), _) => Some((Instant::now(), records)),
                (None, _) => None,
            };
            tokio::time::sleep(LOOK).await;
        }
        println!("torture: {} had nothing unrecorded", part.name);
    }

    /// Starts parts again that have ended by themselves, as a supervisor would; their names.
    pub async fn revive(&mut self) -> Result<Vec<String>> {
        let names = self.missing();
        for name in &names {
            println!("torture: {name} has ended by itself");
            let at = self.place(name)?;
            self.parts[at].start().await?;
        }
        Ok(names)
    }

    /// Names of parts that are not running.
    pub fn missing(&self) -> Vec<String> {
        let gone = self.parts.iter().filter(|part| !part.is_running());
        gone.map(|part| part.name.clone()).collect()
    }

    /// Ends the services in the order in which they need each other, then what else was started here.
    pub async fn end(mut self) -> Result<()> {
        let mut outcome = Ok(());
        for role in [Role::Gateway, Role::Invoker, Role::Controller] {
            for part in self.parts.iter_mut().filter(|part| part.role == role) {
                outcome = outcome.and(part.end().await);
            }
        }
        for part in &mut self.parts {
            part.discard().await;
        }
        outcome
    }
}

/// How many control groups of an invoker's sandboxes have processes in them.
fn sandboxes(file: &Path) -> Result<u32> {
    let parent = configured(file, "cgroup_parent")?;
    let parent = parent.trim_start_matches('/');
    let trees = ["memory", "unified", ""].map(|tree| Path::new("/sys/fs/cgroup").join(tree).join(parent));
    let tree = trees.into_iter().find(|tree| tree.is_dir()).context("there are none")?;
    let groups = std::fs::read_dir(tree)?.flatten();
    let in_use = |group: &std::fs::DirEntry| {
        std::fs::read_to_string(group.path().join("cgroup.procs")).is_ok_and(|processes| !processes.is_empty())
    };
    Ok(u32::try_from(groups.filter(in_use).count())?)
}

/// How many containers of a node its engine has, stopped ones too.
async fn in_engine(engine: &str, node: &str) -> Result<u32> {
    let label = format!("label=ferrowhisk.node={node}");
    let list = ["--host", engine, "ps", "--all", "--quiet", "--filter", &label];
    let output = tokio::process::Command::new("docker").args(list).output().await?;
    if !output.status.success() {
        bail!("docker ps: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(u32::try_from(String::from_utf8_lossy(&output.stdout).lines().count())?)
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run cluster.sh"))
}

/// A text of a configuration that `cluster.sh` wrote.
fn configured(file: &Path, key: &str) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let start = format!("{key} = ");
    let found = text.lines().find_map(|line| line.strip_prefix(&start));
    let found = found.with_context(|| format!("{} has no `{key}`", file.display()))?;
    Ok(found.trim_matches('"').to_owned())
}
