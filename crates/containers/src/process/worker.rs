//! One of the threads that make sandboxes, at work.

use std::{
    ffi::{CString, c_char},
    fs::{self, DirBuilder, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, chown},
        },
    },
    path::{Path, PathBuf},
    ptr,
    sync::Arc,
};

use super::{
    cgroup::{Entrance, Entry, Group, Limits},
    child::{self, EXECUTE, Launch},
    clone::{self, CLONE, Child},
    descriptors::{block_signals, high, pipe},
    landlock::{self, Ruleset},
    plan::{BOX, Plan},
    root,
    seccomp::Filter,
    socket::{self, Control},
    spawner::{Made, Order, Shared},
    sys::{self, Failure, check},
};
use crate::Error;

/// A thread's own side.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Readable once this process has died.
    platform: OwnedFd,
    null: OwnedFd,
    /// Where we came from, and the plan that the present place holds.
    home: Option<Home>,
    built: Option<Arc<Plan>>,
    root_folder: CString,
}

/// The mounts of the machine and the platform's root among them, which is another than theirs in a chroot.
struct Home {
    mounts: File,
    root: File,
}

/// The platform's ends of what a child is connected to.
struct Ends {
    control: Control,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// The child's ends; closed here once it has its own.
struct ChildEnds {
    out: OwnedFd,
    err: OwnedFd,
    listener: OwnedFd,
}

impl Home {
    fn open() -> io::Result<Home> {
        Ok(Home {
            mounts: File::open("/proc/self/ns/mnt")?,
            root: File::open("/")?,
        })
    }

