//! Settings of the Docker backend.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// How to reach the engine and how its containers are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Config {
    /// Address of the engine: `unix:///path` or `tcp://host:port`.
    pub engine: String,
    /// The certificates of an engine that is reached by `tcp://` and asks for them.
    pub tls: Option<Tls>,
    /// Tells the containers of this platform from those of others on the same engine. What crashed processes of the same
    /// identity left behind is removed at start.
    pub identity: String,
    /// Who on this platform makes containers; set by the service, not by a file. What an earlier process of the same name
    /// left is removed even where it cannot be told whether that still runs.
    #[serde(skip)]
    pub node: String,
    /// Platform of the containers, as `linux/arm64`, on a machine that emulates it; the engine's own when not set.
    pub platform: Option<String>,
    /// Network of the containers: `bridge`, the name of a network, or `host`. On `host` each container is told a free port
    /// by the variable `PORT`, which images of ours obey and others may not, and everybody who reaches the machine reaches it.
    pub network: String,
    /// Which containers cannot write to their image's files.
    pub read_only_root: ReadOnly,
    /// Folders in memory that every container can write to; they count as its memory.
    pub tmpfs: Vec<String>,
    /// Folders that stay writable where the root is read-only. What the image has there is seen.
    pub writable: Vec<String>,
    /// Most of a container's memory that each folder in memory may take, in percent.
    pub tmpfs_percent: u32,
    /// Capabilities given back after all were taken, such as `CHOWN`.
    pub cap_add: Vec<String>,
    /// Most processes and threads in one container.
    pub pids: u32,
    /// Most open files of one process in a container.
    pub open_files: u32,
    /// Log driver of the containers; it must be one whose logs the engine can read.
    pub log_driver: String,
    /// Options of the log driver.
    pub log_options: BTreeMap<String, String>,
    /// Largest log in bytes kept for one activation while it runs; what goes beyond is counted and dropped.
    pub log_buffer_bytes: usize,
    /// The log of an image that writes no end marks is taken to be complete when nothing came for so many milliseconds.
    pub log_quiet_ms: u64,
    /// Longest wait in milliseconds for one step of the engine.
    pub engine_timeout_ms: u64,
    /// Longest wait in milliseconds for an image to be pulled.
    pub pull_timeout_ms: u64,
    /// When images of the runtimes manifest are pulled.
    pub pull_runtimes: Policy,
    /// When images that users name are pulled.
    pub pull_users: Policy,
    /// Gives an image that is on the node to everybody who names it, as OpenWhisk does, also where its registry did not
    /// confirm that they may have it.
    pub share_images: bool,
    /// Images below this prefix are never pulled, whoever names them, and are everybody's.
    pub local_prefix: Option<String>,
    /// Credentials by registry host; `docker.io` for images that name none.
    pub registries: BTreeMap<String, Registry>,
}

/// Which containers have a read-only root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOnly {
    /// Those of managed images, whose needs are known.
    #[default]
    Managed,
    /// All; a user's image that writes elsewhere fails.
    Always,
    Never,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Before each container, and it must work.
    Always,
    /// Only when there is none on the node that may be used.
    IfNotPresent,
    /// Never: what is on the node was put there by its operator, for everybody.
    Never,
    /// As OpenWhisk does it: without a tag, or with `latest`, always; with another, a present one will do where it does not work.
    ByTag,
}

/// Certificates, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Tls {
    /// Who vouches for the engine.
    pub ca: PathBuf,
    /// What we show it.
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Access to a private registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Registry {
    pub username: String,
    /// File that holds the password; read at each pull, so that it can be renewed.
    pub password_file: PathBuf,
    /// Whether users' images may be pulled with it too, where their namespace has no access of its own.
    #[serde(default = "yes")]
    pub users: bool,
}

fn yes() -> bool {
    true
}

impl Default for Config {
    fn default() -> Self {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let log_options = [("max-size", "64m"), ("max-file", "2")];
        Config {
            engine: "unix:///var/run/docker.sock".to_owned(),
            tls: None,
            identity: "ferrowhisk".to_owned(),
            node: String::new(),
            platform: None,
            network: "bridge".to_owned(),
            read_only_root: ReadOnly::default(),
            tmpfs: texts(&["/tmp"]),
            writable: texts(&["/action", "/nodejsAction"]),
            tmpfs_percent: 75,
            cap_add: Vec::new(),
            pids: 1024,
            open_files: 1024,
            log_driver: "json-file".to_owned(),
            log_options: log_options
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            log_buffer_bytes: 10 * 1024 * 1024,
            log_quiet_ms: 100,
            engine_timeout_ms: 30_000,
            pull_timeout_ms: 600_000,
            pull_runtimes: Policy::IfNotPresent,
            pull_users: Policy::ByTag,
            share_images: false,
            local_prefix: None,
            registries: BTreeMap::new(),
        }
    }
}
