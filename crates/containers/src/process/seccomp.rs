//! The system call filter of a sandbox: all that programs need, without what reaches out of it.
//!
//! A list of what is denied, not of what is allowed: languages come with their own runtimes and these with every new
//! release with new calls. What remains reachable needs privileges that the sandbox does not have.

//! The program is one search tree over the numbers, made here and not by a library: installing a filter costs time
//! proportional to the instructions the kernel walks for every system call there is, and a chain of sixty comparisons
//! cost as much as all namespaces together.

use std::collections::BTreeMap;

use libc::sock_filter;

use crate::Error;

/// Answered with "operation not permitted".
const DENIED: &[libc::c_long] = &[
    // Looking into other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // The shape of the sandbox.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_vhangup,
    // The machine's clock.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // Placement of memory, which is the platform's.
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[libc::c_long] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_uselib,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[libc::c_long] = &[];

/// Answered with "not implemented", upon which libraries use what they used before: `clone3` hides its flags from
/// filters, and io_uring does file and network calls that no filter sees.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

const NEW_NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;

/// A compiled filter.
#[derive(Debug, Clone)]
pub(super) struct Filter(Vec<sock_filter>);

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
    Absent,
    /// Denied when its flags ask for a namespace.
    Clone,
    /// Allowed for local sockets, the internet, and the routing protocol that lists interfaces.
    Socket,
}

impl Filter {
    /// Compiles the filter for this machine; fails where there is none.
    pub(super) fn compile() -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Config {
            setting: "seccomp",
            reason: reason.to_owned(),
        };
        let architecture = ARCHITECTURE.ok_or_else(|| refuse("no filter is known for this machine's architecture"))?;
        let mut program = vec![
            load(ARCHITECTURE_AT),
            jump(libc::BPF_JEQ, architecture, 1, 0),
            give(libc::SECCOMP_RET_KILL_PROCESS),
            load(NUMBER_AT),
        ];
        if cfg!(target_arch = "x86_64") {
            // The second numbering that some kernels have under the same architecture would pass every rule below.
            program.extend([jump(libc::BPF_JGE, 0x4000_0000, 0, 1), errno(libc::ENOSYS)]);
        }
        program.extend(tree(&ranges(&verdicts())).ok_or_else(|| refuse("the filter is too long"))?);
        Ok(Filter(program))
    }

    pub(super) fn program(&self) -> &[sock_filter] {
        &self.0
    }
}

fn verdicts() -> BTreeMap<u32, Verdict> {
    let denied = DENIED.iter().chain(DENIED_HERE).map(|call| (*call, Verdict::Deny));
    let absent = ABSENT.iter().map(|call| (*call, Verdict::Absent));
    let checked = [(libc::SYS_clone, Verdict::Clone), (libc::SYS_socket, Verdict::Socket)];
    denied
        .chain(absent)
        .chain(checked)
        .map(|(call, verdict)| (call as u32, verdict))
        .collect()
}

/// The first number of each run of calls with the same verdict.
fn ranges(verdicts: &BTreeMap<u32, Verdict>) -> Vec<(u32, Verdict)> {
    let mut ranges = vec![(0, Verdict::Allow)];
    for (call, verdict) in verdicts {
        if ranges.last().is_some_and(|(start, _)| start == call) {
            ranges.pop();
        }
        ranges.push((*call, *verdict));
        ranges.push((call + 1, Verdict::Allow));
    }
    ranges.dedup_by_key(|(_, verdict)| *verdict);
    ranges
}

/// Finds the range of the loaded number by halving; `None` when a jump would be too far.
fn tree(ranges: &[(u32, Verdict)]) -> Option<Vec<sock_filter>> {
    let [(_, verdict)] = ranges else {
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let (below, above) = (tree(low)?, tree(high)?);
        let mut program = vec![jump(libc::BPF_JGE, high[0].0, u8::try_from(below.len()).ok()?, 0)];
        program.extend(below);
        program.extend(above);
        return Some(program);
    };
    Some(leaf(*verdict))
}

fn leaf(verdict: Verdict) -> Vec<sock_filter> {
    let allow = || give(libc::SECCOMP_RET_ALLOW);
    match verdict {
        Verdict::Allow => vec![allow()],
        Verdict::Deny => vec![errno(libc::EPERM)],
        Verdict::Absent => vec![errno(libc::ENOSYS)],
        Verdict::Clone => {
            vec![
                load(argument(0)),
                jump(libc::BPF_JSET, NEW_NAMESPACES as u32, 0, 1),
                errno(libc::EPERM),
                allow(),
            ]
        }
        Verdict::Socket => vec![
            load(argument(0)),
            jump(libc::BPF_JEQ, libc::AF_UNIX as u32, 6, 0),
            jump(libc::BPF_JEQ, libc::AF_INET as u32, 5, 0),
            jump(libc::BPF_JEQ, libc::AF_INET6 as u32, 4, 0),
            jump(libc::BPF_JEQ, libc::AF_NETLINK as u32, 0, 2),
            load(argument(2)),
            jump(libc::BPF_JEQ, libc::NETLINK_ROUTE as u32, 1, 0),
            errno(libc::EPERM),
            allow(),
        ],
    }
}

