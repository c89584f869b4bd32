//! Where the platform is and who is calling.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Observer;

/// Everything a [`crate::Client`] needs to know before its first call.
#[derive(Clone, Default)]
pub struct Config {
    /// Host with optional scheme and port; `https` is assumed when no scheme is given.
    pub host: String,
    /// API version in the path; `v1` when empty.
    pub version: String,
    /// The caller's key; without one only unauthenticated calls work.
    pub credentials: Option<Credentials>,
    /// Value of the `User-Agent` header; none is sent when empty.
    pub user_agent: String,
    /// Accept any server certificate.
    pub insecure: bool,
    /// The caller's own certificate, for hosts that ask for one.
    pub identity: Option<Identity>,
    /// Proxies to go through.
    pub proxies: Proxies,
    /// Told about every request and response, for `--verbose`.
    pub observer: Option<Arc<Observer>>,
}

/// A client certificate with its private key, both PEM. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// Addresses of proxies, in the form of the usual environment variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    pub http: Option<String>,
    pub https: Option<String>,
    /// Hosts that are reached directly, in a comma list.
    pub none_for: Option<String>,
}

/// A key pair as users hold it: `uuid:key`. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(String);

impl Config {
    /// Address with a scheme and without a path, for instance `https://openwhisk.example`.
    pub fn origin(&self) -> String {
        match self.host.starts_with("http") {
            true => self.host.clone(),
            false => format!("https://{}", self.host),
        }
    }

    /// The version segment of API paths.
    pub fn version(&self) -> &str {
        match self.version.as_str() {
            "" => "v1",
            version => version,
        }
    }
}

impl Credentials {
    /// Takes the text as the user typed it; the platform is the one to judge it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The pair as text, for protocols that hand the key on (feeds, API routes).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon, which names the tenant towards the API gateway.
    pub fn uuid(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    pub(crate) fn basic(&self) -> String {
        let pair = match self.0.contains(':') {
            true => self.0.clone(),
            false => format!("{}:", self.0),
        };
        format!("Basic {}", STANDARD.encode(pair))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
