//! Everything that can be configured, in one document.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use wsk_secrets::{Keys, Scope, Vault};
use wsk_service::config::{Duration, Secret, Size};
use wsk_service::settings;

settings! {
    /// Configuration of the platform in one process.
    pub struct Config {
        /// Folder that holds everything: entities, records, the journal, the guest key.
        pub data: PathBuf = PathBuf::from(".data"),
        /// Address and port of the API; port 0 takes a free one.
        pub listen: String = "127.0.0.1:3233".to_owned(),
        /// Address of the API as actions see it (`__OW_API_HOST`); empty: the address listened on.
        pub api_host: String = String::new(),
        /// Runtimes manifest to use instead of the bundled one; empty: the bundled one.
        pub manifest: String = String::new(),
        /// Whether the system catalog, the packages of `/whisk.system`, is installed and kept up to date at start.
        pub catalog: bool = true,
        /// Longest time a shutdown waits for what is running: six tenths of it for requests, the rest for activations that nobody
        /// waits for.
        pub drain: Duration = Duration::from_secs(20),
        /// Logs.
        pub log: wsk_service::telemetry::Config as section = Default::default(),
        /// What is kept, and for how long.
        pub retention: Retention as section = Retention::default(),
        /// The journal of accepted activations.
        pub journal: Journal as section = Journal::default(),
        /// How secret parameters are kept.
        pub secrets: Secrets as section = Secrets::default(),
        /// The operators' listener.
        pub operator: crate::operator::Operator as section = Default::default(),
        /// The edge.
        pub gateway: wsk_gateway::Config as section = Default::default(),
        /// The controller.
        pub controller: wsk_controller::Config as documented = wsk_controller::Config::default(),
        /// The invoker.
        pub invoker: wsk_invoker::Config as documented = wsk_invoker::Config::default(),
        /// Where actions run: sandboxed processes of this machine (`[containers.process]`), or a Docker engine's containers
        /// (`[containers.docker]`, see `docs/how-to/use-docker.md`).
        pub containers: wsk_containers::Config as documented = wsk_containers::Config::default(),
    }
}

settings! {
    /// How long records are kept. What goes first is the oldest.
    pub struct Retention {
        /// Age at which an activation record goes.
        pub age: Duration = Duration::from_secs(7 * 24 * 3600),
        /// Most activation records kept.
        pub count: u64 = 1_000_000,
    }
}

settings! {
    /// How secret parameters are kept, see `docs/extensions.md`.
    pub struct Secrets {
        /// File with a key per line, base64 of 32 bytes (aes-256) or 16 (aes-128): the first encrypts, all decrypt. Made on first use; `secrets.keys` in the data folder when not set.
        pub key_file: String = String::new(),
        /// The keys themselves, separated by commas, instead of a file.
        pub keys: Secret = Secret::new(""),
        /// Whether the parameters of all entities are encrypted at rest, not only those that are marked secret.
        pub all: bool = false,
    }
}

impl Secrets {
    /// The keys in force; `file` is where they are when nothing else is said.
    pub fn vault(&self, file: PathBuf) -> Result<Arc<Vault>> {
        let keys = match (self.keys.reveal(), self.key_file.as_str()) {
            ("", "") => Keys::File(file),
            ("", named) => Keys::File(named.into()),
            (given, "") => Keys::Given(given.to_owned().into()),
            (_, _) => bail!("secrets.keys and secrets.key_file are both set; set one of them"),
        };
        Ok(Arc::new(
            Vault::open_with(keys).context("the keys of secret parameters")?,
        ))
    }

    pub fn scope(&self) -> Scope {
        if self.all { Scope::All } else { Scope::Marked }
    }
}

settings! {
    /// Bounds of the journal.
    pub struct Journal {
        /// Size of one of its files. Disk space comes back a file at a time.
        pub segment: Size = Size::megabytes(16),
        /// Most disk space it may take; beyond it nothing more is accepted until work is done.
        pub max: Size = Size::megabytes(512),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_documented() {
        assert_eq!(wsk_service::config::undocumented::<Config>(), Vec::<String>::new());
    }
}