const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// `AUDIT_ARCH_*` of this machine.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xC000_003E)
} else if cfg!(target_arch = "aarch64") {
    Some(0xC000_00B7)
} else if cfg!(all(target_arch = "arm", target_endian = "little")) {
    Some(0x4000_0028)
} else if cfg!(target_arch = "riscv64") {
    Some(0xC000_00F3)
} else {
    None
};

/// Where the lower half of an argument lies; all machines above have it first.
fn argument(number: u32) -> u32 {
    16 + 8 * number
}

fn load(at: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: at,
    }
}

fn jump(comparison: u32, with: u32, when: u8, otherwise: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16,
        jt: when,
        jf: otherwise,
        k: with,
    }
}

fn give(verdict: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: verdict,
    }
}

fn errno(number: libc::c_int) -> sock_filter {
    give(libc::SECCOMP_RET_ERRNO | number as u32)
}

#[cfg(test)]
mod tests {
    use libc::c_long;

    use super::*;

    const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ABSENT_RESULT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// What the kernel would make of a call, and in how many steps.
    fn evaluate(program: &[sock_filter], architecture: u32, call: c_long, arguments: [u32; 3]) -> (u32, usize) {
        let (mut at, mut loaded) = (0, 0);
        for steps in 1.. {
            let instruction = program[at];
            at += 1;
            let code = u32::from(instruction.code);
            let jumps = |condition: bool| usize::from(if condition { instruction.jt } else { instruction.jf });
            if code & 0x07 == libc::BPF_RET {
                return (instruction.k, steps);
            } else if code & 0x07 == libc::BPF_LD {
                loaded = match instruction.k {
                    NUMBER_AT => call as u32,
                    ARCHITECTURE_AT => architecture,
                    argument => arguments[(argument as usize - 16) / 8],
                };
            } else {
                at += match code & 0xf0 {
                    libc::BPF_JEQ => jumps(loaded == instruction.k),
                    libc::BPF_JGE => jumps(loaded >= instruction.k),
                    libc::BPF_JSET => jumps(loaded & instruction.k != 0),
                    other => panic!("an instruction that is not used: {other}"),
                };
            }
        }
        unreachable!("a filter ends")
    }

    fn here(call: c_long, arguments: [u32; 3]) -> (u32, usize) {
        evaluate(
            Filter::compile().unwrap().program(),
            ARCHITECTURE.unwrap(),
            call,
            arguments,
        )
    }

    #[test]
    fn every_number_gets_its_verdict_within_few_steps() {
        let verdicts = verdicts();
        for call in 0..1_000 {
            let (result, steps) = here(call, [0, 0, 0]);
            let expected = match verdicts.get(&(call as u32)) {
                // Family 0 is none of those a program may use.
                Some(Verdict::Deny | Verdict::Socket) => DENY,
                Some(Verdict::Absent) => ABSENT_RESULT,
                Some(Verdict::Allow | Verdict::Clone) | None => ALLOW,
            };
            assert_eq!(result, expected, "call {call}");
            assert!(steps < 24, "{steps} steps for call {call}");
        }
    }

    #[test]
    fn new_namespaces_are_denied_and_threads_are_not() {
        let thread = (libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_THREAD) as u32;
        assert_eq!(here(libc::SYS_clone, [thread, 0, 0]).0, ALLOW);
        for namespace in [
            libc::CLONE_NEWUSER,
            libc::CLONE_NEWNS,
            libc::CLONE_NEWPID,
            libc::CLONE_NEWNET,
        ] {
            assert_eq!(here(libc::SYS_clone, [namespace as u32 | 17, 0, 0]).0, DENY);
        }
    }

    #[test]
    fn only_the_usual_sockets_are_made() {
        let socket = |family: libc::c_int, protocol: u32| here(libc::SYS_socket, [family as u32, 1, protocol]).0;
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            assert_eq!(socket(family, 6), ALLOW, "{family}");
        }
        assert_eq!(socket(libc::AF_NETLINK, libc::NETLINK_ROUTE as u32), ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, 9), DENY);
        for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, 0, 99] {
            assert_eq!(socket(family, 0), DENY, "{family}");
        }
    }

    #[test]
    fn another_numbering_does_not_get_past() {
        let program = Filter::compile().unwrap();
        let other = evaluate(program.program(), 0x4000_0003, libc::SYS_read, [0; 3]).0;
        assert_eq!(other, libc::SECCOMP_RET_KILL_PROCESS);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(here(0x4000_0000 | libc::SYS_ptrace, [0; 3]).0, ABSENT_RESULT);
        }
    }
}
