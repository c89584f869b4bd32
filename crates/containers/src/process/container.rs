//! One sandbox as a [`Container`].

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixStream,
    sync::OnceCell,
};

use super::{
    Factory,
    cgroup::{Group, Pool},
    lives,
    output::Output,
    socket::Handle,
    spawner::Made,
    tree,
    watch::Watch,
};
use crate::{
    Answer, Call, CallError, Container, Error, LogLine, LogRequest, Logs,
    client::{Client, Endpoint},
};

/// A sandbox.
pub(super) struct Sandbox {
    client: Client,
    output: Arc<Output>,
    remains: Arc<Remains>,
    /// Memory kills that were reported already.
    memory_kills: AtomicU64,
    /// Where no control group limits memory.
    watch: Option<Watch>,
    _socket: Handle,
}

/// What must be cleared away when a sandbox ends, even if its [`Sandbox`] is gone.
pub(super) struct Remains {
    pub(super) id: String,
    pid: libc::pid_t,
    pidfd: OwnedFd,
    /// Killing the first process kills all.
    own_pids: bool,
    /// `None` once given back: from then on it may be another sandbox's, so nothing is done to it but under this lock.
    group: Mutex<Option<Group>>,
    groups: Arc<Pool>,
    /// To be removed with everything in it.
    own_folder: Option<PathBuf>,
    frozen: AtomicBool,
    dying: AtomicBool,
    user: Mutex<Option<u32>>,
    kill_wait: Duration,
    buried: OnceCell<()>,
    factory: Weak<Factory>,
}

/// Longest a freeze may take: a process in the middle of a system call that cannot be interrupted.
const FREEZE_WAIT: Duration = Duration::from_secs(2);

impl Sandbox {
    /// Takes over what the spawner made.
    pub(super) async fn new(made: Made, making: Making<'_>) -> io::Result<Sandbox> {
        let Made {
            child,
            group,
            control,
            stdout,
            stderr,
        } = made;
        let remains = Arc::new(Remains {
            id: making.id,
            pid: child.pid,
            pidfd: child.pidfd,
            own_pids: making.own_pids,
            group: Mutex::new(group),
            groups: making.groups,
            own_folder: making.own_folder,
            frozen: AtomicBool::new(false),
            dying: AtomicBool::new(false),
            user: Mutex::new(making.user),
            kill_wait: making.kill_wait,
            buried: OnceCell::new(),
            factory: Arc::downgrade(making.factory),
        });
        let path = control.handle.path();
        let taken = async {
            let output = Output::start(stdout, stderr, making.sentinel, making.log_capacity)?;
            let client = Client::new(Endpoint::Unix(path), making.concurrency);
            client.adopt(UnixStream::from_std(control.stream)?).await?;
            Ok((output, client))
        };
        match taken.await {
            Ok((output, client)) => Ok(Sandbox {
                client,
                output,
                remains,
                memory_kills: AtomicU64::new(0),
                watch: making.watched_mb.map(|memory_mb| Watch::new(child.pid, memory_mb)),
                _socket: control.handle,
            }),
            Err(error) => {
                // The caller keeps the user id then.
                remains.user.lock().expect("no panic while locked").take();
                let _ = remains.bury().await;
                Err(error)
            }
        }
    }

    pub(super) fn remains(&self) -> &Arc<Remains> {
        &self.remains
    }

    /// A call, unless the sandbox takes more memory than it may meanwhile, which is its end.
    async fn watched(&self, call: impl Future<Output = Result<Answer, CallError>>) -> Result<Answer, CallError> {
        let Some(watch) = &self.watch else { return call.await };
        tokio::select! {
            biased;
            result = call => result,
            () = watch.exceeded() => {
                self.remains.kill();
                Err(CallError::OutOfMemory)
            }
        }
    }

    /// Adds the kernel's word to a call that did not go well.
    fn judge(&self, result: Result<Answer, CallError>) -> Result<Answer, CallError> {
        match result {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => Ok(Answer {
                out_of_memory: self.ran_out_of_memory(),
                ..answer
            }),
            Err(CallError::ConnectionLost | CallError::Refused) if self.ran_out_of_memory() => {
                Err(CallError::OutOfMemory)
            }
            Err(error) => Err(error),
        }
    }

    fn ran_out_of_memory(&self) -> bool {
        let kills = self.remains.with_group(Group::memory_kills).flatten().unwrap_or(0);
        self.memory_kills.fetch_max(kills, Ordering::Relaxed) < kills
    }
}

/// What else a sandbox is made from.
pub(super) struct Making<'a> {
    pub(super) id: String,
    pub(super) own_pids: bool,
    pub(super) user: Option<u32>,
    pub(super) kill_wait: Duration,
    pub(super) sentinel: &'a str,
    pub(super) log_capacity: usize,
    pub(super) concurrency: u32,
    pub(super) groups: Arc<Pool>,
    pub(super) own_folder: Option<PathBuf>,
    /// The memory that it may take, where that is to be looked after.
    pub(super) watched_mb: Option<u32>,
    pub(super) factory: &'a Arc<Factory>,
}

#[async_trait]
impl Container for Sandbox {
    fn id(&self) -> &str {
        &self.remains.id
    }

    async fn init(&self, call: Call) -> Result<Answer, CallError> {
        let call = self.client.init(call, || !self.remains.is_alive());
        self.judge(self.watched(call).await)
    }

