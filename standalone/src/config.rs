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
        /// Longest time a shutdown waits for what is running.
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
        pub controller: wsk_controller::Config as foreign {
            "id": "Name of this controller among its peers, part of its topic's name.",
            "invocations_per_minute": "Invocations per minute and namespace, where its limits document sets none; absent: not limited.",
            "concurrent_invocations": "Activations in flight per namespace, where its limits document sets none; absent: not limited.",
            "fires_per_minute": "Trigger fires per minute and namespace, where its limits document sets none; absent: not limited.",
            "max_action_concurrency": "Most activations at the same time in one container that an action may ask for.",
            "sequence_length": "Most components of a sequence or composition.",
            "max_payload_bytes": "Most bytes of an invocation's payload.",
            "cluster_size": "Controllers that share the limits and the invokers.",
            "compositions": "Compositions that may run at the same time; more wait their turn.",
            "entity_cache": "Entities held in the cache.",
            "store_blocking": "Which records of sequences and compositions that somebody waits for are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
            "store_non_blocking": "Which records of triggers, and of other sequences and compositions, are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
            "user_events": "Whether throttles, sequences and compositions are told on the topic `events`, in OpenWhisk's form.",
            "entity_cache_bytes": "Size of the entities held in the cache, in bytes.",
        } = wsk_controller::Config::default(),
        /// The invoker.
        pub invoker: wsk_invoker::Config as foreign {
            "id": "Number of this invoker; it takes work from the topic `invoker<id>`.",
            "name": "Name for people, part of the names of containers.",
            "memory_mb": "Memory for the containers of actions, in MB. An activation that finds none waits for its turn.",
            "api_host": "Set from `api_host`.",
            "env": "More environment of every container, pairs of name and value.",
            "pause_grace_ms": "Milliseconds without work before a container is frozen.",
            "idle_ms": "Milliseconds a container is kept without work after that.",
            "prewarm": "Whether stem cells of the manifest are held.",
            "prewarm_check_ms": "Milliseconds between two looks at the stem cells.",
            "prewarm_retries": "Failed creations of a stem cell in a row before its kind is given up until the next look.",
            "parallel_starts": "Containers that may be in the making at once.",
            "create_attempts": "Times a container is asked for before an activation fails.",
            "reschedules": "Other containers an activation is given when one turned out to be shutting down.",
            "max_in_flight": "Activations taken from the bus and not yet recorded; further ones stay on the bus.",
            "run_buffer": "Activations that may wait for memory; when so many do, nothing more is taken from the bus.",
            "payload_limit": "Longest answer of an action that is passed on whole, in bytes.",
            "truncation_limit": "How much of a longer answer is shown, in bytes.",
            "code_cache_bytes": "Code of recently started actions that is kept at hand, in bytes.",
            "action_cache": "Actions whose settings are kept at hand.",
            "record_interval_ms": "Shortest milliseconds between two writes of records.",
            "record_batch": "Most records in one write.",
            "record_queue": "Records that may wait to be written; when so many do, activations wait.",
            "record_queue_bytes": "Size of the records that may wait to be written, in bytes.",
            "ack_attempts": "Times an acknowledgement is offered to a full topic before it is given up; its record is not.",
            "log_wait_ms": "Longest wait in milliseconds for the end of an activation's log, for each of the larger of 5 and its limit in MB.",
            "user_metrics": "Actions with a series of their own in the metrics; further ones share the name `other`.",
            "store_blocking": "Which records of activations that somebody waits for, components included, are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`. A sequence that a crash interrupts cannot go on where the record of its component is not kept.",
            "store_non_blocking": "Which records of other activations are kept: `STORE_ALWAYS`, `STORE_FAILURES` or `STORE_FAILURES_NOT_APPLICATION_ERRORS`.",
            "user_events": "Whether every ended activation is told on the topic `events`, in OpenWhisk's form.",
            "seed": "Seed of the invoker's little randomness.",
        } = wsk_invoker::Config::default(),
        /// Where actions run: sandboxed processes of this machine (`[containers.process]`), or a Docker engine's containers
        /// (`[containers.docker]`, see `docs/how-to/use-docker.md`).
        pub containers: wsk_containers::Config as foreign {
            "process.hidden": "Folders that no action may see; the data folder is always among them.",
            "process.shown": "Further folders or files shown read-only to every action.",
            "process.uid_base": "First user id given to sandboxes when run as root.",
            "process.uid_count": "How many user ids to use, and so how many sandboxes may exist at once when run as root.",
            "process.network": "`host`: actions share the machine's network; `none`: they have none.",
            "process.pids": "Most processes and threads in one sandbox.",
            "process.open_files": "Most open files of one process in a sandbox.",
            "process.run_dir": "Folder for run-time data of the sandboxes; below the system's temporary folder when not set.",
            "process.cgroup_parent": "Control group below which the sandboxes' groups are made; `/ferrowhisk` as root, else below our own, when not set.",
            "process.tmp_percent": "Most of a sandbox's memory that its private temporary folder may take, in percent.",
            "process.require_isolation": "Refuse to start where neither namespaces nor Landlock keep actions apart, instead of warning.",
            "process.log_buffer_bytes": "Largest log kept for one activation while it runs, in bytes.",
            "process.kill_wait_ms": "Longest wait in milliseconds for the processes of a killed sandbox to be gone.",
        } = wsk_containers::Config::default(),
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
