//! The action proxy: one small program that makes a language answer `POST /init` and `POST /run`.
//!
//! It owns the container's side of the contract: reading requests, unpacking code, starting the interpreter or program,
//! passing arguments and answers, and bringing the program's output to the container's log with an end mark per
//! activation. It knows nothing of the platform: limits of time and size, verdicts and records are the invoker's.
//!
//! Invariants. The interpreter is started before `/init`, so a prewarmed container has it running. User code never holds
//! a descriptor on which the proxy listens for requests, nor one on which its log is read; the end mark and the listening
//! socket are out of its reach. Output belongs to the activation in which it was written; what appears between two
//! activations is dropped. An answer does not wait for the log.
//!
//! Upstream behaviour honoured: texts, status codes and log lines of OpenWhisk's nodejs runtime, of its ActionLoop proxy
//! 1.17 with the python runtime, and of `dockerskeleton`.
//!
//! `wsk-proxy LANGUAGE [INTERPRETER]` (nodejs, python, native) and `wsk-proxy actionloop [-version] [-debug]
//! [-compile MAIN] [-env JSON]`: prepares the process, starts the language, serves until the container ends.

mod action_loop;
mod archive;
mod channel;
mod child;
mod code;
mod compile;
mod error;
mod init_request;
mod lines;
mod logs;
mod native;
mod nodejs;
mod program;
mod python;
mod reply;
mod server;
mod settings;
mod sink;
mod workspace;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use error::Error;
use reply::Reply;
use server::{How, Listener, Runtime};
use settings::{Language, Settings};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match start(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map(|c| format!(": {c}"))
                .unwrap_or_default();
            eprintln!("wsk-proxy: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &[String]) -> Result<ExitCode, Error> {
    // What this process knows (the end mark, its socket) is not for other processes of the same user.
    let _ = nix::sys::prctl::set_dumpable(false);
    let language = Language::parse(arguments.first().map_or("", String::as_str))?;
    let settings = Arc::new(Settings::from_variables(std::env::vars_os())?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            action: "start the event loop",
            source,
        })?;
    if language != Language::ActionLoop {
        let how = How {
            language,
            interpreter: arguments.get(1).cloned(),
            options: action_loop::Options::default(),
        };
        return block_on(&runtime, serve(how, settings));
    }
    let options = action_loop::Options::parse(&arguments[1..])?;
    if options.version {
        println!(
            "OpenWhisk ActionLoop Proxy v{}, built with Rust",
            action_loop::PROXY_VERSION
        );
        return Ok(ExitCode::SUCCESS);
    }
    match &options.compile {
        Some(main) => block_on(
            &runtime,
            action_loop::precompile(&settings, main, options.env.as_deref()),
        ),
        None => {
            let how = How {
                language,
                interpreter: None,
                options,
            };
            block_on(&runtime, serve(how, settings))
        }
    }
}

/// Boxed, because `block_on` has a copy of what it awaits for each kind of event loop.
fn block_on(
    runtime: &tokio::runtime::Runtime,
    program: impl Future<Output = Result<ExitCode, Error>>,
) -> Result<ExitCode, Error> {
    let program: Pin<Box<dyn Future<Output = Result<ExitCode, Error>>>> = Box::pin(program);
    runtime.block_on(program)
}

async fn serve(how: How, settings: Arc<Settings>) -> Result<ExitCode, Error> {
    let listener = Listener::bind(&settings.listen)?;
    let over = Arc::new(Notify::new());
    let mut terminate = signal(SignalKind::terminate()).map_err(|source| Error::System {
        action: "listen for SIGTERM",
        source,
    })?;
    let runtime = Arc::new(Runtime::start(how, settings, over.clone()).await?);
    tokio::select! {
        () = listener.serve(runtime) => Ok(ExitCode::FAILURE),
        () = over.notified() => Ok(ExitCode::FAILURE),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
    }
}
