//! A process of the cluster: how it was started, so that it can be started again, and what it is doing.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::links::Link;
use crate::plan::{Fault, Role};

/// A process that somebody else started.
pub struct Part {
    pub name: String,
    pub role: Role,
    /// Where it answers `/ready` and `/metrics`; Kafka and CouchDB do not.
    pub admin: Option<String>,
    pub links: Vec<(Fault, Link)>,
    pid: Pid,
    start: Start,
    /// Where its process id is kept for whoever stops the cluster.
    pid_file: Option<PathBuf>,
    child: Option<Child>,
}

/// How a process was started.
struct Start {
    words: Vec<std::ffi::OsString>,
    folder: PathBuf,
    log: PathBuf,
}

const END: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(5);

impl Part {
    /// The running process of this id.
    pub fn of(name: &str, role: Role, pid: &str, pid_file: Option<PathBuf>) -> Result<Part> {
        let pid = Pid::from_raw(pid.trim().parse().with_context(|| format!("process id of {name}"))?);
        Ok(Part {
            name: name.to_owned(),
            role,
            admin: None,
            links: Vec::new(),
            pid,
            start: Start::of(pid).with_context(|| format!("{name} (process {pid})"))?,
            pid_file,
            child: None,
        })
    }

    /// Whether it keeps what it was told when it is killed.
    pub fn is_durable(&self) -> bool {
        self.role != Role::CouchDb || !self.start.words.iter().any(|word| word == "-m")
    }

    /// Whether it is a program of ours.
    pub fn is_ours(&self) -> bool {
        !matches!(self.role, Role::Kafka | Role::CouchDb)
    }

    /// Whether it has neither ended nor is only waiting to be noticed as ended.
    pub fn is_running(&self) -> bool {
        let stat = match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => stat,
            // It can also be this program that may open no more files: no reason to start a second copy of anything.
            Err(error) => {
                return ![Some(Errno::ENOENT as i32), Some(Errno::ESRCH as i32)].contains(&error.raw_os_error());
            }
        };
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next());
        state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
    }

    pub async fn freeze(&self, time: Duration) -> Result<()> {
        kill(self.pid, Signal::SIGSTOP).with_context(|| format!("freezing {}", self.name))?;
        tokio::time::sleep(time).await;
        Ok(kill(self.pid, Signal::SIGCONT)?)
    }

    /// Cuts one of its ways for a while.
    pub async fn cut(&self, way: Fault, time: Duration) -> Result<()> {
        let link = self.links.iter().find(|(fault, _)| *fault == way);
        let (_, link) = link.with_context(|| format!("{} has no way that {way} could cut", self.name))?;
        link.set_cut(true);
        tokio::time::sleep(time).await;
        link.set_cut(false);
        Ok(())
    }

    /// Kills it and starts it again.
    pub async fn kill(&mut self) -> Result<()> {
        kill(self.pid, Signal::SIGKILL).with_context(|| format!("killing {}", self.name))?;
        self.gone().await?;
        self.start().await
    }

    /// Ends it as an operator would.
    pub async fn end(&mut self) -> Result<()> {
        // Gone already is as good.
        let _ = kill(self.pid, Signal::SIGTERM);
        if self.gone().await.is_err() {
            let _ = kill(self.pid, Signal::SIGKILL);
            self.gone().await?;
            bail!("{} did not end within {} s of SIGTERM", self.name, END.as_secs());
        }
        Ok(())
    }

    /// Kills it if it was started here: nobody else knows of it.
    pub async fn discard(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
    }

    async fn gone(&mut self) -> Result<()> {
        let gone = async {
            match &mut self.child {
                Some(child) => drop(child.wait().await),
                None => {
                    while self.is_running() {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
        };
        let ended = tokio::time::timeout(END, gone).await;
        ended.with_context(|| format!("{} does not end", self.name))
    }

    pub async fn start(&mut self) -> Result<()> {
        self.discard().await;
        let log = std::fs::OpenOptions::new().append(true).open(&self.start.log);
        let log = log.with_context(|| self.start.log.display().to_string())?;
        let child = Command::new(&self.start.words[0])
            .args(&self.start.words[1..])
            .current_dir(&self.start.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {} again", self.name))?;
        let id = child.id().context("it ended at once")?;
        self.pid = Pid::from_raw(i32::try_from(id)?);
        if let Some(file) = &self.pid_file {
            std::fs::write(file, format!("{id}\n"))?;
        }
        self.child = Some(child);
        Ok(())
    }
}

impl Start {
    fn of(pid: Pid) -> Result<Start> {
        let folder = Path::new("/proc").join(pid.to_string());
        let line = std::fs::read(folder.join("cmdline"))?;
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(|word| std::ffi::OsString::from_vec(word.to_vec())).collect();
        if words.is_empty() {
            bail!("it has ended");
        }
        Ok(Start {
            words,
            folder: std::fs::read_link(folder.join("cwd"))?,
            log: std::fs::read_link(folder.join("fd/2"))?,
        })
    }
}
