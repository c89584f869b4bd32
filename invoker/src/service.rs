//! An invoker as a process of its own, on the node whose containers it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wsk_bus::MessageBus;
use wsk_entities::{Manifest, Runtime};
use wsk_service::config::Duration as Span;
use wsk_service::program::{Fault, Process, Settings, wait_for};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Task};
use wsk_service::telemetry;

use crate::{Config, Handle, Invoker};

/// The manifest that comes with the platform.
const BUNDLED: &str = include_str!("../../runtimes/manifest.json");

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
        pub store: wsk_store::Config as foreign {
            "type": "`couchdb`.",
            "url": "Address of the server, `http://host:5984` or `https://...`.",
            "username": "User that may create databases and design documents, unless they are there.",
            "prefix": "What the names of the databases begin with.",
            "timeout_s": "Longest wait for one answer, in seconds.",
            "batch": "Most records in one bulk write.",
            "retain_ms": "Used by controllers.",
            "retain_count": "Used by controllers.",
        } = wsk_store::Config::cluster(),
        /// The bus: `type = "kafka"` and how to reach it.
        pub bus: wsk_bus::Config as foreign {
            "type": "`kafka`.",
            "brokers": "Addresses to begin with, `host:port` separated by commas.",
            "instance": "Name of this process among its peers; made from its number when empty.",
            "topic_prefix": "Put before every topic's name.",
            "replication": "Copies of each topic that is made.",
            "timeout_ms": "Longest wait for the brokers' word on one operation, in milliseconds.",
            "session_timeout_ms": "Time after which a member that is silent loses its subscription to another, in milliseconds.",
            "fetch_ahead": "Messages of one topic that this process fetches ahead of its consumers.",
            "properties": "Further settings of librdkafka by their names, such as `security.protocol` or `sasl.username`.",
        } = wsk_bus::Config::cluster(),
        /// Keys of secret parameters.
        pub secrets: wsk_secrets::Config as foreign {
            "all": "Used by controllers.",
        } = wsk_secrets::Config::default(),
        /// The invoker; the keys are those of the section `invoker` of the platform in one process.
        pub invoker: Config as foreign {
            "id": "Number of this invoker; it takes work from the topic `invoker<id>`. No two may have the same.",
            "name": "Name for people, part of the names of containers.",
            "memory_mb": "Memory for the containers of actions, in MB. An activation that finds none waits for its turn.",
        } = Config::default(),
        /// Where actions run: sandboxed processes of this machine, or a Docker engine's containers.
        pub containers: wsk_containers::Config as foreign {
            "process.network": "`host`: actions share the machine's network; `none`: they have none.",
        } = wsk_containers::Config::default(),
    }
}

impl Settings for ServiceConfig {
    fn log(&self) -> &telemetry::Config {
        &self.log
    }
}

/// What the last writes may take beyond the configured drain.
const STORAGE: Duration = Duration::from_secs(5);

/// Lives until a signal.
pub async fn live(config: ServiceConfig, mut process: Process) -> Result<(), Fault> {
    let manifest = Arc::new(manifest(&config)?);
    process.admin(&config.admin).await?;
    let factory = wsk_containers::open(&config.containers)?;
    let bus = wsk_bus::open(&config.bus.clone().named(&format!("invoker{}", config.invoker.id)))?;
    let secrets = Arc::new(config.secrets.vault()?);
    let stores = wait_for("the store", wsk_store::Error::retryable, || {
        wsk_store::open(&config.store)
    })
    .await?;
    let start = || {
        let settings = Config {
            api_host: config.api_host.clone(),
            ..config.invoker.clone()
        };
        let (entities, activations) = (stores.entities.clone(), stores.activations.clone());
        Invoker::start(
            settings,
            manifest.clone(),
            bus.clone(),
            entities,
            activations,
            factory.clone(),
            secrets.clone(),
        )
    };
    let invoker = wait_for("the bus and the containers", crate::Error::retryable, start).await?;
    work(&mut process, invoker, bus, config.drain.0);
    process.run(config.drain.0 + STORAGE).await
}

/// The manifest without the kinds whose interpreter is missing here.
fn manifest(config: &ServiceConfig) -> Result<Manifest, Fault> {
    let mut manifest = match config.manifest.as_str() {
        "" => Manifest::parse(BUNDLED)?,
        file => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("`manifest`: cannot read {file}: {error}"))?;
            Manifest::parse(&text)?
        }
    };
    if matches!(config.containers, wsk_containers::Config::Process(_)) {
        for kinds in manifest.runtimes.values_mut() {
            kinds.retain(|kind| !lacks_interpreter(kind));
        }
        manifest.runtimes.retain(|_, kinds| !kinds.is_empty());
    }
    Ok(manifest)
}

fn lacks_interpreter(kind: &Runtime) -> bool {
    let needs = kind.process.as_ref().and_then(|process| process.needs.as_deref());
    needs.is_some_and(|program| find(program).is_none())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn work(process: &mut Process, invoker: Handle, bus: Arc<dyn MessageBus>, drain: Duration) {
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
