//! The tour that `make run` leads a newcomer through, with what it says where an interpreter is missing.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{self, Folder, program};

/// What the tour itself needs; no interpreter of actions among them, and nothing that installs one.
const TOOLS: [&str; 12] = [
    "bash", "cat", "chmod", "dirname", "env", "grep", "head", "id", "mktemp", "rm", "seq", "sleep",
];
/// The tour starts some dozen programs; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test]
async fn the_tour_greets_in_every_language() {
    needs_interpreters!();
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let shown = lead(&scratch, None).await;
    for expected in [
        "Hello, Ada!",
        "greeting Ada from Node ",
        "Hello, Grace!",
        "greeting Grace from Python ",
        "Hello from a shell script!",
        r#"{"name":"Linus"}"#,
    ] {
        assert!(shown.contains(expected), "no {expected:?} in:\n{shown}");
    }
}

#[tokio::test]
async fn without_interpreters_it_names_the_command_and_goes_on_natively() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let path = scratch.path().join("bin");
    std::fs::create_dir(&path).expect("a folder of tools");
    for tool in TOOLS {
        let target = found(tool).unwrap_or_else(|| panic!("there is no {tool} here"));
        symlink(target, path.join(tool)).expect("a link");
    }
    let shown = lead(&scratch, Some(&path)).await;
    let install = "apt-get install -y --no-install-recommends";
    for (needed, package) in [("node", "nodejs"), ("python3", "python3")] {
        let advice = format!("Without {needed} its actions are not offered; to have them: sudo {install} {package}\n");
        assert!(shown.contains(&advice), "no {advice:?} in:\n{shown}");
    }
    assert!(shown.contains("Hello from a shell script!"), "{shown}");
    assert!(!shown.contains("Hello, "), "{shown}");
    let doctor = Command::new(program("ferrowhisk"))
        .args(["doctor", "--data"])
        .arg(scratch.path().join("data"))
        .env("PATH", &path)
        .output()
        .await
        .expect("the doctor comes");
    let said = String::from_utf8_lossy(&doctor.stdout);
    for (needed, package) in [("node", "nodejs"), ("python3", "python3")] {
        let line = said
            .lines()
            .find(|line| line.contains(&format!("needs {needed}; type")));
        let named =
            line.is_some_and(|line| line.contains("MISSING") && line.contains(&format!("{install} {package}`")));
        assert!(named, "{said}");
    }
}

#[tokio::test]
async fn actions_run_on_an_interpreter_that_was_installed_in_a_home_folder() {
    needs_interpreters!();
    // Not below `/tmp`, which every action has for itself.
    let scratch = TempDir::new_in("/var/tmp").expect("a scratch folder");
    let (versions, shims) = (scratch.path().join("versions/node/v20"), scratch.path().join("shims"));
    for folder in [&versions.join("bin"), &versions.join("lib"), &shims] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    let node = found("node").and_then(|node| node.canonicalize().ok()).expect("node");
    std::fs::copy(node, versions.join("bin/node")).expect("a copy of node");
    for name in ["node", "python3"] {
        std::fs::write(shims.join(name), "#!/bin/sh\nexit 1\n").expect("a shim");
        std::fs::set_permissions(shims.join(name), Permissions::from_mode(0o755)).expect("that may run");
    }
    let usual = std::env::var("PATH").expect("a search path");
    let path = format!("{}:{}:{usual}", shims.display(), versions.join("bin").display());
    let platform = Folder::new().with_variable("PATH", &path).start().await;
    let code = "function main() { return { runs: process.execPath, calls: process.env.PATH } }";
    platform.put_action("where", harness::node(code), json!({})).await;
    let answer = platform.invoke("where", &json!({})).await.json()["response"]["result"].clone();
    let own = versions.canonicalize().expect("its path").join("bin");
    assert_eq!(answer["runs"], json!(own.join("node")), "{answer}");
    platform
        .put_action(
            "snake",
            harness::python("import sys\ndef main(args):\n    return {'runs': sys.executable}"),
            json!({}),
        )
        .await;
    let answer = platform.invoke("snake", &json!({})).await.json()["response"]["result"].clone();
    assert!(
        answer["runs"]
            .as_str()
            .is_some_and(|runs| runs.starts_with('/') && !runs.contains("shims")),
        "{answer}"
    );
}

/// Goes through the tour with a fresh data folder and a free port; gives what it showed.
async fn lead(scratch: &TempDir, path: Option<&Path>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../standalone/tour.sh");
    let data = scratch.path().join("data");
    let mut command = Command::new(found("bash").expect("a bash"));
    command
        .arg(script)
        .arg(program("ferrowhisk").parent().expect("a folder of programs"))
        .env("FERROWHISK_DATA", &data)
        .env("FERROWHISK_LISTEN", "127.0.0.1:0")
        .env("TOUR_ONLY", "1")
        .env_remove("TOUR_HOST")
        .env_remove("TOUR_KEY")
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let tour = command.spawn().expect("the tour starts");
    let pid = Pid::from_raw(tour.id().expect("it runs") as i32);
    let Ok(output) = tokio::time::timeout(PATIENCE, tour.wait_with_output()).await else {
        // It takes its platform with it.
        kill(pid, Signal::SIGTERM).expect("it still runs");
        panic!("the tour does not end");
    };
    let output = output.expect("an output");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{shown}\n{told}", output.status);
    assert!(!data.join("api.url").exists(), "the platform is stopped:\n{told}");
    shown
}

/// A program of the search path.
fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
