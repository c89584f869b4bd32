//! The generic ActionLoop proxy: any language whose image brings a compiler or whose users bring programs.
//!
//! Command line, environment, folders, protocol and texts are those of the ActionLoop proxy 1.17. Ours, on purpose:
//! children also get `PATH`, `HOME` and `LANG`; blank answer lines are skipped and superfluous ones dropped with a warning;
//! a damaged archive is answered at once.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::child::Nursery;
use crate::code::decode;
use crate::compile::{Compiler, pack};
use crate::init_request::{Field, InitRequest};
use crate::logs::{Logs, Side};
use crate::program::{LoopProgram, check_environment};
use crate::settings::Settings;
use crate::workspace::{Workspace, folder};
use crate::{Error, Reply};

/// The version whose behaviour this is, as children see it in `__OW_PROXY_VERSION`.
pub const PROXY_VERSION: &str = "1.17.1";
pub const OK: &str = "{\"ok\":true}\n";
pub const MORE_THAN_ONCE: &str = "Cannot initialize the action more than once.";
pub const NO_CODE: &str = "Missing main/no code to execute.";
pub const NO_ACTION: &str = "no action defined yet";
pub const EXITED: &str = "command exited";
pub const BUILD_FAILED: &str = "The action failed to generate or locate a binary. See logs for details.";
pub const START_FAILED: &str = "Cannot start action. Check logs for details.";
pub const NOT_A_DICTIONARY: &str = "The action did not return a dictionary or array.";

const LAST_WORDS: Duration = Duration::from_secs(1);

/// The command line after `actionloop`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub version: bool,
    pub debug: bool,
    pub compile: Option<String>,
    pub env: Option<String>,
}

/// One container with one program.
#[derive(Debug)]
pub struct Runtime {
    settings: Arc<Settings>,
    debug: bool,
    actions: PathBuf,
    /// Keeps the folder of the actions when the image has none.
    _workspace: Option<Workspace>,
    nursery: Nursery,
    logs: Logs,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    number: usize,
    program: Option<LoopProgram>,
    first: bool,
}

impl Options {
    /// Flags may start with one dash or two, as upstream's do.
    pub fn parse(arguments: &[String]) -> Result<Self, Error> {
        let mut options = Options::default();
        let mut left = arguments.iter();
        while let Some(argument) = left.next() {
            let mut value = |name: &'static str| {
                let missing = || Error::Setting {
                    name,
                    expected: "followed by a value",
                    value: String::new(),
                };
                left.next().cloned().ok_or_else(missing)
            };
            match argument.trim_start_matches('-') {
                "version" => options.version = true,
                "debug" => options.debug = true,
                "compile" => options.compile = Some(value("-compile")?),
                "env" => options.env = Some(value("-env")?),
                _ => {
                    let expected = "-version, -debug, -compile MAIN or -env JSON";
                    return Err(Error::Setting {
                        name: "the argument",
                        expected,
                        value: argument.clone(),
                    });
                }
            }
        }
        Ok(options)
    }
}

