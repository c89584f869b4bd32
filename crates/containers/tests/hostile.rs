//! Actions that try to get out of the process sandbox. Each attack fails with every guard on, and succeeds when the guards
//! that stop it are switched off: a test that could not see the hole would prove nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{is_root, spec};
use serde_json::{Value, json};
use tempfile::TempDir;
use wsk_containers::{
    Call, Config, Container, ContainerFactory, Guards, LayerState, ProcessConfig, Spec, contract, open,
};

/// A platform with a data folder, and one hostile action in it.
struct Scene {
    folder: TempDir,
    factory: Arc<dyn ContainerFactory>,
    action: Arc<dyn Container>,
}

impl Scene {
    async fn new(guards: Guards) -> Scene {
        Scene::with(guards, |_| ProcessConfig::default()).await
    }

    async fn with(guards: Guards, config: impl FnOnce(&Path) -> ProcessConfig) -> Scene {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        // A platform that shares nothing with anybody must not make sandboxes that nobody can use.
        // SAFETY: a number.
        unsafe { libc::umask(0o077) };
        // Everybody may enter: what stops an action must be the sandbox, not the permissions of this folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::DirBuilder::new().create(folder.path().join("data")).unwrap();
        fs::set_permissions(folder.path().join("data"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("data/records"), "everybody's secrets").unwrap();
        fs::write(folder.path().join("guest.auth"), "the key").unwrap();
        fs::set_permissions(folder.path().join("data/records"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path().join("guest.auth"), fs::Permissions::from_mode(0o600)).unwrap();
        let run_dir = folder.path().join("run");
        let config = ProcessConfig {
            run_dir: Some(run_dir.clone()),
            guards,
            ..config(folder.path())
        };
        let factory = open(&Config::Process(config)).unwrap();
        // The negative control of the socket opens this way up; otherwise only we may enter.
        fs::set_permissions(&run_dir, fs::Permissions::from_mode(0o755)).unwrap();
        for life in fs::read_dir(&run_dir).unwrap().flatten() {
            fs::set_permissions(life.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let action = Scene::start(&factory, spec("hostile_action")).await;
        Scene {
            folder,
            factory,
            action,
        }
    }

    async fn start(factory: &Arc<dyn ContainerFactory>, spec: Spec) -> Arc<dyn Container> {
        let action = factory.create(spec).await.unwrap();
        let init = Call {
            body: "{}".into(),
            limit: Duration::from_secs(10),
            answer_limit: 1_000,
        };
        assert_eq!(action.init(init).await.unwrap().status, 200);
        action
    }

    async fn second(&self) -> Arc<dyn Container> {
        Scene::start(&self.factory, spec("hostile_action")).await
    }

    /// What the attack got, or why it failed.
    async fn attack(&self, value: Value) -> Result<Value, String> {
        ask(&*self.action, value).await
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    async fn end(self) {
        self.factory.shutdown().await.unwrap();
    }
}

async fn ask(action: &dyn Container, value: Value) -> Result<Value, String> {
    let answer = contract::parsed(&contract::run(action, value).await);
    match (answer.get("ok"), answer.get("failed")) {
        (Some(got), None) => Ok(got.clone()),
        (_, Some(reason)) => Err(reason.as_str().unwrap_or_default().to_owned()),
        (None, None) => panic!("not an answer of the hostile action: {answer}"),
    }
}

/// Every guard but these.
fn without(switch_off: impl FnOnce(&mut Guards)) -> Guards {
    let mut guards = Guards::default();
    switch_off(&mut guards);
    guards
}

fn on() -> Guards {
    Guards::default()
}

#[tokio::test]
async fn the_data_folder_is_not_there() {
    for (guards, hole) in [(on(), false), (without(|guards| guards.root = false), true)] {
        let scene = Scene::new(guards).await;
        let got = scene
            .attack(json!({"do": "read", "path": scene.path("data/records")}))
            .await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn a_data_folder_below_a_shown_one_is_hidden() {
    for (hide, hole) in [(true, false), (false, true)] {
        let config = |folder: &Path| ProcessConfig {
            shown: vec![folder.to_owned()],
            hidden: hide.then(|| folder.join("data")).into_iter().collect(),
            ..ProcessConfig::default()
        };
        let scene = Scene::with(on(), config).await;
        let got = scene
            .attack(json!({"do": "read", "path": scene.path("data/records")}))
            .await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn files_of_the_platforms_user_are_not_readable() {
    if !is_root() {
        println!("skipped: only root can give an action another user");
        return;
    }
    for (guards, hole) in [(on(), false), (without(|guards| guards.users = false), true)] {
        let config = |folder: &Path| ProcessConfig {
            shown: vec![folder.to_owned()],
            ..ProcessConfig::default()
        };
        let scene = Scene::with(guards, config).await;
        let got = scene
            .attack(json!({"do": "read", "path": scene.path("guest.auth")}))
            .await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn another_actions_files_and_memory_are_out_of_reach() {
    let open = without(|guards| (guards.pids, guards.users, guards.landlock) = (false, false, false));
    for (guards, hole) in [(on(), false), (open, true)] {
        if hole && !is_root() {
            println!("skipped: the hole needs the machine's process list, which an ordinary user cannot mount");
            continue;
        }
        let scene = Scene::new(guards).await;
        let victim = scene.second().await;
        ask(&*victim, json!({"do": "write", "path": "/tmp/code", "body": "mine"}))
            .await
            .unwrap();
        let plain = scene.attack(json!({"do": "read", "path": "/tmp/code"})).await;
        assert!(plain.is_err(), "the temporary folder is shared: {plain:?}");
        let status = ask(&*victim, json!({"do": "whoami"})).await.unwrap();
        let pid = field(&status, "Pid");
        let stolen = scene
            .attack(json!({"do": "read", "path": format!("/proc/{pid}/root/tmp/code")}))
            .await;
        let memory = match ask(&*victim, json!({"do": "read", "path": "/proc/self/maps"})).await {
            Ok(maps) => {
                let address = maps.as_str().unwrap().split('-').next().unwrap().to_owned();
                let address = u64::from_str_radix(&address, 16).unwrap();
                let pid: u32 = pid.parse().unwrap();
                scene
                    .attack(json!({"do": "memory of", "pid": pid, "address": address}))
                    .await
            }
            Err(reason) => Err(reason),
        };
        if hole {
            assert_eq!(stolen.as_ref().map(|text| text == "mine"), Ok(true), "{stolen:?}");
            assert!(memory.is_ok(), "{memory:?}");
        } else {
            // Every sandbox has a process 1, its own, so the path exists: but it leads to the attacker.
            assert!(stolen.is_err(), "{stolen:?}");
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn other_processes_are_neither_seen_nor_signalled() {
    let open = without(|guards| (guards.pids, guards.users, guards.landlock) = (false, false, false));
    for (guards, hole) in [(on(), false), (open, true)] {
        let scene = Scene::new(guards).await;
        let platform = std::process::id();
        let signalled = scene
            .attack(json!({"do": "signal", "pid": platform, "signal": 0}))
            .await;
        assert_eq!(signalled.is_ok(), hole, "{signalled:?}");
        let seen = scene
            .attack(json!({"do": "processes"}))
            .await
            .unwrap_or_else(|_| json!([]));
        let seen = seen.as_array().unwrap();
        // An ordinary user may not mount the machine's process list inside a sandbox, so there that hole does not open.
        assert_eq!(seen.len() > 1, hole && is_root(), "{seen:?}");
        let memory = scene
            .attack(json!({"do": "read", "path": format!("/proc/{platform}/environ")}))
            .await;
        assert!(
            memory.is_err(),
            "capabilities of the platform protect it even then: {memory:?}"
        );
        scene.end().await;
    }
}

#[tokio::test]
async fn the_control_socket_cannot_be_reached() {
    // Even with the whole machine's file system in view there is no socket to be found.
    let open = without(|guards| guards.socket = false);
    for (guards, hole) in [
        (on(), false),
        (without(|guards| guards.root = false), false),
        (open, true),
    ] {
        let scene = Scene::new(guards).await;
        let lives = fs::read_dir(scene.folder.path().join("run")).unwrap();
        let life: PathBuf = lives
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.is_dir())
            .unwrap();
        let got = scene.attack(json!({"do": "init again", "path": life})).await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn abstract_sockets_of_the_machine_are_out_of_reach() {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    };
    let name = format!("hostile-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for (guards, hole) in [(on(), false), (without(|guards| guards.landlock = false), true)] {
        let scene = Scene::new(guards).await;
        let landlock = scene
            .factory
            .layers()
            .into_iter()
            .find(|layer| layer.name == "landlock")
            .unwrap();
        if !hole && landlock.state != LayerState::On {
            println!("skipped: {}", landlock.detail);
            continue;
        }
        let got = scene.attack(json!({"do": "abstract socket", "name": name})).await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

/// Where the kernel refuses namespaces, Landlock takes their place; and without either, all is open.
#[tokio::test]
async fn landlock_stands_in_for_namespaces() {
    let closed = without(|guards| (guards.namespaces, guards.users) = (false, false));
    let open = without(|guards| (guards.namespaces, guards.users, guards.landlock) = (false, false, false));
    for (guards, hole) in [(closed, false), (open, true)] {
        let scene = Scene::new(guards).await;
        let landlock = scene
            .factory
            .layers()
            .into_iter()
            .find(|layer| layer.name == "landlock")
            .unwrap();
        if !hole && landlock.state != LayerState::On {
            println!("skipped: {}", landlock.detail);
            continue;
        }
        let victim = scene.second().await;
        ask(&*victim, json!({"do": "write", "path": "code", "body": "mine"}))
            .await
            .unwrap();
        let status = ask(&*victim, json!({"do": "whoami"})).await.unwrap();
        let (pid, platform) = (field(&status, "Pid"), std::process::id());
        for attack in [
            json!({"do": "read", "path": scene.path("data/records")}),
            json!({"do": "write", "path": scene.path("data/planted"), "body": "x"}),
            json!({"do": "list", "path": "/tmp"}),
            json!({"do": "read", "path": format!("/proc/{pid}/cwd/code")}),
            json!({"do": "read", "path": format!("/proc/{pid}/environ")}),
            json!({"do": "signal", "pid": pid.parse::<u32>().unwrap(), "signal": 0}),
            json!({"do": "signal", "pid": platform, "signal": 0}),
        ] {
            let got = scene.attack(attack.clone()).await;
            assert_eq!(got.is_ok(), hole, "{attack}: {got:?}");
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn system_calls_that_reach_out_are_refused() {
    let scene = Scene::new(on()).await;
    for name in [
        "mount",
        "ptrace",
        "new user namespace",
        "user namespace by clone",
        "keyctl",
        "vsock",
        "chroot",
        "host name",
        "become root",
    ] {
        let got = scene.attack(json!({"do": "call", "name": name, "pid": 1})).await;
        assert!(got.is_err(), "{name} worked");
    }
    scene.end().await;
    let scene = Scene::new(without(|guards| guards.seccomp = false)).await;
    for name in ["user namespace by clone", "keyctl"] {
        let got = scene.attack(json!({"do": "call", "name": name, "pid": 1})).await;
        assert!(got.is_ok(), "{name}: {got:?}");
    }
    scene.end().await;
}

/// What the filter refuses, with what it says, and whether without it every kernel goes on to look at the arguments: of the
/// others some only ask for capabilities first, some are not in every kernel.
const REFUSED: &[(&str, libc::c_long, i32, bool)] = &[
    ("ptrace", libc::SYS_ptrace, libc::EPERM, true),
    ("process_vm_readv", libc::SYS_process_vm_readv, libc::EPERM, true),
    ("process_vm_writev", libc::SYS_process_vm_writev, libc::EPERM, true),
    ("process_madvise", libc::SYS_process_madvise, libc::EPERM, true),
    ("pidfd_getfd", libc::SYS_pidfd_getfd, libc::EPERM, true),
    ("kcmp", libc::SYS_kcmp, libc::EPERM, true),
    ("perf_event_open", libc::SYS_perf_event_open, libc::EPERM, false),
    ("mount", libc::SYS_mount, libc::EPERM, true),
    ("umount2", libc::SYS_umount2, libc::EPERM, true),
    ("pivot_root", libc::SYS_pivot_root, libc::EPERM, false),
    ("chroot", libc::SYS_chroot, libc::EPERM, true),
    ("open_tree", libc::SYS_open_tree, libc::EPERM, true),
    ("move_mount", libc::SYS_move_mount, libc::EPERM, false),
    ("fsopen", libc::SYS_fsopen, libc::EPERM, false),
    ("fsconfig", libc::SYS_fsconfig, libc::EPERM, true),
    ("fsmount", libc::SYS_fsmount, libc::EPERM, false),
    ("fspick", libc::SYS_fspick, libc::EPERM, false),
    ("mount_setattr", libc::SYS_mount_setattr, libc::EPERM, true),
    ("unshare", libc::SYS_unshare, libc::EPERM, true),
    ("setns", libc::SYS_setns, libc::EPERM, true),
    ("name_to_handle_at", libc::SYS_name_to_handle_at, libc::EPERM, true),
    ("open_by_handle_at", libc::SYS_open_by_handle_at, libc::EPERM, false),
    ("sethostname", libc::SYS_sethostname, libc::EPERM, false),
    ("setdomainname", libc::SYS_setdomainname, libc::EPERM, false),
    ("bpf", libc::SYS_bpf, libc::EPERM, false),
    ("userfaultfd", libc::SYS_userfaultfd, libc::EPERM, false),
    ("keyctl", libc::SYS_keyctl, libc::EPERM, true),
    ("add_key", libc::SYS_add_key, libc::EPERM, true),
    ("request_key", libc::SYS_request_key, libc::EPERM, true),
    ("init_module", libc::SYS_init_module, libc::EPERM, false),
    ("finit_module", libc::SYS_finit_module, libc::EPERM, false),
    ("delete_module", libc::SYS_delete_module, libc::EPERM, false),
    ("kexec_load", libc::SYS_kexec_load, libc::EPERM, false),
    ("reboot", libc::SYS_reboot, libc::EPERM, false),
    ("swapon", libc::SYS_swapon, libc::EPERM, true),
    ("swapoff", libc::SYS_swapoff, libc::EPERM, false),
    ("acct", libc::SYS_acct, libc::EPERM, false),
    ("quotactl", libc::SYS_quotactl, libc::EPERM, true),
    ("syslog", libc::SYS_syslog, libc::EPERM, false),
    ("fanotify_init", libc::SYS_fanotify_init, libc::EPERM, false),
    ("lookup_dcookie", libc::SYS_lookup_dcookie, libc::EPERM, false),
    ("vhangup", libc::SYS_vhangup, libc::EPERM, false),
    ("settimeofday", libc::SYS_settimeofday, libc::EPERM, true),
    ("clock_settime", libc::SYS_clock_settime, libc::EPERM, true),
    ("clock_adjtime", libc::SYS_clock_adjtime, libc::EPERM, true),
    ("adjtimex", libc::SYS_adjtimex, libc::EPERM, true),
    ("mbind", libc::SYS_mbind, libc::EPERM, true),
    ("migrate_pages", libc::SYS_migrate_pages, libc::EPERM, true),
    ("move_pages", libc::SYS_move_pages, libc::EPERM, true),
    ("clone3", libc::SYS_clone3, libc::ENOSYS, true),
    ("io_uring_setup", libc::SYS_io_uring_setup, libc::ENOSYS, true),
    ("io_uring_enter", libc::SYS_io_uring_enter, libc::ENOSYS, true),
    ("io_uring_register", libc::SYS_io_uring_register, libc::ENOSYS, true),
];

#[tokio::test]
async fn without_the_filter_the_kernel_looks_at_what_is_asked() {
    for (guards, hole) in [(on(), false), (without(|guards| guards.seccomp = false), true)] {
        let scene = Scene::new(guards).await;
        for (name, number, refusal, alone) in REFUSED {
            let said = scene.attack(json!({"do": "knock", "number": number})).await.unwrap();
            let refused = said == *refusal;
            assert!(refused || hole, "{name} was not refused, but: {said}");
            if hole && *alone {
                assert!(!refused, "{name} is refused without the filter, too");
            }
        }
        scene.end().await;
    }
}

/// Even under the platform's own user id, and without the filter, there is nothing an action may do; with capabilities there is.
#[tokio::test]
async fn without_capabilities_root_is_nobody() {
    if !is_root() {
        println!("skipped: an ordinary user has no capabilities to keep");
        return;
    }
    for hole in [false, true] {
        let guards = without(|guards| {
            (guards.users, guards.seccomp, guards.landlock) = (false, false, false);
            guards.capabilities = !hole;
        });
        let scene = Scene::new(guards).await;
        let status = scene.attack(json!({"do": "whoami"})).await.unwrap();
        assert_eq!(field(&status, "Uid"), "0");
        assert_eq!(field(&status, "NoNewPrivs"), if hole { "0" } else { "1" });
        for capabilities in ["CapEff", "CapBnd"] {
            let none = field(&status, capabilities).trim_start_matches('0').is_empty();
            assert_eq!(none, !hole, "{capabilities}");
        }
        for name in ["mount", "host name", "chroot"] {
            let got = scene.attack(json!({"do": "call", "name": name, "pid": 1})).await;
            assert_eq!(got.is_ok(), hole, "{name}: {got:?}");
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn an_action_is_nobody() {
    let scene = Scene::new(on()).await;
    let status = scene.attack(json!({"do": "whoami"})).await.unwrap();
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    assert_eq!(field(&status, "Seccomp"), "2");
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(
            field(&status, capabilities).trim_start_matches('0'),
            "",
            "{capabilities}"
        );
    }
    if is_root() {
        assert_ne!(field(&status, "Uid"), "0");
        assert_eq!(field(&status, "Groups"), "");
        let other = ask(&*scene.second().await, json!({"do": "whoami"})).await.unwrap();
        assert_ne!(field(&status, "Uid"), field(&other, "Uid"));
    }
    for path in [
        "/usr/lib/planted",
        "/etc/planted",
        "/planted",
        "/run/box/planted",
        "/proc/sys/kernel/core_pattern",
    ] {
        let got = scene.attack(json!({"do": "write", "path": path, "body": "x"})).await;
        assert!(got.is_err(), "{path} was written");
    }
    let shadow = scene.attack(json!({"do": "read", "path": "/etc/shadow"})).await;
    assert!(shadow.is_err(), "{shadow:?}");
    let root = scene.attack(json!({"do": "list", "path": "/"})).await.unwrap();
    for hidden in ["root", "home", "var", "sys", "srv"] {
        assert!(!root.as_array().unwrap().contains(&json!(hidden)), "/{hidden} is there");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_fork_bomb_is_held() {
    let open = without(|guards| (guards.rlimits, guards.cgroups) = (false, false));
    for (guards, hole) in [
        (on(), false),
        (without(|guards| guards.rlimits = false), false),
        (open, true),
    ] {
        if !is_root() && !guards.rlimits && !hole {
            println!("skipped: an ordinary user has no control groups here");
            continue;
        }
        let config = |_: &Path| ProcessConfig {
            pids: 60,
            ..ProcessConfig::default()
        };
        let scene = Scene::with(guards, config).await;
        let started = scene
            .attack(json!({"do": "processes without end", "most": 200}))
            .await
            .unwrap();
        assert_eq!(started == 200, hole, "{started} started");
        assert!(hole || started.as_i64().unwrap() < 60, "{started} started");
        let limit = Duration::from_secs(5);
        tokio::time::timeout(limit, scene.action.destroy())
            .await
            .expect("all of them die at once")
            .unwrap();
        scene.end().await;
    }
}

#[tokio::test]
async fn memory_filling_is_stopped() {
    if !is_root() {
        println!("skipped: an ordinary user has no control groups here");
        return;
    }
    let open = without(|guards| (guards.cgroups, guards.watch) = (false, false));
    for (guards, hole) in [(on(), false), (open, true)] {
        let scene = Scene::new(guards).await;
        let greedy = Scene::start(&scene.factory, spec("contract_action")).await;
        let got = contract::try_run(&*greedy, json!({"do": "eat", "mb": 300})).await;
        assert_eq!(got.is_ok(), hole, "{got:?}");
        scene.end().await;
    }
}

/// Also for an ordinary user, who has no control groups.
#[tokio::test]
async fn memory_that_no_group_limits_is_looked_after() {
    let watched = without(|guards| guards.cgroups = false);
    let open = without(|guards| (guards.cgroups, guards.watch) = (false, false));
    for (guards, hole) in [(watched, false), (open, true)] {
        let scene = Scene::new(guards).await;
        let greedy = Scene::start(&scene.factory, spec("contract_action")).await;
        for (mb, ends) in [(32, false), (300, !hole)] {
            // Each call may be over before a look is; what it has taken is found by the next.
            let kept = contract::try_run(&*greedy, json!({"do": "keep", "mb": mb})).await;
            let slept =
                contract::try_run(&*greedy, json!({"do": "sleep", "ms": if ends { 60_000 } else { 600 }})).await;
            let killed = [&kept, &slept]
                .iter()
                .any(|end| matches!(end, Err(wsk_containers::CallError::OutOfMemory)));
            assert_eq!(killed, ends, "{mb} MB: {kept:?}, {slept:?}");
        }
        scene.end().await;
    }
}

#[tokio::test]
async fn open_files_are_limited() {
    for (guards, hole) in [(on(), false), (without(|guards| guards.rlimits = false), true)] {
        let config = |_: &Path| ProcessConfig {
            open_files: 100,
            ..ProcessConfig::default()
        };
        let scene = Scene::with(guards, config).await;
        let opened = scene
            .attack(json!({"do": "files without end", "most": 200}))
            .await
            .unwrap();
        assert_eq!(opened == 200, hole, "{opened} opened");
        scene.end().await;
    }
}

#[tokio::test]
async fn the_disk_cannot_be_filled() {
    let open = without(|guards| (guards.rlimits, guards.cgroups) = (false, false));
    for (guards, hole) in [(on(), false), (open, true)] {
        let scene = Scene::new(guards).await;
        let written = scene
            .attack(json!({"do": "disk without end", "mb": 200}))
            .await
            .unwrap();
        assert_eq!(written == 200, hole, "{written} MB written");
        assert!(hole || written.as_i64().unwrap() <= 96, "{written} MB written");
        scene.end().await;
    }
}

#[test]
fn all_of_it_as_an_ordinary_user() {
    common::again_as_ordinary_user(&[
        "the_data_folder_is_not_there",
        "a_data_folder_below_a_shown_one_is_hidden",
        "another_actions_files_and_memory_are_out_of_reach",
        "other_processes_are_neither_seen_nor_signalled",
        "the_control_socket_cannot_be_reached",
        "abstract_sockets_of_the_machine_are_out_of_reach",
        "landlock_stands_in_for_namespaces",
        "system_calls_that_reach_out_are_refused",
        "without_the_filter_the_kernel_looks_at_what_is_asked",
        "an_action_is_nobody",
        "a_fork_bomb_is_held",
        "memory_that_no_group_limits_is_looked_after",
        "open_files_are_limited",
        "the_disk_cannot_be_filled",
    ]);
}

/// First value of a line of `/proc/self/status`.
fn field(status: &Value, name: &str) -> String {
    let line = status
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_whitespace().next().unwrap_or_default().to_owned()
}
