//! Images from a real registry, which asks who it is: `FERROWHISK_TEST_REGISTRY` names its program. `.ci/fetch-registry` builds one.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bollard::{
    auth::DockerCredentials,
    body_full,
    query_parameters::{CreateImageOptions, PushImageOptions, RemoveImageOptions, TagImageOptions},
};
use futures_util::TryStreamExt;
use wsk_containers::{ContainerFactory, DockerConfig, Error, Login, Policy, Registry, Spec, Tenant};

use super::{Stage, archive};

const USER: &str = "ada";
const PASSWORD: &str = "letmein";
/// The password, as the registry's file of users has it.
const USERS: &str = "ada:$2y$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS\n";

/// A registry on loopback with one user.
struct Hub {
    program: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Hub {
    async fn open() -> Option<Hub> {
        let program = std::env::var("FERROWHISK_TEST_REGISTRY").ok();
        let needed = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            program.is_some() || !needed,
            "FERROWHISK_TEST_REGISTRY must name a registry's program"
        );
        let Some(program) = program else {
            println!("skipped: FERROWHISK_TEST_REGISTRY names no registry");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        std::fs::write(path("users"), USERS).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{address}'}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            path("data"),
            path("users"),
        );
        std::fs::write(path("config.yml"), config).unwrap();
        let mut command = Command::new(program);
        command
            .args(["serve", &path("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let program = command.spawn().unwrap();
        let connected = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), connected).await.unwrap();
        Some(Hub {
            program,
            address,
            _folder: folder,
        })
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// An answer to a request in the registry's own language.
    fn ask(&self, arguments: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--user", &format!("{USER}:{PASSWORD}")])
            .args(arguments)
            .arg(format!("http://{}/v2/{path}", self.address));
        let output = curl.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{path}: {text}");
        text
    }

    /// The same image under another tag, for another architecture by its own word.
    fn retarget(&self, repository: &str, from: &str, to: &str, architecture: &str) -> String {
        let accept = ["--header", &format!("Accept: {MANIFEST}")];
        let manifest = self.ask(&accept, &format!("{repository}/manifests/{from}"));
        let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let digest = manifest["config"]["digest"].as_str().unwrap();
        let config = self.ask(&["--location"], &format!("{repository}/blobs/{digest}"));
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["architecture"] = architecture.into();
        let config = config.to_string();
        let digest = format!("sha256:{}", sha256(&config));
        let begun = self.ask(
            &["--include", "--request", "POST"],
            &format!("{repository}/blobs/uploads/"),
        );
        let upload = field(&begun, "location");
        let upload = upload.split_once("/v2/").unwrap().1.to_owned();
        let header = ["--header", "Content-Type: application/octet-stream"];
        let put = ["--request", "PUT", "--data-binary", &config];
        self.ask(&[&put[..], &header].concat(), &format!("{upload}&digest={digest}"));
        manifest["config"]["digest"] = digest.into();
        manifest["config"]["size"] = config.len().into();
        self.put(repository, to, MANIFEST, &manifest)
    }

    fn put(&self, repository: &str, tag: &str, kind: &str, manifest: &serde_json::Value) -> String {
        let header = format!("Content-Type: {kind}");
        let manifest = manifest.to_string();
        let put = ["--request", "PUT", "--header", &header, "--data-binary", &manifest];
        self.ask(&put, &format!("{repository}/manifests/{tag}"));
        self.image(&format!("{repository}:{tag}"))
    }
}

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn field(head: &str, name: &str) -> String {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let value = fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value));
    value.unwrap_or_else(|| panic!("no {name} in {head}")).trim().to_owned()
}

