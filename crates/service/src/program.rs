//! The outside of a service that runs as a process of its own: what is typed, what is printed, how it starts and ends.
//!
//! `--config FILE` (TOML), the environment under the service's own prefix, `--print-config`, `--config-reference`. Configuration
//! errors, and whatever ends the service, are one line on standard error and exit code 1. A dependency that is not there yet
//! is waited for, with a line that says which and why.

use std::future::Future;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::config::{self, Documented, Loader};
use crate::phase::{Phase, Phases};
use crate::supervise::{Interrupts as _, OnCancel, OnFailure, Signals, Stage, Supervisor, Task};
use crate::{http, open_files, show, telemetry};

/// Why a service ends; the text is for its operator.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// A service.
pub struct Program {
    /// Name of the program, as in `ferrowhisk-gateway`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Prefix of the environment variables that set its keys, without the last underscore.
    pub environment: &'static str,
}

/// Configuration of a service.
pub trait Settings: Documented + DeserializeOwned + Serialize + Default {
    /// The part that says how it logs.
    fn log(&self) -> &telemetry::Config;

    /// Whether all of it can work, as far as that shows without asking anybody; if not, what is wrong with which key and
    /// what to do.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Longest name of a part; it becomes part of topics' names, of which Kafka takes 249 characters.
const LONGEST_NAME: usize = 64;

/// Whether a setting can be part of topics' names.
pub fn named(key: &str, name: &str) -> Result<(), String> {
    let odd = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c));
    match odd {
        _ if name.is_empty() => Err(format!("`{key}` is empty; give each its own, such as `0`")),
        Some(odd) => Err(format!(
            "`{key}`: `{name}` has the character {odd:?}; letters, digits, `.`, `_` and `-` are possible"
        )),
        None if name.len() > LONGEST_NAME => Err(format!(
            "`{key}` has {} characters; {LONGEST_NAME} are possible",
            name.len()
        )),
        None => Ok(()),
    }
}

/// Whether a setting that counts something is not zero.
pub fn some(key: &str, count: u64) -> Result<(), String> {
    match count {
        0 => Err(format!("`{key}` is 0; it has to be 1 or more")),
        _ => Ok(()),
    }
}

/// What every service holds while it lives.
pub struct Process {
    pub phases: Phases,
    pub supervisor: Supervisor,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// Configuration file (TOML). The environment wins over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration in force and end.
    #[arg(long)]
    print_config: bool,
    /// Print the table of all configuration keys and end.
    #[arg(long)]
    config_reference: bool,
}

/// How long to wait before a dependency is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a killed process may take to let go of its address.
const LET_GO: Duration = Duration::from_secs(5);
/// How often to say that a dependency is still missing.
const SAY_AGAIN: Duration = Duration::from_secs(15);

