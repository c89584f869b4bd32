//! Sees to it that an image is on the node, that whoever names it may have it, and that it runs here.

use std::time::Duration;

use bollard::{
    auth::DockerCredentials, errors::Error as ApiError, models::ImageInspect, query_parameters::CreateImageOptions,
};
use futures_util::StreamExt;

use super::{
    access::As,
    engine::{Engine, chain},
    image::{Pull, Reference, policy},
    platform::Platform,
};
use crate::{Error, Login, Spec};

/// An image as one container needs it.
struct Asked<'a> {
    /// As it was written.
    image: &'a str,
    reference: Reference<'a>,
    /// With its registry and version; what the engine is told.
    full: String,
    managed: bool,
    login: Option<Login>,
    who: As,
}

impl Asked<'_> {
    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::ImagePull {
            image: self.image.to_owned(),
            reason: reason.into(),
        }
    }

    fn credentials(&self) -> Option<DockerCredentials> {
        let address = match self.reference.registry {
            "docker.io" => "https://index.docker.io/v1/",
            host => host,
        };
        let login = self.login.as_ref()?;
        Some(DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.to_string()),
            serveraddress: Some(address.to_owned()),
            ..Default::default()
        })
    }
}

impl Engine {
    /// Sees to it that the image is there, as the policy has it, and may be used and run. Answers the name by which the engine
    /// knows this image and no other.
    pub(super) async fn provide(&self, spec: &Spec) -> Result<String, Error> {
        let asked = self.asked(spec).await?;
        let image = match policy(&self.config, &spec.image, spec.managed) {
            Pull::Never => self.image(&asked.full).await?,
            Pull::IfAbsent => self.present_or_pulled(&asked).await?,
            Pull::Always => self.pulled(&asked).await?,
            Pull::Tried => match self.pulled(&asked).await {
                Err(error @ Error::ImagePull { .. }) => match self.usable(&asked).await? {
                    Some(image) => {
                        tracing::debug!(image = asked.full, %error, "not pulled; the one that is there will do");
                        Some(image)
                    }
                    None => return Err(error),
                },
                result => result?,
            },
        };
        let image = image.ok_or_else(|| asked.failed("it is not on this node, and must not be pulled"))?;
        self.refuse_foreign(&asked, &image).await?;
        Ok(asked.full)
    }

