//! The contract suite on a real Docker engine, and what is the engine's alone.
//!
//! `FERROWHISK_TEST_DOCKER` names the engine (`unix://...`). It needs a bridge, and no image: the tests import one made of
//! the contract's program and its libraries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "docker/address.rs"]
mod address;
mod common;
#[path = "docker/registry.rs"]
mod registry;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bollard::{
    Docker, body_full,
    models::ContainerCreateBody,
    query_parameters::{
        CreateContainerOptions, CreateImageOptions, ListContainersOptions, RemoveImageOptions, StartContainerOptions,
    },
};
use futures_util::TryStreamExt;
use serde_json::json;
use wsk_containers::{
    Config, Container, ContainerFactory, DockerConfig, Error, LogRequest, ReadOnly, Spec, Until, contract, open,
};

/// The engine to use; `None` after saying that there is none.
fn engine() -> Option<String> {
    let engine = std::env::var("FERROWHISK_TEST_DOCKER").ok();
    let needed = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(
        engine.is_some() || !needed,
        "FERROWHISK_TEST_DOCKER must name an engine"
    );
    if engine.is_none() {
        println!("skipped: FERROWHISK_TEST_DOCKER names no engine");
    }
    engine
}

/// An engine with an image of the contract's program, for one test.
struct Stage {
    engine: String,
    api: Docker,
    /// Repository of the image; nobody serves it.
    repository: String,
    identity: String,
}

impl Stage {
    async fn set(name: &str) -> Option<Stage> {
        let engine = engine()?;
        let api = Docker::connect_with_host(&engine)
            .unwrap()
            .negotiate_version()
            .await
            .unwrap();
        let stage = Stage {
            engine,
            api,
            repository: format!("localhost:1/ferrowhisk-{name}"),
            identity: format!("test-{name}-{}", std::process::id()),
        };
        stage.import("1", "/contract_action").await;
        Some(stage)
    }

    async fn import(&self, tag: &str, entry_point: &str) {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(self.repository.clone()),
            tag: Some(tag.to_owned()),
            changes: vec![format!("ENTRYPOINT [\"{entry_point}\"]")],
            ..Default::default()
        };
        let archive = body_full(archive().into());
        let progress = self.api.create_image(Some(options), Some(archive), None);
        progress.try_collect::<Vec<_>>().await.unwrap();
    }

    fn config(&self) -> DockerConfig {
        DockerConfig {
            engine: self.engine.clone(),
            identity: self.identity.clone(),
            ..DockerConfig::default()
        }
    }

    fn factory(&self, config: DockerConfig) -> Arc<dyn ContainerFactory> {
        open(&Config::Docker(Box::new(config))).unwrap()
    }

    fn spec(&self, tag: &str) -> Spec {
        Spec {
            image: format!("{}:{tag}", self.repository),
            program: Vec::new(),
            ..common::spec("contract_action")
        }
    }

    /// A container that accepted `/init`.
    async fn started(&self, factory: &Arc<dyn ContainerFactory>, spec: Spec) -> Arc<dyn Container> {
        let subject = contract::Subject {
            factory: factory.clone(),
            missing: spec.clone(),
            spec,
            limits_memory: true,
        };
        contract::started(&subject).await
    }

    /// Names of the containers with this test's identity.
    async fn names(&self) -> Vec<String> {
        let label = format!("ferrowhisk.factory={}", self.identity);
        let options = ListContainersOptions {
            all: true,
            filters: Some([("label".to_owned(), vec![label])].into()),
            ..Default::default()
        };
        let found = self.api.list_containers(Some(options)).await.unwrap();
        let names = found
            .into_iter()
            .flat_map(|container| container.names.unwrap_or_default());
        names.map(|name| name.trim_start_matches('/').to_owned()).collect()
    }

    async fn clear(self, tags: &[&str]) {
        assert_eq!(self.names().await, Vec::<String>::new(), "something was left behind");
        for tag in tags {
            let image = format!("{}:{tag}", self.repository);
            self.api
                .remove_image(&image, None::<RemoveImageOptions>, None)
                .await
                .unwrap();
        }
    }
}