    /// Puts this thread into a copy of it.
    fn enter(&self) -> Result<(), Failure> {
        // SAFETY: only this thread is concerned; sharing its folder with the others must end first. Entering mounts leaves a
        // chroot.
        unsafe {
            check("unshare folder", libc::unshare(libc::CLONE_FS).into())?;
            check(
                "go home",
                libc::setns(self.mounts.as_raw_fd(), libc::CLONE_NEWNS).into(),
            )?;
            check("find root", libc::fchdir(self.root.as_raw_fd()).into())?;
            check("enter root", libc::chroot(c".".as_ptr()).into())?;
            check("unshare mounts", libc::unshare(libc::CLONE_NEWNS).into()).map(drop)
        }
    }
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, number: usize) -> io::Result<Self> {
        let root = shared.common.folder.join(format!("root-{number}"));
        fs::create_dir_all(&root)?;
        let home = if shared.common.as_root {
            Some(Home::open()?)
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

    /// Serves orders until there are no more.
    pub(super) fn work(mut self) {
        block_signals();
        if self.shared.common.guards.capabilities {
            child::forget_capabilities();
        }
        while let Some((order, reply)) = self.shared.next() {
            // Nobody waits any more: not worth starting.
            if reply.is_closed() {
                continue;
            }
            let result = self.make(&order);
            if let Err(Ok(made)) = reply.send(result) {
                discard(made);
                remove_folder(&order);
            }
        }
    }

    fn make(&mut self, order: &Order) -> Result<Made, Error> {
        let failed = |step, source| Error::Step {
            id: order.id.clone(),
            step,
            source,
        };
        self.inherit(&order.plan).map_err(|failure| explain(order, failure))?;
        let limits = Limits {
            memory_mb: order.memory_mb,
            pids: self.shared.common.pids,
        };
        let group = self
            .shared
            .common
            .groups
            .take(limits)
            .map_err(|source| failed("make control group", source))?;
        let mut started = self.start(order, group.as_ref(), Entry::Born);
        if started.as_ref().is_err_and(cannot_be_born_there) {
            remove_folder(order);
            started = self.start(order, group.as_ref(), Entry::Joined);
        }
        match started {
            Ok((
                child,
                Ends {
                    control,
                    stdout,
                    stderr,
                },
            )) => Ok(Made {
                child,
                group,
                control,
                stdout,
                stderr,
            }),
            Err(failure) => {
                let _ = group.map_or(Ok(()), |group| group.remove());
                remove_folder(order);
                Err(explain(order, failure))
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
        home.enter()?;
        sys::plain_mask();
        root::build(plan, &self.root_folder, false)?;
        // Where this thread binds sockets; a child mounts its own folder over it.
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        sys::mount(
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
            sys::mount("open socket folder", None, &folder, None, flags, None)?;
        }
        self.built = Some(plan.clone());
        Ok(())
    }

    fn start(&self, order: &Order, group: Option<&Group>, entry: Entry) -> Result<(Child, Ends), Failure> {
        let entrance = group.map_or_else(|| Ok(Entrance::default()), |group| group.entrance(entry));
        let entrance = entrance.map_err(at("open control group"))?;
        let (ends, childs) = self.connect(order)?;
        let rules = self.rules(order).map_err(at("landlock"))?;
        let working_folder = order
            .own_folder
            .as_deref()
            .map(|folder| c_string(folder.as_os_str().as_bytes()))
            .transpose()?;
        let fds = [&self.null, &childs.out, &childs.err, &childs.listener].map(AsRawFd::as_raw_fd);
        let mut launch = self.launch(order, &entrance, fds)?;
        launch.rules = rules.as_ref().map(Ruleset::fd);
        launch.working_folder = working_folder.as_deref();
        let born_in = entrance.born_in.as_ref().map(AsRawFd::as_raw_fd);
        let namespaces = self.shared.common.namespaces;
        // SAFETY: the entry is made for this; the launch lives on this stack, signals are blocked since the thread began.
        let child = unsafe { clone::vfork(namespaces, born_in, child::enter, ptr::from_mut(&mut launch).cast()) }?;
        match launch.failure {
            None => Ok((child, ends)),
            Some(failure) => {
                reap(&child);
                Err(failure)
            }
        }
    }

    fn connect(&self, order: &Order) -> Result<(Ends, ChildEnds), Failure> {
        let hide = self.shared.common.guards.socket;
        let (control, listener) = socket::open(&self.socket_folder(), &order.id, hide).map_err(at("control socket"))?;
        let (stdout, out) = pipe().map_err(at("log pipes"))?;
        let (stderr, err) = pipe().map_err(at("log pipes"))?;
        Ok((
            Ends {
                control,
                stdout,
                stderr,
            },
            ChildEnds { out, err, listener },
        ))
    }

    /// Makes the folder of a sandbox without a root, and the rules that take the root's place.
    fn rules(&self, order: &Order) -> io::Result<Option<Ruleset>> {
        let version = self.shared.common.landlock;
        let Some(folder) = &order.own_folder else {
            return version.map_or(Ok(None), landlock::scopes);
        };
        DirBuilder::new().mode(0o700).create(folder)?;
        if let Some(user) = order.user {
            chown(folder, Some(user), Some(user))?;
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

    fn launch<'a>(&'a self, order: &'a Order, entrance: &'a Entrance, fds: [RawFd; 4]) -> Result<Launch<'a>, Failure> {
        let common = &self.shared.common;
        let (user, group) = inner_ids(order);
        let unmapped = !common.as_root && common.namespaces != 0;
        let rooted = common.namespaces & libc::CLONE_NEWNS as u64 != 0;
        let passwd =
            format!("root:x:0:0:root:/nonexistent:/usr/sbin/nologin\naction:x:{user}:{group}:action:/tmp:/bin/sh\n");
        Ok(Launch {
            platform: self.platform.as_raw_fd(),
            tasks: &entrance.tasks,
            maps: unmapped.then(|| [user, group].map(|id| format!("{id} {id} 1").into_bytes())),
            build: (unmapped && rooted).then_some((&order.plan, self.root_folder.as_c_str())),
            rooted,
            working_folder: None,
            folder: order
                .folder
                .as_ref()
                .map(|folder| c_string(folder.as_os_str().as_bytes()))
                .transpose()?,
            rules: None,
            own_network: common.own_network,
            tmp_options: c_string(format!(
                "mode=755,size={}m,nr_inodes={}",
                order.tmp_mb,
                order.tmp_mb * 1024
            ))?,
            passwd: passwd.into_bytes(),
            group: format!("root:x:0:\naction:x:{group}:\n").into_bytes(),
            hostname: c_string(format!("action-{}", order.id.split('-').nth(1).unwrap_or_default()))?,
            descriptors: fds,
            user: order.user,
            capable: !common.guards.capabilities,
            limits: &common.limits,
            filter: common.filter.as_ref().map(Filter::program),
            program: c_string(order.program.as_os_str().as_bytes())?,
            argv: pointers(&order.argv),
            envp: pointers(&order.envp),
            failure: None,
        })
    }
}

/// Turns an error into a failure of this step.
fn at(step: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure {
        step,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
    }
}

fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure {
        step: "prepare",
        errno: libc::EINVAL,
    })
}

fn explain(order: &Order, failure: Failure) -> Error {
    if failure.step == EXECUTE && failure.errno == libc::ENOENT {
        let program = order.argv.first().map(|name| name.to_string_lossy().into_owned());
        return Error::ProgramMissing {
            image: order.image.clone(),
            program: program.unwrap_or_default(),
        };
    }
    Error::Step {
        id: order.id.clone(),
        step: failure.step,
        source: failure.source(),
    }
}

/// The kernel (or a filter around us) has no `clone3` that places a child in a group.
fn cannot_be_born_there(failure: &Failure) -> bool {
    failure.step == CLONE && [libc::ENOSYS, libc::EINVAL].contains(&failure.errno)
}

fn remove_folder(order: &Order) {
    if let Some(folder) = &order.own_folder {
        let _ = fs::remove_dir_all(folder);
    }
}

/// User and group as the program sees them.
fn inner_ids(order: &Order) -> (u32, u32) {
    // SAFETY: asks for numbers.
    let own = unsafe { (libc::geteuid(), libc::getegid()) };
    order.user.map_or(own, |user| (user, user))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
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
