//! The engine's API: one connection of this crate to it, and what its refusals mean.

use std::{future::Future, io, time::Duration};

use bollard::{
    Docker,
    auth::DockerCredentials,
    errors::Error as ApiError,
    models::{ContainerInspectResponse, ImageInspect},
    query_parameters::{CreateImageOptions, InspectContainerOptions, RemoveContainerOptions},
};
use futures_util::StreamExt;
use tokio::sync::OnceCell;

use super::{
    Config,
    image::{Pull, Reference, policy},
};
use crate::{Error, Spec};

/// The engine. Its API version is agreed upon when it first answers.
pub(super) struct Engine {
    config: Config,
    api: OnceCell<Docker>,
}

impl Engine {
    /// Contacts nobody yet.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        if !["unix://", "tcp://", "http://"]
            .iter()
            .any(|scheme| config.engine.starts_with(scheme))
        {
            return Err(Error::Config {
                setting: "docker.engine",
                reason: format!("{} is neither unix:///path nor tcp://host:port", config.engine),
            });
        }
        Ok(Engine {
            config: config.clone(),
            api: OnceCell::new(),
        })
    }

    /// The API, once the engine answered.
    pub(super) async fn api(&self) -> Result<&Docker, Error> {
        let connect = async {
            let timeout = Duration::from_millis(self.config.engine_timeout_ms).max(Duration::from_secs(1));
            let api = Docker::connect_with_host(&self.config.engine)?.with_timeout(timeout);
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

    /// Sees to it that the image is there, as the policy has it.
    pub(super) async fn provide(&self, spec: &Spec) -> Result<(), Error> {
        let image = &spec.image;
        match policy(&self.config, image, spec.managed) {
            Pull::Never => Ok(()),
            Pull::IfAbsent if self.image(image).await?.is_some() => Ok(()),
            Pull::IfAbsent | Pull::Always => self.pull(image).await,
            Pull::Tried => match self.pull(image).await {
                Err(error @ Error::ImagePull { .. }) => match self.image(image).await? {
                    Some(_) => Ok(()),
                    None => Err(error),
                },
                result => result,
            },
        }
    }

    pub(super) async fn image(&self, image: &str) -> Result<Option<ImageInspect>, Error> {
        let call = self.api().await?.inspect_image(image);
        self.step(image, "inspect image", call).await
    }

    async fn pull(&self, image: &str) -> Result<(), Error> {
        let reference = Reference::parse(image);
        let failed = |reason: String| Error::ImagePull {
            image: image.to_owned(),
            reason,
        };
        let credentials = self.credentials(reference.registry).await.map_err(failed)?;
        let options = CreateImageOptions {
            from_image: Some(reference.repository.to_owned()),
            tag: Some(reference.version.unwrap_or("latest").to_owned()),
            ..Default::default()
        };
        let mut progress = self.api().await?.create_image(Some(options), None, credentials);
        let finish = async {
            while let Some(step) = progress.next().await {
                step?;
            }
            Ok::<_, ApiError>(())
        };
        let limit = Duration::from_millis(self.config.pull_timeout_ms);
        match tokio::time::timeout(limit, finish).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.to_string().contains("no matching manifest") => Err(foreign(image)),
            // Not to be reached is the engine's fault, not the image's.
            Ok(Err(error @ ApiError::HyperLegacyError { .. })) => Err(self.unavailable(error)),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("not complete after {} s", limit.as_secs()))),
        }
    }

    async fn credentials(&self, registry: &str) -> Result<Option<DockerCredentials>, String> {
        let Some(access) = self.config.registries.get(registry) else {
            return Ok(None);
        };
        let file = &access.password_file;
        let password = tokio::fs::read_to_string(file).await;
        let password = password.map_err(|error| format!("password file {}: {error}", file.display()))?;
        let address = match registry {
            "docker.io" => "https://index.docker.io/v1/",
            host => host,
        };
        Ok(Some(DockerCredentials {
            username: Some(access.username.clone()),
            password: Some(password.trim_end_matches(['\r', '\n']).to_owned()),
            serveraddress: Some(address.to_owned()),
            ..Default::default()
        }))
    }

    fn unavailable(&self, error: ApiError) -> Error {
        Error::Backend {
            backend: "docker",
            reason: format!("{}: {}", self.config.engine, chain(&error)),
        }
    }
}

/// What the engine's refusal to start a container says about its image.
pub(super) fn verdict_of_start(id: &str, image: &str, program: &str, error: ApiError) -> Error {
    let text = error.to_string();
    let missing = ["executable file not found", "no such file or directory"];
    if text.contains("exec format error") {
        foreign(image)
    } else if text.contains("exec") && missing.iter().any(|missing| text.contains(missing)) {
        Error::ProgramMissing {
            image: image.to_owned(),
            program: program.to_owned(),
        }
    } else {
        failed(id, "start", io::Error::other(error))
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

fn foreign(image: &str) -> Error {
    Error::NoVariant {
        image: image.to_owned(),
        platforms: Vec::new(),
        node: std::env::consts::ARCH.to_owned(),
    }
}

/// An error with its causes, since the outermost says little.
fn chain(error: &dyn std::error::Error) -> String {
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
        assert!(matches!(verdict(missing), Error::ProgramMissing { program, .. } if program == "/run"));
        let foreign = "standard_init_linux.go:228: exec user process caused: exec format error";
        assert!(matches!(verdict(foreign), Error::NoVariant { .. }));
        assert!(matches!(
            verdict("no space left on device"),
            Error::Step { step: "start", .. }
        ));
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused_at_once() {
        let config = Config {
            engine: "docker.sock".to_owned(),
            ..Config::default()
        };
        let error = Engine::new(&config).err().unwrap();
        assert!(matches!(
            error,
            Error::Config {
                setting: "docker.engine",
                ..
            }
        ));
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