fn sha256(text: &str) -> String {
    let mut program = Command::new("sha256sum");
    let mut program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    output.split_whitespace().next().unwrap().to_owned()
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn login(password: &str) -> Login {
    Login {
        username: USER.to_owned(),
        password: password.into(),
    }
}

/// A user's image, with what the namespace has for this registry.
fn spec(stage: &Stage, hub: &Hub, image: &str, login: Option<Login>) -> Spec {
    let logins = login.map(|login| (hub.address.to_string(), login));
    Spec {
        image: image.to_owned(),
        managed: false,
        tenant: Some(Arc::new(Tenant {
            namespace: "anyone".into(),
            logins: logins.into_iter().collect(),
        })),
        ..stage.spec("1")
    }
}

/// Whether there is a container; why not, if it is for its image.
async fn attempt(factory: &Arc<dyn ContainerFactory>, spec: Spec) -> Result<(), String> {
    let image = spec.image.clone();
    match factory.create(spec).await {
        Ok(container) => {
            container.destroy().await.unwrap();
            Ok(())
        }
        Err(Error::ImagePull { image: named, reason }) => {
            assert_eq!(named, image);
            Err(reason)
        }
        Err(other) => panic!("{other}"),
    }
}

impl Stage {
    /// Puts the contract's program into the registry, and removes it here.
    async fn push(&self, hub: &Hub, name: &str, version: &str) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        let image = hub.image(name);
        let local = format!("{}:push", self.repository);
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(self.repository.clone()),
            tag: Some("push".to_owned()),
            changes: vec![
                "ENTRYPOINT [\"/contract_action\"]".to_owned(),
                format!("LABEL version=\"{version}\""),
            ],
            ..Default::default()
        };
        let archive = body_full(archive().into());
        let progress = self.api.create_image(Some(options), Some(archive), None);
        progress.try_collect::<Vec<_>>().await.unwrap();
        let named = TagImageOptions {
            repo: Some(hub.image(repository)),
            tag: Some(tag.to_owned()),
        };
        self.api.tag_image(&local, Some(named)).await.unwrap();
        let credentials = DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..Default::default()
        };
        let options = PushImageOptions {
            tag: Some(tag.to_owned()),
            ..Default::default()
        };
        let pushed = self
            .api
            .push_image(&hub.image(repository), Some(options), Some(credentials));
        pushed.try_collect::<Vec<_>>().await.unwrap();
        self.forget(&local).await;
        self.forget(&image).await;
        image
    }

    async fn forget(&self, image: &str) {
        let options = RemoveImageOptions {
            force: true,
            ..Default::default()
        };
        let _ = self.api.remove_image(image, Some(options), None).await;
    }

    async fn version_of(&self, image: &str) -> Option<String> {
        let labels = self.api.inspect_image(image).await.ok()?.config?.labels?;
        labels.get("version").cloned()
    }

    async fn over(self, factory: Arc<dyn ContainerFactory>, images: &[&str]) {
        factory.shutdown().await.unwrap();
        for image in images {
            self.forget(image).await;
        }
        self.clear(&["1"]).await;
    }
}

#[tokio::test]
async fn a_private_image_is_for_those_who_may_have_it() {
    let Some(stage) = Stage::set("private").await else {
        return;
    };
    let Some(hub) = Hub::open().await else { return };
    let image = stage.push(&hub, "team/app:1", "").await;
    let factory = stage.factory(stage.config());
    let as_somebody = |image: &str, login| attempt(&factory, spec(&stage, &hub, image, login));
    assert_eq!(as_somebody(&image, Some(login(PASSWORD))).await, Ok(()));

    // It is here now, and still nobody else's.
    let inspected = stage.api.inspect_image(&image).await.unwrap();
    let id = inspected.id.unwrap();
    let digest = inspected.repo_digests.unwrap().remove(0);
    let short = id.trim_start_matches("sha256:")[..12].to_owned();
    for name in [&image, &digest, &id, &short] {
        assert!(as_somebody(name, None).await.is_err(), "{name}");
        assert!(as_somebody(name, Some(login("guessed"))).await.is_err(), "{name}");
    }
    let refused = as_somebody(&image, None).await.unwrap_err();
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    assert_eq!(as_somebody(&digest, Some(login(PASSWORD))).await, Ok(()));

    // While the registry is away: whom it confirmed before, in this life.
    let address = hub.address;
    drop(hub);
    let away = |login: Option<Login>| Spec {
        image: image.clone(),
        managed: false,
        tenant: Some(Arc::new(Tenant {
            namespace: "anyone".into(),
            logins: login.map(|login| (address.to_string(), login)).into_iter().collect(),
        })),
        ..stage.spec("1")
    };
    assert_eq!(attempt(&factory, away(Some(login(PASSWORD)))).await, Ok(()));
    let refused = attempt(&factory, away(None)).await.unwrap_err();
    assert!(refused.contains("connection refused"), "{refused}");
    let later = stage.factory(stage.config());
    assert!(attempt(&later, away(Some(login(PASSWORD)))).await.is_err());
    let sharing = stage.factory(DockerConfig {
        share_images: true,
        ..stage.config()
    });
    assert_eq!(attempt(&sharing, away(None)).await, Ok(()));
    stage.over(factory, &[&image]).await;
}

