//! Node.js: the states, status codes and texts of OpenWhisk's nodejs runtime in front of the launcher.
//!
//! The launcher evaluates code and calls it; archives are unpacked here. Unlike upstream, `npm install` is awaited, the
//! log's end mark follows the answer, and a process that dies breaks the connection at once.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard};

use crate::channel::{self, Answer, Channel, LAUNCHER_FD};
use crate::child::{Child, Nursery, Program};
use crate::code::{Shape, decode};
use crate::init_request::{Field, InitRequest};
use crate::logs::{Logs, Side};
use crate::settings::Settings;
use crate::workspace::{Workspace, folder};
use crate::{Error, Reply, archive};

pub const BAD_REQUEST: &str = "Bad request.";

/// The launcher. Its files require one another in the order in which upstream's do, which is what users see as the
/// `Require stack` of a missing module.
const FILES: [(&str, &str); 3] = [
    ("app.js", include_str!("../../nodejs/app.js")),
    ("src/service.js", include_str!("../../nodejs/src/service.js")),
    ("runner.js", include_str!("../../nodejs/runner.js")),
];
/// Where upstream's image runs; used when the container has it.
const HOME: &str = "/nodejsAction";
const UNSUPPORTED: &str = "There was an error uncompressing the action archive. The file type is unsupported";
/// How long a process whose channel has closed may take to end before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One container's Node.js.
#[derive(Debug)]
pub struct Runtime {
    settings: Arc<Settings>,
    workspace: Workspace,
    home: PathBuf,
    logs: Logs,
    channel: Channel,
    child: Child,
    state: Arc<Mutex<State>>,
    /// Held from the start of an activation until its log is closed, unless several may run at a time.
    turn: Arc<AsyncMutex<()>>,
    over: Arc<Notify>,
}

/// As upstream names them in its refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ready,
    Starting,
    Running,
    Stopped,
}

#[derive(Debug)]
struct State {
    status: Status,
    initialised: bool,
    /// The activation that caused the init has not run yet: its log is open.
    first: bool,
    /// Requests that wait for the launcher.
    under_way: usize,
}

/// An archive's place, or why there is none.
type Unpacked = Result<PathBuf, String>;

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Ready => "ready",
            Status::Starting => "starting",
            Status::Running => "running",
            Status::Stopped => "stopped",
        }
    }
}

impl Runtime {
    /// Starts `interpreter` (default `node`) with the launcher.
    pub async fn start(settings: Arc<Settings>, interpreter: Option<String>, over: Arc<Notify>) -> Result<Self, Error> {
        check_platform(&settings)?;
        let workspace = Workspace::create(&settings.environment)?;
        let home = if Path::new(HOME).is_dir() {
            PathBuf::from(HOME)
        } else {
            workspace.root().to_owned()
        };
        let script = install(&home, workspace.root())?;
        let logs = Logs::to_standard(&settings.sentinel);
        let command = interpreter.unwrap_or_else(|| "node".to_owned());
        let (channel, child) = start_launcher(&command, script, &home, &settings.environment, &logs).await?;
        let state = Arc::new(Mutex::new(State {
            status: Status::Ready,
            initialised: false,
            first: true,
            under_way: 0,
        }));
        tokio::spawn(watch(child.ended(), state.clone(), over.clone()));
        Ok(Runtime {
            settings,
            workspace,
            home,
            logs,
            channel,
            child,
            state,
            turn: Arc::default(),
            over,
        })
    }

    pub async fn init(&self, body: Bytes) -> Reply {
        let Ok(request) = InitRequest::parse(&body) else {
            return Reply::error(500, BAD_REQUEST);
        };
        if let Err(refusal) = self.enter(Status::Starting, false) {
            return self.refuse(&refusal).await;
        }
        let (Field::Text(main), Field::Text(code)) = (&request.main, &request.code) else {
            return self.nothing_to_run();
        };
        if main.is_empty() || code.is_empty() {
            return self.nothing_to_run();
        }
        self.logs.open().await;
        let message = if request.binary {
            match self.unpack(code) {
                Ok(dir) => archive_message(main, &dir, &request.env),
                Err(why) => return self.init_failed(&why).await,
            }
        } else {
            request.value.to_owned()
        };
        drop(request);
        drop(body);
        match self.channel.call(channel::INIT, message.as_bytes()).await {
            Some(answer) => self.initialised(answer).await,
            None => self.died().await,
        }
    }

