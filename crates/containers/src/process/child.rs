//! What the child of a sandbox does between its birth and its program: every guard, in the one order that works.
//!
//! It runs in our memory (see `clone.rs`): no allocation, no panic, no lock, no C library call that concerns other threads.
//! The first step that fails ends it and is reported through [`Launch::failure`].

use std::{
    ffi::{CStr, CString, c_char, c_void},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
};

use super::{
    plan::Plan,
    root, sys,
    sys::{Failure, Step, check},
};

/// Descriptor of the listening socket in the program.
pub(super) const LISTENER: RawFd = 3;

/// Everything the child needs.
pub(super) struct Launch<'a> {
    /// Readable once the platform is dead.
    pub(super) platform: RawFd,
    pub(super) tasks: &'a [OwnedFd],
    /// Contents of the user and group maps, in a user namespace of the child's own.
    pub(super) maps: Option<[Vec<u8>; 2]>,
    /// The root to build, and where, unless it was inherited.
    pub(super) build: Option<(&'a Plan, &'a CStr)>,
    /// Whether there is a root of ours at all.
    pub(super) rooted: bool,
    /// Where to work when there is none.
    pub(super) working_folder: Option<&'a CStr>,
    /// Where to work when there is one, instead of the temporary folder.
    pub(super) folder: Option<CString>,
    /// Landlock rules.
    pub(super) rules: Option<RawFd>,
    pub(super) own_network: bool,
    pub(super) tmp_options: CString,
    pub(super) passwd: Vec<u8>,
    pub(super) group: Vec<u8>,
    pub(super) hostname: CString,
    /// Descriptors for standard input, output and error, and the listener; all above any number they are moved to.
    pub(super) descriptors: [RawFd; 4],
    /// User and group to become.
    pub(super) user: Option<u32>,
    /// Whether it may keep its capabilities; only in tests.
    pub(super) capable: bool,
    pub(super) limits: &'a [(i32, u64)],
    pub(super) filter: Option<&'a [libc::sock_filter]>,
    pub(super) program: CString,
    /// Pointers into strings that live as long as this, each list ended by null.
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    pub(super) failure: Option<Failure>,
}

