//! Which image is pulled when, and what the pull of one asks for. Pure.

use bollard::models::ImageInspect;

use super::{Config, Policy};

/// What must happen before a container of an image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    /// Nothing: it is there, or making the container fails.
    Never,
    /// Only when there is none that may be used, and then it must work.
    IfAbsent,
    /// Always tried; a present image will do when it fails.
    Tried,
    /// Always, and it must work.
    Always,
}

/// A reference in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Host of the registry; `docker.io` when the reference names none.
    pub(super) registry: &'a str,
    /// Everything before the tag or digest.
    pub(super) repository: &'a str,
    /// The tag, or the digest, which stands in its place when an image is pulled.
    pub(super) version: Option<&'a str>,
}

/// The registry of images that name none.
const HUB: &str = "docker.io";

impl<'a> Reference<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (repository, version) = match text.split_once('@') {
            Some((named, digest)) => (split_tag(named).0, Some(digest)),
            None => split_tag(text),
        };
        let registry = match text.split_once('/') {
            // What cannot be a user's name is a host.
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => HUB,
        };
        Reference {
            registry,
            repository,
            version,
        }
    }

    /// The repository with its registry. An engine takes a name without one for the number of any image it has, whoever's.
    pub(super) fn full_repository(&self) -> String {
        let repository = self.repository.strip_prefix("docker.io/").unwrap_or(self.repository);
        match (self.registry, repository.contains('/')) {
            (HUB, false) => format!("{HUB}/library/{repository}"),
            (HUB, true) => format!("{HUB}/{repository}"),
            _ => repository.to_owned(),
        }
    }

    /// The whole of it, with its registry and its version.
    pub(super) fn full(&self) -> String {
        let repository = self.full_repository();
        match self.version.unwrap_or("latest") {
            digest if digest.contains(':') => format!("{repository}@{digest}"),
            tag => format!("{repository}:{tag}"),
        }
    }

    /// Whether this image came from its registry, or was pushed there: what was built, loaded or imported here did not.
    pub(super) fn came_from_registry(&self, image: &ImageInspect) -> bool {
        let own = self.full_repository();
        let digests = image.repo_digests.iter().flatten();
        digests
            .map(|digest| Reference::parse(digest).full_repository())
            .any(|repository| repository == own)
    }
}

/// A colon before the last slash belongs to the registry's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let name = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[name..].split_once(':') {
        Some((last, tag)) => (&text[..name + last.len()], Some(tag)),
        None => (text, None),
    }
}

/// What the configuration says about an image.
pub(super) fn policy(config: &Config, image: &str, managed: bool) -> Pull {
    let local = config.local_prefix.as_deref();
    if local.is_some_and(|prefix| image.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))) {
        return Pull::Never;
    }
    let policy = match managed {
        true => config.pull_runtimes,
        false => config.pull_users,
    };
    match (policy, Reference::parse(image).version) {
        (Policy::Never, _) => Pull::Never,
        (Policy::IfNotPresent, _) => Pull::IfAbsent,
        (Policy::Always, _) | (Policy::ByTag, None | Some("latest")) => Pull::Always,
        (Policy::ByTag, Some(_)) => Pull::Tried,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_apart() {
        let cases = [
            ("busybox", "docker.io", "busybox", None),
            ("me/app:1", "docker.io", "me/app", Some("1")),
            ("localhost/app", "localhost", "localhost/app", None),
            ("host:5000/app", "host:5000", "host:5000/app", None),
            ("host:5000/a/app:v2", "host:5000", "host:5000/a/app", Some("v2")),
            ("ghcr.io/a/b:1@sha256:ab", "ghcr.io", "ghcr.io/a/b", Some("sha256:ab")),
        ];
        for (text, registry, repository, version) in cases {
            let expected = Reference {
                registry,
                repository,
                version,
            };
            assert_eq!(Reference::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_full_name_is_never_the_number_of_an_image() {
        let cases = [
            ("busybox", "docker.io/library/busybox:latest"),
            ("sha256:0123456789ab", "docker.io/library/sha256:0123456789ab"),
            ("0123456789ab", "docker.io/library/0123456789ab:latest"),
            ("me/app:1", "docker.io/me/app:1"),
            ("docker.io/me/app:1", "docker.io/me/app:1"),
            ("host:5000/app", "host:5000/app:latest"),
            ("ghcr.io/a/b:1@sha256:ab", "ghcr.io/a/b@sha256:ab"),
        ];
        for (text, full) in cases {
            assert_eq!(Reference::parse(text).full(), full, "{text}");
        }
    }

    #[test]
    fn an_image_of_another_repository_did_not_come_from_this_one() {
        let image = |digest: &str| ImageInspect {
            repo_digests: Some(vec![digest.to_owned()]),
            ..ImageInspect::default()
        };
        let came = |name, digest| Reference::parse(name).came_from_registry(&image(digest));
        assert!(came("host:5000/app:1", "host:5000/app@sha256:ab"));
        assert!(came("busybox:1", "busybox@sha256:ab"));
        assert!(came("docker.io/library/busybox", "busybox@sha256:ab"));
        assert!(!came("host:5000/app:1", "host:5000/other@sha256:ab"));
        assert!(!Reference::parse("busybox").came_from_registry(&ImageInspect::default()));
    }

    #[test]
    fn a_users_image_is_pulled_as_upstream_pulls_it() {
        let config = Config {
            local_prefix: Some("whisk".to_owned()),
            ..Config::default()
        };
        assert_eq!(policy(&config, "me/app", false), Pull::Always);
        assert_eq!(policy(&config, "host:5000/app", false), Pull::Always);
        assert_eq!(policy(&config, "me/app:latest", false), Pull::Always);
        assert_eq!(policy(&config, "me/app:3", false), Pull::Tried);
        assert_eq!(policy(&config, "me/app@sha256:ab", false), Pull::Tried);
        assert_eq!(policy(&config, "me/app:latest", true), Pull::IfAbsent);
        assert_eq!(policy(&config, "whisk/app", false), Pull::Never);
        assert_eq!(policy(&config, "whiskers/app", false), Pull::Always);
    }

    #[test]
    fn an_operator_may_say_otherwise() {
        let config = Config {
            pull_runtimes: Policy::Always,
            pull_users: Policy::IfNotPresent,
            ..Config::default()
        };
        assert_eq!(policy(&config, "me/app:3", true), Pull::Always);
        assert_eq!(policy(&config, "me/app", false), Pull::IfAbsent);
        let config = Config {
            pull_users: Policy::Never,
            ..config
        };
        assert_eq!(policy(&config, "me/app:3", false), Pull::Never);
    }
}