    async fn asked<'a>(&self, spec: &'a Spec) -> Result<Asked<'a>, Error> {
        let reference = Reference::parse(&spec.image);
        let login = self.login(spec, reference.registry).await;
        let login = login.map_err(|reason| Error::ImagePull {
            image: spec.image.clone(),
            reason,
        })?;
        Ok(Asked {
            image: &spec.image,
            full: reference.full(),
            managed: spec.managed,
            who: self.grants.asking(login.as_ref()),
            login,
            reference,
        })
    }

    /// The namespace's own access first, then the node's, where it is for everybody.
    async fn login(&self, spec: &Spec, registry: &str) -> Result<Option<Login>, String> {
        let own = spec.tenant.as_ref().and_then(|tenant| tenant.logins.get(registry));
        if let Some(login) = own.filter(|_| !spec.managed) {
            return Ok(Some(login.clone()));
        }
        let access = self.config.registries.get(registry);
        let Some(access) = access.filter(|access| spec.managed || access.users) else {
            return Ok(None);
        };
        let file = &access.password_file;
        let password = tokio::fs::read_to_string(file).await;
        let password = password.map_err(|error| format!("password file {}: {error}", file.display()))?;
        Ok(Some(Login {
            username: access.username.clone(),
            password: password.trim_end_matches(['\r', '\n']).into(),
        }))
    }

    /// The image that is there, if this is somebody who may have it.
    async fn usable(&self, asked: &Asked<'_>) -> Result<Option<ImageInspect>, Error> {
        let image = self.image(&asked.full).await?;
        Ok(image.filter(|image| {
            asked.managed
                || self.config.share_images
                || !asked.reference.came_from_registry(image)
                || self.grants.holds(&asked.full, asked.who)
        }))
    }

    /// The image that is there; where that is made for another platform, its registry may have one for this one.
    async fn present_or_pulled(&self, asked: &Asked<'_>) -> Result<Option<ImageInspect>, Error> {
        let present = self.usable(asked).await?;
        if let Some(image) = &present
            && self.runs_here(image).await?.is_ok()
        {
            return Ok(present);
        }
        match self.pulled(asked).await {
            Err(Error::ImagePull { .. }) if present.is_some() => Ok(present),
            result => result,
        }
    }

    /// The image, freshly pulled.
    async fn pulled(&self, asked: &Asked<'_>) -> Result<Option<ImageInspect>, Error> {
        match self.pull(asked).await {
            Ok(()) => {
                self.grants.confirm(&asked.full, asked.who);
                self.image(&asked.full).await
            }
            Err(error) => {
                tracing::warn!(image = asked.full, error = chain(&error), "an image was not pulled");
                Err(error)
            }
        }
    }

    async fn pull(&self, asked: &Asked<'_>) -> Result<(), Error> {
        let options = CreateImageOptions {
            from_image: Some(asked.reference.full_repository()),
            tag: Some(asked.reference.version.unwrap_or("latest").to_owned()),
            platform: self.config.platform.clone().unwrap_or_default(),
            ..Default::default()
        };
        self.confirm_digest(asked).await?;
        let limit = Duration::from_millis(self.config.pull_timeout_ms);
        // The engine may say nothing for as long as its registry does.
        let api = self.api().await?.clone().with_timeout(limit + Duration::from_secs(1));
        let mut progress = api.create_image(Some(options), None, asked.credentials());
        let finish = async {
            while let Some(step) = progress.next().await {
                step?;
            }
            Ok::<_, ApiError>(())
        };
        match tokio::time::timeout(limit, finish).await {
            Ok(Ok(())) => Ok(()),
            // Not to be reached is the engine's fault, not the image's.
            Ok(Err(error @ ApiError::HyperLegacyError { .. })) => Err(self.unavailable(error)),
            Ok(Err(error)) => Err(self.refused(asked, &error.to_string()).await),
            Err(_) => Err(asked.failed(format!("its registry did not send it within {} ms", limit.as_millis()))),
        }
    }

    /// An image that is named by its digest is taken from the node without a word to its registry, so that one is asked first
    /// whether this is somebody who may have it.
    async fn confirm_digest(&self, asked: &Asked<'_>) -> Result<(), Error> {
        let is_digest = asked.reference.version.is_some_and(|version| version.contains(':'));
        if asked.managed || self.config.share_images || !is_digest {
            return Ok(());
        }
        let api = self.api().await?;
        let call = api.inspect_registry_image(&asked.full, asked.credentials());
        let limit = Duration::from_millis(self.config.engine_timeout_ms.min(self.config.pull_timeout_ms));
        let result = tokio::time::timeout(limit, call).await;
        match result.unwrap_or(Err(ApiError::RequestTimeoutError)) {
            Ok(_) => Ok(()),
            Err(error @ ApiError::HyperLegacyError { .. }) => Err(self.unavailable(error)),
            Err(error) => Err(self.refused(asked, &error.to_string()).await),
        }
    }

    /// What a refusal means.
    async fn refused(&self, asked: &Asked<'_>, reason: &str) -> Error {
        if lacks_variant(reason) {
            let platforms = self.platforms(asked).await;
            return self.foreign(asked.image, platforms).await;
        }
        if is_denial(reason) {
            self.grants.revoke(&asked.full, asked.who);
        }
        asked.failed(reason)
    }

    /// What the registry has the image for; nothing where it does not say.
    async fn platforms(&self, asked: &Asked<'_>) -> Vec<Platform> {
        let Ok(api) = self.api().await else { return Vec::new() };
        let call = api.inspect_registry_image(&asked.full, asked.credentials());
        let inspected = self.step(asked.image, "inspect image", call).await;
        inspected
            .ok()
            .flatten()
            .map_or_else(Vec::new, |inspected| Platform::offered(&inspected.platforms))
    }

    async fn refuse_foreign(&self, asked: &Asked<'_>, image: &ImageInspect) -> Result<(), Error> {
        match self.runs_here(image).await? {
            Ok(()) => Ok(()),
            Err(platform) => Err(self.foreign(asked.image, vec![platform]).await),
        }
    }

    /// Whether what is on the node is made for it, and what else it is made for.
    async fn runs_here(&self, image: &ImageInspect) -> Result<Result<(), Platform>, Error> {
        let own = self.platform().await?;
        Ok(match Platform::of_image(image) {
            Some(platform) if !own.runs(&platform) => Err(platform),
            Some(_) | None => Ok(()),
        })
    }

    /// The verdict on an image that does not run here.
    pub(super) async fn foreign(&self, image: &str, platforms: Vec<Platform>) -> Error {
        let node = self.platform().await;
        Error::NoVariant {
            image: image.to_owned(),
            platforms: platforms.iter().map(ToString::to_string).collect(),
            node: node.map_or_else(|_| std::env::consts::ARCH.to_owned(), ToString::to_string),
        }
    }
}

fn lacks_variant(reason: &str) -> bool {
    ["no matching manifest", "no match for platform"]
        .iter()
        .any(|words| reason.contains(words))
}

/// Whether a registry knows who asks and will not have it.
fn is_denial(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["denied", "unauthorized", "forbidden", "no basic auth"]
        .iter()
        .any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_say_no_in_many_ways() {
        for denial in [
            "pull access denied for host/a, repository does not exist or may require 'docker login'",
            "Head \"http://host/v2/a/manifests/1\": no basic auth credentials",
            "unauthorized: authentication required",
            "received unexpected HTTP status: 403 Forbidden",
        ] {
            assert!(is_denial(denial), "{denial}");
        }
        for other in [
            "dial tcp 127.0.0.1:1: connect: connection refused",
            "manifest for host/a:2 not found: manifest unknown",
        ] {
            assert!(!is_denial(other), "{other}");
        }
        assert!(lacks_variant(
            "no matching manifest for linux/amd64 in the manifest list entries"
        ));
    }
}
