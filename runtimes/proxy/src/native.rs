//! Native actions: what `dockerskeleton` does with a program that is started once per activation.
//!
//! The argument is given as `argv[1]` where it fits and always on stdin; the last line of stdout is the result, the lines
//! before it and stderr are the log. Unlike the original, variables of the init are exported, and a bare executable may
//! be uploaded as base64.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::action_loop::{BUILD_FAILED, MORE_THAN_ONCE, NOT_A_DICTIONARY};
use crate::archive;
use crate::child::{Child, Nursery, Program};
use crate::code::{Shape, decode};
use crate::init_request::{Field, InitRequest};
use crate::logs::{Logs, Side};
use crate::settings::Settings;
use crate::workspace::{Workspace, folder};
use crate::{Error, Reply};

/// The folder of images made for this runtime.
const IMAGE_FOLDER: &str = "/action";
const STUB: &str = "This is a stub action. Replace it with custom logic.";
const NO_BINARY: &str = "The action failed to locate a binary. See logs for details.";
/// Linux' limit for one argument, without its terminating zero.
const MAX_ARGUMENT: usize = 131_071;

/// One container with one program.
#[derive(Debug)]
pub struct Runtime {
    settings: Arc<Settings>,
    workspace: Workspace,
    nursery: Nursery,
    logs: Logs,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Where `exec` is, once initialised.
    action: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    first: bool,
}

/// How a program ended.
enum Outcome {
    /// The last line it printed.
    Line(Vec<u8>),
    NotStarted(std::io::Error),
}

impl Runtime {
    pub fn start(settings: Arc<Settings>) -> Result<Self, Error> {
        let state = State {
            action: None,
            environment: settings.environment.clone(),
            first: true,
        };
        Ok(Runtime {
            workspace: Workspace::create(&settings.environment)?,
            nursery: Nursery::new()?,
            logs: Logs::to_standard(&settings.sentinel),
            settings,
            state: Arc::new(Mutex::new(state)),
        })
    }

    pub async fn init(&self, body: Bytes) -> Reply {
        let mut state = self.state.lock().await;
        let reinit = self.settings.variable("PROXY_ALLOW_REINIT").as_deref() == Some("1");
        if state.action.is_some() && !reinit {
            self.logs.note(Side::Stderr, MORE_THAN_ONCE).await;
            return Reply::error(403, MORE_THAN_ONCE);
        }
        let request = match InitRequest::parse(&body) {
            Ok(request) => request,
            Err(why) => return Reply::error(400, &format!("The body of the request is not valid: {why}.")),
        };
        self.logs.open().await;
        match self.place(&request) {
            Ok(action) => {
                state.action = Some(action);
                set(
                    &mut state.environment,
                    request.env.iter().map(|(n, v)| (n.as_str(), v.as_str())),
                );
                state.first = true;
                Reply::new(200, "OK")
            }
            Err(why) => {
                self.logs.note(Side::Stderr, &why).await;
                self.logs.close().await;
                Reply::error(502, BUILD_FAILED)
            }
        }
    }

    pub async fn run(&self, body: Bytes) -> Reply {
        let mut state = self.state.clone().lock_owned().await;
        // As they are written: arguments may be nested deeper than a tree of them is read.
        let request: BTreeMap<String, &RawValue> = serde_json::from_slice(&body).unwrap_or_default();
        let Some(value) = request.get("value") else {
            return Reply::error(404, "The action did not receive a dictionary or array as an argument.");
        };
        if !value.get().starts_with(['{', '[']) {
            return Reply::error(404, "The action did not receive a dictionary or array as an argument.");
        }
        if !std::mem::take(&mut state.first) || state.action.is_none() {
            self.logs.open().await;
        }
        let context = request.iter().filter(|(name, _)| *name != "value");
        let context = context.filter_map(|(name, value)| {
            let text: String = serde_json::from_str(value.get()).ok()?;
            Some((format!("__OW_{}", name.to_uppercase()), text))
        });
        let context: Vec<_> = context.collect();
        set(
            &mut state.environment,
            context.iter().map(|(n, v)| (n.as_str(), v.as_str())),
        );
        let action = state.action.clone().unwrap_or_else(|| IMAGE_FOLDER.into());
        if !action.join("exec").exists() {
            let reply = if state.action.is_some() {
                Reply::error(200, STUB)
            } else {
                Reply::error(502, NO_BINARY)
            };
            return self.answered(reply, state);
        }
        let reply = match self.execute(&action, &state.environment, value.get()).await {
            Outcome::Line(line) => self.judge(&line).await,
            Outcome::NotStarted(error) => self.judge(start_error(&error, &action).as_bytes()).await,
        };
        self.answered(reply, state)
    }

    /// The answer goes out first; the log is closed right after it.
    fn answered(&self, reply: Reply, state: OwnedMutexGuard<State>) -> Reply {
        let logs = self.logs.clone();
        tokio::spawn(async move {
            logs.close().await;
            drop(state);
        });
        reply
    }

    async fn judge(&self, line: &[u8]) -> Reply {
        let text = line.trim_ascii();
        let structured = matches!(text.first(), Some(b'{' | b'['));
        if structured && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() {
            return Reply::new(200, Bytes::copy_from_slice(text));
        }
        self.logs.settle().await;
        self.logs.write(Side::Stdout, &[text, b"\n"].concat()).await;
        Reply::error(502, NOT_A_DICTIONARY)
    }

