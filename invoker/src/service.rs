//! An invoker as a process of its own, on the node whose containers it runs.

use std::sync::Arc;
use std::time::Duration;

use wsk_bus::{MessageBus, Name};
use wsk_entities::{Architecture, Manifest};
use wsk_service::config::{Duration as Span, named_file};
use wsk_service::program::{Fault, Process, Settings, chain, some, wait_for};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Task};
use wsk_service::telemetry;

use crate::{Config, Handle, Invoker, accredited, interpreters};

wsk_service::settings! {
    /// Configuration of `ferrowhisk-invoker`.
    pub struct ServiceConfig {
        /// Address and port of `/ping`, `/ready` and `/metrics`.
        pub admin: String = "127.0.0.1:10022".to_owned(),
        /// Address of the API as actions see it (`__OW_API_HOST`).
        pub api_host: String = String::new(),
        /// Runtimes manifest to use instead of the bundled one; empty: the bundled one.
        pub manifest: String = String::new(),
        /// Longest time a shutdown waits for what is running.
        pub drain: Span = Span::from_secs(20),
        /// Logs.
        pub log: telemetry::Config as section = Default::default(),
        /// The store: `type = "couchdb"` and how to reach it.
        pub store: wsk_store::Config as documented = wsk_store::Config::cluster(),
        /// The bus: `type = "kafka"` and how to reach it.
        pub bus: wsk_bus::Config as documented = wsk_bus::Config::cluster(),
        /// Keys of secret parameters.
        pub secrets: wsk_secrets::Config as documented = wsk_secrets::Config::default(),
        /// The invoker; the keys are those of the section `invoker` of the platform in one process.
        pub invoker: Config as documented = Config::default(),
        /// Where actions run: sandboxed processes of this machine, or a Docker engine's containers.
        pub containers: wsk_containers::Config as documented = wsk_containers::Config::default(),
    }
}

impl Settings for ServiceConfig {
    fn log(&self) -> &telemetry::Config {
        &self.log
    }

    fn check(&self) -> Result<(), String> {
        some("invoker.memory_mb", self.invoker.memory_mb.into())?;
        self.store.check_shared()?;
        self.bus
            .check_shared("invoker.payload_limit", self.invoker.payload_limit)
    }
}

/// Why the invoker does not start, with the causes.
struct Unfit(crate::Error);

/// Most logs end right after the answer, and a message through Kafka takes half a millisecond of the nodes' processor time.
const LOG_GRACE: Duration = Duration::from_millis(1);

/// What the last writes may take beyond the configured drain.
const STORAGE: Duration = Duration::from_secs(5);

/// Lives until a signal.
pub async fn live(config: ServiceConfig, mut process: Process) -> Result<(), Fault> {
    let manifest = Arc::new(offered(&config)?);
    process.admin(&config.admin).await?;
    let mut containers = config
        .containers
        .clone()
        .named(&format!("invoker{}", config.invoker.id));
    let mut env = config.invoker.env.clone();
    if let Some(process) = containers.process_mut() {
        interpreters::show(&manifest, process, &mut env);
    }
    let factory = wsk_containers::open(&containers)?;
    let own_name = format!("invoker{}", config.invoker.id);
    let bus = wsk_bus::open(&config.bus.clone().named(&own_name))?;
    let secrets = Arc::new(config.secrets.vault()?);
    let stores = wait_for("the store", wsk_store::Error::retryable, || {
        wsk_store::open(&config.store)
    })
    .await?;
    wait_for("the bus", wsk_bus::Error::retryable, || bus.reachable()).await?;
    // Before anything of an earlier life is removed, which might be the life of another.
    let name = wait_for(
        "the name of this invoker (`invoker.id`)",
        wsk_bus::Error::retryable,
        || Name::take(bus.clone(), &own_name, &[]),
    )
    .await?;
    let start = || async {
        let settings = Config {
            api_host: config.api_host.clone(),
            images: !is_process(&config),
            log_grace: LOG_GRACE,
            env: env.clone(),
            ..config.invoker.clone()
        };
        let (entities, activations) = (stores.entities.clone(), stores.activations.clone());
        Invoker::start(
            settings,
            manifest.clone(),
            bus.clone(),
            entities,
            activations,
            accredited(
                &config.containers,
                factory.clone(),
                stores.subjects.clone(),
                secrets.clone(),
            ),
            secrets.clone(),
        )
        .await
        .map_err(Unfit)
    };
    let invoker = wait_for("the bus and the containers", Unfit::passes, start).await?;
    work(&mut process, invoker, bus, name, config.drain.0);
    process.run(config.drain.0 + STORAGE).await
}

/// The manifest without the kinds whose interpreter is missing here, or whose image has no variant for this machine.
fn offered(config: &ServiceConfig) -> Result<Manifest, Fault> {
    let mut manifest = named_file("manifest", &config.manifest, Manifest::bundled, Manifest::parse)?;
    if is_process(config) {
        return Ok(interpreters::offered(manifest));
    }
    let own = config.invoker.architecture.clone().unwrap_or_else(Architecture::own);
    manifest.retain(|kind| kind.image.on(&own).is_some());
    Ok(manifest)
}

fn is_process(config: &ServiceConfig) -> bool {
    matches!(config.containers, wsk_containers::Config::Process(_))
}

impl Unfit {
    fn passes(&self) -> bool {
        self.0.retryable()
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&chain(&self.0))
    }
}

fn work(process: &mut Process, invoker: Handle, bus: Arc<dyn MessageBus>, name: Name, drain: Duration) {
    let answering = Task {
        name: "name",
        stage: Stage::Work,
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Report,
    };
    let mut name = Some(name);
    process.supervisor.spawn(answering, move |_| {
        let name = name.take();
        async move {
            name.ok_or("the name was taken once already")?.keep().await;
            Ok::<_, Fault>(())
        }
    });
    let needed = |name, stage| Task {
        name,
        stage,
        on_cancel: OnCancel::Finish,
        on_failure: OnFailure::Stop,
    };
    let mut invoker = Some(invoker);
    process.supervisor.spawn(needed("invoker", Stage::Work), move |cancel| {
        let invoker = invoker.take();
        async move {
            let mut invoker = invoker.ok_or("the invoker was taken once already")?;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = invoker.failed() => return Err(Fault::from("the invoker ended by a fault of its own; the log says which")),
            }
            let drained = invoker.drain(drain).await;
            tracing::info!(?drained, "the invoker has ended");
            Ok(())
        }
    });
    process.supervisor.spawn(needed("bus", Stage::Storage), move |cancel| {
        let bus = bus.clone();
        async move {
            cancel.cancelled().await;
            bus.close().await
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented() {
        assert_eq!(
            wsk_service::config::undocumented::<ServiceConfig>(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_reference_is_that_of_today() {
        let page = include_str!("../../docs/configuration-invoker.md");
        assert!(
            page.ends_with(&wsk_service::config::reference::<ServiceConfig>()),
            "docs/configuration-invoker.md is old: `ferrowhisk-invoker --config-reference` prints its table"
        );
    }
}
