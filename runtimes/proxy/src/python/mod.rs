//! Python: what OpenWhisk's python image does (its proxy, its build step and its launcher) with the interpreter already
//! running when the code arrives.
//!
//! The folder of an action is laid out as upstream's: `action/<n>/bin` with `exec`, `exec.env`, `exec__.py` and
//! `main__.py`. Code that the kernel can run is started as an ActionLoop program, if it was built for this environment.
//! Unlike upstream, streams are line-buffered, stdin is at its end, and an archive that cannot be unpacked says why.

mod folder;

use std::ffi::OsString;
use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::folder::{install_requirements, is_executable, lay_out, place};
use crate::action_loop::{
    BUILD_FAILED, EXITED, MORE_THAN_ONCE, NO_ACTION, NO_CODE, OK, PROXY_VERSION, START_FAILED, answer_reply,
};
use crate::channel::{self, Answer, Channel, LAUNCHER_FD};
use crate::child::{Child, Nursery, Program};
use crate::code::decode;
use crate::init_request::{Field, InitRequest};
use crate::logs::{Logs, Side};
use crate::program::{LoopProgram, StartFailure};
use crate::settings::Settings;
use crate::workspace::{self, Workspace};
use crate::{Error, Reply, archive};

const LAUNCHER: &str = include_str!("../../../python/launcher.py");
const EXECUTION_ENV: &str = "openwhisk/action-python-v3.11";
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One container's Python.
#[derive(Debug)]
pub struct Runtime {
    settings: Arc<Settings>,
    interpreter: String,
    workspace: Workspace,
    nursery: Nursery,
    logs: Logs,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Number of the action folder the next init uses.
    number: usize,
    /// An interpreter that waits for code.
    stem: Option<Launcher>,
    engine: Option<Engine>,
    /// The activation that caused the init has not run yet: its log is open.
    first: bool,
}

#[derive(Debug)]
enum Engine {
    Launcher(Launcher),
    Program(LoopProgram),
}

#[derive(Debug)]
struct Launcher {
    channel: Channel,
    child: Child,
}

/// Why an init did not succeed.
enum Failure {
    /// The build step said what is wrong; the launcher has written it to the log already where the text is `None`.
    Build(Option<String>),
    /// The archive was refused.
    Archive(archive::Error),
    Start(StartFailure),
    System(Error),
}

impl Runtime {
    /// Starts `interpreter` (default `python3`) with the launcher.
    pub async fn start(settings: Arc<Settings>, interpreter: Option<String>) -> Result<Self, Error> {
        let workspace = Workspace::create(&settings.environment)?;
        let logs = Logs::to_standard(&settings.sentinel);
        let nursery = Nursery::new()?;
        let state = State {
            number: 1,
            stem: None,
            engine: None,
            first: true,
        };
        let interpreter = interpreter.unwrap_or_else(|| "python3".to_owned());
        let runtime = Runtime {
            settings,
            interpreter,
            workspace,
            nursery,
            logs,
            state: Arc::new(Mutex::new(state)),
        };
        let stem = runtime.start_launcher(1).await?;
        runtime.state.lock().await.stem = Some(stem);
        Ok(runtime)
    }

    pub async fn init(&self, body: Bytes) -> Reply {
        let mut state = self.state.lock().await;
        if state.engine.is_some() {
            self.logs.note(Side::Stderr, MORE_THAN_ONCE).await;
            return Reply::error_line(403, MORE_THAN_ONCE);
        }
        let request = match InitRequest::parse(&body) {
            Ok(request) => request,
            Err(why) => return Reply::error_line(400, &format!("Error unmarshaling request: {why}")),
        };
        let code = match &request.code {
            Field::Text(code) if !code.is_empty() => code,
            Field::Text(_) | Field::Absent => return Reply::error_line(403, NO_CODE),
            Field::Other => return Reply::error_line(400, "Error unmarshaling request: code must be a string"),
        };
        let data = if request.binary {
            match decode(code) {
                Ok(data) => data,
                Err(why) => return Reply::error_line(400, &format!("cannot decode the request: {why}")),
            }
        } else {
            code.as_bytes().to_vec()
        };
        let main = match &request.main {
            Field::Text(main) if !main.is_empty() => main.to_string(),
            Field::Text(_) | Field::Absent | Field::Other => "main".to_owned(),
        };
        self.logs.open().await;
        match self.prepare(&mut state, data, &main, &request.env).await {
            Ok(engine) => {
                state.engine = Some(engine);
                Reply::new(200, OK)
            }
            Err(failure) => {
                state.number += 1;
                state.stem = None;
                self.init_failed(failure).await
            }
        }
    }

