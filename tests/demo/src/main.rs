//! Plays the Slack story on a platform of its own and shows each step: `make demo`.
//!
//! A message in a channel comes in through an outgoing webhook, an API route takes it to a sequence of a weather action and a
//! copy of `/whisk.system/slack/post`, and the answer goes out through an incoming webhook. Slack and the weather service are
//! stand-ins in this process. Every step is checked: the exit code is 0 only when all went as it should. Nothing is left
//! behind, also after Ctrl-C.

mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use stage::Stage;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let played = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(play()));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(stage: &mut Stage) -> Result<()> {
    stage.ready().await?;
    story::play(stage).await
}

async fn play() -> Result<()> {
    let Some(programs) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("usage: wsk-demo FOLDER_OF_THE_PROGRAMS");
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut stage = Stage::set(programs)?;
    let played = tokio::select! {
        played = perform(&mut stage) => played,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
    };
    let cleared = stage.clear().await;
    drop(stage);
    played?;
    cleared?;
    story::step("Done. The platform has ended, and its folder is gone.");
    Ok(())
}
