//! Makes containers and keeps the list of those that exist.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    errors::Error as ApiError,
    models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::{CreateContainerOptions, ListContainersOptions, StartContainerOptions},
};
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::{
    Config, ReadOnly,
    container::{Contained, Making, Remains},
    engine::{Engine, failed, status, verdict_of_start},
    owner::{self, Hints, Life, Owner},
    request::{self, FACTORY_LABEL, LIFE_LABEL, NODE_LABEL, OWNER_LABEL},
};
use crate::{Container, ContainerFactory, Error, Layer, LayerState, Spec, process::random_hex};

/// The factory behind the seam.
pub(super) struct Factory {
    /// Itself, for the containers it makes.
    this: Weak<Factory>,
    config: Config,
    engine: Arc<Engine>,
    /// This process, once the engine said whether it is in a container of its own.
    owner: OnceCell<Owner>,
    /// Part of every name, so that none is used twice.
    life: String,
    made: AtomicU64,
    existing: Mutex<HashMap<String, Weak<Remains>>>,
    closed: AtomicBool,
}

/// Where every image listens.
const PORT: u16 = 8080;
/// The network that is the machine's own.
const HOST: &str = "host";
/// Exit status of a program that was not found.
const NOT_FOUND: i64 = 127;

/// Opens the backend. The engine is contacted at its first use.
pub(crate) fn open(config: &Config) -> Result<Arc<dyn ContainerFactory>, Error> {
    let life = random_hex(4).map_err(|source| failed("factory", "make name", source))?;
    let engine = Arc::new(Engine::new(config)?);
    Ok(Arc::new_cyclic(|this| Factory {
        this: this.clone(),
        config: config.clone(),
        engine,
        owner: OnceCell::new(),
        life,
        made: AtomicU64::new(0),
        existing: Mutex::default(),
        closed: AtomicBool::new(false),
    }))
}

impl Factory {
    /// A container is gone.
    pub(super) fn forget(&self, name: &str) {
        self.existing().remove(name);
    }

