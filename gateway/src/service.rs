//! A gateway as a process of its own, before any number of controllers.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use wsk_identity::{Authenticator, Signer};
use wsk_service::config::{Duration as Span, Secret};
use wsk_service::program::{Fault, Process, Settings, listen, wait_for};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Task};
use wsk_service::{http, telemetry};

use crate::apis::target::Scheme;
use crate::remote::Remote;
use crate::{Config, Face, Gateway, Parts, Shows, tls};

wsk_service::settings! {
    /// Configuration of `ferrowhisk-gateway`.
    pub struct ServiceConfig {
        /// Address and port of the API; port 0 takes a free one.
        pub listen: String = "127.0.0.1:3233".to_owned(),
        /// Address and port of `/ping`, `/ready` and `/metrics`.
        pub admin: String = "127.0.0.1:10002".to_owned(),
        /// Addresses of the controllers, `host:port`.
        pub controllers: Vec<String> = vec!["127.0.0.1:10011".to_owned()],
        /// Secret that identities are signed with, 32 bytes or more; the same for all gateways and controllers.
        pub identity_secret: Secret = Secret::new(""),
        /// How long a gateway that was told to end still takes requests, after its `/ready` has begun to say so: the time in
        /// which load balancers notice.
        pub linger: Span = Span::from_secs(5),
        /// Longest time a shutdown takes after that; requests under way get eight tenths of it.
        pub drain: Span = Span::from_secs(20),
        /// Logs.
        pub log: telemetry::Config as section = Default::default(),
        /// The store: `type = "couchdb"` and how to reach it.
        pub store: wsk_store::Config as documented = wsk_store::Config::cluster(),
        /// The edge.
        pub gateway: Config as section = Default::default(),
    }
}

impl Settings for ServiceConfig {
    fn log(&self) -> &telemetry::Config {
        &self.log
    }

    fn check(&self) -> Result<(), String> {
        self.store.check_shared()
    }
}

/// The share of `drain` that requests get. Their listeners cut what is left then, so that those who asked and the log are told
/// before the process ends.
const REQUESTS: f64 = 0.8;

/// Lives until a signal.
pub async fn live(config: ServiceConfig, mut process: Process) -> Result<(), Fault> {
    let signer = Signer::new(config.identity_secret.reveal().as_bytes())
        .map_err(|error| format!("`identity_secret`: {error}"))?;
    let remote = Remote::new(&config.controllers, signer)?;
    crate::metrics::show();
    let listener = listen("gateway", &config.listen).await?;
    let encrypting = encrypting(&config.gateway.tls).await?;
    let published = published(&config.gateway.apis.listen).await?;
    process.admin(&config.admin).await?;
    let (stores, apis) = wait_for("the store", wsk_store::Error::retryable, || {
        wsk_store::open_all(&config.store)
    })
    .await?;
    let watch = Task {
        name: "controllers",
        stage: Stage::Edge,
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Stop,
    };
    let (watching, found) = (remote.watch(), remote.reachable());
    let mut watching = Some(watching);
    process.supervisor.spawn(watch, move |_| {
        let watching = watching.take();
        async move {
            match watching {
                Some(watching) => watching.await,
                None => return Err("the watch over the controllers was taken once already"),
            }
            Ok(())
        }
    });
    let gateway = Gateway::new(Parts {
        config: config.gateway.clone(),
        authenticator: Arc::new(Authenticator::new(stores.subjects)),
        controllers: Arc::new(remote),
        phases: process.phases.clone(),
        apis,
        hosts: Vec::new(),
    })?;
    let (gateway, drain) = (Arc::new(gateway), config.drain.0.mul_f64(REQUESTS));
    if let Some((listener, acceptor)) = encrypting {
        look_after(&mut process, acceptor.clone());
        let face = gateway.face(Scheme::Https, Shows::Everything);
        serve(&mut process, "https", listener, Arc::new(acceptor), face, drain);
    }
    let face = gateway.face(Scheme::Http, Shows::Everything);
    serve(&mut process, "api", listener, Arc::new(http::Plain), face, drain);
    if let Some(listener) = published {
        let face = gateway.face(Scheme::Http, Shows::Apis);
        serve(
            &mut process,
            "published apis",
            listener,
            Arc::new(http::Plain),
            face,
            drain,
        );
    }
    process.supervisor.linger(config.linger.0);
    // Requests are answered already, with what is missing; load balancers wait for `/ready`.
    found.await;
    process.run(config.drain.0).await
}

/// The listener that shows published APIs alone, where one is configured.
async fn published(listen: &str) -> Result<Option<TcpListener>, Fault> {
    if listen.is_empty() {
        return Ok(None);
    }
    let listener = bound(listen, "gateway.apis.listen").await?;
    println!("apis http://{}", listener.local_addr()?);
    Ok(Some(listener))
}

async fn bound(address: &str, key: &str) -> Result<TcpListener, Fault> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| {
        format!("cannot listen on {address}: {error}; name another address with the key `{key}`").into()
    })
}

/// The encrypting listener, where one is configured. Gateways before which clients are balanced show the same certificate, so
/// none makes one of its own.
async fn encrypting(config: &tls::Config) -> Result<Option<(TcpListener, tls::Acceptor)>, Fault> {
    if config.listen.is_empty() {
        return Ok(None);
    }
    if config.certificate.as_os_str().is_empty() || config.key.as_os_str().is_empty() {
        return Err(
            "`gateway.tls.listen` is set; name the files of a certificate with `gateway.tls.certificate` and \
                    `gateway.tls.key`, the same for all gateways"
                .into(),
        );
    }
    let files = tls::Files {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
    };
    let acceptor = tls::Acceptor::new(files).map_err(|error| format!("`gateway.tls`: {error}"))?;
    let listener = bound(&config.listen, "gateway.tls.listen").await?;
    println!("https https://{}", listener.local_addr()?);
    Ok(Some((listener, acceptor)))
}

/// Notices when the certificate's files change.
fn look_after(process: &mut Process, acceptor: tls::Acceptor) {
    let task = Task {
        name: "certificate",
        stage: Stage::Edge,
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Report,
    };
    process.supervisor.spawn(task, move |_| {
        let acceptor = acceptor.clone();
        async move {
            acceptor.watch().await;
            Ok::<_, Fault>(())
        }
    });
}

fn serve(
    process: &mut Process,
    name: &'static str,
    listener: TcpListener,
    accept: Arc<dyn http::Accept>,
    face: Arc<Face>,
    drain: Duration,
) {
    let task = Task {
        name,
        stage: Stage::Edge,
        on_cancel: OnCancel::Finish,
        on_failure: OnFailure::Stop,
    };
    let limits = http::Limits {
        drain_timeout: drain,
        ..http::Limits::default()
    };
    let mut listener = Some(listener);
    process.supervisor.spawn(task, move |cancel| {
        let (listener, accept, limits, face) = (listener.take(), accept.clone(), limits.clone(), face.clone());
        async move {
            let listener = listener.ok_or("the listener was taken once already")?;
            http::serve_over(listener, accept, limits, face, cancel).await;
            Ok::<_, Fault>(())
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
        let page = include_str!("../../docs/configuration-gateway.md");
        assert!(
            page.ends_with(&wsk_service::config::reference::<ServiceConfig>()),
            "docs/configuration-gateway.md is old: `ferrowhisk-gateway --config-reference` prints its table"
        );
    }
}