    pub async fn run(&self, body: Bytes) -> Reply {
        let mut state = self.state.clone().lock_owned().await;
        let first = std::mem::take(&mut state.first);
        let Some(engine) = &mut state.engine else {
            return Reply::error_line(500, NO_ACTION);
        };
        if !first {
            self.logs.open().await;
        }
        if engine.has_ended() {
            self.logs.close().await;
            return Reply::error_line(500, EXITED);
        }
        match engine.call(&body, &self.logs).await {
            Some(line) => self.answered(line, state),
            None => {
                engine.bury().await;
                self.logs.close().await;
                state.engine = None;
                Reply::error_line(400, EXITED)
            }
        }
    }

    /// The answer goes out first; the log is closed right after it.
    fn answered(&self, line: Bytes, state: OwnedMutexGuard<State>) -> Reply {
        let logs = self.logs.clone();
        tokio::spawn(async move {
            logs.close().await;
            drop(state);
        });
        answer_reply(line)
    }

    async fn prepare(
        &self,
        state: &mut State,
        data: Vec<u8>,
        main: &str,
        env: &[(String, String)],
    ) -> Result<Engine, Failure> {
        let launcher = match state.stem.take() {
            Some(launcher) => launcher,
            None => self.start_launcher(state.number).await.map_err(Failure::System)?,
        };
        let bin = self.bin(state.number);
        place(&data, &bin, self.settings.max_unpacked)?;
        drop(data);
        if is_executable(&bin.join("exec")) {
            return self.start_program(state.number, env).await.map(Engine::Program);
        }
        lay_out(&bin, &self.execution_env()).map_err(Failure::System)?;
        if !bin.join("main__.py").is_file() {
            // The build step ends its line, and the proxy ends what the build step said.
            return Err(Failure::Build(Some("Zip file does not include main__\n".to_owned())));
        }
        install_requirements(&self.nursery, &self.interpreter, &self.settings.environment, &bin).await?;
        let env: serde_json::Map<String, serde_json::Value> = env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let message = serde_json::json!({ "main": main, "env": env }).to_string();
        match launcher.call(channel::INIT, message.as_bytes()).await {
            Some(answer) if answer.status == 200 => Ok(Engine::Launcher(launcher)),
            Some(_) => Err(Failure::Build(None)),
            None => {
                launcher.child.last_words(LAST_WORDS).await;
                Err(Failure::Start(StartFailure::Exited))
            }
        }
    }

    async fn init_failed(&self, failure: Failure) -> Reply {
        let (note, answer) = match failure {
            Failure::Build(note) => (note, BUILD_FAILED.to_owned()),
            Failure::Archive(error) => {
                let text = format!("The archive of the action cannot be unpacked: {error}.");
                (Some(text.clone()), text)
            }
            Failure::Start(failure) => {
                for line in failure.stdout_lines() {
                    self.logs.note(Side::Stdout, &line).await;
                }
                (Some(failure.to_string()), START_FAILED.to_owned())
            }
            Failure::System(error) => (Some(error.to_string()), START_FAILED.to_owned()),
        };
        if let Some(note) = note {
            self.logs.note(Side::Stderr, &note).await;
        }
        self.logs.close().await;
        Reply::error_line(502, &answer)
    }

