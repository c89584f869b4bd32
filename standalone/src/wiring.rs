//! The services of one process, over one store and one bus.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use hyper::http::request::Parts;
use rand::rngs::StdRng;
use wsk_bus::MessageBus;
use wsk_controller::{App, Duties, api, retain};
use wsk_entities::Manifest;
use wsk_gateway::{Controllers, Forwarded};
use wsk_identity::Authenticator;
use wsk_invoker::{Invoker, interpreters};
use wsk_service::http::{Rejection, Response};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Supervisor, Task};
use wsk_store::{ActivationStore, ApiStore, Stores};

use crate::folder::Folder;
use crate::serve::task;
use crate::{Config, runtimes, subjects};

/// Everything that runs.
pub struct Platform {
    pub app: Arc<App>,
    pub authenticator: Arc<Authenticator>,
    pub apis: Arc<dyn ApiStore>,
    records: Arc<dyn ActivationStore>,
    duties: Duties,
    invoker: wsk_invoker::Handle,
    bus: Arc<dyn MessageBus>,
}

/// Longest wait for the invoker's first heartbeat.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// The key file in the data folder, where no other is configured.
const SECRETS: &str = "secrets.keys";

/// The controller of this process, without a socket in between.
pub struct InProcess(pub Arc<App>);

#[async_trait]
impl Controllers for InProcess {
    async fn call(&self, request: Forwarded) -> Response {
        let Forwarded { head, body, caller } = request;
        let transid = self.0.transaction_id(&head.headers);
        self.0
            .handle(api::Request {
                parts: head,
                body,
                caller,
                transid,
            })
            .await
    }

    fn reject(&self, head: &Parts, rejection: Rejection) -> Response {
        self.0.reject(head, rejection)
    }
}

impl Platform {
    /// Opens everything in the data folder and takes up the work that an earlier life left.
    pub async fn open(config: &Config, folder: &Folder) -> Result<Platform> {
        let manifest = runtimes::offered(config)?;
        let (stores, apis) = open_stores(config, folder).await?;
        let mut rng: StdRng = rand::make_rng();
        subjects::ensure(&*stores.subjects, folder, &mut rng).await?;
        let authenticator = Arc::new(Authenticator::new(stores.subjects.clone()));
        let bus = open_bus(config, folder)?;
        let secrets = config.secrets.vault(folder.path(SECRETS))?;
        let mut env = config.invoker.env.clone();
        let factory = wsk_containers::open(&containers(config, folder, &manifest, &mut env)?).context("containers")?;
        let app = App::new(wsk_controller::Parts {
            config: wsk_controller::Config {
                sealed: config.secrets.scope(),
                ..config.controller.clone()
            },
            manifest: manifest.clone(),
            stores: stores.clone(),
            identities: authenticator.clone(),
            bus: bus.clone(),
            secrets: secrets.clone(),
            rng,
        });
        let duties = app.take_up_duties().await.context("the controller")?;
        let invoker_config = wsk_invoker::Config {
            api_host: config.api_host.clone(),
            env,
            ..config.invoker.clone()
        };
        let invoker = Invoker::start(
            invoker_config,
            manifest,
            bus.clone(),
            stores.entities,
            stores.activations.clone(),
            wsk_invoker::accredited(&config.containers, factory, stores.subjects.clone(), secrets.clone()),
            secrets,
        )
        .await
        .context("the invoker")?;
        // The first call must find it: until its first heartbeat was heard there is nobody to run anything.
        let heard = async {
            while app.invokers().is_empty() {
                tokio::time::sleep(HEARD_WITHIN / 1000).await;
            }
        };
        tokio::time::timeout(HEARD_WITHIN, heard)
            .await
            .context("the controller hears nothing of the invoker")?;
        Ok(Platform {
            app,
            authenticator,
            apis,
            records: stores.activations,
            duties,
            invoker,
            bus,
        })
    }

    /// Takes the invoker out of service and back.
    pub fn switch(&self) -> wsk_invoker::Switch {
        self.invoker.switch()
    }

    /// Hands the parts that live in the background to the supervisor, each to end in its turn.
    pub fn supervise(self, supervisor: &mut Supervisor, drain: Duration) {
        let Platform {
            app,
            authenticator: _,
            apis: _,
            records,
            duties,
            invoker,
            bus,
        } = self;
        supervisor.spawn(task("followers", Stage::Edge), move |cancel| {
            let app = app.clone();
            async move {
                cancel.cancelled().await;
                app.end_followers();
                anyhow::Ok(())
            }
        });
        let retention = Task {
            on_cancel: OnCancel::Abort,
            on_failure: OnFailure::Report,
            ..task("retention", Stage::Work)
        };
        supervisor.spawn(retention, move |_| {
            let records = records.clone();
            async move {
                retain(records).await;
                anyhow::Ok(())
            }
        });
        let mut invoker = Some((invoker, duties));
        supervisor.spawn(task("invoker", Stage::Work), move |cancel| {
            let work = invoker.take();
            async move {
                let (mut invoker, mut duties) = work.context("the invoker was taken once already")?;
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = duties.failed() => anyhow::bail!("a task of the controller ended by a fault of its own"),
                    () = invoker.failed() => anyhow::bail!("the invoker ended by a fault of its own; the log says which"),
                }
                let drained = invoker.drain(drain).await;
                tracing::info!(?drained, "the invoker has ended");
                drop(duties);
                anyhow::Ok(())
            }
        });
        supervisor.spawn(task("bus", Stage::Storage), move |cancel| {
            let bus = bus.clone();
            async move {
                cancel.cancelled().await;
                bus.close().await
            }
        });
    }
}

async fn open_stores(config: &Config, folder: &Folder) -> Result<(Stores, Arc<dyn ApiStore>)> {
    let embedded = wsk_store::EmbeddedConfig {
        path: Some(folder.path("ferrowhisk.db")),
        retain_ms: u64::try_from(config.retention.age.0.as_millis()).unwrap_or(u64::MAX),
        retain_count: config.retention.count,
    };
    wsk_store::open_all(&wsk_store::Config::Embedded(embedded))
        .await
        .context("the store")
}

fn open_bus(config: &Config, folder: &Folder) -> Result<Arc<dyn MessageBus>> {
    let journal = wsk_bus::Journal {
        dir: folder.path("journal"),
        segment_bytes: config.journal.segment.bytes(),
        max_bytes: config.journal.max.bytes(),
        ..wsk_bus::Journal::default()
    };
    let in_process = wsk_bus::InProcess { journal: Some(journal) };
    wsk_bus::open(&wsk_bus::Config::InProcess(in_process)).context("the journal of accepted activations")
}

/// The configured backend, with the data folder out of sight and run-time files inside it, and where interpreters are to be seen.
fn containers(
    config: &Config,
    folder: &Folder,
    manifest: &Manifest,
    env: &mut Vec<(String, String)>,
) -> Result<wsk_containers::Config> {
    let mut containers = config.containers.clone();
    if let Some(process) = containers.process_mut() {
        process
            .hidden
            .push(std::path::absolute(folder.path("")).context("the data folder")?);
        process.run_dir.get_or_insert_with(|| folder.path("sandboxes"));
        interpreters::show(manifest, process, env);
    }
    Ok(containers)
}