    pub async fn run(&self, body: Bytes) -> Reply {
        if !starts_with_object(&body) {
            return Reply::error(500, BAD_REQUEST);
        }
        if let Err(refusal) = self.enter(Status::Running, true) {
            return self.refuse(&refusal).await;
        }
        let turn = if self.settings.concurrent {
            None
        } else {
            Some(self.turn.clone().lock_owned().await)
        };
        if !self.is_first() {
            self.logs.open().await;
        }
        match self.channel.call(channel::RUN, &body).await {
            Some(answer) => self.answered(answer, turn),
            None => self.died().await,
        }
    }

    /// Moves to `status` when the present one allows it; else the text of the refusal.
    fn enter(&self, status: Status, initialised: bool) -> Result<(), String> {
        let mut state = self.state.lock().expect("no panic while held");
        if state.status == Status::Ready && state.initialised == initialised {
            if !(self.settings.concurrent && status == Status::Running) {
                state.status = status;
            }
            state.under_way += 1;
            return Ok(());
        }
        Err(match (initialised, state.initialised) {
            (false, true) => "Cannot initialize the action more than once.".to_owned(),
            (true, false) => "System not initialized.".to_owned(),
            (false, false) | (true, true) => format!("System not ready, status is {}.", state.status.name()),
        })
    }

    fn leave(&self, status: Status) {
        let mut state = self.state.lock().expect("no panic while held");
        state.under_way = state.under_way.saturating_sub(1);
        if state.status != Status::Stopped {
            state.status = status;
        }
    }

    fn is_first(&self) -> bool {
        std::mem::take(&mut self.state.lock().expect("no panic while held").first)
    }

    async fn refuse(&self, text: &str) -> Reply {
        self.logs
            .note(Side::Stderr, &format!("Internal system error: {text}"))
            .await;
        Reply::error(403, text)
    }

    fn nothing_to_run(&self) -> Reply {
        self.leave(Status::Ready);
        Reply::error(403, "Missing main/no code to execute.")
    }

    async fn initialised(&self, answer: Answer) -> Reply {
        if answer.status == 200 {
            self.state.lock().expect("no panic while held").initialised = true;
            self.leave(Status::Ready);
        } else {
            self.leave(Status::Stopped);
            self.logs.close().await;
        }
        Reply::new(answer.status, answer.body)
    }

    async fn init_failed(&self, why: &str) -> Reply {
        self.leave(Status::Stopped);
        self.logs
            .note(Side::Stderr, &format!("Error during initialization: {why}"))
            .await;
        self.logs.close().await;
        Reply::error(502, &format!("Initialization has failed due to: {why}"))
    }

    /// The answer goes out first; the log is closed right after it.
    fn answered(&self, answer: Answer, turn: Option<OwnedMutexGuard<()>>) -> Reply {
        self.leave(if answer.stopped { Status::Stopped } else { Status::Ready });
        let logs = self.logs.clone();
        tokio::spawn(async move {
            logs.close().await;
            drop(turn);
        });
        Reply::new(answer.status, answer.body)
    }

    /// The process ended instead of answering, as upstream's container would have.
    async fn died(&self) -> Reply {
        self.leave(Status::Stopped);
        self.child.last_words(LAST_WORDS).await;
        self.logs.close().await;
        self.over.notify_one();
        Reply::Hangup
    }

