//! The baselines: small, honest programs that do one thing the platform cannot avoid.

pub mod accepter;
pub mod copier;
pub mod echo;
pub mod hop;
#[cfg(feature = "kafka")]
pub mod pingpong;
pub mod spawn;
pub mod writer;

use std::future::Future;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// Runs `future` on one thread, as every baseline does.
fn on_one_thread<F: Future<Output = Result<()>>>(future: F) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// Binds a loopback port and tells the parent which.
async fn announced(port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// A baseline or another server in a process of its own; killed when dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    /// Starts a baseline of this program.
    pub fn baseline(arguments: &[&str]) -> Result<Server> {
        Server::start(Command::new(std::env::current_exe()?).args(arguments))
    }

    /// The reference-like Node runtime.
    pub fn runtime() -> Result<Server> {
        let command = runtime_command();
        Server::start(Command::new(&command[0]).args(&command[1..]).env("PORT", "0"))
    }

    fn start(command: &mut Command) -> Result<Server> {
        use std::io::{BufRead as _, BufReader};
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a baseline")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a piped stdout")?).read_line(&mut line)?;
        Ok(Server {
            child,
            address: line.trim().to_owned(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about that here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of the reference-like Node runtime.
pub fn runtime_command() -> Vec<String> {
    let paths = [Some(runtime_script()), modules()];
    std::iter::once("node".to_owned())
        .chain(paths.into_iter().flatten().map(|p| p.display().to_string()))
        .collect()
}

/// Where the Node runtime's source lies.
pub fn runtime_script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/baselines/runtime.js")
}

/// The folder of modules that holds express, which the reference runtime is built on; installed once a machine. Without
/// npm the runtime answers on Node's own server.
pub fn modules() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let cache = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/bench");
            std::fs::create_dir_all(&cache).ok()?;
            let cache = cache.canonicalize().ok()?;
            let modules = cache.join("node_modules");
            if !modules.join("express").is_dir() {
                let mut npm = Command::new("npm");
                npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
                    .arg(&cache)
                    .arg("express@4");
                npm.stdout(Stdio::null()).status().ok()?;
            }
            modules.join("express").is_dir().then_some(modules)
        })
        .clone()
}
