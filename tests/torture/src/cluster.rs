//! The processes of the cluster that `cluster.sh` started, and what can be done to them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// What is done to a part.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// SIGKILL, and a start right after, as a supervisor would.
    Kill,
    /// SIGSTOP for so long: to the others it is silent, and cut off when it is Kafka or CouchDB.
    Freeze(Duration),
}

/// A process.
pub enum Part {
    Service {
        name: String,
        program: &'static str,
        pid: Pid,
        child: Option<Box<Child>>,
    },
    /// Kafka or CouchDB: others' programs, frozen only.
    Component { name: &'static str, pid: Pid },
}

/// All of it.
pub struct Cluster {
    pub gateways: Vec<String>,
    pub auth: String,
    bin: PathBuf,
    dir: PathBuf,
    parts: Vec<Part>,
}

const SERVICES: [(&str, &str); 7] = [
    ("gateway0", "ferrowhisk-gateway"),
    ("gateway1", "ferrowhisk-gateway"),
    ("controller0", "ferrowhisk-controller"),
    ("controller1", "ferrowhisk-controller"),
    ("invoker0", "ferrowhisk-invoker"),
    ("invoker1", "ferrowhisk-invoker"),
    ("invoker2", "ferrowhisk-invoker"),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill => f.write_str("kill"),
            Fault::Freeze(time) => write!(f, "freeze for {} s", time.as_secs()),
        }
    }
}

impl Part {
    pub fn name(&self) -> &str {
        match self {
            Part::Service { name, .. } => name,
            Part::Component { name, .. } => name,
        }
    }

    /// Whether it is a program of ours, which must survive being killed.
    pub fn is_ours(&self) -> bool {
        matches!(self, Part::Service { .. })
    }

    fn pid(&self) -> Pid {
        match self {
            Part::Service { pid, .. } | Part::Component { pid, .. } => *pid,
        }
    }
}

impl Cluster {
    /// The cluster that the environment describes.
    pub fn here(bin: &Path) -> Result<Cluster> {
        let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set; run cluster.sh"));
        let dir = PathBuf::from(variable("CLUSTER_DIR")?);
        let number = |text: &str| Ok::<_, anyhow::Error>(Pid::from_raw(text.trim().parse()?));
        let mut parts = Vec::new();
        for (name, program) in SERVICES {
            let file = dir.join(format!("{name}.pid"));
            let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            parts.push(Part::Service {
                name: name.to_owned(),
                program,
                pid: number(&text)?,
                child: None,
            });
        }
        for (name, variable_name) in [
            ("kafka", "FERROWHISK_TEST_KAFKA_PID"),
            ("couchdb", "FERROWHISK_TEST_COUCHDB_PID"),
        ] {
            parts.push(Part::Component {
                name,
                pid: number(&variable(variable_name)?)?,
            });
        }
        Ok(Cluster {
            gateways: variable("CLUSTER_GATEWAYS")?.split(' ').map(str::to_owned).collect(),
            auth: variable("CLUSTER_AUTH")?,
            bin: bin.to_owned(),
            dir,
            parts,
        })
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Place of the part of a name.
    pub fn place(&self, name: &str) -> Result<usize> {
        let found = self.parts.iter().position(|part| part.name() == name);
        found.with_context(|| format!("no part of the cluster is called {name}"))
    }

    /// Places of the parts to harm.
    pub fn chosen(&self, only: Option<&str>) -> Result<Vec<usize>> {
        let wanted = |part: &Part| only.is_none_or(|start| part.name().starts_with(start));
        let chosen: Vec<usize> = (0..self.parts.len()).filter(|at| wanted(&self.parts[*at])).collect();
        if chosen.is_empty() {
            bail!("no part of the cluster is called {}...", only.unwrap_or_default());
        }
        Ok(chosen)
    }

    pub async fn harm(&mut self, at: usize, fault: Fault) -> Result<()> {
        let pid = self.parts[at].pid();
        match fault {
            Fault::Freeze(time) => {
                kill(pid, Signal::SIGSTOP).with_context(|| format!("freezing {}", self.parts[at].name()))?;
                tokio::time::sleep(time).await;
                kill(pid, Signal::SIGCONT)?;
                Ok(())
            }
            Fault::Kill => {
                kill(pid, Signal::SIGKILL).with_context(|| format!("killing {}", self.parts[at].name()))?;
                while is_running(pid) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.start(at).await
            }
        }
    }

    async fn start(&mut self, at: usize) -> Result<()> {
        let (bin, dir) = (self.bin.clone(), self.dir.clone());
        let Part::Service {
            name,
            program,
            pid,
            child,
        } = &mut self.parts[at]
        else {
            bail!("{} is not a program of ours", self.parts[at].name());
        };
        if let Some(mut former) = child.take() {
            former.wait().await?;
        }
        let log = std::fs::OpenOptions::new()
            .append(true)
            .open(dir.join(format!("{name}.log")))?;
        let started = Command::new(bin.join(*program))
            .arg("--config")
            .arg(dir.join(format!("{name}.toml")))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {name} again"))?;
        let id = started.id().context("it ended at once")?;
        *pid = Pid::from_raw(i32::try_from(id)?);
        std::fs::write(dir.join(format!("{name}.pid")), format!("{id}\n"))?;
        *child = Some(Box::new(started));
        Ok(())
    }

    /// Starts services again that have ended by themselves, as a supervisor would; their names.
    pub async fn revive(&mut self) -> Result<Vec<String>> {
        let names = self.missing();
        for name in &names {
            println!("torture: {name} has ended by itself");
            let at = self.place(name)?;
            self.start(at).await?;
        }
        Ok(names)
    }

    /// Names of services that are not running.
    pub fn missing(&self) -> Vec<String> {
        let gone = |part: &&Part| part.is_ours() && !is_running(part.pid());
        self.parts
            .iter()
            .filter(gone)
            .map(|part| part.name().to_owned())
            .collect()
    }

    /// Ends what was started here, which nobody else could wait for.
    pub async fn end(mut self) {
        for part in &mut self.parts {
            if let Part::Service {
                child: Some(child),
                pid,
                ..
            } = part
            {
                // Gone already is as good.
                let _ = kill(*pid, Signal::SIGTERM);
                if tokio::time::timeout(Duration::from_secs(30), child.wait())
                    .await
                    .is_err()
                {
                    let _ = child.kill().await;
                }
            }
        }
    }
}

/// Whether a process has neither ended nor is only waiting to be noticed as ended.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
