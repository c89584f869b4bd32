//! The threads that make sandboxes.
//!
//! Each is a thread of its own for three reasons: a sandbox is killed by the kernel when the very thread that made it ends
//! (which a thread of a pool would), making one blocks, and as root the thread lives in a mount namespace that holds just
//! the finished root of a sandbox, so that a child's copy of it is all but ready.

use std::{
    collections::VecDeque,
    ffi::{CString, c_char},
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, fs::DirBuilderExt},
    },
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, Condvar, Mutex},
};

use tokio::sync::oneshot;

use super::{
    cgroup::{Entrance, Entry, Group, Limits, Pool},
    child::{self, EXECUTE, Launch},
    clone::{self, CLONE, Child},
    descriptors::{block_signals, high, pipe},
    landlock::{self, Ruleset},
    plan::{BOX, Plan},
    root,
    seccomp::Filter,
    socket::{self, Control},
    sys::{Failure, check},
};
use crate::{Error, process::config::Guards};

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

type Reply = oneshot::Sender<Result<Made, Error>>;

/// The queue before the threads.
pub(super) struct Spawner {
    shared: Arc<Shared>,
}

struct Shared {
    common: Common,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    orders: VecDeque<(Order, Reply)>,
    closed: bool,
}

/// A thread's own side.
struct Worker {
    shared: Arc<Shared>,
    /// Readable once this process has died.
    platform: OwnedFd,
    null: OwnedFd,
    /// The mount namespace we came from, and the plan that the present one holds.
    home: Option<File>,
    built: Option<Arc<Plan>>,
    root_folder: CString,
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

impl Worker {
    fn new(shared: Arc<Shared>, number: usize) -> io::Result<Self> {
        let root = shared.common.folder.join(format!("root-{number}"));
        std::fs::create_dir_all(&root)?;
        let home = if shared.common.as_root {
            Some(File::open("/proc/self/ns/mnt")?)
        } else {
            None
        };
        // SAFETY: numbers only; the descriptor is new and ours.
        let platform = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0);
            check("pidfd", fd).map_err(Failure::source)?;
            OwnedFd::from_raw_fd(fd as RawFd)
        };
        let null = File::open("/dev/null")?.into();
        let root_folder = CString::new(root.as_os_str().as_bytes()).map_err(io::Error::other)?;
        Ok(Worker {
            shared,
            platform: high(platform)?,
            null: high(null)?,
            home,
            built: None,
            root_folder,
        })
    }

    fn work(mut self) {
        block_signals();
        child::forget_capabilities();
        while let Some((order, reply)) = self.next() {
            // Nobody waits any more: not worth starting.
            if reply.is_closed() {
                continue;
            }
            let result = self.make(&order);
            if let Err(Ok(made)) = reply.send(result) {
                discard(made);
                if let Some(folder) = &order.own_folder {
                    let _ = std::fs::remove_dir_all(folder);
                }
            }
        }
    }

    fn next(&self) -> Option<(Order, Reply)> {
        let mut queue = self.shared.queue.lock().expect("no panic while locked");
        loop {
            if queue.closed {
                return None;
            }
            if let Some(order) = queue.orders.pop_front() {
                return Some(order);
            }
            queue = self.shared.wake.wait(queue).expect("no panic while locked");
        }
    }

    fn make(&mut self, order: &Order) -> Result<Made, Error> {
        let step = |step, source| Error::Step {
            id: order.id.clone(),
            step,
            source,
        };
        self.inherit(&order.plan)
            .map_err(|failure| step(failure.step, failure.source()))?;
        let limits = Limits {
            memory_mb: order.memory_mb,
            pids: self.shared.common.pids,
        };
        let group = self
            .shared
            .common
            .groups
            .take(limits)
            .map_err(|source| step("make control group", source))?;
        let mut made = self.start(order, group.as_ref(), Entry::Born);
        if made
            .as_ref()
            .is_err_and(|failure| failure.step == CLONE && [libc::ENOSYS, libc::EINVAL].contains(&failure.errno))
        {
            made = self.start(order, group.as_ref(), Entry::Joined);
        }
        match made {
            Ok((child, control, stdout, stderr)) => Ok(Made {
                child,
                group,
                control,
                stdout,
                stderr,
            }),
            Err(failure) => {
                if let Some(group) = group {
                    let _ = group.remove();
                }
                if let Some(folder) = &order.own_folder {
                    let _ = std::fs::remove_dir_all(folder);
                }
                if failure.step == EXECUTE && failure.errno == libc::ENOENT {
                    let program = order
                        .argv
                        .first()
                        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                    return Err(Error::ProgramMissing {
                        image: order.image.clone(),
                        program,
                    });
                }
                Err(step(failure.step, failure.source()))
            }
        }
    }

    /// As root: puts this thread where its children are to be.
    fn inherit(&mut self, plan: &Arc<Plan>) -> Result<(), Failure> {
        let Some(home) = &self.home else { return Ok(()) };
        if self.built.as_ref().is_some_and(|built| Arc::ptr_eq(built, plan)) {
            return Ok(());
        }
        self.built = None;
        // SAFETY: only this thread is concerned; sharing its folder with the others must end first.
        unsafe {
            check("unshare folder", libc::unshare(libc::CLONE_FS).into())?;
            check("go home", libc::setns(home.as_raw_fd(), libc::CLONE_NEWNS).into())?;
            check("unshare mounts", libc::unshare(libc::CLONE_NEWNS).into())?;
        }
        root::build(plan, &self.root_folder, false)?;
        // Where this thread binds sockets; a child mounts its own folder over it.
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        super::sys::mount(
            "socket folder",
            Some(c"box"),
            c"/run/box",
            Some(c"tmpfs"),
            flags,
            Some(c"mode=700,size=64k"),
        )?;
        if !self.shared.common.guards.socket {
            let folder = CString::new(self.shared.common.folder.as_os_str().as_bytes()).expect("checked before");
            let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_NOSUID;
            super::sys::mount("open socket folder", None, &folder, None, flags, None)?;
        }
        self.built = Some(plan.clone());
        Ok(())
    }

    fn start(
        &self,
        order: &Order,
        group: Option<&Group>,
        entry: Entry,
    ) -> Result<(Child, Control, OwnedFd, OwnedFd), Failure> {
        let io = |step: &'static str| {
            move |error: io::Error| Failure {
                step,
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }
        };
        let entrance = group
            .map_or_else(|| Ok(Entrance::default()), |group| group.entrance(entry))
            .map_err(io("open control group"))?;
        let folder = self.socket_folder();
        let (control, listener) =
            socket::open(&folder, &order.id, self.shared.common.guards.socket).map_err(io("control socket"))?;
        let (stdout, out) = pipe().map_err(io("log pipes"))?;
        let (stderr, err) = pipe().map_err(io("log pipes"))?;
        let descriptors = [
            self.null.as_raw_fd(),
            out.as_raw_fd(),
            err.as_raw_fd(),
            listener.as_raw_fd(),
        ];
        let rules = self.rules(order).map_err(io("landlock"))?;
        let working_folder = order
            .own_folder
            .as_ref()
            .map(|folder| CString::new(folder.as_os_str().as_bytes()));
        let working_folder = working_folder.transpose().map_err(|_| Failure {
            step: "prepare",
            errno: libc::EINVAL,
        })?;
        let mut launch = self.launch(order, &entrance, descriptors)?;
        launch.rules = rules.as_ref().map(Ruleset::fd);
        launch.working_folder = working_folder.as_deref();
        let (namespaces, born_in) = (
            self.shared.common.namespaces,
            entrance.born_in.as_ref().map(AsRawFd::as_raw_fd),
        );
        // SAFETY: the entry is made for this; the launch lives on this stack, signals are blocked since the thread began.
        let child = unsafe { clone::vfork(namespaces, born_in, child::enter, ptr::from_mut(&mut launch).cast()) }?;
        match launch.failure {
            None => Ok((child, control, stdout, stderr)),
            Some(failure) => {
                reap(&child);
                Err(failure)
            }
        }
    }

    /// Makes the folder of a sandbox without a root, and the rules that take the root's place.
    fn rules(&self, order: &Order) -> io::Result<Option<Ruleset>> {
        let version = self.shared.common.landlock;
        let Some(folder) = &order.own_folder else {
            return version.map_or(Ok(None), landlock::scopes);
        };
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
        if let Some(user) = order.user {
            std::os::unix::fs::chown(folder, Some(user), Some(user))?;
        }
        version
            .map(|version| landlock::confined(version, &order.plan.readable, folder))
            .transpose()
    }

    /// Where sockets are bound for a moment: never a place that a sandbox sees.
    fn socket_folder(&self) -> PathBuf {
        let common = &self.shared.common;
        if self.home.is_some() && common.guards.socket {
            Path::new("/").join(BOX)
        } else {
            common.folder.clone()
        }
    }

    fn launch<'a>(
        &'a self,
        order: &'a Order,
        entrance: &'a Entrance,
        descriptors: [RawFd; 4],
    ) -> Result<Launch<'a>, Failure> {
        let common = &self.shared.common;
        let user = order.user.unwrap_or_else(effective_user);
        let unmapped = !common.as_root && common.namespaces != 0;
        let rooted = common.namespaces & libc::CLONE_NEWNS as u64 != 0;
        // SAFETY: asks for a number.
        let group = if common.as_root {
            user
        } else {
            unsafe { libc::getegid() }
        };
        let text = |text: String| {
            CString::new(text).map_err(|_| Failure {
                step: "prepare",
                errno: libc::EINVAL,
            })
        };
        let name = format!("action-{}", order.id.split('-').nth(1).unwrap_or_default());
        Ok(Launch {
            platform: self.platform.as_raw_fd(),
            tasks: &entrance.tasks,
            maps: unmapped.then(|| {
                [
                    format!("{user} {user} 1").into_bytes(),
                    format!("{group} {group} 1").into_bytes(),
                ]
            }),
            build: (unmapped && rooted).then_some((&order.plan, self.root_folder.as_c_str())),
            rooted,
            working_folder: None,
            rules: None,
            own_network: common.own_network,
            tmp_options: text(format!(
                "mode=755,size={}m,nr_inodes={}",
                order.tmp_mb,
                order.tmp_mb * 1024
            ))?,
            passwd: format!(
                "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\naction:x:{user}:{group}:action:/tmp:/bin/sh\n"
            )
            .into_bytes(),
            group: format!("root:x:0:\naction:x:{group}:\n").into_bytes(),
            hostname: text(name)?,
            descriptors,
            user: order.user,
            limits: &common.limits,
            filter: common.filter.as_ref().map(Filter::program),
            program: CString::new(order.program.as_os_str().as_bytes()).map_err(|_| Failure {
                step: "prepare",
                errno: libc::EINVAL,
            })?,
            argv: pointers(&order.argv),
            envp: pointers(&order.envp),
            failure: None,
        })
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn effective_user() -> u32 {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() }
}

/// Takes the exit status of a child that is dead or about to be.
fn reap(child: &Child) {
    // SAFETY: waits for a child of ours, nothing is written.
    unsafe { libc::waitpid(child.pid, ptr::null_mut(), libc::__WALL) };
}

/// Kills what nobody took.
fn discard(made: Made) {
    // SAFETY: a child of ours that was not reaped, so the number is still its own.
    unsafe { libc::kill(made.child.pid, libc::SIGKILL) };
    reap(&made.child);
    if let Some(group) = made.group {
        let _ = group.remove();
    }
}

fn start_error(error: io::Error) -> Error {
    Error::Backend {
        backend: "process",
        reason: format!("cannot start the threads that make sandboxes: {error}"),
    }
}
