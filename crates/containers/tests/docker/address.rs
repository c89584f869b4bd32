//! Engines at `tcp://`, with certificates and without.

use std::{net::SocketAddr, path::PathBuf};

use wsk_containers::{DockerConfig, Error, Tls};

use super::Stage;

/// Carries everything between a port of loopback and the engine's socket.
async fn listening(stage: &Stage) -> SocketAddr {
    let socket = stage.engine.strip_prefix("unix://").unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut engine = tokio::net::UnixStream::connect(socket).await?;
                tokio::io::copy_bidirectional(&mut client, &mut engine).await
            });
        }
    });
    address
}

/// The engine's certificates, where it also listens at a port.
fn certificates() -> Option<Tls> {
    let folder = std::env::var("FERROWHISK_TEST_DOCKER_TLS").ok();
    let needed = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(
        folder.is_some() || !needed,
        "FERROWHISK_TEST_DOCKER_TLS must name a folder"
    );
    let Some(folder) = folder.map(PathBuf::from) else {
        println!("skipped: FERROWHISK_TEST_DOCKER_TLS names no certificates");
        return None;
    };
    Some(Tls {
        ca: folder.join("ca.pem"),
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    })
}

const WITH_TLS: &str = "tcp://127.0.0.1:2376";

#[tokio::test]
async fn an_engine_is_reached_at_a_port() {
    let Some(stage) = Stage::set("tcp").await else { return };
    let factory = stage.factory(DockerConfig {
        engine: format!("tcp://{}", listening(&stage).await),
        ..stage.config()
    });
    let container = stage.started(&factory, stage.spec("1")).await;
    container.destroy().await.unwrap();
    factory.shutdown().await.unwrap();
    stage.clear(&["1"]).await;
}

#[tokio::test]
async fn an_engine_is_reached_with_certificates_and_not_without() {
    let Some(stage) = Stage::set("tls").await else { return };
    let Some(tls) = certificates() else { return };
    let config = |tls| DockerConfig {
        engine: WITH_TLS.to_owned(),
        tls,
        ..stage.config()
    };
    let factory = stage.factory(config(Some(tls.clone())));
    assert_eq!(factory.sweep().await.unwrap(), 0);
    let container = stage.started(&factory, stage.spec("1")).await;
    container.destroy().await.unwrap();
    factory.shutdown().await.unwrap();

    let unknown = Tls {
        // Not the one that vouches for the engine.
        ca: tls.cert.clone(),
        ..tls
    };
    for refused in [None, Some(unknown)] {
        match stage.factory(config(refused)).sweep().await {
            Err(error @ Error::Backend { .. }) => assert!(error.to_string().contains(WITH_TLS), "{error}"),
            result => panic!("{result:?}"),
        }
    }
    stage.clear(&["1"]).await;
}
