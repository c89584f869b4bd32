//! The contract suite on sandboxed processes.

use std::path::PathBuf;

use wsk_containers::{Config, Guards, LayerState, ProcessConfig, Spec, contract, open};

/// A program built with these tests.
fn example(name: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(2).map(PathBuf::from).unwrap();
    target.join("examples").join(name).to_str().unwrap().to_owned()
}

fn spec(program: &str) -> Spec {
    Spec {
        name: "contract".to_owned(),
        image: "example/contract:1".to_owned(),
        program: vec![example(program)],
        memory_mb: 128,
        concurrency: 1,
        env: vec![
            ("CONTRACT".to_owned(), "lost".to_owned()),
            ("CONTRACT".to_owned(), "kept".to_owned()),
        ],
        managed: true,
    }
}

async fn suite(config: ProcessConfig) {
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
        spec: spec("contract_action"),
        limits_memory,
    })
    .await;
}

#[tokio::test]
async fn contract_with_every_layer_of_this_machine() {
    let run_dir = tempfile::tempdir().unwrap();
    suite(ProcessConfig {
        run_dir: Some(run_dir.path().to_owned()),
        ..ProcessConfig::default()
    })
    .await;
    let left: Vec<_> = std::fs::read_dir(run_dir.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    println!("left: {left:?}");
}

#[tokio::test]
async fn contract_on_version_1_control_groups() {
    let run_dir = tempfile::tempdir().unwrap();
    let guards = Guards {
        cgroup_v2: false,
        ..Guards::default()
    };
    suite(ProcessConfig {
        run_dir: Some(run_dir.path().to_owned()),
        guards,
        ..ProcessConfig::default()
    })
    .await;
}

#[tokio::test]
async fn contract_without_control_groups() {
    let run_dir = tempfile::tempdir().unwrap();
    let guards = Guards {
        cgroups: false,
        ..Guards::default()
    };
    suite(ProcessConfig {
        run_dir: Some(run_dir.path().to_owned()),
        guards,
        ..ProcessConfig::default()
    })
    .await;
}
