//! A proxy under test and what its clients and its log reader see.

use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

pub const SENTINEL: &str = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

/// A started proxy. It is killed when dropped.
pub struct Proxy {
    pub dir: TempDir,
    pub child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
    sentinel: String,
}

/// Status and body; `None` where the connection broke.
pub type Answer = Option<(u16, String)>;

/// The lines of one activation.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Log {
    pub out: Vec<String>,
    pub err: Vec<String>,
}

impl Log {
    pub fn has_error_line(&self, start: &str) -> bool {
        self.err.iter().any(|line| line.starts_with(start))
    }
}

/// Whether a program is on the path; its absence is an error only on the project's own machines.
pub fn available(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "{program} is missing"
    );
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

impl Proxy {
    pub async fn start(arguments: &[&str]) -> Proxy {
        Proxy::start_with(arguments, &[]).await
    }

    pub async fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Proxy {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsk-proxy"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", dir.path())
            .env("TMPDIR", dir.path())
            .env("__OW_API_HOST", "https://api:443")
            .env("WSK_PROXY_SOCKET", dir.path().join("socket"))
            .envs(variables.iter().copied())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        let sentinel = variables
            .iter()
            .find(|(n, _)| *n == "WSK_LOG_SENTINEL")
            .map_or(SENTINEL, |(_, v)| v)
            .to_owned();
        Proxy {
            dir,
            child,
            out,
            err,
            sentinel,
        }
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("socket")
    }

    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        post(&self.socket(), path, body.into()).await
    }

    pub async fn init_value(&self, value: Value) -> Answer {
        self.post("/init", json!({ "value": value }).to_string()).await
    }

    pub async fn init(&self, code: &str) -> Answer {
        self.init_value(json!({"name": "test", "main": "main", "code": code, "binary": false}))
            .await
    }

    pub async fn init_archive(&self, archive: &[u8], main: &str) -> Answer {
        self.init_value(json!({"name": "test", "main": main, "code": STANDARD.encode(archive), "binary": true}))
            .await
    }

    pub async fn run(&self, value: Value) -> Answer {
        self.run_with(value, json!({})).await
    }

    pub async fn run_with(&self, value: Value, mut context: Value) -> Answer {
        context["value"] = value;
        self.post("/run", context.to_string()).await
    }

    /// The lines up to the next end mark on both streams.
    pub async fn log(&mut self) -> Log {
        let Proxy { out, err, sentinel, .. } = self;
        let (out, err) = tokio::join!(until(out, sentinel), until(err, sentinel));
        Log { out, err }
    }

    /// One line of stderr outside any activation.
    pub async fn error_line(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.err.next_line())
            .await
            .expect("a line in time")
            .unwrap()
            .expect("a line")
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn until(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>, sentinel: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        match line.unwrap_or_else(|_| panic!("no end mark after {seen:?}")).unwrap() {
            Some(line) if line == sentinel => return seen,
            Some(line) => seen.push(line),
            None => panic!("the stream ended after {seen:?}"),
        }
    }
}

/// Connects when the socket is there and sends one request.
pub async fn post(socket: &Path, path: &str, body: Bytes) -> Answer {
    let stream = tokio::time::timeout(PATIENCE, async {
        loop {
            match UnixStream::connect(socket).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    });
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream.await.expect("a listener")))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::post(path)
        .header("host", "proxy")
        .header("content-type", "application/json");
    let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.ok()?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

pub fn answer(status: u16, body: &str) -> Answer {
    Some((status, body.to_owned()))
}

/// `{"error":text}` as the nodejs runtime writes it.
pub fn error(status: u16, text: &str) -> Answer {
    Some((status, json!({ "error": text }).to_string()))
}

/// The same as the ActionLoop proxy writes it.
pub fn error_line(status: u16, text: &str) -> Answer {
    Some((status, json!({ "error": text }).to_string() + "\n"))
}

pub fn value(answer: &Answer) -> Value {
    let (status, body) = answer.as_ref().expect("an answer");
    assert_eq!(*status, 200, "{body}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}"))
}

pub fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default().unix_permissions(0o755))
            .unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn tar_gz(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

/// An archive of one file of 48 MB, stored as it is.
pub fn big_zip(name: &str, start: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file(name, options).unwrap();
    writer.write_all(start.as_bytes()).unwrap();
    writer.start_file("filler", options).unwrap();
    writer.write_all(&vec![b'x'; 47 << 20]).unwrap();
    writer.finish().unwrap().into_inner()
}
