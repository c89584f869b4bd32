//! What images are made for and what an engine runs. Pure.

use std::fmt;

use bollard::models::{ImageInspect, OciPlatform};

/// An operating system on an architecture, as images name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Platform {
    os: String,
    architecture: String,
    /// Such as `v7`; empty where there is one only, or none is told.
    variant: String,
}

impl Platform {
    /// Reads `linux/arm64` or `linux/arm/v7`; none for anything else.
    pub(super) fn parse(text: &str) -> Option<Platform> {
        let mut parts = text.split('/');
        let platform = Platform::new(parts.next()?, parts.next()?, parts.next().unwrap_or_default());
        let empty = platform.os.is_empty() || platform.architecture.is_empty();
        (parts.next().is_none() && !empty).then_some(platform)
    }

    pub(super) fn new(os: &str, architecture: &str, variant: &str) -> Platform {
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }

    /// Without the variant.
    pub(super) fn architecture(&self) -> &str {
        &self.architecture
    }

    /// That of an image on the node; none where the image does not say.
    pub(super) fn of_image(image: &ImageInspect) -> Option<Platform> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let platform = Platform::new(&text(&image.os), &text(&image.architecture), &text(&image.variant));
        (!platform.architecture.is_empty()).then_some(platform)
    }

    /// Those that a registry offers, without what stands for signatures and the like.
    pub(super) fn offered(platforms: &[OciPlatform]) -> Vec<Platform> {
        let platforms = platforms.iter().filter_map(|platform| {
            let variant = platform.variant.as_deref().unwrap_or_default();
            let architecture = platform.architecture.as_deref().filter(|name| *name != "unknown")?;
            Some(Platform::new(
                platform.os.as_deref().unwrap_or("linux"),
                architecture,
                variant,
            ))
        });
        platforms.collect()
    }

    /// Whether programs of that platform run here. Where a processor may know an older one's programs, as 64-bit ones mostly
    /// do, the kernel has the last word when they are started.
    pub(super) fn runs(&self, image: &Platform) -> bool {
        let architectures = (&*self.architecture, &*image.architecture);
        let same_os = image.os.is_empty() || self.os == image.os;
        let same = match architectures {
            ("arm", "arm") => level(&image.variant) <= level(&self.variant),
            ("arm64", "arm") | ("amd64", "386") => true,
            (own, other) => own == other,
        };
        same_os && same
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        // There is one 64-bit ARM only, which is told with and without its number.
        if self.variant.is_empty() || self.architecture == "arm64" {
            return Ok(());
        }
        write!(f, "/{}", self.variant)
    }
}

/// Of 32-bit ARM, the seventh where none is told.
fn level(variant: &str) -> u32 {
    variant.trim_start_matches('v').parse().unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn a_node_runs_its_own_and_what_its_processor_may_know() {
        for (node, image, runs) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/arm64", "linux/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64", "linux/arm/v7", true),
            ("linux/amd64", "linux/386", true),
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/amd64", "windows/amd64", false),
            ("linux/riscv64", "linux/riscv64", true),
        ] {
            assert_eq!(platform(node).runs(&platform(image)), runs, "{image} on {node}");
        }
    }

    #[test]
    fn platforms_are_written_as_images_name_them() {
        assert_eq!(Platform::new("linux", "x86_64", "").to_string(), "linux/amd64");
        assert_eq!(platform("linux/arm64/v8").to_string(), "linux/arm64");
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        for nonsense in ["", "linux", "linux/", "/arm64", "a/b/c/d"] {
            assert_eq!(Platform::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_platform_is_not_offered() {
        let offer = |architecture: &str| OciPlatform {
            os: Some("linux".to_owned()),
            architecture: Some(architecture.to_owned()),
            ..OciPlatform::default()
        };
        let offered = Platform::offered(&[offer("amd64"), offer("unknown")]);
        assert_eq!(offered, [platform("linux/amd64")]);
    }
}
