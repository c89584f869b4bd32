//! `wsk-proxy LANGUAGE [INTERPRETER]` (nodejs, python, native) and `wsk-proxy actionloop [-version] [-debug]
//! [-compile MAIN] [-env JSON]`: prepares the process, starts the language, serves until the container ends.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use wsk_proxy::server::{How, Listener, Runtime};
use wsk_proxy::settings::{Language, Settings};
use wsk_proxy::{Error, action_loop};

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
        return runtime.block_on(serve(how, settings));
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
        Some(main) => runtime.block_on(action_loop::precompile(&settings, main, options.env.as_deref())),
        None => runtime.block_on(serve(
            How {
                language,
                interpreter: None,
                options,
            },
            settings,
        )),
    }
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
