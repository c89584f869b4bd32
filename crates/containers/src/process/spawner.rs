//! The threads that make sandboxes.
//!
//! Each is a thread of its own for three reasons: a sandbox is killed by the kernel when the very thread that made it ends
//! (which a thread of a pool would), making one blocks, and as root the thread lives in a mount namespace that holds just
//! the finished root of a sandbox, so that a child's copy of it is all but ready.

use std::{
    collections::VecDeque,
    ffi::CString,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex},
};

use tokio::sync::oneshot;

use super::{
    cgroup::{Group, Pool},
    clone::Child,
    config::Guards,
    plan::Plan,
    seccomp::Filter,
    socket::Control,
    worker::Worker,
};
use crate::Error;

/// What all sandboxes of a factory have in common.
pub(super) struct Common {
    pub(super) folder: PathBuf,
    pub(super) groups: Arc<Pool>,
    pub(super) filter: Option<Filter>,
    pub(super) guards: Guards,
    /// Namespaces that every child gets, as `CLONE_NEW*`.
    pub(super) namespaces: u64,
    /// Version of Landlock to use.
    pub(super) landlock: Option<u32>,
    /// We are root and make the namespaces without a user namespace.
    pub(super) as_root: bool,
    pub(super) own_network: bool,
    pub(super) pids: u32,
    pub(super) limits: Vec<(i32, u64)>,
}

/// One sandbox to make.
pub(super) struct Order {
    pub(super) id: String,
    pub(super) image: String,
    pub(super) plan: Arc<Plan>,
    pub(super) program: PathBuf,
    pub(super) argv: Vec<CString>,
    pub(super) envp: Vec<CString>,
    pub(super) memory_mb: u32,
    pub(super) tmp_mb: u32,
    /// User to become, as root.
    pub(super) user: Option<u32>,
    /// Where to work, in a root of its own, instead of the temporary folder.
    pub(super) folder: Option<PathBuf>,
    /// The writable folder of a sandbox without a root of its own.
    pub(super) own_folder: Option<PathBuf>,
}

/// A sandbox whose program runs.
pub(super) struct Made {
    pub(super) child: Child,
    pub(super) group: Option<Group>,
    pub(super) control: Control,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Where the result of an order goes.
pub(super) type Reply = oneshot::Sender<Result<Made, Error>>;

/// The queue before the threads.
pub(super) struct Spawner {
    shared: Arc<Shared>,
}

/// What the threads share.
pub(super) struct Shared {
    pub(super) common: Common,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    orders: VecDeque<(Order, Reply)>,
    closed: bool,
}

impl Spawner {
    /// Starts the threads. They end when the spawner is dropped, and every sandbox they made dies with them.
    pub(super) fn start(common: Common) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            common,
            queue: Mutex::default(),
            wake: Condvar::new(),
        });
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        for number in 0..threads {
            let worker = Worker::new(shared.clone(), number).map_err(start_error)?;
            let thread = std::thread::Builder::new().name(format!("sandbox-{number}"));
            thread.spawn(move || worker.work()).map_err(start_error)?;
        }
        Ok(Spawner { shared })
    }

    /// Makes a sandbox. When the future is dropped the result is thrown away, which kills it.
    pub(super) async fn make(&self, order: Order) -> Result<Made, Error> {
        let (reply, made) = oneshot::channel();
        self.shared
            .queue
            .lock()
            .expect("no panic while locked")
            .orders
            .push_back((order, reply));
        self.shared.wake.notify_one();
        made.await.unwrap_or(Err(Error::ShuttingDown))
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.shared.queue.lock().expect("no panic while locked").closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    /// Waits for an order; `None` when there will be no more.
    pub(super) fn next(&self) -> Option<(Order, Reply)> {
        let mut queue = self.queue.lock().expect("no panic while locked");
        loop {
            if queue.closed {
                return None;
            }
            if let Some(order) = queue.orders.pop_front() {
                return Some(order);
            }
            queue = self.wake.wait(queue).expect("no panic while locked");
        }
    }
}

fn start_error(error: io::Error) -> Error {
    Error::Backend {
        backend: "process",
        reason: format!("cannot start the threads that make sandboxes: {error}"),
    }
}
