//! A platform in a temporary folder, and `wsk` as its guest.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// Pause between two looks at what is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks before it is given up.
const LOOKS: u32 = 400;

/// A running platform.
pub struct Stage {
    programs: PathBuf,
    folder: TempDir,
    platform: Child,
    /// Address of the API.
    pub url: String,
    /// `uuid:key` of the guest.
    pub key: String,
}

impl Stage {
    /// Starts a platform.
    pub fn set(programs: PathBuf) -> Result<Stage> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let log = std::fs::File::create(folder.path().join("log")).context("no log file")?;
        let platform = Command::new(programs.join("ferrowhisk"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Of its own, so that Ctrl-C reaches this program alone and the platform is ended in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "{} does not start; `make build` makes it",
                    programs.join("ferrowhisk").display()
                )
            })?;
        Ok(Stage {
            programs,
            folder,
            platform,
            url: String::new(),
            key: String::new(),
        })
    }

    /// Waits until the platform answers and offers what the story needs.
    pub async fn ready(&mut self) -> Result<()> {
        self.url = awaited("the platform does not answer", async || self.file("api.url")).await?;
        self.key = self.file("guest.auth").context("the platform wrote no key")?;
        self.wait_for_the_catalog().await
    }

    /// What the platform wrote to a file of its data folder, once it is whole.
    fn file(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.folder.path().join("data").join(name)).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    }

    async fn wait_for_the_catalog(&self) -> Result<()> {
        let missing =
            "the action slack/post is not offered, probably because there is no Node.js: sudo apt-get install nodejs";
        awaited(missing, async || {
            let get = self.wsk(&["action", "get", "/whisk.system/slack/post"]).await.ok()?;
            get.status.success().then_some(())
        })
        .await
    }

    /// A program beside this one.
    pub fn program(&self, name: &str) -> String {
        self.programs.join(name).display().to_string()
    }

    async fn wsk(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = Command::new(self.programs.join("wsk"));
        command
            .env("WSK_CONFIG_FILE", self.folder.path().join("wskprops"))
            .args(["--apihost", &self.url, "--auth", &self.key])
            .args(arguments);
        command.output().await.context("wsk does not start")
    }

    /// Runs `wsk`, shows the command as typed and what it prints. Errors: it failed.
    pub async fn show(&self, arguments: &[&str]) -> Result<String> {
        let typed: Vec<String> = arguments.iter().map(|argument| self.typed(argument)).collect();
        println!("$ wsk {}", typed.join(" "));
        let output = self.wsk(arguments).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{said}");
        ensure!(
            output.status.success(),
            "wsk failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// An argument as one would type it, in the folder of the programs.
    fn typed(&self, argument: &str) -> String {
        let program = Path::new(argument).strip_prefix(&self.programs).ok();
        match program.and_then(Path::to_str) {
            Some(name) => format!("./{name}"),
            None if argument.contains(' ') => format!("\"{argument}\""),
            None => argument.to_owned(),
        }
    }

    /// Runs `wsk` until it prints something that `wanted` accepts.
    pub async fn once(&self, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> Result<()> {
        let never = format!("`wsk {}` never shows what it should", arguments.join(" "));
        awaited(&never, async || {
            let output = self.wsk(arguments).await.ok()?;
            wanted(&String::from_utf8_lossy(&output.stdout)).then_some(())
        })
        .await
    }

    /// Ends the platform and waits for its end.
    pub async fn clear(&mut self) -> Result<()> {
        if let Some(id) = self.platform.id() {
            kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM).context("the platform cannot be ended")?;
        }
        let status = self
            .platform
            .wait()
            .await
            .context("the platform cannot be waited for")?;
        if !status.success() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            bail!("the platform ended with {status}; its log:\n{log}");
        }
        Ok(())
    }
}

async fn awaited<T>(never: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    for _ in 0..LOOKS {
        if let Some(found) = look().await {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("{never}")
}
