//! What a command has at hand: settings, the collected operands, the client and the output.

use std::sync::{Arc, Mutex};

use wsk_client::{Client, Config, Credentials, Event, Identity};

use crate::args::Globals;
use crate::args::prepass::Lists;
use crate::failure::Failure;
use crate::output::Output;
use crate::props::{Environment, Settings};
use crate::verbose;

/// Everything a command works with.
pub struct Context {
    pub environment: Environment,
    pub settings: Settings,
    pub globals: Globals,
    pub lists: Lists,
    pub out: Output,
}

/// The program's build, as `property get --cliversion` shows it and the user agent carries it.
pub const CLI_VERSION: &str = env!("CARGO_PKG_VERSION");

impl Context {
    /// A client for the configured platform.
    pub fn client(&self) -> Result<Client, Failure> {
        let verbosity = match (self.globals.debug || self.environment.debug, self.globals.verbose) {
            (true, _) => Some(verbose::Bodies::Whole),
            (false, true) => Some(verbose::Bodies::Truncated),
            (false, false) => None,
        };
        let config = Config {
            host: self.settings.api_host.clone(),
            version: self.settings.api_version.clone(),
            credentials: (!self.settings.auth.is_empty()).then(|| Credentials::new(self.settings.auth.clone())),
            user_agent: user_agent(),
            insecure: self.globals.insecure,
            identity: self.identity().map_err(uninitialised)?,
            proxies: self.environment.proxies.clone(),
            observer: verbosity.map(observer),
        };
        Client::new(config).map_err(uninitialised)
    }

    /// The client certificate, when both of its files are configured.
    fn identity(&self) -> Result<Option<Identity>, String> {
        let Settings { cert, key, .. } = &self.settings;
        if cert.is_empty() || key.is_empty() {
            return Ok(None);
        }
        let read = |file: &str| {
            std::fs::read(file).map_err(|error| {
                format!("Unable to load the X509 key pair due to the following reason: open {file}: {error}")
            })
        };
        Ok(Some(Identity {
            certificate: read(cert)?,
            key: read(key)?,
        }))
    }

    /// The caller's key, for protocols that hand it on.
    pub fn auth(&self) -> &str {
        &self.settings.auth
    }

    /// Refuses to go on without a platform to talk to, or with half a client certificate.
    pub fn require_host(&self) -> Result<(), Failure> {
        match self.settings.api_host.is_empty() {
            true => Err(Failure::new(
                "The API host is not valid: An API host must be provided.\n",
            )),
            false => self.require_whole_identity(),
        }
    }

    /// Refuses what no client could be made of, where a host is configured at all.
    pub fn check_client(&self) -> Result<(), Failure> {
        match self.settings.api_host.is_empty() {
            true => Ok(()),
            false => self.client().map(|_| ()),
        }
    }

    fn require_whole_identity(&self) -> Result<(), Failure> {
        let missing = match (self.settings.cert.is_empty(), self.settings.key.is_empty()) {
            (false, true) => "Key",
            (true, false) => "Cert",
            (true, true) | (false, false) => return Ok(()),
        };
        if self.globals.insecure {
            return Ok(());
        }
        Err(Failure::new(format!(
            "Unable to initialize server connection: The {missing} file is not configured. Please configure the \
             missing {missing} file.\n"
        )))
    }
}

fn uninitialised(reason: impl std::fmt::Display) -> Failure {
    Failure::new(format!("Unable to initialize server connection: {reason}\n"))
}

/// Traffic is shown as it happens, on the same stream as results.
fn observer(bodies: verbose::Bodies) -> Arc<wsk_client::Observer> {
    let out = Mutex::new(Output::of_process("wsk"));
    Arc::new(move |event: &Event<'_>| {
        if let Ok(mut out) = out.lock() {
            // A closed pipe shows up again at the command's own output.
            let _ = out.text(&verbose::render(event, bodies));
        }
    })
}

fn user_agent() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("OpenWhisk-CLI/1.0 ({CLI_VERSION}) {} {arch}", std::env::consts::OS)
}
