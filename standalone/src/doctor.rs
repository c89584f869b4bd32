//! What this machine offers, and the one thing to do about what is missing.

use anyhow::Result;
use wsk_containers::{Layer, LayerState};
use wsk_entities::Runtime;
use wsk_invoker::interpreters;
use wsk_service::show;

use crate::{Config, runtimes};

/// Prints the report. It fails only where nothing at all could run.
pub fn report(config: &Config) -> Result<()> {
    let mut lines = vec!["Isolation of actions:".to_owned()];
    lines.extend(isolation(config)?);
    lines.push("\nKinds:".to_owned());
    let manifest = runtimes::manifest(config)?;
    lines.extend(manifest.kinds().map(|kind| format!("  {}", offer(kind))));
    lines.push("\nPrograms:".to_owned());
    lines.push(proxy()?);
    Ok(show(&(lines.join("\n") + "\n"))?)
}

fn isolation(config: &Config) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let layers = runtime.block_on(async { wsk_containers::open(&config.containers).map(|factory| factory.layers()) });
    let layers = match layers {
        Ok(layers) => layers,
        Err(error) => return Ok(vec![format!("  none: {error}")]),
    };
    let line = |layer: Layer| {
        let state = match layer.state {
            LayerState::On => "on",
            LayerState::Partial => "PARTIAL",
            LayerState::Missing => "MISSING",
        };
        format!("  {state:<7} {:<20} {}", layer.name, layer.detail)
    };
    Ok(layers.into_iter().map(line).collect())
}

fn proxy() -> Result<String> {
    let here = std::env::current_exe()?;
    let proxy = here.with_file_name("wsk-proxy");
    Ok(match proxy.is_file() {
        true => format!("  found   wsk-proxy, the action proxy, at {}", proxy.display()),
        false => format!(
            "  MISSING wsk-proxy: it belongs beside {}; `make build` puts it there",
            here.display()
        ),
    })
}

fn offer(kind: &Runtime) -> String {
    match (
        interpreters::missing(kind),
        kind.process.as_ref().and_then(|p| p.needs.as_deref()),
    ) {
        (Some(program), _) => {
            format!("MISSING {}: needs {program}; type `{}`", kind.kind, install(program))
        }
        (None, Some(program)) => {
            let path = interpreters::find(program)
                .map(|p| p.display().to_string())
                .unwrap_or_default();
            format!("offered {} on {path}", kind.kind)
        }
        (None, None) => format!("offered {}", kind.kind),
    }
}

/// The command that brings an interpreter on Debian.
fn install(program: &str) -> String {
    let package = match program {
        "node" => "nodejs",
        other => other,
    };
    let sudo = if nix::unistd::geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install -y --no-install-recommends {package}")
}
