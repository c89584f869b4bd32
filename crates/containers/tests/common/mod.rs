//! What the tests of sandboxes share.

#![allow(dead_code, reason = "not every test program needs all of it")]

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use wsk_containers::Spec;

/// The user that stands for any ordinary one.
const NOBODY: u32 = 65_534;

/// A program built with these tests.
pub fn example(name: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(2).map(PathBuf::from).unwrap();
    target.join("examples").join(name).to_str().unwrap().to_owned()
}

pub fn spec(program: &str) -> Spec {
    Spec {
        name: "test".to_owned(),
        image: "example/test:1".to_owned(),
        program: vec![example(program)],
        folder: None,
        memory_mb: 128,
        concurrency: 1,
        env: vec![
            ("CONTRACT".to_owned(), "lost".to_owned()),
            ("CONTRACT".to_owned(), "kept".to_owned()),
        ],
        managed: true,
        tenant: None,
    }
}

pub fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

/// A folder where any user may run what is copied into it; the home of root, where a clone may be, is closed to others. It is laid
/// out as cargo does it, so that [`example`] finds its programs from there, too.
pub fn public() -> TempDir {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(folder.path());
    let own = std::env::current_exe().unwrap();
    copy(&[own.to_str().unwrap()], &folder.path().join("deps"));
    let examples = ["contract_action", "hostile_action"].map(example);
    copy(
        &examples.each_ref().map(String::as_str),
        &folder.path().join("examples"),
    );
    folder
}

/// By another process: what this one writes cannot be run while a child that another test has just forked holds it open.
fn copy(programs: &[&str], folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    open_to_all(folder);
    let mut install = Command::new("install");
    let status = install
        .args(["-m", "755", "-t"])
        .arg(folder)
        .args(programs)
        .status()
        .unwrap();
    assert!(status.success(), "{programs:?} cannot be copied");
}

/// Whatever this process masks.
fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs tests of this very program again as an ordinary user, when we are root.
pub fn again_as_ordinary_user(tests: &[&str]) {
    if !is_root() {
        println!("skipped: this is an ordinary user already");
        return;
    }
    let folder = public();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(folder.path().join("deps").join(own.file_name().unwrap()));
    command
        .args(["--exact", "--nocapture", "--test-threads", "1"])
        .args(tests);
    command
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .env("TMPDIR", &home)
        .env("HOME", &home);
    let output = command.output().unwrap();
    println!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "failed as an ordinary user");
}