#[tokio::test]
async fn the_nodes_own_access_is_for_runtimes_and_for_users_where_it_says_so() {
    let Some(stage) = Stage::set("node").await else { return };
    let Some(hub) = Hub::open().await else { return };
    let image = stage.push(&hub, "team/runtime:1", "").await;
    let folder = tempfile::tempdir().unwrap();
    let password_file: PathBuf = folder.path().join("password");
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let config = |users| {
        let access = Registry {
            username: USER.to_owned(),
            password_file: password_file.clone(),
            users,
        };
        DockerConfig {
            registries: [(hub.address.to_string(), access)].into(),
            ..stage.config()
        }
    };
    let runtime = Spec {
        managed: true,
        tenant: None,
        ..spec(&stage, &hub, &image, None)
    };
    let runtimes_only = stage.factory(config(false));
    assert_eq!(attempt(&runtimes_only, runtime.clone()).await, Ok(()));
    assert!(attempt(&runtimes_only, spec(&stage, &hub, &image, None)).await.is_err());
    let everybodys = stage.factory(config(true));
    assert_eq!(attempt(&everybodys, spec(&stage, &hub, &image, None)).await, Ok(()));

    std::fs::write(&password_file, "changed").unwrap();
    let refused = attempt(&everybodys, spec(&stage, &hub, &image, None)).await;
    assert!(refused.unwrap_err().contains("unauthorized"));
    // A runtime that is here need not be pulled.
    assert_eq!(attempt(&everybodys, runtime.clone()).await, Ok(()));
    std::fs::remove_file(&password_file).unwrap();
    let unreadable = attempt(&everybodys, spec(&stage, &hub, &image, None)).await;
    assert!(unreadable.unwrap_err().contains("password file"));
    stage.over(runtimes_only, &[&image]).await;
}

#[tokio::test]
async fn the_policy_says_when_an_image_is_pulled() {
    let Some(stage) = Stage::set("policy").await else {
        return;
    };
    let Some(hub) = Hub::open().await else { return };
    let image = stage.push(&hub, "team/app:1", "old").await;
    let factory = |pull_users| {
        stage.factory(DockerConfig {
            pull_users,
            ..stage.config()
        })
    };
    let user = || spec(&stage, &hub, &image, Some(login(PASSWORD)));
    let never = factory(Policy::Never);
    assert!(attempt(&never, user()).await.unwrap_err().contains("not on this node"));
    let if_not_present = factory(Policy::IfNotPresent);
    assert_eq!(attempt(&if_not_present, user()).await, Ok(()));
    assert_eq!(stage.version_of(&image).await.as_deref(), Some("old"));

    // A newer one is pushed by somebody else, and the old one is here.
    stage.push(&hub, "team/app:2", "new").await;
    let newer = hub.ask(&["--header", &format!("Accept: {MANIFEST}")], "team/app/manifests/2");
    let newer = serde_json::from_str(&newer).unwrap();
    hub.put("team/app", "1", MANIFEST, &newer);
    assert_eq!(attempt(&if_not_present, user()).await, Ok(()));
    assert_eq!(stage.version_of(&image).await.as_deref(), Some("old"));
    // Whoever is not known to be allowed to have it is asked for: by a pull.
    assert!(
        attempt(&if_not_present, spec(&stage, &hub, &image, None))
            .await
            .is_err()
    );
    assert_eq!(attempt(&never, spec(&stage, &hub, &image, None)).await, Ok(()));
    assert_eq!(attempt(&factory(Policy::Always), user()).await, Ok(()));
    assert_eq!(stage.version_of(&image).await.as_deref(), Some("new"));
    stage.over(never, &[&image]).await;
}