/// `-compile MAIN`: an upload on stdin, the archive of what it compiles to on stdout.
pub async fn precompile(settings: &Settings, main: &str, env: Option<&str>) -> Result<ExitCode, Error> {
    let mut data = Vec::new();
    std::io::stdin()
        .read_to_end(&mut data)
        .map_err(|source| Error::System {
            action: "read the code",
            source,
        })?;
    let workspace = Workspace::create(&settings.environment)?;
    let nursery = Nursery::new()?;
    let env = variables(env)?;
    let environment = environment(settings, &env);
    let compiler = compiler(settings, &nursery, &environment);
    let built = match compiler.build(&data, main, workspace.root()).await {
        Ok(()) => pack(&workspace.root().join("bin")),
        Err(text) => Err(text),
    };
    match built {
        Ok(archive) => {
            let written = std::io::stdout().write_all(&archive);
            written.map_err(|source| Error::System {
                action: "write the archive",
                source,
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(text) => {
            eprintln!("{}", text.trim_end());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The variables of `-env`.
fn variables(json: Option<&str>) -> Result<Vec<(String, String)>, Error> {
    let Some(text) = json else { return Ok(Vec::new()) };
    match InitRequest::parse(format!(r#"{{"value":{{"env":{text}}}}}"#).as_bytes()) {
        Ok(request) => Ok(request.env),
        Err(_) => Err(Error::Setting {
            name: "-env",
            expected: "a JSON object",
            value: text.to_owned(),
        }),
    }
}

impl Runtime {
    pub fn start(settings: Arc<Settings>, options: &Options) -> Result<Self, Error> {
        let (actions, workspace) = action_folder(&settings)?;
        let state = State {
            number: highest(&actions),
            program: None,
            first: true,
        };
        Ok(Runtime {
            debug: options.debug,
            actions,
            _workspace: workspace,
            nursery: Nursery::new()?,
            logs: Logs::to_standard(&settings.sentinel),
            settings,
            state: Arc::new(Mutex::new(state)),
        })
    }

    pub async fn init(&self, body: Bytes) -> Reply {
        let mut state = self.state.lock().await;
        if state.program.is_some() && !self.debug {
            self.logs.note(Side::Stderr, MORE_THAN_ONCE).await;
            return Reply::error_line(403, MORE_THAN_ONCE);
        }
        let (data, main, env) = match read_request(&body) {
            Ok(parts) => parts,
            Err(reply) => return reply,
        };
        drop(body);
        state.program = None;
        state.first = true;
        state.number += 1;
        let action = self.actions.join(state.number.to_string());
        self.logs.open().await;
        let environment = environment(&self.settings, &env);
        let compiler = compiler(&self.settings, &self.nursery, &environment);
        if let Err(text) = compiler.build(&data, &main, &action).await {
            return self.failed(&action, &text, text.clone(), BUILD_FAILED).await;
        }
        match self.start_program(state.number, &action, &environment).await {
            Ok(program) => {
                state.program = Some(program);
                Reply::new(200, OK)
            }
            Err(failure) => {
                for line in failure.stdout_lines() {
                    self.logs.note(Side::Stdout, &line).await;
                }
                let text = failure.to_string();
                self.failed(&action, &text, format!("cannot start action: {text}"), START_FAILED)
                    .await
            }
        }
    }

    pub async fn run(&self, body: Bytes) -> Reply {
        let mut state = self.state.clone().lock_owned().await;
        let first = std::mem::take(&mut state.first);
        let Some(program) = &mut state.program else {
            return Reply::error_line(500, NO_ACTION);
        };
        if !first {
            self.logs.open().await;
        }
        if program.has_ended() {
            self.logs.close().await;
            return Reply::error_line(500, EXITED);
        }
        match program.interact(&body, &self.logs).await {
            Some(line) => self.answered(line, state),
            None => {
                program.bury(LAST_WORDS).await;
                self.logs.close().await;
                state.program = None;
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

    async fn start_program(
        &self,
        number: usize,
        action: &Path,
        environment: &[(OsString, OsString)],
    ) -> Result<LoopProgram, crate::program::StartFailure> {
        let bin = action.join("bin");
        if let Some(expected) = self.settings.variable("OW_EXECUTION_ENV").filter(|v| !v.is_empty()) {
            check_environment(&bin, number, &expected)?;
        }
        let acknowledged = self.settings.variable("OW_WAIT_FOR_ACK").is_some_and(|v| !v.is_empty());
        LoopProgram::start(
            &self.nursery,
            &bin.join("exec"),
            &bin,
            environment,
            &self.logs,
            acknowledged,
        )
        .await
    }

    /// With `OW_LOG_INIT_ERROR` the cause goes to the log and the answer only points there.
    async fn failed(&self, action: &Path, cause: &str, answer: String, pointer: &str) -> Reply {
        if !self.debug {
            let _ = std::fs::remove_dir_all(action);
        }
        let to_log = self
            .settings
            .variable("OW_LOG_INIT_ERROR")
            .is_some_and(|v| !v.is_empty());
        if to_log {
            self.logs.note(Side::Stderr, cause).await;
        }
        self.logs.close().await;
        Reply::error_line(502, if to_log { pointer } else { &answer })
    }
}

/// The reply for an answer line: passed on as it is when it is a JSON object or array. `null` passes too, as in the
/// original, where the invoker refuses it.
pub fn answer_reply(line: Bytes) -> Reply {
    let structured = matches!(line.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'[' | b'n'));
    if structured && serde_json::from_slice::<IgnoredAny>(&line).is_ok() {
        return Reply::new(200, line);
    }
    Reply::error_line(502, NOT_A_DICTIONARY)
}

type Upload = (Vec<u8>, String, Vec<(String, String)>);

/// The code as bytes, the entry point and the variables of an init request; else the refusal.
fn read_request(body: &[u8]) -> Result<Upload, Reply> {
    let malformed = |why: &str| Reply::error_line(400, &format!("Error unmarshaling request: {why}"));
    let request = InitRequest::parse(body).map_err(|why| malformed(&why))?;
    let code = match &request.code {
        Field::Text(code) if !code.is_empty() => code,
        Field::Text(_) | Field::Absent => return Err(Reply::error_line(403, NO_CODE)),
        Field::Other => return Err(malformed("code must be a string")),
    };
    let data = if request.binary {
        decode(code).map_err(|why| Reply::error_line(400, &format!("cannot decode the request: {why}")))?
    } else {
        code.as_bytes().to_vec()
    };
    let main = match &request.main {
        Field::Text(main) if !main.is_empty() => main.to_string(),
        Field::Text(_) | Field::Absent => "main".to_owned(),
        Field::Other => return Err(malformed("main must be a string")),
    };
    Ok((data, main, request.env))
}

fn compiler<'a>(settings: &Settings, nursery: &'a Nursery, environment: &'a [(OsString, OsString)]) -> Compiler<'a> {
    let set = |name| settings.variable(name).filter(|v| !v.is_empty());
    Compiler {
        nursery,
        program: set("OW_COMPILER"),
        save_jar: set("OW_SAVE_JAR"),
        environment,
        max_unpacked: settings.max_unpacked,
    }
}

/// What compiler and program see: `__OW_*` of the image, our three additions, and above all the variables of the init.
fn environment(settings: &Settings, env: &[(String, String)]) -> Vec<(OsString, OsString)> {
    let kept = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("__OW_") || matches!(&*name, "PATH" | "HOME" | "LANG")
    };
    let mut all: Vec<_> = settings
        .environment
        .iter()
        .filter(|(name, _)| kept(name))
        .cloned()
        .collect();
    let mut add = |name: &str, value: String| all.push((name.into(), value.into()));
    add("__OW_PROXY_VERSION", PROXY_VERSION.to_owned());
    for (ours, theirs) in [
        ("OW_EXECUTION_ENV", "__OW_EXECUTION_ENV"),
        ("OW_WAIT_FOR_ACK", "__OW_WAIT_FOR_ACK"),
    ] {
        if let Some(value) = settings.variable(ours) {
            add(theirs, value);
        }
    }
    env.iter().for_each(|(name, value)| add(name, value.clone()));
    all
}

/// `./action` where that can be written, as in images; else a temporary folder.
fn action_folder(settings: &Settings) -> Result<(PathBuf, Option<Workspace>), Error> {
    let here = std::env::current_dir()
        .unwrap_or_else(|_| PathBuf::from("/"))
        .join("action");
    if folder(&here).is_ok() && nix::unistd::access(&here, nix::unistd::AccessFlags::W_OK).is_ok() {
        return Ok((here, None));
    }
    let workspace = Workspace::create(&settings.environment)?;
    let actions = workspace.root().join("action");
    folder(&actions)?;
    Ok((actions, Some(workspace)))
}

fn highest(actions: &Path) -> usize {
    let entries = std::fs::read_dir(actions).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_arrays_and_null_are_answers() {
        for (line, status) in [
            ("{}\n", 200),
            ("  [1, 2]\n", 200),
            ("null\n", 200),
            ("{\"s\": \"\\ud83d\", \"n\": 1e999}\n", 200),
            ("42\n", 502),
            ("\"text\"\n", 502),
            ("true\n", 502),
            ("{\"a\": NaN}\n", 502),
            ("{\"a\": 1} x\n", 502),
            ("garbage\n", 502),
            ("nothing\n", 502),
        ] {
            let Reply::Answer { status: actual, .. } = answer_reply(Bytes::from(line)) else {
                panic!("no answer")
            };
            assert_eq!(actual, status, "{line}");
        }
    }

    #[test]
    fn deep_answers_pass() {
        let line = "[".repeat(5000) + &"]".repeat(5000);
        assert!(matches!(
            answer_reply(Bytes::from(line)),
            Reply::Answer { status: 200, .. }
        ));
    }

    #[test]
    fn the_command_line_is_upstreams() {
        let parse = |list: &[&str]| Options::parse(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let options = parse(&["-debug", "--compile", "Main", "-env", "{}"]).unwrap();
        assert_eq!(
            options,
            Options {
                version: false,
                debug: true,
                compile: Some("Main".into()),
                env: Some("{}".into())
            }
        );
        assert!(parse(&["-compile"]).is_err());
        assert!(parse(&["-nonsense"]).is_err());
    }
}
