//! Clients that nobody here wrote, unchanged, on the whole programming model.
//!
//! Each has a folder below `tests/clients`: its exact version, a scripted tour, and the transcript that the tour must print.
//! `.ci/fetch-clients` fetches them into a cache folder; where that did not happen a tour is announced as skipped, and fails
//! when `CI=true`. `FERROWHISK_TEST_WRITE_TRANSCRIPTS=1` writes the transcripts anew, to be read before they are committed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::{Folder, LONG, Platform, program};
use crate::wait;

/// A tour starts programs and invokes some hundred actions; the machine may be busy.
const TOUR: Duration = Duration::from_secs(300);

/// A platform with what a tour needs around it.
struct Guide {
    platform: Platform,
    scratch: tempfile::TempDir,
    /// Host and port for HTTPS: what most clients mean by a host.
    secure: String,
    other_key: String,
}

#[tokio::test]
async fn npm_openwhisk() {
    if let Some(modules) = fetched("openwhisk") {
        node_tour("openwhisk", &modules).await;
    }
}

#[tokio::test]
async fn npm_openwhisk_composer() {
    if let Some(modules) = fetched("composer")
        && library().await.is_some()
    {
        node_tour("composer", &modules).await;
    }
}

#[tokio::test]
async fn npm_wskdebug() {
    if let Some(modules) = fetched("wskdebug")
        && library().await.is_some()
    {
        node_tour("wskdebug", &modules).await;
    }
}

#[tokio::test]
async fn npm_serverless_openwhisk() {
    if let Some(modules) = fetched("serverless") {
        node_tour("serverless", &modules).await;
    }
}

/// A program on the library under the original `wsk` and `wskdeploy`.
#[tokio::test]
async fn go_openwhisk_client_go() {
    let guide = Guide::start().await;
    if let Some(program) = guide.build_go().await {
        guide.lead("go", Command::new(program)).await;
    }
}

/// Runs `tour.js` of a client with the client's modules.
async fn node_tour(client: &str, modules: &Path) {
    let guide = Guide::start().await;
    let mut command = Command::new("node");
    command
        .arg(tree().join(client).join("tour.js"))
        .env("NODE_PATH", modules);
    guide.lead(client, command).await;
}

impl Guide {
    async fn start() -> Guide {
        let platform = Folder::with_config("[gateway.tls]\nlisten = \"127.0.0.1:0\"\n")
            .start()
            .await;
        let output = Command::new(program("wskadmin"))
            .arg("--data")
            .arg(platform.folder.path())
            .args(["user", "create", "friend"])
            .output()
            .await
            .expect("wskadmin runs");
        assert!(output.status.success(), "{output:?}");
        let url = platform.folder.path().join("tls.url");
        let secure = wait::until(LONG, async || {
            std::fs::read_to_string(&url).map_err(|e| format!("no address for HTTPS: {e}"))
        })
        .await;
        Guide {
            platform,
            secure: secure.trim().trim_start_matches("https://").to_owned(),
            scratch: tempfile::tempdir().expect("a scratch folder"),
            other_key: String::from_utf8(output.stdout).expect("a key").trim().to_owned(),
        }
    }

    /// Builds the tour in Go from modules that were fetched before, if they were.
    async fn build_go(&self) -> Option<PathBuf> {
        let program = self.scratch.path().join("tour");
        let build = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(tree().join("go"))
            .env("GOFLAGS", "-mod=readonly")
            .env("GOPROXY", "off")
            .output()
            .await;
        match build {
            Ok(build) if build.status.success() => Some(program),
            Ok(build) => skip(&format!("go: {}", String::from_utf8_lossy(&build.stderr))),
            Err(error) => skip(&format!("go: {error}")),
        }
    }

    /// Runs a tour to its end and compares what it printed.
    async fn lead(&self, client: &str, mut command: Command) {
        command
            .env("TOUR_HOST", format!("http://{}", self.platform.address))
            .env("TOUR_SECURE_HOST", &self.secure)
            .env("TOUR_CERTIFICATE", self.platform.folder.path().join("tls.crt"))
            .env("TOUR_KEY", self.platform.key())
            .env("TOUR_OTHER_KEY", &self.other_key)
            .env("TOUR_SCRATCH", self.scratch.path())
            .env("HOME", self.scratch.path())
            .env_remove("WSK_CONFIG_FILE")
            .current_dir(self.scratch.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(TOUR, command.output())
            .await
            .unwrap_or_else(|_| panic!("the tour of {client} does not end"))
            .expect("the tour runs");
        let shown = String::from_utf8_lossy(&output.stdout);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{client} stumbled:\n{shown}\n{told}\nplatform:\n{}",
            self.platform.folder.log()
        );
        compare(&tree().join(client).join("transcript.txt"), &shown);
    }
}

/// Fails with the first line that differs.
fn compare(file: &Path, shown: &str) {
    if std::env::var_os("FERROWHISK_TEST_WRITE_TRANSCRIPTS").is_some() {
        std::fs::write(file, shown).expect("a transcript to write");
    }
    let expected = std::fs::read_to_string(file).expect("a transcript");
    for (number, (expected, shown)) in expected.lines().zip(shown.lines()).enumerate() {
        assert_eq!(shown, expected, "line {} of {}", number + 1, file.display());
    }
    assert_eq!(shown.lines().count(), expected.lines().count(), "{}", file.display());
}

/// The folder of all tours.
fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// The modules of a client, if they are there in the versions of its lock file.
fn fetched(client: &str) -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
    };
    let home = cache.join("ferrowhisk/clients").join(client);
    let lock = std::fs::read(tree().join(client).join("package-lock.json")).expect("a lock file");
    if std::fs::read(home.join("fetched.json")).is_ok_and(|there| there == lock) {
        return Some(home.join("node_modules"));
    }
    skip(client)
}

/// The client library where actions find it: beside node, installed for everybody.
async fn library() -> Option<()> {
    let found = "require(require('path').resolve(process.execPath, '../../lib/node_modules/openwhisk'))";
    let node = Command::new("node").args(["-e", found]).output().await;
    if node.is_ok_and(|node| node.status.success()) {
        return Some(());
    }
    skip("openwhisk for actions")
}

/// Announces a tour that cannot be; fails where everything must be there.
fn skip<T>(client: &str) -> Option<T> {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "the client {client} is not there; .ci/fetch-clients fetches it"
    );
    eprintln!("skipped: the client {client} is not there; .ci/fetch-clients fetches it");
    None
}
