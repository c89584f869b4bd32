//! A platform of our own for each test, and a plain HTTP client to talk to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::wait;

/// Generous: the machine may be busy with other tests.
pub const LONG: Duration = Duration::from_secs(60);

/// A data folder with a platform on it.
pub struct Platform {
    child: Child,
    pub folder: Folder,
    /// `127.0.0.1:PORT`.
    pub address: String,
    authorization: String,
}

/// A data folder that outlives the platforms started on it.
pub struct Folder {
    dir: TempDir,
    config: Option<String>,
    environment: Vec<(&'static str, String)>,
}

/// The error of a request for which there was no connection, so that nothing was sent.
#[derive(Debug, Clone, Copy)]
pub struct Unreached;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

/// One of the built programs.
pub fn program(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("the test program has a path");
    let folder = me
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/PROFILE/deps");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is not built; `make test` does that",
        program.display()
    );
    program
}

impl Folder {
    pub fn new() -> Folder {
        Folder {
            dir: tempfile::tempdir().expect("a temporary folder"),
            config: None,
            environment: Vec::new(),
        }
    }

    /// A folder whose platforms run with this configuration file.
    pub fn with_config(text: &str) -> Folder {
        Folder {
            config: Some(text.to_owned()),
            ..Folder::new()
        }
    }

    /// The same folder, whose platforms get a variable as well.
    pub fn with_variable(mut self, name: &'static str, value: &str) -> Folder {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command line that serves this folder.
    pub fn serve(&self) -> Command {
        let mut command = Command::new(program("ferrowhisk"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(text) = &self.config {
            let file = self.file("ferrowhisk.toml");
            std::fs::write(&file, text).expect("a configuration file");
            command.arg("--config").arg(file);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts a platform and waits until it answers.
    pub async fn start(self) -> Platform {
        let url = self.path().join("api.url");
        if url.exists() {
            std::fs::remove_file(&url).expect("an old address");
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .expect("a log file");
        let mut child = self
            .serve()
            .stderr(Stdio::from(log))
            .spawn()
            .expect("ferrowhisk starts");
        let address = wait::until(LONG, async || match std::fs::read_to_string(&url) {
            Ok(text) if text.ends_with('\n') => Ok(text.trim().trim_start_matches("http://").to_owned()),
            Ok(_) | Err(_) => match child.try_wait() {
                Ok(Some(status)) => panic!("ferrowhisk ended with {status}:\n{}", self.log()),
                Ok(None) | Err(_) => Err(format!("no address yet; log:\n{}", self.log())),
            },
        })
        .await;
        let key = std::fs::read_to_string(self.path().join("guest.auth")).expect("the guest key");
        Platform {
            child,
            folder: self,
            address,
            authorization: basic(key.trim()),
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

fn basic(key: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(key))
}

impl Platform {
    pub async fn start() -> Platform {
        Folder::new().start().await
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("the platform runs") as i32)
    }

    /// What the guest sends as `Authorization`.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// The key of the namespace `guest`.
    pub fn key(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("guest.auth"))
            .expect("the guest key")
            .trim()
            .to_owned()
    }

    /// Ends it as `kill -9` does, and gives the folder back.
    pub async fn kill(mut self) -> Folder {
        self.child.kill().await.expect("a process to kill");
        self.folder
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a process to signal");
    }

    /// Waits for its end; gives the exit code.
    pub async fn ended(mut self) -> (Option<i32>, Folder) {
        let status = tokio::time::timeout(LONG, self.child.wait())
            .await
            .expect("it ends")
            .expect("a status");
        (status.code(), self.folder)
    }

    /// A request with the guest's key below the caller's namespace.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let text = body.map(Value::to_string);
        self.send(
            method,
            &format!("/api/v1/namespaces/_{path}"),
            Some(&self.authorization),
            text,
        )
        .await
        .unwrap_or_else(|e| panic!("{path}: {e}; log:\n{}", self.folder.log()))
    }

    /// A request as it is; errors are those of the connection, [`Unreached`] when there was none.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        authorization: Option<&str>,
        body: Option<String>,
    ) -> anyhow::Result<Answer> {
        exchange(&self.address, self.request(method, target, authorization, body)?).await
    }

    /// A request as it is, to be sent.
    pub fn request(
        &self,
        method: Method,
        target: &str,
        authorization: Option<&str>,
        body: Option<String>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", &self.address);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::from(body.unwrap_or_default()))?)
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await.json()
    }

    /// Creates or replaces an action; fails on anything but 200.
    pub async fn put_action(&self, name: &str, exec: Value, limits: Value) {
        let body = json!({"exec": exec, "limits": limits});
        let answer = self
            .call(Method::PUT, &format!("/actions/{name}?overwrite=true"), Some(&body))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// A blocking invoke; the activation, whatever its status.
    pub async fn invoke(&self, name: &str, arguments: &Value) -> Answer {
        self.call(Method::POST, &format!("/actions/{name}?blocking=true"), Some(arguments))
            .await
    }

    /// The stored record, once it is there.
    pub async fn record(&self, id: &str) -> Value {
        wait::until(LONG, async || {
            let answer = self.call(Method::GET, &format!("/activations/{id}"), None).await;
            if answer.status == 200 {
                Ok(answer.json())
            } else {
                Err(format!("no record of {id}: {answer:?}"))
            }
        })
        .await
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The activation id of an answer that started one.
    pub fn activation_id(&self) -> String {
        self.json()["activationId"]
            .as_str()
            .unwrap_or_else(|| panic!("no activation id: {self:?}"))
            .to_owned()
    }
}

/// A plain request to any address.
pub async fn get(address: &str, target: &str) -> Answer {
    let request = Request::builder().uri(target).header("host", address);
    let request = request.body(Full::default()).expect("a request");
    exchange(address, request).await.expect("an answer")
}

/// One request on a connection of its own.
pub async fn exchange(address: &str, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address).await.context(Unreached)?;
    exchange_over(stream, request).await
}

/// One request on a connection that was made for it.
pub async fn exchange_over(stream: TcpStream, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = tokio::time::timeout(LONG * 2, sender.send_request(request)).await??;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Answer {
        status: status(head.status),
        headers: head.headers,
        body,
    })
}

fn status(status: StatusCode) -> u16 {
    status.as_u16()
}

/// An action of the native kind: a shell script.
pub fn shell(script: &str) -> Value {
    json!({"kind": "blackbox", "image": "openwhisk/dockerskeleton", "code": format!("#!/bin/sh\n{script}\n")})
}

pub fn node(code: &str) -> Value {
    json!({"kind": "nodejs:default", "code": code})
}

pub fn python(code: &str) -> Value {
    json!({"kind": "python:default", "code": code})
}

/// The first of the interpreters that the managed kinds run on, node and python3, which is not on this machine.
pub fn missing_interpreter() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |name: &&str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    ["node", "python3"].into_iter().find(|name| !found(name))
}

/// Ends a test whose actions are of a managed kind where the kind's interpreter is not there.
macro_rules! needs_interpreters {
    () => {
        if let Some(missing) = $crate::harness::missing_interpreter() {
            return $crate::harness::skip(&format!(
                "there is no {missing} here, which actions of this test run on"
            ));
        }
    };
}

/// Announces a test that cannot be; fails where everything must be there.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}