/// Entry of the child; `argument` is a [`Launch`].
pub(super) extern "C" fn enter(argument: *mut c_void) -> ! {
    // SAFETY: the spawner passes a launch that lives, and stands still, until we are gone.
    let launch = unsafe { &mut *argument.cast::<Launch<'_>>() };
    if let Err(failure) = launch.run() {
        launch.failure = Some(failure);
    }
    // SAFETY: ends this process without running anything of the platform's.
    unsafe { libc::_exit(127) }
}

impl Launch<'_> {
    /// Only comes back with a failure.
    fn run(&self) -> Step {
        self.die_with_platform()?;
        for tasks in self.tasks {
            sys::write("join control group", tasks.as_raw_fd(), b"0")?;
        }
        // SAFETY: no memory is involved.
        check("new session", unsafe { libc::setsid() }.into())?;
        sys::plain_mask();
        self.map_user()?;
        if let Some((plan, at)) = self.build {
            root::build(plan, at, true)?;
        }
        if self.rooted {
            self.furnish()?;
        }
        if let Some(folder) = self.working_folder {
            sys::chdir("working folder", folder)?;
        }
        self.take_descriptors()?;
        for (resource, value) in self.limits {
            sys::set_limit("resource limit", *resource, *value)?;
        }
        self.drop_privileges()?;
        // Changing the user forgets it.
        self.die_with_platform()?;
        self.filter()?;
        self.execute()
    }

    fn die_with_platform(&self) -> Step {
        sys::prctl("death signal", libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
        let mut poll = libc::pollfd {
            fd: self.platform,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one structure, as announced.
        match check("look after platform", unsafe { libc::poll(&raw mut poll, 1, 0) }.into())? {
            0 => Ok(()),
            _ => Err(Failure {
                step: "platform is dead",
                errno: libc::ESRCH,
            }),
        }
    }

    fn map_user(&self) -> Step {
        let Some([users, groups]) = &self.maps else {
            return Ok(());
        };
        // Without this an ordinary user may not map a group.
        sys::write_file("map groups", c"/proc/self/setgroups", 0, b"deny")?;
        sys::write_file("map users", c"/proc/self/uid_map", 0, users)?;
        sys::write_file("map groups", c"/proc/self/gid_map", 0, groups)
    }

    /// What is the sandbox's own: temporary folder, user database, process list, host name.
    fn furnish(&self) -> Step {
        self.mount_own_folder()?;
        if self.build.is_none() {
            root::mount_processes(c"/proc")?;
        }
        // Rather the action than the platform, when the machine runs out of memory.
        let _ = sys::write_file("memory badness", c"/proc/self/oom_score_adj", 0, b"500");
        if self.own_network {
            loopback_up()?;
        }
        let name = self.hostname.as_bytes();
        // SAFETY: the bytes are valid for their length.
        let named = unsafe { libc::sethostname(name.as_ptr().cast(), name.len() as _) };
        check("host name", named.into())?;
        sys::chdir("working folder", self.folder.as_deref().unwrap_or(c"/tmp"))
    }

    fn mount_own_folder(&self) -> Step {
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        let options = Some(self.tmp_options.as_c_str());
        sys::mount(
            "temporary folder",
            Some(c"tmp"),
            c"/run/box",
            Some(c"tmpfs"),
            flags,
            options,
        )?;
        sys::write_file("user database", c"/run/box/passwd", libc::O_CREAT, &self.passwd)?;
        sys::write_file("user database", c"/run/box/group", libc::O_CREAT, &self.group)?;
        share("temporary folder", c"/run/box/tmp", c"/tmp")?;
        if let Some(folder) = &self.folder {
            share("own folder", c"/run/box/own", folder)?;
        }
        if self.maps.is_some() {
            // Here the action is the owner of what was just made.
            let flags = flags | libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
            sys::mount("user database", None, c"/run/box", None, flags, None)?;
        }
        Ok(())
    }

    fn take_descriptors(&self) -> Step {
        for (target, fd) in self.descriptors.iter().enumerate() {
            // SAFETY: numbers only; the targets are below every descriptor we still need.
            check("take descriptor", unsafe { libc::dup2(*fd, target as RawFd) }.into())?;
        }
        // In case some library of the platform forgot to mark one. Kernels before 5.11 cannot, and then it is as it was.
        // SAFETY: marks descriptors of this process, whose table is its own.
        unsafe { libc::syscall(libc::SYS_close_range, LISTENER + 1, u32::MAX, CLOSE_RANGE_CLOEXEC) };
        Ok(())
    }

    fn drop_privileges(&self) -> Step {
        // A new user namespace brings all of them back.
        if self.maps.is_some() && !self.capable {
            forget_capabilities();
        }
        if let Some(user) = self.user {
            // The raw calls: the C library's would change all threads of the platform.
            // SAFETY: numbers and an empty list.
            unsafe {
                check("drop groups", libc::syscall(SETGROUPS, 0, ptr::null::<libc::gid_t>()))?;
                check("change group", libc::syscall(SETRESGID, user, user, user))?;
                check("change user", libc::syscall(SETRESUID, user, user, user))?;
            }
        }
        if self.capable {
            return Ok(());
        }
        let header = CapHeader {
            version: CAPABILITY_VERSION_3,
            pid: 0,
        };
        let none = [CapData::default(); 2];
        // SAFETY: structures of the version named in the header.
        check("drop capabilities", unsafe {
            libc::syscall(libc::SYS_capset, &raw const header, &raw const none)
        })?;
        sys::prctl("no new privileges", libc::PR_SET_NO_NEW_PRIVS, 1)
    }

    fn filter(&self) -> Step {
        if let Some(rules) = self.rules {
            // SAFETY: numbers.
            check("landlock", unsafe {
                libc::syscall(libc::SYS_landlock_restrict_self, rules, 0)
            })?;
        }
        self.filter.map_or(Ok(()), put_on)
    }

    fn execute(&self) -> Step {
        // SAFETY: the lists end with null and their strings live; dispositions and mask are this process's own.
        unsafe {
            // Those that are caught fall back by themselves, those that are ignored do not.
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            let none: u64 = 0;
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const none,
                ptr::null::<u64>(),
                8,
            );
            libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
        }
        Err(Failure {
            step: EXECUTE,
            errno: sys::errno(),
        })
    }
}

/// Puts a filter of system calls on this thread and its children, for good.
pub(super) fn put_on(filter: &[libc::sock_filter]) -> Step {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: a compiled program of that length; the kernel copies it.
    let set = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    check("system call filter", set).map(drop)
}

/// Takes every capability out of the bounding set of this thread and its children, so that no program they execute can
/// gain one. What they hold already stays.
pub(super) fn forget_capabilities() {
    // Ends with "invalid" after the last one the kernel knows; who may not do it has none to gain.
    let known = (0..64).take_while(|number| sys::prctl("drop capability", libc::PR_CAPBSET_DROP, *number).is_ok());
    known.for_each(drop);
}

/// The step whose "not found" means that there is no such program.
pub(super) const EXECUTE: &str = "execute program";

const CLOSE_RANGE_CLOEXEC: u32 = 4;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

// The names without a suffix take 16-bit ids on 32-bit ARM.
#[cfg(target_arch = "arm")]
const SETGROUPS: libc::c_long = libc::SYS_setgroups32;
#[cfg(target_arch = "arm")]
const SETRESGID: libc::c_long = libc::SYS_setresgid32;
#[cfg(target_arch = "arm")]
const SETRESUID: libc::c_long = libc::SYS_setresuid32;
#[cfg(not(target_arch = "arm"))]
const SETGROUPS: libc::c_long = libc::SYS_setgroups;
#[cfg(not(target_arch = "arm"))]
const SETRESGID: libc::c_long = libc::SYS_setresgid;
#[cfg(not(target_arch = "arm"))]
const SETRESUID: libc::c_long = libc::SYS_setresuid;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn loopback_up() -> Step {
    // SAFETY: numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = check("loopback", socket.into())? as RawFd;
    // SAFETY: all zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as c_char;
    request.ifr_name[1] = b'o' as c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is of the type this call wants.
    let up = check(
        "loopback",
        unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) }.into(),
    );
    sys::close(socket);
    up.map(drop)
}

/// Makes a folder that everybody in the sandbox can write to and puts it where it is to be seen.
fn share(step: &'static str, folder: &CStr, seen_at: &CStr) -> Step {
    sys::mkdir(step, folder, 0o777)?;
    // Not through `mkdir`, whose mode the mask would cut.
    // SAFETY: a terminated string.
    check(step, unsafe { libc::chmod(folder.as_ptr(), 0o1777) }.into())?;
    sys::mount(step, Some(folder), seen_at, None, libc::MS_BIND, None)
}