    /// The folder in which `exec` is; else what is wrong with the upload.
    fn place(&self, request: &InitRequest<'_>) -> Result<PathBuf, String> {
        let code = match &request.code {
            Field::Text(code) if !code.is_empty() => code,
            Field::Text(_) | Field::Absent => return Ok(IMAGE_FOLDER.into()),
            Field::Other => return Err("The code of the action must be a string.".to_owned()),
        };
        let action = self.action_folder().map_err(|e| e.to_string())?;
        if request.binary {
            let data = decode(code).map_err(|why| format!("The code of the action is no base64: {why}."))?;
            self.extract(&data, &action)?;
        } else {
            write_executable(&action.join("exec"), code.as_bytes())?;
        }
        let exec = action.join("exec");
        match fs::metadata(&exec) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(action),
            Ok(_) => Err("The file 'exec' of the action is not executable.".to_owned()),
            Err(_) => Err("The action has no file 'exec' at the root of its archive.".to_owned()),
        }
    }

    fn extract(&self, data: &[u8], action: &Path) -> Result<(), String> {
        let limit = self.settings.max_unpacked;
        let unpacked = match Shape::of(data) {
            Shape::Zip => archive::unzip(data, action, limit),
            Shape::Gzip => archive::untar(data, action, limit),
            Shape::Elf | Shape::Script => return write_executable(&action.join("exec"), data),
            Shape::Other => return Err("The code of the action is neither an archive nor a program.".to_owned()),
        };
        unpacked.map_err(|error| format!("The archive of the action cannot be unpacked: {error}."))
    }

    /// `/action` of the image where it can be written, else a temporary folder.
    fn action_folder(&self) -> Result<PathBuf, Error> {
        if nix::unistd::access(IMAGE_FOLDER, nix::unistd::AccessFlags::W_OK).is_ok() {
            return Ok(IMAGE_FOLDER.into());
        }
        let action = self.workspace.root().join("action");
        folder(&action)?;
        Ok(action)
    }

    async fn execute(&self, action: &Path, environment: &[(OsString, OsString)], value: &str) -> Outcome {
        let exec = action.join("exec");
        let argument = (value.len() <= MAX_ARGUMENT).then(|| value.into());
        let started = self.nursery.start(Program {
            command: exec.as_os_str(),
            arguments: argument.into_iter().collect(),
            environment,
            folder: action,
            handed: None,
            stdin: Stdio::piped(),
        });
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return Outcome::NotStarted(error),
        };
        if let Err(error) = self.logs.attach(None, child.stderr.take()).await {
            return Outcome::NotStarted(error);
        }
        match self.converse(&mut child, value).await {
            Ok(line) => Outcome::Line(line),
            Err(error) => Outcome::NotStarted(error),
        }
    }

    /// Feeds stdin and reads stdout until the program has ended; all but the last line goes to the log.
    async fn converse(&self, child: &mut Child, value: &str) -> std::io::Result<Vec<u8>> {
        let mut stdin = pipe::Sender::from_owned_fd(taken(&mut child.stdin))?;
        let mut stdout = pipe::Receiver::from_owned_fd(taken(&mut child.stdout))?;
        let feed = async {
            // A program need not read its input.
            let _ = stdin.write_all(value.as_bytes()).await;
            drop(stdin);
            std::future::pending::<()>().await
        };
        let read = async {
            let mut held = Vec::new();
            let mut chunk = vec![0; 16 * 1024];
            loop {
                let count = tokio::select! {
                    biased;
                    count = stdout.read(&mut chunk) => count?,
                    // Children of the program may hold the pipe open: what it has written itself is all there is.
                    () = child.ended() => stdout.try_read(&mut chunk).unwrap_or(0),
                };
                if count == 0 {
                    return Ok(held);
                }
                self.log_all_but_last(&mut held, &chunk[..count]).await;
            }
        };
        let line = tokio::select! {
            line = read => line,
            () = feed => Ok(Vec::new()),
        };
        if line.is_ok() {
            child.ended().await;
        }
        line
    }

    /// `held` keeps the last line, with its newline if it has one.
    async fn log_all_but_last(&self, held: &mut Vec<u8>, chunk: &[u8]) {
        held.extend_from_slice(chunk);
        let body = held.len() - 1;
        if let Some(end) = memchr::memrchr(b'\n', &held[..body]) {
            self.logs.write(Side::Stdout, &held[..=end]).await;
            held.drain(..=end);
        }
    }
}

fn taken(fd: &mut Option<OwnedFd>) -> OwnedFd {
    fd.take().expect("was asked to be a pipe")
}

fn set<'a>(environment: &mut Vec<(OsString, OsString)>, values: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in values {
        match environment.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value.into(),
            None => environment.push((name.into(), value.into())),
        }
    }
}

fn write_executable(path: &Path, data: &[u8]) -> Result<(), String> {
    let _ = fs::remove_file(path);
    fs::write(path, data).map_err(|e| format!("The action's program cannot be written: {e}."))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())
}

/// As the original's interpreter words it.
fn start_error(error: &std::io::Error, action: &Path) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    let text = nix::errno::Errno::from_raw(number).desc();
    format!("[Errno {number}] {text}: '{}'", action.join("exec").display())
}