    async fn start_program(&self, number: usize, env: &[(String, String)]) -> Result<LoopProgram, Failure> {
        let bin = self.bin(number);
        crate::program::check_environment(&bin, number, &self.execution_env()).map_err(Failure::Start)?;
        let mut variables = self.environment(&bin);
        variables.retain(|(name, _)| !env.iter().any(|(n, _)| name == n.as_str()));
        variables.extend(env.iter().map(|(n, v)| (n.into(), v.into())));
        LoopProgram::start(&self.nursery, &bin.join("exec"), &bin, &variables, &self.logs, true)
            .await
            .map_err(Failure::Start)
    }

    async fn start_launcher(&self, number: usize) -> Result<Launcher, Error> {
        let bin = self.bin(number);
        workspace::folder(&bin)?;
        let script = bin.join("exec__.py");
        fs::write(&script, LAUNCHER).map_err(|source| Error::Folder { path: script, source })?;
        let failed = |source| Error::Start {
            program: self.interpreter.clone(),
            source,
        };
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut child = self
            .nursery
            .start(Program {
                command: self.interpreter.as_ref(),
                arguments: vec!["exec__.py".into()],
                environment: &self.environment(&bin),
                folder: &bin,
                handed: Some((theirs, LAUNCHER_FD as RawFd)),
                stdin: Stdio::null(),
            })
            .map_err(failed)?;
        self.logs
            .attach(child.stdout.take(), child.stderr.take())
            .await
            .map_err(failed)?;
        Ok(Launcher { channel, child })
    }

    fn bin(&self, number: usize) -> PathBuf {
        self.workspace.root().join(format!("action/{number}/bin"))
    }

    fn execution_env(&self) -> String {
        self.settings
            .variable("OW_EXECUTION_ENV")
            .unwrap_or_else(|| EXECUTION_ENV.to_owned())
    }

    /// What upstream's proxy and its start script leave in the environment, with the image's `PATH`, `HOME` and `LANG`.
    fn environment(&self, bin: &Path) -> Vec<(OsString, OsString)> {
        let kept = |name: &OsString| {
            let name = name.to_string_lossy();
            name.starts_with("__OW_") || matches!(&*name, "PATH" | "HOME" | "LANG" | "TMPDIR" | "TZ")
        };
        let mut all: Vec<_> = self
            .settings
            .environment
            .iter()
            .filter(|(name, _)| kept(name))
            .cloned()
            .collect();
        let mut add = |name: &str, value: OsString| all.push((name.into(), value));
        add("__OW_EXECUTION_ENV", self.execution_env().into());
        add("__OW_PROXY_VERSION", PROXY_VERSION.into());
        add("__OW_WAIT_FOR_ACK", "1".into());
        add("LC_CTYPE", "C.UTF-8".into());
        add("PYTHONIOENCODING", "UTF-8".into());
        add("PWD", bin.into());
        add("OLDPWD", self.workspace.root().into());
        add("SHLVL", "0".into());
        all
    }
}

impl Launcher {
    /// As [`Channel::call`], and over with the process, though one that it forked may hold the channel.
    async fn call(&self, code: u32, body: &[u8]) -> Option<Answer> {
        let mut answer = pin!(self.channel.call(code, body));
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            () = self.child.ended() => {
                self.channel.hang_up();
                answer.await
            }
        }
    }
}

impl Engine {
    fn has_ended(&self) -> bool {
        match self {
            Engine::Launcher(launcher) => launcher.child.has_ended(),
            Engine::Program(program) => program.has_ended(),
        }
    }

    async fn call(&mut self, body: &[u8], logs: &Logs) -> Option<Bytes> {
        match self {
            Engine::Launcher(launcher) => launcher.call(channel::RUN, body).await.map(|answer| answer.body),
            Engine::Program(program) => program.interact(body, logs).await,
        }
    }

    /// Gives a dying process the time to say why.
    async fn bury(&self) {
        match self {
            Engine::Launcher(launcher) => launcher.child.last_words(LAST_WORDS).await,
            Engine::Program(program) => program.bury(LAST_WORDS).await,
        }
    }
}
