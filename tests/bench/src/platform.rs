//! The platform under measurement, started as a user would start it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::baselines::{modules, runtime_command, runtime_script};
use crate::load::Request;

/// A running `ferrowhisk serve`.
pub struct Platform {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
    authorization: String,
    /// From exec to the address being known.
    pub started_in: Duration,
}

/// The settings that a benchmark changes.
#[derive(Clone, Copy)]
pub struct Settings {
    /// How long a container stays awake after its last activation, in milliseconds.
    pub pause_grace_ms: u64,
    /// Memory for containers, in MB.
    pub pool_mb: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pause_grace_ms: 60_000,
            pool_mb: 16_384,
        }
    }
}

impl Platform {
    pub fn start(bin: &Path, data: &Path, settings: Settings) -> Result<Platform> {
        let manifest = data.join("bench-manifest.json");
        std::fs::create_dir_all(data)?;
        std::fs::write(&manifest, manifest_text()?)?;
        let config = data.join("bench.toml");
        std::fs::write(&config, config_text(&manifest, settings)?)?;
        let url = data.join("api.url");
        if url.exists() {
            std::fs::remove_file(&url)?;
        }
        let begun = Instant::now();
        let mut child = Command::new(bin.join("ferrowhisk"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::from(std::fs::File::create(data.join("bench.log"))?))
            .spawn()
            .context("cannot start ferrowhisk; `make build` makes it")?;
        let address = loop {
            let announced = std::fs::read_to_string(&url).ok().filter(|text| text.ends_with('\n'));
            if let Some(text) = announced {
                break text.trim().trim_start_matches("http://").to_owned();
            }
            if let Some(status) = child.try_wait()? {
                bail!(
                    "ferrowhisk ended with {status}; see {}",
                    data.join("bench.log").display()
                );
            }
            std::thread::yield_now();
        };
        let started_in = begun.elapsed();
        let key = std::fs::read_to_string(data.join("guest.auth"))?;
        let authorization = base64::engine::general_purpose::STANDARD.encode(key.trim());
        Ok(Platform {
            child,
            address,
            authorization,
            started_in,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn request(&self, method: &str, path: &str, body: &str) -> Request {
        let path = format!("/api/v1/namespaces/_{path}");
        Request::new(method, &self.address, &path, Some(&self.authorization), body)
    }

    /// A blocking invoke that answers the bare result.
    pub fn invoke(&self, action: &str, body: &str) -> Request {
        self.request("POST", &format!("/actions/{action}?blocking=true&result=true"), body)
    }

    /// Creates or replaces an action with the limits that actions have unless somebody says otherwise; logs are kept.
    pub fn put(&self, name: &str, exec: Value) -> Result<()> {
        let body = json!({"exec": exec, "limits": {"memory": 128}}).to_string();
        self.request("PUT", &format!("/actions/{name}?overwrite=true"), &body)
            .once()?;
        Ok(())
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // SAFETY: the child was not waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        // Whether it ended well is not what is measured here.
        let _ = self.child.wait();
    }
}

/// An action of the echo kind.
pub fn echo() -> Value {
    json!({"kind": "echo:1", "code": "-"})
}

/// An action of the reference-like Node runtime.
pub fn runtime() -> Value {
    json!({"kind": "runtime:1", "code": "function main(args) { return args; }"})
}

/// A manifest whose kinds are the baselines themselves, so that a direct call and a call through the platform end in the
/// same program, beside the platform's own kinds.
fn manifest_text() -> Result<String> {
    let me = std::env::current_exe()?;
    let kind = |kind: &str, program: Value| {
        json!([{"kind": kind, "default": true, "sentinelledLogs": false, "image": {"name": kind.replace(':', "-")},
                "process": {"program": program}}])
    };
    let own: Value = serde_json::from_str(include_str!("../../../runtimes/manifest.json"))?;
    let mut runtimes = own["runtimes"].clone();
    runtimes["echo"] = kind("echo:1", json!([me, "echo"]));
    runtimes["runtime"] = kind("runtime:1", json!(runtime_command()));
    Ok(json!({"runtimes": runtimes, "blackboxes": own["blackboxes"]}).to_string())
}

fn config_text(manifest: &Path, settings: Settings) -> Result<String> {
    let script = runtime_script();
    let mut shown: Vec<PathBuf> = vec![script.parent().context("a folder")?.to_owned()];
    shown.extend(modules());
    let Settings {
        pool_mb,
        pause_grace_ms,
    } = settings;
    Ok(format!(
        "manifest = {manifest:?}\n[invoker]\nmemory_mb = {pool_mb}\npause_grace_ms = {pause_grace_ms}\n\
         [containers.process]\nshown = {shown:?}\n"
    ))
}