#[tokio::test]
async fn what_cannot_be_pulled_says_why() {
    let Some(stage) = Stage::set("refusals").await else {
        return;
    };
    let Some(hub) = Hub::open().await else { return };
    let image = stage.push(&hub, "team/app:1", "").await;
    let factory = stage.factory(DockerConfig {
        pull_timeout_ms: 2_000,
        ..stage.config()
    });
    let refusal = async |image: &str, login| {
        let refused = attempt(&factory, spec(&stage, &hub, image, login)).await;
        refused.unwrap_err()
    };
    let unknown_tag = refusal(&hub.image("team/app:2"), Some(login(PASSWORD))).await;
    assert!(unknown_tag.contains("manifest unknown"), "{unknown_tag}");
    let unknown = refusal(&hub.image("team/nothing:1"), Some(login(PASSWORD))).await;
    assert!(unknown.contains("unknown"), "{unknown}");
    let wrong = refusal(&image, Some(login("guessed"))).await;
    assert!(wrong.contains("unauthorized"), "{wrong}");
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = refusal(&format!("{away}/team/app:1"), None).await;
    assert!(away.contains("connection refused"), "{away}");
    // One that takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = refusal(&format!("{}/team/app:1", silent.local_addr().unwrap()), None).await;
    assert_eq!(slow, "its registry did not send it within 2000 ms");
    stage.over(factory, &[&image]).await;
}

#[tokio::test]
async fn an_image_for_another_platform_is_refused_and_the_right_one_of_several_taken() {
    let Some(stage) = Stage::set("platform").await else {
        return;
    };
    let Some(hub) = Hub::open().await else { return };
    let (own, other) = match std::env::consts::ARCH {
        "aarch64" => ("arm64", "amd64"),
        _ => ("amd64", "arm64"),
    };
    let native = stage.push(&hub, "team/app:native", "").await;
    let foreign = hub.retarget("team/app", "native", "foreign", other);
    let entry = |tag: &str, architecture: &str| {
        let accept = format!("Accept: {MANIFEST}");
        let head = hub.ask(&["--head", "--header", &accept], &format!("team/app/manifests/{tag}"));
        serde_json::json!({
            "mediaType": MANIFEST,
            "digest": field(&head, "docker-content-digest"),
            "size": field(&head, "content-length").parse::<u64>().unwrap(),
            "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let list = |tag: &str, manifests: Vec<serde_json::Value>| {
        let kind = "application/vnd.docker.distribution.manifest.list.v2+json";
        let list = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        hub.put("team/app", tag, kind, &list)
    };
    let both = list("both", vec![entry("foreign", other), entry("native", own)]);
    let only_other = list("other", vec![entry("foreign", other)]);

    let factory = stage.factory(stage.config());
    let as_ada = |image: &str| spec(&stage, &hub, image, Some(login(PASSWORD)));
    let container = stage.started(&factory, as_ada(&both)).await;
    container.destroy().await.unwrap();
    for image in [&foreign, &only_other] {
        match factory.create(as_ada(image)).await.err() {
            Some(Error::NoVariant {
                image: named,
                platforms,
                node,
            }) => {
                assert_eq!(&named, image);
                assert_eq!(platforms, [format!("linux/{other}")]);
                assert_eq!(node, format!("linux/{own}"));
            }
            result => panic!("{image}: {result:?}"),
        }
    }
    // What is there of that name will not do when it is made for another machine, whatever brought it.
    let config = DockerConfig {
        pull_users: Policy::IfNotPresent,
        ..stage.config()
    };
    let frugal = stage.factory(config);
    stage.started(&frugal, as_ada(&both)).await.destroy().await.unwrap();
    let name = TagImageOptions {
        repo: Some(hub.image("team/app")),
        tag: Some("both".to_owned()),
    };
    stage.api.tag_image(&foreign, Some(name)).await.unwrap();
    stage.started(&frugal, as_ada(&both)).await.destroy().await.unwrap();
    frugal.shutdown().await.unwrap();
    stage.over(factory, &[&native, &foreign, &both, &only_other]).await;
}
