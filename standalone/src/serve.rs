//! The life of the process: open, announce, wait, drain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use wsk_gateway::Gateway;
use wsk_service::phase::Phases;
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Supervisor, Task};
use wsk_service::{on_this_thread, open_files, telemetry};

use crate::edge::{Edge, reachable};
use crate::folder::Folder;
use crate::operator;
use crate::wiring::{InProcess, Platform};
use crate::{Config, catalog};

/// Runs the platform until a signal. Returns once everything accepted is safe.
pub fn serve(config: Config) -> Result<()> {
    telemetry::start(&config.log)?;
    open_files::raise();
    let folder = Folder::take(&config.data)?;
    Edge::withdraw(&folder)?;
    let mut ended = Ok(());
    let life = async { ended = live(config, folder).await };
    on_this_thread(Box::pin(life)).context("cannot start the runtime")?;
    ended
}

async fn live(mut config: Config, folder: Folder) -> Result<()> {
    let edge = Edge::bind(&config, &folder).await?;
    if config.api_host.is_empty() {
        config.api_host = format!("http://{}", reachable(edge.address));
    }
    let drain = config.drain.0;
    let platform = Platform::open(&config, &folder).await?;
    let phases = Phases::starting();
    let mut hosts = edge.hosts();
    hosts.extend(
        config
            .api_host
            .split_once("://")
            .map(|(_, host)| host.trim_end_matches('/').to_owned()),
    );
    let gateway = Gateway::new(wsk_gateway::Parts {
        config: config.gateway.clone(),
        authenticator: platform.authenticator.clone(),
        controllers: Arc::new(InProcess(platform.app.clone())),
        phases: phases.clone(),
        apis: platform.apis.clone(),
        hosts,
    });
    let gateway = Arc::new(gateway.map_err(anyhow::Error::msg)?);
    let mut supervisor = Supervisor::new(phases.clone());
    edge.announce(&folder)?;
    edge.supervise(&mut supervisor, &gateway, drain.mul_f64(REQUESTS));
    if config.catalog {
        catalog::supervise(&mut supervisor, &platform);
    }
    let switch = platform.switch();
    operator::supervise(&config.operator, &folder, &mut supervisor, &phases, switch).await?;
    platform.supervise(&mut supervisor, drain.mul_f64(ACTIVATIONS));
    let ended = supervisor.run(drain + STORAGE).await;
    Edge::withdraw(&folder)?;
    Ok(ended?)
}

/// The share of `drain` that requests get, blocking invocations among them.
const REQUESTS: f64 = 0.6;
/// The share of activations that nobody waits for, after the requests; what is not done then runs at the next start.
const ACTIVATIONS: f64 = 1.0 - REQUESTS;
/// What the last writes may take beyond the configured drain.
const STORAGE: Duration = Duration::from_secs(5);

/// A task that the process cannot do without.
pub fn task(name: &'static str, stage: Stage) -> Task {
    Task {
        name,
        stage,
        on_cancel: OnCancel::Finish,
        on_failure: OnFailure::Stop,
    }
}
