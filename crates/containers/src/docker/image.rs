//! Which image is pulled when, and what the pull of one asks for.

use crate::docker::Config;

/// What must happen before a container of an image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pull {
    /// Nothing: it is there, or making the container fails.
    Never,
    /// Only when it is absent, and then it must work.
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

impl<'a> Reference<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let (repository, version) = match text.split_once('@') {
            Some((named, digest)) => (split_tag(named).0, Some(digest)),
            None => split_tag(text),
        };
        let registry = match text.split_once('/') {
            // What cannot be a user's name is a host.
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => "docker.io",
        };
        Reference {
            registry,
            repository,
            version,
        }
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

/// The policy for an image.
pub(super) fn policy(config: &Config, image: &str, managed: bool) -> Pull {
    let local = config.local_prefix.as_deref();
    if local.is_some_and(|prefix| image.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))) {
        return Pull::Never;
    }
    match (managed, Reference::parse(image).version) {
        (true, _) => Pull::IfAbsent,
        (false, None | Some("latest")) => Pull::Always,
        (false, Some(_)) => Pull::Tried,
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
}
