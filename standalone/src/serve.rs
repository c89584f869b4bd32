//! The life of the process: open, announce, wait, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use wsk_gateway::Gateway;
use wsk_service::phase::Phases;
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Supervisor, Task};
use wsk_service::{http, telemetry};

use crate::folder::Folder;
use crate::wiring::{InProcess, Platform};
use crate::{Config, catalog};

/// Runs the platform until a signal. Returns once everything accepted is safe.
pub fn serve(config: Config) -> Result<()> {
    telemetry::start(&config.log)?;
    let folder = Folder::take(&config.data)?;
    folder.remove("api.url")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(live(config, folder))
}

async fn live(mut config: Config, folder: Folder) -> Result<()> {
    let listener = TcpListener::bind(&config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; another program may use the port, name another with --listen",
            config.listen
        )
    })?;
    let address = listener.local_addr().context("the address listened on")?;
    if config.api_host.is_empty() {
        config.api_host = format!("http://{}", reachable(address));
    }
    let drain = config.drain.0;
    let platform = Platform::open(&config, &folder).await?;
    let phases = Phases::starting();
    let gateway = Arc::new(Gateway::new(
        config.gateway.clone(),
        platform.authenticator.clone(),
        InProcess(platform.app.clone()),
        phases.clone(),
    ));
    let mut supervisor = Supervisor::new(phases.clone());
    let mut listener = Some(listener);
    let limits = http::Limits {
        drain_timeout: drain.mul_f64(0.6),
        ..http::Limits::default()
    };
    supervisor.spawn(task("api", Stage::Edge), move |cancel| {
        let (listener, gateway, limits) = (listener.take(), gateway.clone(), limits.clone());
        async move {
            http::serve(
                listener.context("the listener was taken once already")?,
                limits,
                gateway,
                cancel,
            )
            .await;
            anyhow::Ok(())
        }
    });
    if config.catalog {
        catalog::supervise(&mut supervisor, &platform);
    }
    platform.supervise(&mut supervisor, drain.mul_f64(0.4));
    announce(&folder, address)?;
    let ended = supervisor.run(drain + STORAGE).await;
    folder.remove("api.url")?;
    Ok(ended?)
}

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

/// Tells people and scripts where the API is. It answers from the moment the supervisor runs, which is next.
fn announce(folder: &Folder, address: SocketAddr) -> Result<()> {
    let url = format!("http://{}", reachable(address));
    folder.write("api.url", &format!("{url}\n"))?;
    println!("{url}");
    Ok(())
}

/// An address that a client can connect to: a wildcard is reached over loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        return SocketAddr::new(loopback, address.port());
    }
    address
}
