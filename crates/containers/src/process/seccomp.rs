//! The system call filters of a sandbox: all that programs need, without what reaches out of it.
//!
//! A list of what is denied, not of what is allowed: languages come with their own runtimes and these with every new
//! release with new calls. What remains reachable needs privileges that the sandbox does not have.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

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

/// Sockets a program may make: local ones, the internet, and the routing table that lists interfaces.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The filters, to be installed in this order.
#[derive(Debug, Clone)]
pub(super) struct Filters([BpfProgram; 2]);

impl Filters {
    /// Compiles the filters for this machine; fails where it has none.
    pub(super) fn compile() -> Result<Self, Error> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(config_error)?;
        let mut denied: BTreeMap<i64, Vec<SeccompRule>> = DENIED
            .iter()
            .chain(DENIED_HERE)
            .map(|call| (number(*call), Vec::new()))
            .collect();
        denied.insert(number(libc::SYS_clone), vec_of_rules(namespace_rules())?);
        denied.insert(number(libc::SYS_socket), vec_of_rules(socket_rules())?);
        let absent = ABSENT.iter().map(|call| (number(*call), Vec::new())).collect();
        let denied = program(denied, libc::EPERM, arch)?;
        let absent = program(absent, libc::ENOSYS, arch)?;
        Ok(Filters([without_x32(denied), absent]))
    }

    pub(super) fn programs(&self) -> impl Iterator<Item = &[sock_filter]> {
        self.0.iter().map(Vec::as_slice)
    }
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32, arch: TargetArch) -> Result<BpfProgram, Error> {
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch);
    filter.map_err(config_error)?.try_into().map_err(config_error)
}

type Conditions = Vec<Result<SeccompCondition, seccompiler::BackendError>>;

/// One rule per flag: any of them is enough.
fn namespace_rules() -> Vec<Conditions> {
    let flags = (0..32)
        .map(|bit| 1_u64 << bit)
        .filter(|flag| NEW_NAMESPACES as u64 & flag != 0);
    flags
        .map(|flag| {
            vec![SeccompCondition::new(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::MaskedEq(flag),
                flag,
            )]
        })
        .collect()
}

/// Another family than these, or a netlink protocol other than routing.
fn socket_rules() -> Vec<Conditions> {
    let is =
        |op, argument, value: libc::c_int| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value as u64);
    let foreign = FAMILIES.iter().map(|family| is(SeccompCmpOp::Ne, 0, *family)).collect();
    let netlink = vec![
        is(SeccompCmpOp::Eq, 0, libc::AF_NETLINK),
        is(SeccompCmpOp::Ne, 2, libc::NETLINK_ROUTE),
    ];
    vec![foreign, netlink]
}

fn vec_of_rules(rules: Vec<Conditions>) -> Result<Vec<SeccompRule>, Error> {
    let rule = |conditions: Conditions| {
        let conditions = conditions
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map_err(config_error)?;
        SeccompRule::new(conditions).map_err(config_error)
    };
    rules.into_iter().map(rule).collect()
}

/// Refuses the second numbering of system calls that some kernels have on x86-64 under the same architecture code, and
/// which would pass every rule above.
fn without_x32(mut program: BpfProgram) -> BpfProgram {
    if cfg!(target_arch = "x86_64") {
        let instruction = |code: u32, jt, jf, k| sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        };
        let mut guarded = vec![
            instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, 0x4000_0000),
            instruction(
                libc::BPF_RET | libc::BPF_K,
                0,
                0,
                libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
            ),
        ];
        guarded.append(&mut program);
        return guarded;
    }
    program
}

fn number(call: libc::c_long) -> i64 {
    call as i64
}

fn config_error(error: impl std::fmt::Display) -> Error {
    Error::Config {
        setting: "seccomp",
        reason: format!("no filter for this machine: {error}"),
    }
}
