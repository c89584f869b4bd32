//! A controller as a process of its own: the API for gateways that vouch for who is calling.
//!
//! Nothing unsigned is answered: a request without the gateway's signature gets 401 before a route is looked for. Probes and
//! metrics are on the admin listener; `/ready` also answers here, so that gateways ask the address they call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts as Head;
use rand::rngs::StdRng;
use wsk_bus::{MessageBus, Name};
use wsk_entities::Manifest;
use wsk_identity::{Authenticator, DOUBT, HEADER, Outcome, Signer};
use wsk_service::config::{Duration as Span, Secret, named_file};
use wsk_service::http::{self, Handler, Rejection, Request, Response, text};
use wsk_service::phase::{Listener, Phases, Verdict};
use wsk_service::program::{Fault, Process, Settings, chain, listen, named, some, wait_for};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Task};
use wsk_service::telemetry::trace::{self, within};
use wsk_service::{admin, clock, telemetry};

use crate::{App, Config, Duties, Parts, api, retain};

wsk_service::settings! {
    /// Configuration of `ferrowhisk-controller`.
    pub struct ServiceConfig {
        /// Address and port for gateways; port 0 takes a free one.
        pub listen: String = "127.0.0.1:10011".to_owned(),
        /// Address and port of `/ping`, `/ready` and `/metrics`.
        pub admin: String = "127.0.0.1:10012".to_owned(),
        /// Secret that gateways sign identities with, 32 bytes or more; the same for all gateways and controllers.
        pub identity_secret: Secret = Secret::new(""),
        /// Runtimes manifest to use instead of the bundled one; empty: the bundled one.
        pub manifest: String = String::new(),
        /// How long a controller that was told to end still takes requests, after its `/ready` has begun to say so: the time in
        /// which gateways notice, which look every second.
        pub linger: Span = Span::from_secs(3),
        /// Longest time a shutdown waits, after that, for what is running; requests get six tenths of it, the rest is for handing
        /// back what goes on elsewhere.
        pub drain: Span = Span::from_secs(20),
        /// Logs.
        pub log: telemetry::Config as section = Default::default(),
        /// The store: `type = "couchdb"` and how to reach it.
        pub store: wsk_store::Config as documented = wsk_store::Config::cluster(),
        /// The bus: `type = "kafka"` and how to reach it.
        pub bus: wsk_bus::Config as documented = wsk_bus::Config::cluster(),
        /// Keys of secret parameters.
        pub secrets: wsk_secrets::Config as documented = wsk_secrets::Config::default(),
        /// The controller.
        pub controller: Config as documented = Config { invocations_per_minute: Some(60), concurrent_invocations: Some(30), fires_per_minute: Some(60), takeover_after_ms: Some(60_000), ..Config::default() },
    }
}

impl Settings for ServiceConfig {
    fn log(&self) -> &telemetry::Config {
        &self.log
    }

    fn check(&self) -> Result<(), String> {
        let own = &self.controller;
        named("controller.id", &own.id)?;
        some("controller.cluster_size", own.cluster_size.into())?;
        self.store.check_shared()?;
        self.bus
            .check_shared("controller.max_payload_bytes", own.max_payload_bytes)
    }
}

/// The API behind a signature.
struct Door {
    app: Arc<App>,
    signer: Signer,
    phases: Phases,
}

/// Why the controller's duties cannot be taken up, for the operator.
struct Unfit(crate::app::Error);

/// Invokers say every second that they are there: who has listened for so long knows those that are.
const HEARD: Duration = Duration::from_millis(1500);
/// Longest wait for a first invoker before the controller serves without one.
const LONELY: Duration = Duration::from_secs(5);
/// The share of `drain` that requests get; in the rest compositions and promises go back to the bus.
const REQUESTS: f64 = 0.6;
/// What the last writes may take beyond the configured drain.
const STORAGE: Duration = Duration::from_secs(5);