/// A root file system of the program and the libraries it is linked with.
fn archive() -> Vec<u8> {
    let program = common::example("contract_action");
    let linked = Command::new("ldd").arg(&program).output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    let mut archive = tar::Builder::new(Vec::new());
    // Engines do not know sparse files.
    archive.sparse(false);
    archive.append_path_with_name(&program, "contract_action").unwrap();
    for library in libraries {
        let file = std::fs::canonicalize(library).unwrap();
        archive
            .append_path_with_name(file, Path::new(library).strip_prefix("/").unwrap())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn contract_on_an_engine() {
    let Some(stage) = Stage::set("contract").await else {
        return;
    };
    stage.import("missing", "/nonexistent/program").await;
    for read_only_root in [ReadOnly::Always, ReadOnly::Never] {
        let factory = stage.factory(DockerConfig {
            read_only_root,
            ..stage.config()
        });
        contract::all(&contract::Subject {
            factory,
            spec: stage.spec("1"),
            missing: stage.spec("missing"),
            limits_memory: true,
        })
        .await;
    }
    stage.clear(&["1", "missing"]).await;
}

/// What a process of another namespace made, which cannot be told to live, is left alone; except by the next of its name.
#[tokio::test]
async fn what_may_live_elsewhere_is_left_to_its_namesake() {
    let Some(stage) = Stage::set("elsewhere").await else {
        return;
    };
    let factory = stage.factory(stage.config());
    let running = stage.started(&factory, stage.spec("1")).await;
    let labels = stage.api.inspect_container(running.id(), None).await.unwrap();
    let mut labels = labels.config.unwrap().labels.unwrap();
    let owner = labels.get_mut("ferrowhisk.owner").unwrap();
    *owner = owner.replacen('/', "-another-boot/", 1);
    labels.insert("ferrowhisk.node".to_owned(), "invoker3".to_owned());
    labels.insert("ferrowhisk.life".to_owned(), "another".to_owned());
    let foreign = format!("elsewhere-{}", std::process::id());
    let body = ContainerCreateBody {
        image: Some(stage.spec("1").image),
        labels: Some(labels),
        ..Default::default()
    };
    let options = CreateContainerOptions {
        name: Some(foreign.clone()),
        ..Default::default()
    };
    stage.api.create_container(Some(options), body).await.unwrap();
    stage
        .api
        .start_container(&foreign, None::<StartContainerOptions>)
        .await
        .unwrap();
    let named = |node: &str| {
        stage.factory(DockerConfig {
            node: node.to_owned(),
            ..stage.config()
        })
    };
    assert_eq!(named("").sweep().await.unwrap(), 0);
    assert_eq!(named("invoker4").sweep().await.unwrap(), 0);
    assert_eq!(named("invoker3").sweep().await.unwrap(), 1);
    assert_eq!(stage.names().await, [running.id()]);
    factory.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

#[tokio::test]
async fn images_are_pulled_as_upstream_pulls_them() {
    let Some(stage) = Stage::set("pull").await else { return };
    stage.import("latest", "/contract_action").await;
    let factory = stage.factory(stage.config());
    let create = async |image: &str, managed| {
        let image = format!("{}{image}", stage.repository);
        let spec = Spec {
            image,
            managed,
            ..stage.spec("1")
        };
        match factory.create(spec).await {
            Ok(container) => container.destroy().await.map(|()| true).unwrap(),
            Err(Error::ImagePull { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    };
    // Nobody serves it, so only where a pull is not needed there is a container.
    assert!(create(":latest", true).await);
    assert!(create(":1", true).await);
    assert!(!create(":absent", true).await);
    assert!(create(":1", false).await);
    assert!(!create(":latest", false).await);
    assert!(!create("", false).await);
    assert!(!create(":absent", false).await);
    factory.shutdown().await.unwrap();
    stage.clear(&["1", "latest"]).await;
}

#[tokio::test]
async fn limits_reach_the_kernel() {
    let Some(stage) = Stage::set("limits").await else {
        return;
    };
    let factory = stage.factory(stage.config());
    let container = stage.started(&factory, stage.spec("1")).await;
    let inspected = stage.api.inspect_container(container.id(), None).await.unwrap();
    let pid = inspected.state.unwrap().pid.unwrap();
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let status = read("status");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(status.contains(line), "{line} in {status}");
    }
    let limits = read("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1024"));
    let mounts = read("mountinfo");
    let options = |at: &str| {
        let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some(at)).unwrap();
        line.split(' ').nth(5).unwrap().to_owned()
    };
    assert!(options("/").starts_with("ro"));
    for writable in ["/tmp", "/action", "/nodejsAction"] {
        assert!(options(writable).starts_with("rw"), "{writable}");
    }
    assert!(!options("/tmp").contains("noexec"));
    factory.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

#[tokio::test]
async fn logs_without_end_marks_and_long_lines_are_whole() {
    let Some(stage) = Stage::set("logs").await else { return };
    let factory = stage.factory(stage.config());
    let container = stage.started(&factory, stage.spec("1")).await;
    // The engine cuts it into frames.
    let long = "x".repeat(100_000);
    contract::run(
        &*container,
        json!({"do": "print", "out": format!("{long}\nmore\n"), "sentinel": false}),
    )
    .await;
    let request = LogRequest {
        limit_bytes: 1 << 20,
        until: Until::Drained,
        wait: Duration::from_secs(5),
    };
    let logs = container.logs(request).await;
    let lines: Vec<&str> = logs.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((lines, logs.incomplete), (vec![long.as_str(), "more"], false));
    factory.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

/// Runs follow each other at once, and each log is its own run's.
#[tokio::test]
async fn fast_runs_without_end_marks_do_not_share_their_logs() {
    let Some(stage) = Stage::set("fast").await else { return };
    let factory = stage.factory(stage.config());
    let container = stage.started(&factory, stage.spec("1")).await;
    let request = LogRequest {
        limit_bytes: 1 << 20,
        until: Until::Drained,
        wait: Duration::from_secs(5),
    };
    let mut collected = Vec::new();
    for number in 0..20 {
        container.settle().await;
        let printed =
            json!({"do": "print", "out": format!("{number}\n"), "err": format!("{number}\n"), "sentinel": false});
        contract::run(&*container, printed).await;
        // As the platform does it: behind the next run, of which every third comes late.
        let collector = container.clone();
        let logs = tokio::spawn(async move { collector.logs(request).await });
        tokio::task::yield_now().await;
        if number % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
        collected.push((number, logs));
    }
    for (number, logs) in collected {
        let logs = logs.await.unwrap();
        let lines: Vec<&str> = logs.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, [number.to_string(), number.to_string()]);
    }
    factory.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

/// Two containers are left behind by a process that is killed; a factory of this process must see them, and no other's.
#[tokio::test]
async fn a_killed_platform_leaves_nothing_that_sweep_does_not_find() {
    let Some(stage) = Stage::set("sweep").await else { return };
    let own = stage.factory(stage.config());
    let kept = stage.started(&own, stage.spec("1")).await;

    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "the_platform_that_is_killed"])
        .env("FERROWHISK_TEST_CRASH_IDENTITY", &stage.identity)
        .env("FERROWHISK_TEST_CRASH_IMAGE", stage.spec("1").image);
    let mut platform = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(platform.stdout.take().unwrap());
    let ready = output.lines().map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(ready, "the other platform did not come up");
    assert_eq!(stage.names().await.len(), 3);

    let second = stage.factory(stage.config());
    assert_eq!(
        second.sweep().await.unwrap(),
        0,
        "what a living platform has was removed"
    );
    platform.kill().unwrap();
    platform.wait().unwrap();
    let stranger = DockerConfig {
        identity: format!("{}-other", stage.identity),
        ..stage.config()
    };
    assert_eq!(stage.factory(stranger).sweep().await.unwrap(), 0);
    // The killed one never comes back; one of another name does.
    let newcomer = DockerConfig {
        node: "invoker7".to_owned(),
        ..stage.config()
    };
    assert_eq!(stage.factory(newcomer).sweep().await.unwrap(), 2);
    assert_eq!(second.sweep().await.unwrap(), 0);
    assert_eq!(stage.names().await, [kept.id()]);
    assert_eq!(contract::run(&*kept, json!({"do": "echo"})).await.status, 200);
    own.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

/// Does nothing unless another test started it, which kills it too.
#[tokio::test]
async fn the_platform_that_is_killed() {
    if std::env::var_os("FERROWHISK_TEST_CRASH_IDENTITY").is_none() {
        return;
    }
    let variable = |name: &str| std::env::var(name).unwrap();
    let config = DockerConfig {
        engine: variable("FERROWHISK_TEST_DOCKER"),
        identity: variable("FERROWHISK_TEST_CRASH_IDENTITY"),
        node: "invoker0".to_owned(),
        ..DockerConfig::default()
    };
    let factory = open(&Config::Docker(Box::new(config))).unwrap();
    let spec = Spec {
        image: variable("FERROWHISK_TEST_CRASH_IMAGE"),
        ..common::spec("contract_action")
    };
    let running = factory.create(spec.clone()).await.unwrap();
    let paused = factory.create(spec).await.unwrap();
    paused.pause().await.unwrap();
    println!("\nready");
    std::future::pending::<()>().await;
    drop((running, paused));
}