impl Program {
    /// Reads what was typed and runs the service in a runtime of its own.
    pub fn main<S: Settings, L: Future<Output = Result<(), Fault>>>(
        &self,
        live: impl FnOnce(S, Process) -> L,
    ) -> ExitCode {
        match self.run(live) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => {
                eprintln!("{}: {fault}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn run<S: Settings, L: Future<Output = Result<(), Fault>>>(
        &self,
        live: impl FnOnce(S, Process) -> L,
    ) -> Result<(), Fault> {
        let command = Arguments::command()
            .name(self.name)
            .about(self.about)
            .version(env!("CARGO_PKG_VERSION"));
        let arguments = Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
        if arguments.config_reference {
            return Ok(show(&config::reference::<S>())?);
        }
        let settings: S = self.load(arguments.config.as_deref())?;
        settings.check()?;
        if arguments.print_config {
            return Ok(show(&config::print(&settings))?);
        }
        telemetry::start(settings.log())?;
        open_files::raise();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let phases = Phases::starting();
        let process = Process {
            supervisor: Supervisor::new(phases.clone()),
            phases,
        };
        let traces = {
            let _inside = runtime.enter();
            telemetry::trace::start(settings.log(), self.name)?
        };
        let phases = process.phases.clone();
        // Boxed, because `block_on` has a copy of what it awaits for each kind of event loop.
        let life: Pin<Box<dyn Future<Output = Result<(), Fault>>>> = Box::pin(async {
            tokio::select! {
                lived = live(settings, process) => lived,
                given_up = given_up(phases) => given_up,
            }
        });
        let lived = runtime.block_on(life);
        traces.end();
        // Calls of libraries that still wait for somebody who does not answer must not hold up the end.
        runtime.shutdown_timeout(AGAIN);
        lived
    }

    fn load<S: Settings>(&self, file: Option<&std::path::Path>) -> Result<S, Fault> {
        let mut loader = Loader::new(self.environment);
        if let Some(file) = file {
            loader = loader.file(file)?;
        }
        Ok(loader.environment(std::env::vars()).load()?)
    }
}

/// Ends when the service is told to end while it starts, which may be a long wait for others: the first process of a container
/// has no other answer to SIGTERM. From when it is ready, the supervisor listens.
async fn given_up(phases: Phases) -> Result<(), Fault> {
    let mut signals = Signals::new()?;
    loop {
        let signal = signals.next().await;
        if phases.current() == Phase::Starting {
            tracing::info!(signal, "told to end before it was ready");
            return Ok(());
        }
    }
}

impl Process {
    /// Answers `/ping`, `/ready` and `/metrics` on a listener of their own from now on.
    pub async fn admin(&mut self, address: &str) -> Result<(), Fault> {
        crate::metrics::show(&self.phases);
        let handler = Arc::new(Admin::new(self.phases.clone()));
        let mut listener = Some(listen("admin", address).await?);
        let task = Task {
            name: "admin",
            stage: Stage::Storage,
            on_cancel: OnCancel::Abort,
            on_failure: OnFailure::Report,
        };
        self.supervisor.spawn(task, move |cancel| {
            let (listener, handler) = (listener.take(), handler.clone());
            async move {
                let listener = listener.ok_or("the listener was taken once already")?;
                http::serve(listener, http::Limits::default(), handler, cancel).await;
                Ok::<_, &str>(())
            }
        });
        Ok(())
    }

    /// Lives until a signal, or until a task it cannot do without has failed.
    pub async fn run(self, drain: Duration) -> Result<(), Fault> {
        Ok(self.supervisor.run(drain).await?)
    }
}

/// A listener; says on standard output where it is, so that port 0 can be used. An address that a former life of this service
/// has not let go of yet is waited for.
pub async fn listen(name: &str, address: &str) -> Result<TcpListener, Fault> {
    let deadline = tokio::time::Instant::now() + LET_GO;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(AGAIN / 10).await;
            }
            Err(error) => {
                let key = key(name);
                let advice = format!("name another address with the key `{key}`");
                return Err(format!("cannot listen on {address} ({name}): {error}; {advice}").into());
            }
        }
    };
    println!("{name} http://{}", listener.local_addr()?);
    Ok(listener)
}

fn key(listener: &str) -> &str {
    if listener == "admin" { "admin" } else { "listen" }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Tries `open` until it works or fails for good; `passes` says which failures may pass.
pub async fn wait_for<T, E: std::fmt::Display, O: Future<Output = Result<T, E>>>(
    what: &str,
    passes: impl Fn(&E) -> bool,
    mut open: impl FnMut() -> O,
) -> Result<T, Fault> {
    let mut said: Option<tokio::time::Instant> = None;
    loop {
        match open().await {
            Ok(value) => {
                if said.is_some() {
                    tracing::info!(dependency = what, "it is there");
                }
                return Ok(value);
            }
            Err(error) if passes(&error) => {
                if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                    tracing::warn!(dependency = what, %error, "waiting for what is not there yet");
                    said = Some(tokio::time::Instant::now());
                }
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(format!("{what}: {error}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("no\n  luck"));
        assert_eq!(chain(&error), "cannot start: no luck");
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_the_rest_is_told() {
        let tries = Cell::new(0);
        let open = || {
            tries.set(tries.get() + 1);
            let nth = tries.get();
            async move { if nth < 4 { Err("not yet") } else { Ok(nth) } }
        };
        assert_eq!(wait_for("it", |_| true, open).await.unwrap(), 4);
        let refused = wait_for("the store", |_| false, || async { Err::<(), _>("a wrong password") }).await;
        assert_eq!(refused.unwrap_err().to_string(), "the store: a wrong password");
    }
}