/// Lives until a signal.
pub async fn live(config: ServiceConfig, mut process: Process) -> Result<(), Fault> {
    let signer = Signer::new(config.identity_secret.reveal().as_bytes())
        .map_err(|error| format!("`identity_secret`: {error}"))?;
    let manifest = named_file("manifest", &config.manifest, Manifest::bundled, Manifest::parse)?;
    let secrets = Arc::new(config.secrets.vault()?);
    let listener = listen("controller", &config.listen).await?;
    process.admin(&config.admin).await?;
    let own_name = format!("controller{}", config.controller.id);
    let bus = wsk_bus::open(&config.bus.clone().named(&own_name))?;
    let stores = wait_for("the store", wsk_store::Error::retryable, || {
        wsk_store::open(&config.store)
    })
    .await?;
    wait_for("the bus", wsk_bus::Error::retryable, || bus.reachable()).await?;
    let cluster_size = ("controller.cluster_size", config.controller.cluster_size.to_string());
    let alike = [cluster_size];
    let name = wait_for(
        "the name of this controller (`controller.id`)",
        wsk_bus::Error::retryable,
        || Name::take(bus.clone(), &own_name, &alike),
    )
    .await?;
    let rng: StdRng = rand::make_rng();
    let app = App::new(Parts {
        config: Config {
            sealed: config.secrets.scope(),
            ..config.controller.clone()
        },
        manifest: Arc::new(manifest),
        stores: stores.clone(),
        identities: Arc::new(Authenticator::new(stores.subjects)),
        bus: bus.clone(),
        secrets,
        rng,
    });
    let take_up = || async { app.take_up_duties().await.map_err(Unfit) };
    let duties = wait_for("the bus", Unfit::passes, take_up).await?;
    let drain = config.drain.0;
    let phases = process.phases.clone();
    let door = Door {
        app: app.clone(),
        signer,
        phases,
    };
    serve(&mut process, listener, door, drain.mul_f64(REQUESTS));
    work(&mut process, duties, bus, name);
    let records = stores.activations;
    process.supervisor.spawn(reported("retention"), move |_| {
        let records = records.clone();
        async move {
            retain(records).await;
            Ok::<_, Fault>(())
        }
    });
    hear_invokers(&app).await;
    process.supervisor.linger(config.linger.0);
    process.run(drain + STORAGE).await
}

/// Waits until the invokers are known, so that the first invocation is not refused for want of one.
async fn hear_invokers(app: &App) {
    let first = async {
        while !app
            .invokers()
            .iter()
            .any(|(_, health)| *health == crate::app::Health::Up)
        {
            tokio::time::sleep(HEARD / 30).await;
        }
    };
    tokio::join!(tokio::time::sleep(HEARD), async {
        if tokio::time::timeout(LONELY, first).await.is_err() {
            tracing::warn!("no invoker was heard; this controller serves, and refuses invocations until one is up");
        }
    });
}

fn reported(name: &'static str) -> Task {
    Task {
        name,
        stage: Stage::Work,
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Report,
    }
}

fn needed(name: &'static str, stage: Stage) -> Task {
    Task {
        name,
        stage,
        on_cancel: OnCancel::Finish,
        on_failure: OnFailure::Stop,
    }
}

fn serve(process: &mut Process, listener: tokio::net::TcpListener, door: Door, drain: Duration) {
    let limits = http::Limits {
        drain_timeout: drain,
        ..http::Limits::default()
    };
    let (mut listener, door) = (Some(listener), Arc::new(door));
    let app = door.app.clone();
    process
        .supervisor
        .spawn(needed("followers", Stage::Edge), move |cancel| {
            let app = app.clone();
            async move {
                cancel.cancelled().await;
                app.end_followers();
                Ok::<_, Fault>(())
            }
        });
    process.supervisor.spawn(needed("api", Stage::Edge), move |cancel| {
        let (listener, limits, door) = (listener.take(), limits.clone(), door.clone());
        async move {
            let listener = listener.ok_or("the listener was taken once already")?;
            http::serve(listener, limits, door, cancel).await;
            Ok::<_, Fault>(())
        }
    });
}