    fn existing(&self) -> MutexGuard<'_, HashMap<String, Weak<Remains>>> {
        self.existing.lock().expect("no panic while locked")
    }

    fn refuse_when_closed(&self) -> Result<(), Error> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::ShuttingDown),
            false => Ok(()),
        }
    }

    async fn create_to_the_end(&self, spec: Spec) -> Result<Arc<Contained>, Error> {
        self.refuse_when_closed()?;
        let image = self.engine.provide(&spec).await?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = request::name(&spec.name, &self.life, number);
        let made = match self.make(name.clone(), &spec, &image).await {
            Ok(made) => Arc::new(made),
            Err(error) => {
                self.remove_failed(&name).await;
                return Err(error);
            }
        };
        self.existing().insert(name, Arc::downgrade(made.remains()));
        if let Err(closed) = self.refuse_when_closed() {
            made.destroy().await?;
            return Err(closed);
        }
        Ok(made)
    }

    async fn make(&self, name: String, spec: &Spec, image: &str) -> Result<Contained, Error> {
        let port = match self.config.network == HOST {
            true => Some(free_port().map_err(|source| failed(&name, "find port", source))?),
            false => None,
        };
        self.create_in_engine(&name, spec, image, port).await?;
        self.start(&name, spec).await?;
        let address = self.address(&name, spec, port).await?;
        Ok(Contained::new(Making {
            name,
            address,
            concurrency: spec.concurrency,
            log_capacity: self.config.log_buffer_bytes.saturating_mul(2),
            log_quiet: Duration::from_millis(self.config.log_quiet_ms),
            engine: self.engine.clone(),
            factory: self.this.clone(),
        }))
    }

    async fn create_in_engine(&self, name: &str, spec: &Spec, image: &str, port: Option<u16>) -> Result<(), Error> {
        let labels = [
            (FACTORY_LABEL, self.config.identity.clone()),
            (OWNER_LABEL, self.owner().await?.label()),
            (NODE_LABEL, self.config.node.clone()),
            (LIFE_LABEL, self.life.clone()),
        ];
        let labels = labels.map(|(label, value)| (label.to_owned(), value)).into();
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: self.config.platform.clone().unwrap_or_default(),
        };
        let body = request::body(&self.config, spec, image, labels, port);
        let call = self.engine.api().await?.create_container(Some(options), body);
        match self.within_limit(call).await {
            Ok(_) => Ok(()),
            // It was there a moment ago, or may not be pulled at all.
            Err(error) if status(&error) == Some(404) => Err(Error::ImagePull {
                image: spec.image.clone(),
                reason: error.to_string(),
            }),
            Err(error) if error.to_string().contains("No command specified") => Err(Error::ProgramMissing {
                image: spec.image.clone(),
                program: String::new(),
            }),
            Err(error) => Err(failed(name, "create", io::Error::other(error))),
        }
    }

    async fn start(&self, name: &str, spec: &Spec) -> Result<(), Error> {
        let call = self
            .engine
            .api()
            .await?
            .start_container(name, None::<StartContainerOptions>);
        match self.within_limit(call).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let inspected = self.engine.inspect(name).await.ok().flatten();
                let program = inspected.and_then(|inspected| inspected.path).unwrap_or_default();
                match verdict_of_start(name, &spec.image, &program, error) {
                    Some(verdict) => Err(verdict),
                    None => Err(self.engine.foreign(&spec.image, Vec::new()).await),
                }
            }
        }
    }

    async fn within_limit<T>(&self, call: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let limit = Duration::from_millis(self.config.engine_timeout_ms);
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or(Err(ApiError::RequestTimeoutError))
    }

    /// Where a started container is reached.
    async fn address(&self, name: &str, spec: &Spec, port: Option<u16>) -> Result<SocketAddr, Error> {
        let inspected = self.engine.inspect(name).await?;
        let inspected = inspected.ok_or_else(|| Error::Gone { id: name.to_owned() })?;
        let state = inspected.state.clone().unwrap_or_default();
        let exit = state.exit_code.unwrap_or(0);
        if state.running == Some(false) && exit == NOT_FOUND {
            return Err(Error::ProgramMissing {
                image: spec.image.clone(),
                program: inspected.path.unwrap_or_default(),
            });
        }
        if state.running == Some(false) {
            let reason = format!("its program ended at once with status {exit}");
            return Err(failed(name, "start", io::Error::other(reason)));
        }
        if let Some(port) = port {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        let address = address_of(&inspected).ok_or_else(|| {
            let reason = format!("network {} gave it no address", self.config.network);
            failed(name, "find address", io::Error::other(reason))
        })?;
        Ok(SocketAddr::new(address, PORT))
    }

    async fn remove_failed(&self, name: &str) {
        if let Err(error) = self.engine.remove(name).await {
            tracing::warn!(container = name, %error, "a container that could not be started could not be removed");
        }
    }

    /// This process as its containers name it.
    async fn owner(&self) -> Result<&Owner, Error> {
        let find = async {
            let house = match owner::house() {
                // Another engine's container is no use: only this engine is asked whether it still runs.
                Some(id) if self.engine.inspect(&id).await?.is_some() => Some(id),
                Some(_) | None => None,
            };
            Ok(Owner::own(house))
        };
        self.owner.get_or_try_init(|| find).await
    }

    /// Whether a container with our identity was left behind by a life that is over.
    async fn is_orphan(&self, container: &ContainerSummary) -> Result<bool, Error> {
        let label = |name| container.labels.as_ref().and_then(|labels| labels.get(name));
        if label(LIFE_LABEL) == Some(&self.life) {
            return Ok(false);
        }
        let Some(owner) = label(OWNER_LABEL).and_then(|label| Owner::parse(label)) else {
            return Ok(true);
        };
        let life = owner.life();
        let house_runs = match (life, owner.house()) {
            (Life::Unknown, Some(house)) if self.owner().await?.house() != Some(house) => {
                Some(self.engine.runs(house).await?)
            }
            // In our own container we are the one process there is.
            (Life::Unknown, Some(_)) => Some(false),
            (Life::Unknown, None) | (Life::Lives | Life::Over, _) => None,
        };
        let hints = Hints {
            ended: container.state == Some(ContainerSummaryStateEnum::EXITED),
            namesake: !self.config.node.is_empty() && label(NODE_LABEL) == Some(&self.config.node),
            house_runs,
        };
        let orphan = owner::is_orphan(life, hints);
        if life == Life::Unknown && !orphan {
            let id = container.id.as_deref().unwrap_or_default();
            tracing::info!(
                container = id,
                "a container of another machine, or of another namespace of processes, was left alone"
            );
        }
        Ok(orphan)
    }
}

