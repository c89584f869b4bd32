//! Starting the program behind the proxy, and knowing when it ends.
//!
//! The proxy may be process 1 of its container, so it reaps every process that ends, its own child or an orphan. All of it
//! happens on one thread: a child is registered before the reaper can run.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::Error;
use crate::channel::LAUNCHER_FD;
use crate::code::check_runnable;

/// More than a compiler has to say.
const MAX_OUTPUT: u64 = 1024 * 1024;

/// Starts children and reaps them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Nursery {
    running: Arc<Mutex<HashMap<Pid, watch::Sender<Life>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    Ended { well: bool },
}

/// What to start.
#[derive(Debug)]
pub struct Program<'a> {
    pub command: &'a OsStr,
    pub arguments: Vec<OsString>,
    pub environment: &'a [(OsString, OsString)],
    pub folder: &'a Path,
    /// A descriptor the child gets under a number of its choice.
    pub handed: Option<(OwnedFd, RawFd)>,
    pub stdin: Stdio,
}

/// A started child. Dropping it kills its process group.
#[derive(Debug)]
pub struct Child {
    group: Pid,
    life: watch::Receiver<Life>,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

impl Nursery {
    /// Must be called inside the runtime.
    pub fn new() -> Result<Self, Error> {
        reserve_numbers().map_err(|source| Error::System {
            action: "reserve descriptors",
            source,
        })?;
        let nursery = Nursery {
            running: Arc::default(),
        };
        let mut signals = signal(SignalKind::child()).map_err(|source| Error::System {
            action: "listen for the end of children",
            source,
        })?;
        let reaper = nursery.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                reaper.reap();
            }
        });
        Ok(nursery)
    }

    pub fn start(&self, program: Program<'_>) -> std::io::Result<Child> {
        let path = Path::new(program.command);
        if path.is_absolute() {
            check_runnable(path)?;
        }
        let mut command = Command::new(program.command);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(program.folder)
            .process_group(0)
            .stdin(program.stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let handed = program.handed;
        let pass = handed.as_ref().map(|(fd, number)| (fd.as_raw_fd(), *number));
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(move || {
                nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?;
                match pass {
                    Some((fd, number)) => hand_over(fd, number),
                    None => Ok(()),
                }
            });
        }
        let mut started = command.spawn()?;
        let group = Pid::from_raw(started.id() as i32);
        let (sender, life) = watch::channel(Life::Running);
        self.running.lock().expect("no panic while held").insert(group, sender);
        Ok(Child {
            group,
            life,
            stdin: started.stdin.take().map(Into::into),
            stdout: started.stdout.take().map(Into::into),
            stderr: started.stderr.take().map(Into::into),
        })
    }

    /// Runs a program to its end: whether it ended well, and everything it printed.
    pub async fn output(&self, program: Program<'_>) -> std::io::Result<(bool, String)> {
        let mut child = self.start(program)?;
        let mut text = Vec::new();
        for fd in [child.stdout.take(), child.stderr.take()].into_iter().flatten() {
            pipe::Receiver::from_owned_fd(fd)?
                .take(MAX_OUTPUT)
                .read_to_end(&mut text)
                .await?;
        }
        child.ended().await;
        Ok((child.succeeded(), String::from_utf8_lossy(&text).into_owned()))
    }

    fn reap(&self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return,
                Ok(status) => {
                    let sender = status
                        .pid()
                        .and_then(|pid| self.running.lock().expect("no panic while held").remove(&pid));
                    if let Some(sender) = sender {
                        sender.send_replace(Life::Ended {
                            well: matches!(status, WaitStatus::Exited(_, 0)),
                        });
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// Occupies the low descriptors, so that none that matters between fork and exec has a number a child is handed.
fn reserve_numbers() -> std::io::Result<()> {
    let nothing = OwnedFd::from(std::fs::File::open("/dev/null")?);
    for number in 3..=LAUNCHER_FD {
        // SAFETY: numbers only; an open descriptor is left alone, and the copies are meant to stay for good.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) < 0 && libc::dup3(nothing.as_raw_fd(), number, libc::O_CLOEXEC) < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
    }
    if nothing.as_raw_fd() <= LAUNCHER_FD {
        std::mem::forget(nothing);
    }
    Ok(())
}

/// Gives the child a descriptor under `number`, open across exec.
fn hand_over(fd: RawFd, number: RawFd) -> std::io::Result<()> {
    // SAFETY: plain system calls on descriptors the child owns.
    let result = if fd == number {
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }
    } else {
        unsafe { libc::dup2(fd, number) }
    };
    if result < 0 {
        Err(std::io::Error::last_os_error())
    } else {
        Ok(())
    }
}

impl Child {
    pub fn has_ended(&self) -> bool {
        *self.life.borrow() != Life::Running
    }

    fn succeeded(&self) -> bool {
        *self.life.borrow() == Life::Ended { well: true }
    }

    /// Waits for the process itself; its own children may live on. The future does not borrow.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut life = self.life.clone();
        async move {
            // An error means that the nursery is gone, and the process with it.
            let _ = life.wait_for(|life| *life != Life::Running).await;
        }
    }

    /// Waits for a process that is about to end, then makes sure.
    pub async fn last_words(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.ended()).await.is_err() {
            self.kill();
        }
    }

    pub fn kill(&self) {
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