fn work(process: &mut Process, duties: Duties, bus: Arc<dyn MessageBus>, name: Name) {
    let mut name = Some(name);
    process.supervisor.spawn(reported("name"), move |_| {
        let name = name.take();
        async move {
            name.ok_or("the name was taken once already")?.keep().await;
            Ok::<_, Fault>(())
        }
    });
    let mut duties = Some(duties);
    process.supervisor.spawn(needed("duties", Stage::Work), move |cancel| {
        let duties = duties.take();
        async move {
            let mut duties = duties.ok_or("the duties were taken once already")?;
            tokio::select! {
                () = cancel.cancelled() => Ok(()),
                () = duties.failed() => Err(Fault::from("a task of the controller ended; the log says why")),
            }
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

impl Unfit {
    fn passes(&self) -> bool {
        matches!(self.0, crate::app::Error::Unavailable(_))
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            crate::app::Error::Unavailable(reason) | crate::app::Error::Internal(reason) => f.write_str(reason),
            other => f.write_str(&chain(other)),
        }
    }
}

impl Door {
    /// Who is calling, as a gateway found it. A request that no gateway signed is nobody's; one that was signed in another
    /// way than here is the platform's fault, not the caller's.
    fn caller(&self, head: &mut Head) -> Result<Outcome, Box<Response>> {
        let Some(header) = head.headers.remove(HEADER) else {
            tracing::warn!("a request came without a gateway's word on who is calling");
            return Err(Box::new(text(
                StatusCode::UNAUTHORIZED,
                "The request was not vouched for by a gateway; the log of this controller says why.",
            )));
        };
        self.signer.verify(header.as_bytes(), clock::now()).map_err(|error| {
            tracing::warn!(%error, "a gateway's word on who is calling is not believed");
            Box::new(text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The controller does not believe the gateway; the logs of both say why.",
            ))
        })
    }

    /// Whether this controller takes requests, and those of the gateway that asks.
    fn ready(&self, head: &Head) -> Response {
        let doubt = head
            .headers
            .get(HEADER)
            .and_then(|header| self.signer.verify(header.as_bytes(), clock::now()).err());
        let Some(doubt) = doubt else {
            return admin::answer("/ready", &self.phases).expect("an admin path");
        };
        let doubt = doubt.to_string();
        let mut response = text(StatusCode::FORBIDDEN, "The gateway is not believed.");
        if let Ok(doubt) = HeaderValue::from_str(&doubt) {
            response.headers_mut().insert(DOUBT, doubt);
        }
        response
    }
}

#[async_trait]
impl Handler for Door {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        let Request { mut head, body, .. } = request;
        if head.uri.path() == "/ready" {
            return self.ready(&head);
        }
        let caller = match self.caller(&mut head) {
            Ok(caller) => caller,
            Err(refusal) => return *refusal,
        };
        let verdict = self.phases.current().verdict(Listener::Api);
        if verdict == Verdict::Refuse {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "The controller is starting; try again in a moment.",
            );
        }
        let transid = self.app.transaction_id(&head.headers);
        let request = api::Request {
            parts: head,
            body,
            caller,
            transid,
        };
        let mut span = trace::Span::serve(&request.parts);
        span.note("ferrowhisk.transaction_id", || request.transid.id.to_string());
        let mut response = within(span.context(), self.app.handle(request)).await;
        span.answered(response.status());
        if verdict == Verdict::ServeAndClose {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn reject(&self, head: &Head, rejection: Rejection) -> Response {
        self.app.reject(head, rejection)
    }
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
    fn what_cannot_work_is_refused_by_its_key() {
        assert_eq!(ServiceConfig::default().check(), Ok(()));
        for (spoil, expected) in [
            (
                (|config| config.controller.id.clear()) as fn(&mut ServiceConfig),
                "`controller.id` is empty",
            ),
            (
                |config| config.controller.id = "a/b".to_owned(),
                "`controller.id`: `a/b` has the character '/'",
            ),
            (
                |config| config.controller.id = "7".repeat(65),
                "`controller.id` has 65 characters",
            ),
            (
                |config| config.controller.cluster_size = 0,
                "`controller.cluster_size` is 0",
            ),
            (
                |config| config.controller.max_payload_bytes = 5_000_000,
                "`bus.topics.max_message_bytes`",
            ),
            (
                |config| config.bus = wsk_bus::Config::default(),
                "`bus.type` is `in_process`",
            ),
            (
                |config| config.store = wsk_store::Config::Embedded(Default::default()),
                "`store.type` is `embedded`",
            ),
        ] {
            let mut config = ServiceConfig::default();
            spoil(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_reference_is_that_of_today() {
        let page = include_str!("../../docs/configuration-controller.md");
        assert!(
            page.ends_with(&wsk_service::config::reference::<ServiceConfig>()),
            "docs/configuration-controller.md is old: `ferrowhisk-controller --config-reference` prints its table"
        );
    }
}