    fn unpack(&self, code: &str) -> Unpacked {
        let Ok(data) = decode(code) else {
            return Err(UNSUPPORTED.to_owned());
        };
        let (unpack, kind): (fn(&[u8], &Path, u64) -> _, _) = match Shape::of(&data) {
            Shape::Zip if data[2] == 3 => (archive::unzip, "Zip"),
            Shape::Gzip => (archive::untar, "Tar GZ"),
            Shape::Zip | Shape::Elf | Shape::Script | Shape::Other => return Err(UNSUPPORTED.to_owned()),
        };
        let dir = self.fresh_folder().map_err(|e| e.to_string())?;
        unpack(&data, &dir, self.settings.max_unpacked).map_err(|error| {
            let text = format!("There was an error uncompressing the action {kind} archive.");
            match error {
                archive::Error::Damaged(_) => text,
                archive::Error::Outside(_)
                | archive::Error::TooLarge(_)
                | archive::Error::TooMany
                | archive::Error::Write { .. } => format!("{text} The cause: {error}."),
            }
        })?;
        Ok(dir)
    }

    /// In the home folder where it can be written, as upstream does; else in the temporary one.
    fn fresh_folder(&self) -> Result<PathBuf, Error> {
        if let Ok(made) = nix::unistd::mkdtemp(&self.home.join("actionXXXXXX")) {
            return Ok(made.canonicalize().unwrap_or(made));
        }
        let dir = self.workspace.root().join("action");
        folder(&dir)?;
        Ok(dir)
    }
}

async fn start_launcher(
    command: &str,
    script: PathBuf,
    folder: &Path,
    environment: &[(OsString, OsString)],
    logs: &Logs,
) -> Result<(Channel, Child), Error> {
    let failed = |source| Error::Start {
        program: command.to_owned(),
        source,
    };
    let (channel, theirs) = Channel::pair().map_err(failed)?;
    let program = Program {
        command: command.as_ref(),
        arguments: vec![script.into()],
        environment,
        folder,
        handed: Some((theirs, LAUNCHER_FD as RawFd)),
        stdin: Stdio::null(),
    };
    let mut child = Nursery::new()?.start(program).map_err(failed)?;
    logs.attach(child.stdout.take(), child.stderr.take())
        .await
        .map_err(failed)?;
    Ok((channel, child))
}

/// A process that ends while nobody waits for it ends the container, so that the platform sees at once that it is gone. One
/// that ends before its first activation is left for that activation to find, whose failure it is.
async fn watch(ended: impl Future<Output = ()>, state: Arc<Mutex<State>>, over: Arc<Notify>) {
    ended.await;
    let state = state.lock().expect("no panic while held");
    if state.under_way == 0 && !state.first {
        over.notify_one();
    }
}

/// Where the launcher is: in the home folder when it is there or can be put there, so that the modules beside it are found;
/// else in the temporary one.
fn install(home: &Path, temporary: &Path) -> Result<PathBuf, Error> {
    let present = |dir: &Path| {
        FILES
            .iter()
            .all(|(name, text)| std::fs::read(dir.join(name)).is_ok_and(|is| is == text.as_bytes()))
    };
    if !present(home) && write_files(home).is_err() {
        write_files(temporary)?;
        return Ok(temporary.join(FILES[0].0));
    }
    Ok(home.join(FILES[0].0))
}

fn write_files(dir: &Path) -> Result<(), Error> {
    folder(&dir.join("src"))?;
    for (name, text) in FILES {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|source| Error::Folder { path, source })?;
    }
    Ok(())
}

fn check_platform(settings: &Settings) -> Result<(), Error> {
    match settings.variable("__OW_RUNTIME_PLATFORM").as_deref() {
        None | Some("" | "openwhisk" | "knative") => Ok(()),
        Some(other) => Err(Error::Setting {
            name: "__OW_RUNTIME_PLATFORM",
            expected: "openwhisk or knative",
            value: other.to_owned(),
        }),
    }
}

fn archive_message(main: &str, dir: &Path, env: &[(String, String)]) -> String {
    let env: serde_json::Map<String, serde_json::Value> = env
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    serde_json::json!({ "main": main, "dir": dir.to_string_lossy(), "env": env }).to_string()
}

/// The rest of the body is the launcher's to parse.
fn starts_with_object(body: &[u8]) -> bool {
    body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}
