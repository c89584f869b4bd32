//! The engine's API: one connection of this crate to it, and what its refusals mean.

use std::{future::Future, io, time::Duration};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as ApiError,
    models::{ContainerInspectResponse, ImageInspect},
    query_parameters::{InspectContainerOptions, RemoveContainerOptions},
};
use tokio::sync::OnceCell;

use super::{Config, Tls, access::Grants, platform::Platform};
use crate::Error;

/// The engine. Its API version is agreed upon when it first answers.
pub(super) struct Engine {
    pub(super) config: Config,
    pub(super) grants: Grants,
    api: OnceCell<Docker>,
    platform: OnceCell<Platform>,
}

impl Engine {
    /// Contacts nobody yet.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        check(config)?;
        Ok(Engine {
            config: config.clone(),
            grants: Grants::default(),
            api: OnceCell::new(),
            platform: OnceCell::new(),
        })
    }

    /// The API, once the engine answered.
    pub(super) async fn api(&self) -> Result<&Docker, Error> {
        let connect = async {
            let timeout = Duration::from_millis(self.config.engine_timeout_ms).max(Duration::from_secs(1));
            let api = connect(&self.config)?.with_timeout(timeout);
            api.negotiate_version().await
        };
        let api = self.api.get_or_try_init(|| connect).await;
        api.map_err(|error| self.unavailable(error))
    }

    /// One step with its limit; `None` when the engine knows no such thing (any more).
    pub(super) async fn step<T>(
        &self,
        id: &str,
        step: &'static str,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<Option<T>, Error> {
        let limit = Duration::from_millis(self.config.engine_timeout_ms);
        let result = tokio::time::timeout(limit, call).await;
        match result.unwrap_or(Err(ApiError::RequestTimeoutError)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed(id, step, io::Error::other(error))),
        }
    }

    pub(super) async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        let call = self
            .api()
            .await?
            .inspect_container(name, None::<InspectContainerOptions>);
        self.step(name, "inspect", call).await
    }

    /// Whether there is such a container, and it has not ended.
    pub(super) async fn runs(&self, name: &str) -> Result<bool, Error> {
        let inspected = self.inspect(name).await?;
        let state = inspected.and_then(|inspected| inspected.state);
        Ok(state.and_then(|state| state.running).unwrap_or(false))
    }

    /// Kills it if it runs, and removes it with its volumes. That it is not there, or goes just now, is as good.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        let call = self.api().await?.remove_container(name, Some(options));
        let limit = Duration::from_millis(self.config.engine_timeout_ms);
        match tokio::time::timeout(limit, call)
            .await
            .unwrap_or(Err(ApiError::RequestTimeoutError))
        {
            Ok(()) => Ok(()),
            // 409: its removal is under way.
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(failed(name, "remove", io::Error::other(error))),
        }
    }

    pub(super) async fn image(&self, image: &str) -> Result<Option<ImageInspect>, Error> {
        let call = self.api().await?.inspect_image(image);
        self.step(image, "inspect image", call).await
    }

    /// What its containers run on.
    pub(super) async fn platform(&self) -> Result<&Platform, Error> {
        let ask = async {
            if let Some(configured) = self.config.platform.as_deref().and_then(Platform::parse) {
                return Ok(configured);
            }
            let version = self.step("engine", "ask version", self.api().await?.version()).await?;
            let version = version.unwrap_or_default();
            let arch = version.arch.as_deref().unwrap_or(std::env::consts::ARCH);
            Ok(Platform::new(version.os.as_deref().unwrap_or("linux"), arch, ""))
        };
        self.platform.get_or_try_init(|| ask).await
    }

    pub(super) fn unavailable(&self, error: ApiError) -> Error {
        Error::Backend {
            backend: "docker",
            reason: format!("{}: {}", self.config.engine, chain(&error)),
        }
    }
}