    async fn run(&self, call: Call) -> Result<Answer, CallError> {
        self.judge(self.watched(self.client.run(call)).await)
    }

    async fn logs(&self, request: LogRequest) -> Logs {
        self.output.collect(request).await
    }

    fn printed(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        self.output.printed(from, limit_bytes)
    }

    async fn pause(&self) -> Result<(), Error> {
        if !self.remains.is_alive() {
            return Err(Error::Gone {
                id: self.remains.id.clone(),
            });
        }
        let frozen = tokio::time::timeout(FREEZE_WAIT, self.remains.freeze());
        let frozen = frozen.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        frozen.map_err(|source| self.remains.failed("freeze", source))
    }

    async fn resume(&self) -> Result<(), Error> {
        if !self.remains.is_alive() {
            return Err(Error::Gone {
                id: self.remains.id.clone(),
            });
        }
        self.remains
            .thaw()
            .map_err(|source| self.remains.failed("thaw", source))
    }

    async fn destroy(&self) -> Result<(), Error> {
        self.remains.bury().await
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.remains.buried.initialized() {
            return;
        }
        self.remains.kill();
        let remains = self.remains.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = remains.bury().await;
            });
        }
    }
}

impl Remains {
    /// Kills and clears away; once, whoever asks, and going on where a dropped attempt stopped.
    pub(super) async fn bury(&self) -> Result<(), Error> {
        self.buried.get_or_try_init(|| self.clear()).await.map(drop)
    }

    async fn clear(&self) -> Result<(), Error> {
        self.kill();
        self.wait()
            .await
            .map_err(|source| self.failed("wait for the end of its processes", source))?;
        let group = self.lock_group().take();
        if let Some(group) = group {
            let cleared = match self.own_pids {
                true => self.groups.give_back(group),
                // Some process may have left the tree.
                false => lives::remove(&group).await,
            };
            cleared.map_err(|source| self.failed("clear control group", source))?;
        }
        if let Some(folder) = self.own_folder.clone() {
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
            let removed = removed.unwrap_or_else(|error| Err(io::Error::other(error)));
            removed.map_err(|source| self.failed("remove working folder", source))?;
        }
        if let Some(factory) = self.factory.upgrade() {
            let user = self.user.lock().expect("no panic while locked").take();
            factory.forget(&self.id, user);
        }
        Ok(())
    }

    /// Sends the signal; frozen processes of version 1 groups receive it when they are thawed.
    pub(super) fn kill(&self) {
        if !self.own_pids {
            tree::signal(self.pid, libc::SIGKILL);
        }
        // SAFETY: the descriptor is open and names our child, whatever became of its number.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), libc::SIGKILL, 0, 0) };
        self.dying.store(true, Ordering::Release);
        if let Err(error) = self.thaw() {
            tracing::warn!(container = self.id, %error, "a killed container cannot be thawed");
        }
    }

    async fn wait(&self) -> io::Result<()> {
        if self.is_alive() {
            // SAFETY: the registration owns its descriptor and keeps it open as long as it lives.
            let dead = unsafe { AsyncFd::register_with_interest(self.pidfd.try_clone()?, Interest::READABLE)? };
            let _readable = tokio::time::timeout(self.kill_wait, dead.readable())
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??;
        }
        // SAFETY: waits for our child without blocking; the status is of no interest.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
        Ok(())
    }

    pub(super) fn is_alive(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.pidfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, as announced.
        !self.buried.initialized() && unsafe { libc::poll(&raw mut poll, 1, 0) } == 0
    }

    async fn freeze(&self) -> io::Result<()> {
        let by_group = self.with_group(|group| {
            if self.dying.load(Ordering::Acquire) {
                return Ok(true);
            }
            self.frozen.store(true, Ordering::Release);
            group.set_frozen(true)
        });
        let by_group = by_group.unwrap_or(Ok(false))?;
        if !by_group {
            self.frozen.store(true, Ordering::Release);
            tree::signal(self.pid, libc::SIGSTOP);
        }
        // Mostly done by now; the kernel has no event for it that every version knows.
        let mut wait = Duration::from_micros(50);
        loop {
            let done = match by_group {
                true => self.with_group(Group::is_frozen).unwrap_or(Ok(true))?,
                false => tree::is_stopped(self.pid),
            };
            if done || self.dying.load(Ordering::Acquire) {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(20));
        }
    }

    fn thaw(&self) -> io::Result<()> {
        let by_group: Option<io::Result<bool>> = self.with_group(|group| {
            let done = !self.frozen.load(Ordering::Acquire) || group.set_frozen(false)?;
            if done {
                self.frozen.store(false, Ordering::Release);
            }
            Ok(done)
        });
        if !by_group.unwrap_or(Ok(false))? && self.frozen.swap(false, Ordering::AcqRel) {
            tree::signal(self.pid, libc::SIGCONT);
        }
        Ok(())
    }

    fn with_group<T>(&self, act: impl FnOnce(&Group) -> T) -> Option<T> {
        self.lock_group().as_ref().map(act)
    }

    fn lock_group(&self) -> MutexGuard<'_, Option<Group>> {
        self.group.lock().expect("no panic while locked")
    }

    fn failed(&self, step: &'static str, source: io::Error) -> Error {
        Error::Step {
            id: self.id.clone(),
            step,
            source,
        }
    }
}
