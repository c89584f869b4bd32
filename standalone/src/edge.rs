//! The listeners: the API's, and where configured one that encrypts and one for published APIs alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use wsk_gateway::Scheme;
use wsk_gateway::{Face, Gateway, Shows, tls};
use wsk_service::http::{self, Limits};
use wsk_service::show;
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Supervisor, Task};

use crate::Config;
use crate::folder::Folder;
use crate::serve::task;

/// Bound, not yet serving.
pub struct Edge {
    api: TcpListener,
    /// The API's address, with the port that was taken.
    pub address: SocketAddr,
    encrypting: Option<(TcpListener, tls::Acceptor)>,
    published: Option<TcpListener>,
}

impl Edge {
    /// Binds every configured address and reads the certificate.
    pub async fn bind(config: &Config, folder: &Folder) -> Result<Edge> {
        let api = bind(&config.listen, "name another with --listen").await?;
        let address = api.local_addr().context("the address listened on")?;
        let tls = &config.gateway.tls;
        let encrypting = match tls.listen.as_str() {
            "" => None,
            listen => {
                let files = tls.files(&folder.path(""));
                if tls.is_self_signed() {
                    files.ensure(&tls.names)?;
                }
                let listener = bind(listen, "change gateway.tls.listen").await?;
                Some((listener, tls::Acceptor::new(files).context("gateway.tls")?))
            }
        };
        let published = match config.gateway.apis.listen.as_str() {
            "" => None,
            listen => Some(bind(listen, "change gateway.apis.listen").await?),
        };
        Ok(Edge {
            api,
            address,
            encrypting,
            published,
        })
    }

    /// `host:port` of each listener, as clients of this machine may name it.
    pub fn hosts(&self) -> Vec<String> {
        let encrypting = self.encrypting.as_ref().map(|(listener, _)| listener);
        let listeners = [Some(&self.api), encrypting, self.published.as_ref()];
        let addresses = listeners
            .into_iter()
            .flatten()
            .filter_map(|listener| listener.local_addr().ok());
        addresses
            .flat_map(|address| [reachable(address).to_string(), format!("localhost:{}", address.port())])
            .collect()
    }

    /// Tells people and scripts where the listeners are. They answer from the moment the supervisor runs, which is next.
    pub fn announce(&self, folder: &Folder) -> Result<()> {
        let url = format!("http://{}", reachable(self.address));
        if let Some((listener, _)) = &self.encrypting {
            let address = listener.local_addr().context("the address listened on")?;
            folder.write("tls.url", &format!("https://{}\n", reachable(address)))?;
        }
        if let Some(listener) = &self.published {
            let address = listener.local_addr().context("the address listened on")?;
            folder.write("apis.url", &format!("http://{}\n", reachable(address)))?;
        }
        folder.write("api.url", &format!("{url}\n"))?;
        Ok(show(&format!("{url}\n"))?)
    }

    /// Takes back what [`Edge::announce`] said.
    pub fn withdraw(folder: &Folder) -> Result<()> {
        ["api.url", "tls.url", "apis.url"]
            .iter()
            .try_for_each(|name| folder.remove(name))
    }

    /// Serves until the supervisor cancels.
    pub fn supervise(self, supervisor: &mut Supervisor, gateway: &Arc<Gateway>, drain: Duration) {
        let limits = Limits {
            drain_timeout: drain,
            ..Limits::default()
        };
        let everything = gateway.face(Scheme::Http, Shows::Everything);
        listen(supervisor, "api", self.api, Arc::new(http::Plain), everything, &limits);
        if let Some(listener) = self.published {
            let apis = gateway.face(Scheme::Http, Shows::Apis);
            listen(
                supervisor,
                "published apis",
                listener,
                Arc::new(http::Plain),
                apis,
                &limits,
            );
        }
        if let Some((listener, acceptor)) = self.encrypting {
            watch(supervisor, acceptor.clone());
            let everything = gateway.face(Scheme::Https, Shows::Everything);
            listen(supervisor, "https", listener, Arc::new(acceptor), everything, &limits);
        }
    }
}

/// Looks after the certificate's files.
fn watch(supervisor: &mut Supervisor, acceptor: tls::Acceptor) {
    let watching = Task {
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Report,
        ..task("certificate", Stage::Edge)
    };
    supervisor.spawn(watching, move |_| {
        let acceptor = acceptor.clone();
        async move {
            acceptor.watch().await;
            anyhow::Ok(())
        }
    });
}

/// Makes a listener a task of the supervisor.
fn listen(
    supervisor: &mut Supervisor,
    name: &'static str,
    listener: TcpListener,
    accept: Arc<dyn http::Accept>,
    face: Arc<Face>,
    limits: &Limits,
) {
    let (limits, mut listener) = (limits.clone(), Some(listener));
    supervisor.spawn(task(name, Stage::Edge), move |cancel| {
        let (listener, accept, limits, face) = (listener.take(), accept.clone(), limits.clone(), face.clone());
        async move {
            let listener = listener.context("the listener was taken once already")?;
            http::serve_over(listener, accept, limits, face, cancel).await;
            anyhow::Ok(())
        }
    });
}

async fn bind(address: &str, advice: &str) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}; another program may use the port, {advice}"))
}

/// An address that a client can connect to: a wildcard is reached over loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
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