/// Whether an address can be one, and the rest can be had.
fn check(config: &Config) -> Result<(), Error> {
    let refuse = |setting, reason| Err(Error::Config { setting, reason });
    let schemes = ["unix://", "tcp://", "http://"];
    if !schemes.iter().any(|scheme| config.engine.starts_with(scheme)) {
        let reason = format!("{} is neither unix:///path nor tcp://host:port", config.engine);
        return refuse("docker.engine", reason);
    }
    if let Some(platform) = config
        .platform
        .as_deref()
        .filter(|text| Platform::parse(text).is_none())
    {
        return refuse(
            "docker.platform",
            format!("{platform} is no platform such as linux/arm64"),
        );
    }
    let Some(tls) = &config.tls else { return Ok(()) };
    if !config.engine.starts_with("tcp://") {
        let reason = format!(
            "certificates are for an engine at tcp://host:port, not {}",
            config.engine
        );
        return refuse("docker.tls", reason);
    }
    for file in [&tls.ca, &tls.cert, &tls.key] {
        if let Err(error) = std::fs::read(file) {
            return refuse("docker.tls", format!("{} cannot be read: {error}", file.display()));
        }
    }
    Ok(())
}

fn connect(config: &Config) -> Result<Docker, ApiError> {
    // Seconds; replaced by what is configured.
    const TIMEOUT: u64 = 120;
    let address = &config.engine;
    match &config.tls {
        Some(Tls { ca, cert, key }) => Docker::connect_with_ssl(address, key, cert, ca, TIMEOUT, API_DEFAULT_VERSION),
        // Said so, as the environment might ask for certificates.
        None if !address.starts_with("unix://") => Docker::connect_with_http(address, TIMEOUT, API_DEFAULT_VERSION),
        None => Docker::connect_with_unix(address, TIMEOUT, API_DEFAULT_VERSION),
    }
}

/// What the engine's refusal to start a container says about its image; none where that is made for another platform.
pub(super) fn verdict_of_start(id: &str, image: &str, program: &str, error: ApiError) -> Option<Error> {
    let text = error.to_string();
    let missing = ["executable file not found", "no such file or directory"];
    if text.contains("exec format error") {
        None
    } else if text.contains("exec") && missing.iter().any(|missing| text.contains(missing)) {
        Some(Error::ProgramMissing {
            image: image.to_owned(),
            program: program.to_owned(),
        })
    } else {
        Some(failed(id, "start", io::Error::other(error)))
    }
}

/// The status of a refusal.
pub(super) fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

pub(super) fn failed(id: &str, step: &'static str, source: io::Error) -> Error {
    Error::Step {
        id: id.to_owned(),
        step,
        source,
    }
}

/// An error with its causes, since the outermost says little.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> ApiError {
        ApiError::DockerResponseServerError {
            status_code: 400,
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_missing_entry_point_is_told_from_other_failures() {
        let verdict = |message| verdict_of_start("id", "image", "/run", refusal(message));
        let missing = "OCI runtime create failed: exec: \"/run\": stat /run: no such file or directory: unknown";
        assert!(matches!(verdict(missing), Some(Error::ProgramMissing { program, .. }) if program == "/run"));
        let foreign = "standard_init_linux.go:228: exec user process caused: exec format error";
        assert!(verdict(foreign).is_none());
        assert!(matches!(
            verdict("no space left on device"),
            Some(Error::Step { step: "start", .. })
        ));
    }

    #[test]
    fn what_cannot_be_an_engine_is_refused_at_once() {
        let refused = |config: Config| match Engine::new(&config).err() {
            Some(Error::Config { setting, reason }) => (setting, reason),
            other => panic!("{other:?}"),
        };
        let address = Config {
            engine: "docker.sock".to_owned(),
            ..Config::default()
        };
        assert_eq!(refused(address).0, "docker.engine");
        let platform = Config {
            platform: Some("arm64".to_owned()),
            ..Config::default()
        };
        assert_eq!(refused(platform).0, "docker.platform");
        let file = |name: &str| format!("/nonexistent/{name}").into();
        let tls = Config {
            tls: Some(Tls {
                ca: file("ca.pem"),
                cert: file("cert.pem"),
                key: file("key.pem"),
            }),
            ..Config::default()
        };
        assert_eq!(refused(tls.clone()).0, "docker.tls", "certificates for a socket");
        let tls = Config {
            engine: "tcp://127.0.0.1:1".to_owned(),
            ..tls
        };
        let (setting, reason) = refused(tls);
        assert_eq!(setting, "docker.tls");
        assert!(reason.contains("/nonexistent/ca.pem"), "{reason}");
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named() {
        let config = Config {
            engine: "unix:///nonexistent/docker.sock".to_owned(),
            ..Config::default()
        };
        let error = Engine::new(&config).unwrap().api().await.err().unwrap();
        assert!(error.retryable());
        assert!(error.to_string().contains("/nonexistent/docker.sock"), "{error}");
    }
}
