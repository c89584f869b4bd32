//! The contract suite on sandboxed processes, and what becomes of them when the platform is killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{example, is_root, spec};
use wsk_containers::{Config, Error, Guards, LayerState, ProcessConfig, Spec, contract, open};

async fn suite(config: ProcessConfig) {
    let run_dir = tempfile::tempdir().unwrap();
    let config = ProcessConfig {
        run_dir: Some(run_dir.path().to_owned()),
        ..config
    };
    let public = common::public();
    let program = public.path().join("examples/contract_action");
    let factory = open(&Config::Process(config)).unwrap();
    let layers = factory.layers();
    for layer in &layers {
        println!("{:18} {:8?} {}", layer.name, layer.state, layer.detail);
    }
    let limits_memory = layers
        .iter()
        .any(|layer| layer.name == "memory-limit" && layer.state == LayerState::On);
    contract::all(&contract::Subject {
        factory,
        spec: Spec {
            program: vec![program.to_str().unwrap().to_owned()],
            ..spec("contract_action")
        },
        missing: Spec {
            program: vec!["/nonexistent/program".to_owned()],
            ..spec("contract_action")
        },
        limits_memory,
    })
    .await;
    assert_eq!(
        std::fs::read_dir(run_dir.path()).unwrap().count(),
        0,
        "something was left behind"
    );
}

#[tokio::test]
async fn contract_with_every_layer_of_this_machine() {
    suite(ProcessConfig::default()).await;
}

#[tokio::test]
async fn a_kinds_folder_is_where_its_program_starts() {
    let run_dir = tempfile::tempdir().unwrap();
    let factory = open(&Config::Process(ProcessConfig {
        run_dir: Some(run_dir.path().to_owned()),
        ..ProcessConfig::default()
    }))
    .unwrap();
    for folder in [Some("/nodejsAction"), None, Some("/deep/er"), Some("/nodejsAction")] {
        let spec = Spec {
            folder: folder.map(Into::into),
            ..spec("contract_action")
        };
        let subject = contract::Subject {
            factory: factory.clone(),
            missing: spec.clone(),
            spec,
            limits_memory: false,
        };
        let container = contract::started(&subject).await;
        let answer = contract::run(&*container, serde_json::json!({"do": "folder"})).await;
        let told = contract::parsed(&answer);
        assert_eq!(told["ok"], folder.unwrap_or("/tmp"), "{told}");
        container.destroy().await.unwrap();
    }
    for impossible in ["relative", "/usr/own", "/tmp", "/tmp/own", "/a/../b", "/"] {
        let spec = Spec {
            folder: Some(impossible.into()),
            ..spec("contract_action")
        };
        let refused = factory.create(spec).await.err();
        assert!(
            matches!(refused, Some(Error::Config { .. })),
            "{impossible}: {refused:?}"
        );
    }
    factory.shutdown().await.unwrap();
}

#[tokio::test]
async fn contract_on_version_1_control_groups() {
    suite(ProcessConfig {
        guards: Guards {
            cgroup_v2: false,
            ..Guards::default()
        },
        ..ProcessConfig::default()
    })
    .await;
}

#[tokio::test]
async fn contract_without_control_groups() {
    suite(ProcessConfig {
        guards: Guards {
            cgroups: false,
            ..Guards::default()
        },
        ..ProcessConfig::default()
    })
    .await;
}

#[tokio::test]
async fn contract_without_namespaces() {
    suite(ProcessConfig {
        guards: Guards {
            namespaces: false,
            ..Guards::default()
        },
        ..ProcessConfig::default()
    })
    .await;
    let boxes = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let own = format!(".{:x}.", std::process::id());
    let left = boxes.map(|entry| entry.file_name().into_string().unwrap_or_default());
    assert_eq!(
        left.filter(|name| name.starts_with("ferrowhisk-box-") && name.contains(&own))
            .count(),
        0
    );
}

#[test]
fn contract_as_an_ordinary_user() {
    common::again_as_ordinary_user(&[
        "contract_with_every_layer_of_this_machine",
        "contract_without_namespaces",
        "a_kinds_folder_is_where_its_program_starts",
    ]);
}

/// Living children of a process.
fn children(parent: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        fields.next() != Some("Z") && fields.next() == Some(&parent.to_string())
    })
    .collect()
}

#[tokio::test]
async fn a_killed_platform_leaves_nothing_that_sweep_does_not_find() {
    for frozen_by_version_1 in [false, true] {
        let run_dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(example("crashing_platform"));
        command
            .arg(run_dir.path())
            .arg(example("contract_action"))
            .arg(frozen_by_version_1.to_string());
        let mut platform = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(platform.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let ids: Vec<String> = lines.take_while(|line| line != "ready").collect();
        assert_eq!(ids.len(), 2);
        let containers = children(platform.id());
        assert_eq!(containers.len(), 2);
        platform.kill().unwrap();
        platform.wait().unwrap();

        let guards = Guards {
            cgroup_v2: !frozen_by_version_1,
            ..Guards::default()
        };
        let run_dir_path = Some(run_dir.path().to_owned());
        let config = ProcessConfig {
            run_dir: run_dir_path,
            guards,
            ..ProcessConfig::default()
        };
        let factory = open(&Config::Process(config)).unwrap();
        let swept = factory.sweep().await.unwrap();
        // Other tests may have crashed before: their groups are found as well.
        assert!(swept >= 2 || !is_root(), "{swept} swept");
        assert_eq!(factory.sweep().await.unwrap(), 0);
        let deadline = Instant::now() + Duration::from_secs(5);
        let exists =
            |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        while containers.iter().any(exists) {
            assert!(Instant::now() < deadline, "a process outlived the platform");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for id in ids {
            for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
                assert!(
                    !hierarchy.path().join("ferrowhisk").join(&id).exists(),
                    "{id} is left in {hierarchy:?}"
                );
            }
        }
        assert_eq!(
            std::fs::read_dir(run_dir.path()).unwrap().count(),
            1,
            "only the new life's folder"
        );
        factory.shutdown().await.unwrap();
    }
}
