//! What the engine is asked to make. Pure.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};

use super::{Config, ReadOnly};
use crate::Spec;

/// Whose container it is; see [`Config::identity`].
pub(super) const FACTORY_LABEL: &str = "ferrowhisk.factory";
/// The process that made it.
pub(super) const OWNER_LABEL: &str = "ferrowhisk.owner";
/// The name of that process; see [`Config::node`].
pub(super) const NODE_LABEL: &str = "ferrowhisk.node";
/// The factory within that process.
pub(super) const LIFE_LABEL: &str = "ferrowhisk.life";

/// The least weight that engines accept.
const LEAST_SHARES: u32 = 2;

/// The body of the request. `image` is its full name, and `port` is where it must listen when the network is the machine's.
pub(super) fn body(
    config: &Config,
    spec: &Spec,
    image: &str,
    labels: HashMap<String, String>,
    port: Option<u16>,
) -> ContainerCreateBody {
    let read_only = match config.read_only_root {
        ReadOnly::Managed => spec.managed,
        ReadOnly::Always => true,
        ReadOnly::Never => false,
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(environment(spec, port)),
        labels: Some(labels),
        volumes: read_only.then(|| config.writable.clone()),
        host_config: Some(host(config, spec, read_only)),
        ..Default::default()
    }
}

/// The last of a name only, as engines differ in what they make of two.
fn environment(spec: &Spec, port: Option<u16>) -> Vec<String> {
    let port = port.map(|port| ("PORT".to_owned(), port.to_string()));
    let all: Vec<&(String, String)> = spec.env.iter().chain(&port).collect();
    let is_last = |at: usize, name: &str| !all[at + 1..].iter().any(|(later, _)| later == name);
    let last = all.iter().enumerate().filter(|(at, (name, _))| is_last(*at, name));
    last.map(|(_, (name, value))| format!("{name}={value}")).collect()
}

fn host(config: &Config, spec: &Spec, read_only: bool) -> HostConfig {
    let memory = i64::from(spec.memory_mb) << 20;
    let tmpfs_mb = (u64::from(spec.memory_mb) * u64::from(config.tmpfs_percent) / 100).max(1);
    // Programs are unpacked there, so it must be possible to execute them.
    let tmpfs_options = format!("rw,exec,nosuid,nodev,mode=1777,size={tmpfs_mb}m");
    HostConfig {
        memory: Some(memory),
        memory_swap: Some(memory),
        cpu_shares: Some(i64::from(spec.memory_mb.max(LEAST_SHARES))),
        pids_limit: Some(i64::from(config.pids)),
        ulimits: Some(vec![ResourcesUlimits {
            name: Some("nofile".to_owned()),
            soft: Some(i64::from(config.open_files)),
            hard: Some(i64::from(config.open_files)),
        }]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(config.cap_add.clone()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(read_only),
        tmpfs: Some(
            config
                .tmpfs
                .iter()
                .map(|folder| (folder.clone(), tmpfs_options.clone()))
                .collect(),
        ),
        network_mode: Some(config.network.clone()),
        log_config: Some(HostConfigLogConfig {
            typ: Some(config.log_driver.clone()),
            config: Some(config.log_options.clone().into_iter().collect()),
        }),
        ..Default::default()
    }
}

/// A name that the engine accepts, the given one with what makes it unique.
pub(super) fn name(wanted: &str, life: &str, number: u64) -> String {
    const LONGEST: usize = 128;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let clean: String = wanted
        .chars()
        .take(LONGEST)
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    // The first character must be a letter or digit.
    let clean = clean.trim_start_matches(['_', '.', '-']);
    let clean = if clean.is_empty() { "action" } else { clean };
    format!("{clean}-{life}-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(managed: bool) -> Spec {
        let env = [("A", "1"), ("PORT", "x"), ("A", "2=3")];
        Spec {
            name: String::new(),
            image: "example/image:1".to_owned(),
            program: Vec::new(),
            folder: None,
            memory_mb: 128,
            concurrency: 1,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            managed,
            tenant: None,
        }
    }

    #[test]
    fn every_limit_is_asked_for() {
        let body = body(&Config::default(), &spec(true), "image", HashMap::new(), Some(99));
        assert_eq!(body.env.unwrap(), ["A=2=3", "PORT=99"]);
        assert_eq!(body.volumes.unwrap(), ["/action", "/nodejsAction"]);
        let host = body.host_config.unwrap();
        assert_eq!((host.memory, host.memory_swap), (Some(128 << 20), Some(128 << 20)));
        assert_eq!((host.pids_limit, host.cpu_shares), (Some(1024), Some(128)));
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.ulimits.unwrap()[0].hard, Some(1024));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert!(host.tmpfs.unwrap()["/tmp"].ends_with("size=96m"));
        assert_ne!(host.privileged, Some(true));
    }

    #[test]
    fn a_users_image_keeps_its_root_unless_told_otherwise() {
        let read_only = |read_only_root| {
            let config = Config {
                read_only_root,
                ..Config::default()
            };
            let body = body(&config, &spec(false), "image", HashMap::new(), None);
            (body.host_config.unwrap().readonly_rootfs, body.volumes.is_some())
        };
        assert_eq!(read_only(ReadOnly::Managed), (Some(false), false));
        assert_eq!(read_only(ReadOnly::Always), (Some(true), true));
        assert_eq!(read_only(ReadOnly::Never), (Some(false), false));
    }

    #[test]
    fn names_are_what_engines_accept() {
        assert_eq!(name("wsk0_1_prewarm_nodejs20", "ab", 7), "wsk0_1_prewarm_nodejs20-ab-7");
        assert_eq!(name("_ä b/c", "ab", 1), "b_c-ab-1");
        assert_eq!(name("", "ab", 1), "action-ab-1");
        assert!(name(&"x".repeat(1000), "ab", 1).len() < 140);
    }
}
