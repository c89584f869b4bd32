//! The story on a Docker engine, where the weather action is an image without code.
//!
//! `FERROWHISK_TEST_DOCKER` names the engine (`unix://...`); the programs are built with its adapter. No image is needed: the
//! two that are played with are imported, each made of a program of this machine and the libraries it is linked with.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{CLEAR, Story};
use crate::harness::{Folder, program};

const WEATHER: &str = "example/openweather:native";
const NODE: &str = "openwhisk/action-nodejs-v20:nightly";

/// An engine, by its address.
struct Engine(String);

impl Engine {
    /// The engine to use; none after saying that there is none.
    fn found() -> Option<Engine> {
        let engine = std::env::var("FERROWHISK_TEST_DOCKER").ok();
        if engine.is_none() {
            println!("skipped: FERROWHISK_TEST_DOCKER names no engine");
        }
        engine.map(Engine)
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["--host", &self.0]).args(arguments);
        command
    }

    /// Where containers on the engine's bridge find this machine.
    fn gateway(&self) -> IpAddr {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        let inspect = self
            .docker(&["network", "inspect", "bridge", "--format", format])
            .output()
            .expect("docker runs");
        let text = String::from_utf8(inspect.stdout).expect("text");
        text.trim().parse().unwrap_or_else(|error| panic!("{error}: {text:?}"))
    }

    /// Makes an image of these files, given with their places in it.
    fn import(&self, image: &str, entry_point: &str, files: &[(PathBuf, PathBuf)]) {
        let root = tempfile::tempdir().expect("a folder");
        for (file, place) in files {
            let place = root.path().join(place.strip_prefix("/").unwrap_or(place));
            std::fs::create_dir_all(place.parent().expect("below the root")).expect("a folder");
            std::fs::copy(file, place).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        let mut archive = Command::new("tar");
        archive
            .args(["-c", "-C"])
            .arg(root.path())
            .arg(".")
            .stdout(Stdio::piped());
        let mut archive = archive.spawn().expect("tar runs");
        let change = format!("ENTRYPOINT {entry_point}");
        let mut import = self.docker(&["import", "--change", &change, "-", image]);
        let import = import
            .stdin(archive.stdout.take().expect("a pipe"))
            .stdout(Stdio::null());
        assert!(import.status().expect("docker runs").success());
        assert!(archive.wait().expect("an end").success());
    }
}

/// A program and the libraries it is linked with.
fn linked(file: &Path, place: &str) -> Vec<(PathBuf, PathBuf)> {
    let listed = Command::new("ldd").arg(file).output().expect("ldd runs");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut files = vec![(file.to_owned(), place.into())];
    files.extend(libraries.map(|library| (library.into(), library.into())));
    files
}

/// The Node.js runtime, as its Dockerfile puts it together.
fn node() -> Vec<(PathBuf, PathBuf)> {
    let path = std::env::var_os("PATH").expect("a path");
    let node = std::env::split_paths(&path)
        .map(|folder| folder.join("node"))
        .find(|file| file.is_file());
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtimes/nodejs");
    let mut files = linked(&node.expect("there is a node"), "/usr/bin/node");
    // Debian's node keeps some of its own modules outside.
    for module in ["acorn", "acorn-walk", "cjs-module-lexer", "undici"] {
        files.extend(below(&Path::new("/usr/share/nodejs").join(module)));
    }
    files.extend(linked(&program("wsk-proxy"), "/usr/local/bin/wsk-proxy"));
    for file in ["app.js", "runner.js", "src/service.js"] {
        files.push((runtime.join(file), Path::new("/nodejsAction").join(file)));
    }
    files
}

/// The files of a folder, which need not exist.
fn below(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let files = files.into_iter().map(|file| (file.clone(), file));
    files.chain(folders.iter().flat_map(|folder| below(folder))).collect()
}

#[tokio::test]
async fn an_image_without_code_answers_the_message() {
    let Some(engine) = Engine::found() else { return };
    engine.import(
        WEATHER,
        r#"["/openweather"]"#,
        &linked(&program("openweather"), "/openweather"),
    );
    engine.import(NODE, r#"["/usr/local/bin/wsk-proxy", "nodejs"]"#, &node());
    let config = format!(
        "[containers.docker]\nengine = \"{}\"\nidentity = \"story-{}\"\n",
        engine.0,
        std::process::id()
    );
    let story = Story::with(Folder::with_config(&config), engine.gateway(), &["--docker", WEATHER]).await;
    let action = story.p.get("/actions/openweather-quarkus").await;
    assert_eq!(
        action["exec"],
        json!({"kind": "blackbox", "image": WEATHER, "binary": false})
    );
    for count in 1..=2 {
        let delivery = story.tell("weather Athens").await;
        assert_eq!(delivery.attempts[0].status, 200, "{delivery:?}");
        assert_eq!(delivery.attempts.len(), 1);
        let post = json!({"username": "Simple Message Bot", "text": CLEAR});
        assert_eq!(story.posted(), vec![post; count]);
    }
    // An image without end marks: which of two activations in quick succession a line belongs to cannot be told.
    let logs = async |count| -> String {
        let records = story.records("openweather-quarkus", count).await;
        records.iter().map(|record| record["logs"].to_string()).collect()
    };
    assert_eq!(logs(2).await.matches("asking for the weather in Athens").count(), 2);
    assert_eq!(story.tell("weather").await.attempts[0].status, 400);
    assert_eq!(logs(6).await.matches("the message 'weather' names no city").count(), 4);
    assert_eq!(story.posted().len(), 2);
}
