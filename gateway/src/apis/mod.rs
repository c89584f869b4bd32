//! The API gateway: what people publish below `/api/<tenant>`, and how they manage it.
//!
//! [`public`] answers calls, [`management`] the three actions of `/whisk.system/apimgmt` and [`v2`] the interface that such
//! actions use elsewhere. [`document`], [`routes`], [`matching`], [`mapping`], [`policy`] and [`limit`] decide, purely; [`tenants`]
//! keeps routes at hand, [`oauth`] asks who a bearer is, [`backend`] talks to other servers. A target that names this platform is called in process.
//!
//! Invariants: a route is durable before its creation is answered, and served from then on; a description that asks for a
//! protection which is not offered is refused; nobody learns whether a tenant exists.

pub mod backend;
pub mod document;
pub mod error;
pub mod limit;
pub mod management;
pub mod mapping;
pub mod matching;
pub mod oauth;
pub mod policy;
pub mod public;
pub mod reach;
pub mod routes;
pub mod target;
pub mod tenants;
pub mod v2;

use std::sync::Arc;

use wsk_service::config::{Duration, Secret, Size};
use wsk_store::ApiStore;

use crate::client::Proxies;
use backend::Backends;
use limit::Limiter;
use oauth::Tokens;
use reach::Reach;
use target::{Scheme, Target, known_as};
use tenants::Tenants;

wsk_service::settings! {
    /// Options of the API gateway.
    pub struct Config {
        /// A further address and port that answers calls of APIs and nothing else; empty: none.
        pub listen: String = String::new(),
        /// Where people reach APIs, as in `https://api.example.org`; empty: where they reached the platform when they asked.
        pub public_url: String = String::new(),
        /// Server that takes the place of every target's (`https://host:port`), so that calls stay in a cluster; empty: none.
        pub backend_host: String = String::new(),
        /// Names (`host` or `host:port`) under which clients reach this platform, beside those it knows. Targets on it are called
        /// without a connection.
        pub own_hosts: Vec<String> = Vec::new(),
        /// Whether targets may have loopback, link-local and private addresses. Switch it off where people who do not trust each
        /// other publish APIs: the gateway reaches servers that they must not.
        pub private_backends: bool = true,
        /// Largest body of a call of an API.
        pub body: Size = Size::megabytes(5),
        /// How long a backend may take to answer, and be silent within its answer.
        pub backend_timeout: Duration = Duration::from_secs(70),
        /// Largest description of an API.
        pub document: Size = Size::megabytes(1),
        /// Most APIs of one namespace.
        pub per_namespace: usize = 200,
        /// Most subscriptions of one API.
        pub subscriptions: usize = 10_000,
        /// Rate limits, one per path and subscription, that are remembered; beyond it the full ones are forgotten.
        pub rate_limits: usize = 100_000,
        /// Where Google tells of an access token.
        pub google_tokens: String = "https://www.googleapis.com/oauth2/v3/tokeninfo".to_owned(),
        /// Where GitHub tells of an access token.
        pub github_tokens: String = "https://api.github.com/user".to_owned(),
        /// Where Facebook tells of an access token.
        pub facebook_tokens: String = "https://graph.facebook.com/debug_token".to_owned(),
        /// Where App ID publishes keys, up to the tenant (`https://<region>.appid.cloud.ibm.com/oauth/v4`); empty: nowhere, and no API
        /// may ask for its tokens.
        pub app_id_keys: String = String::new(),
        /// What others than the owner of an API show as `Authorization: Bearer` to manage it below `/v2`; empty: nobody may.
        pub management_secret: Secret = Secret::new(""),
    }
}

/// The API gateway.
pub struct Apis {
    config: Config,
    store: Arc<dyn ApiStore>,
    tenants: Tenants,
    limiter: Limiter,
    tokens: Tokens,
    backends: Backends,
    proxies: Proxies,
    /// Names of this platform.
    hosts: Vec<String>,
}

impl Apis {
    /// `hosts` are names of this platform beside those of the configuration. Errors: the text for the operator.
    pub fn new(config: Config, store: Arc<dyn ApiStore>, proxies: Proxies, hosts: Vec<String>) -> Result<Apis, String> {
        let mut named: Vec<String> = config
            .own_hosts
            .iter()
            .chain(&hosts)
            .map(|host| host.to_ascii_lowercase())
            .collect();
        for (key, url) in [
            ("public_url", &config.public_url),
            ("backend_host", &config.backend_host),
        ] {
            if !url.is_empty() {
                let target = Target::parse(url)
                    .map_err(|_| format!("`gateway.apis.{key}`: `{url}` is not an http or https URL"))?;
                if key == "public_url" {
                    named.push(target.authority);
                }
            }
        }
        // Where the operator's server takes every target's place, its address is the operator's choice.
        let reach = if config.private_backends || !config.backend_host.is_empty() {
            Reach::Everywhere
        } else {
            Reach::Public
        };
        std::sync::LazyLock::force(&crate::metrics::CALLS);
        Ok(Apis {
            tenants: Tenants::new(store.clone()),
            limiter: Limiter::new(config.rate_limits),
            tokens: Tokens::new(&config),
            backends: Backends::new(reach),
            hosts: named,
            config,
            store,
            proxies,
        })
    }

    /// Who sent a request.
    pub fn client(
        &self,
        peer: std::net::SocketAddr,
        head: &hyper::http::request::Parts,
        scheme: Scheme,
    ) -> crate::client::Client {
        self.proxies.client(peer, head, scheme)
    }

    /// Where an API answers, without a slash at its end.
    fn managed_url(&self, client: &crate::client::Client, tenant: &str, base_path: &str) -> String {
        let public = self.config.public_url.trim_end_matches('/');
        let origin = match public {
            "" => client.origin().unwrap_or_else(|| {
                let host = self.hosts.first().cloned().unwrap_or_default();
                format!("{}://{}", client.scheme.as_str(), known_as(client.scheme, &host))
            }),
            public => public.to_owned(),
        };
        format!("{origin}/api/{tenant}{}", base_path.trim_end_matches('/'))
    }
}