#[async_trait]
impl ContainerFactory for Factory {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let this = self.this.upgrade().ok_or(Error::ShuttingDown)?;
        // In a task of its own, so that a caller who gives up does not stop it half-way: what is made is then dropped whole.
        let made = tokio::spawn(async move { this.create_to_the_end(spec).await });
        Ok(made.await.unwrap_or(Err(Error::ShuttingDown))?)
    }

    async fn sweep(&self) -> Result<usize, Error> {
        let label = format!("{FACTORY_LABEL}={}", self.config.identity);
        let options = ListContainersOptions {
            all: true,
            filters: Some([("label".to_owned(), vec![label])].into()),
            ..Default::default()
        };
        let call = self.engine.api().await?.list_containers(Some(options));
        let found = self
            .engine
            .step("engine", "list containers", call)
            .await?
            .unwrap_or_default();
        let mut ids = Vec::new();
        for container in &found {
            if self.is_orphan(container).await? {
                ids.extend(container.id.as_deref());
            }
        }
        let removed = join_all(ids.iter().map(|id| self.engine.remove(id))).await;
        removed
            .into_iter()
            .collect::<Result<Vec<()>, Error>>()
            .map(|removed| removed.len())
    }

    async fn architecture(&self) -> Result<Option<String>, Error> {
        Ok(Some(self.engine.platform().await?.architecture().to_owned()))
    }

    async fn shutdown(&self) -> Result<(), Error> {
        self.closed.store(true, Ordering::Release);
        let existing: Vec<Arc<Remains>> = self.existing().values().filter_map(Weak::upgrade).collect();
        // Side by side, since each waits for the engine.
        let buried = join_all(existing.iter().map(|remains| remains.bury())).await;
        buried.into_iter().collect()
    }

    fn layers(&self) -> Vec<Layer> {
        let layer = |name, state, detail: String| Layer { name, state, detail };
        let limits = format!(
            "memory without swap, {} processes, {} open files, by the engine",
            self.config.pids, self.config.open_files
        );
        let root = match self.config.read_only_root {
            ReadOnly::Managed => (
                LayerState::Partial,
                "managed images; users' images write to a layer of their own",
            ),
            ReadOnly::Always => (LayerState::On, "all images"),
            ReadOnly::Never => (LayerState::Missing, "switched off by read_only_root"),
        };
        let network = match self.config.network == HOST {
            true => (LayerState::Missing, "the machine's own network"),
            false => (
                LayerState::Partial,
                "one each; whether they reach each other is the network's setting",
            ),
        };
        vec![
            reached(&self.config.engine),
            layer("memory-limit", LayerState::On, limits),
            layer("capabilities", LayerState::On, "none, and no new privileges".to_owned()),
            layer("read-only-root", root.0, root.1.to_owned()),
            layer("network-namespace", network.0, network.1.to_owned()),
        ]
    }
}

/// Whether somebody listens at the engine's address.
fn reached(engine: &str) -> Layer {
    let connected = match (engine.strip_prefix("unix://"), engine.strip_prefix("tcp://")) {
        (Some(path), _) => UnixStream::connect(path).map(drop),
        (None, Some(address)) => TcpStream::connect(address).map(drop),
        (None, None) => Err(io::Error::other("neither unix:// nor tcp://")),
    };
    let (state, detail) = match connected {
        Ok(()) => (LayerState::On, engine.to_owned()),
        Err(error) => (
            LayerState::Missing,
            format!("{engine}: {error}; start the engine, or name another in containers.docker.engine"),
        ),
    };
    Layer {
        name: "engine",
        state,
        detail,
    }
}

/// A port of this machine that nobody listens on now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn address_of(container: &ContainerInspectResponse) -> Option<IpAddr> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    networks
        .values()
        .find_map(|network| network.ip_address.as_deref()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_does_not_listen_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let engine = format!("unix://{}", dir.path().join("sock").display());
        let layer = reached(&engine);
        assert_eq!(layer.state, LayerState::Missing);
        assert!(layer.detail.contains(&engine), "{}", layer.detail);
        let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
        assert_eq!(reached(&engine).state, LayerState::On);
    }
}
