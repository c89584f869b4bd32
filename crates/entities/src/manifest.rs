//! The runtimes manifest: which kinds exist, and what runs them.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{Architecture, Error, Exec};

/// The runtimes manifest in upstream's shape, with one key of ours per entry: `process`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub runtimes: IndexMap<String, Vec<Runtime>>,
    /// Images treated as native: not pulled, trusted to write sentinels.
    #[serde(default)]
    pub blackboxes: Vec<Image>,
}

/// One kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    pub kind: String,
    pub image: Image,
    #[serde(default)]
    pub default: bool,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<AttachedCode>,
    #[serde(default)]
    pub require_main: bool,
    #[serde(default = "yes")]
    pub sentinelled_logs: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stem_cells: Vec<StemCell>,
    /// What the process backend runs for this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessProgram>,
}

/// How code of a kind is attached to its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedCode {
    pub attachment_name: String,
    pub attachment_type: String,
}

/// A container image, and, for blackboxes known to the platform, what the process backend runs in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub registry: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessProgram>,
    /// Architectures that the image has a variant for; none named: it is found out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Architecture>,
    /// Other images for some architectures, for those that are not in one image of several.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variants: IndexMap<Architecture, Image>,
}

/// The program that the process backend runs for a kind or image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessProgram {
    /// The command line; the first word is looked up beside the platform's own program, then on `PATH`.
    pub program: Vec<String>,
    /// An interpreter that must be on `PATH` for the kind to be offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// The working folder of the program, writable and its own; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
}

/// Prewarmed containers to hold for a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StemCell {
    #[serde(alias = "count")]
    pub initial_count: u32,
    /// A size such as `256 MB`.
    pub memory: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactive: Option<Reactive>,
}

/// How the number of prewarmed containers follows demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reactive {
    pub min_count: u32,
    pub max_count: u32,
    /// A duration such as `2 minutes`.
    pub ttl: String,
    pub threshold: u32,
    pub increment: u32,
}

fn yes() -> bool {
    true
}

impl Image {
    /// `[registry/][prefix/]name[:tag]`.
    pub fn reference(&self) -> String {
        let mut out = String::new();
        for part in [&self.registry, &self.prefix] {
            if !part.is_empty() {
                out.push_str(part);
                out.push('/');
            }
        }
        out.push_str(&self.name);
        if !self.tag.is_empty() {
            out.push(':');
            out.push_str(&self.tag);
        }
        out
    }

    /// The image for an architecture; none where it is known that there is none.
    pub fn on(&self, architecture: &Architecture) -> Option<&Image> {
        match self.variants.get(architecture) {
            Some(variant) => Some(variant),
            None if self.architectures.is_empty() || self.architectures.contains(architecture) => Some(self),
            None => None,
        }
    }

    /// Whether `reference` names this image; a missing tag equals `latest`.
    pub fn matches(&self, reference: &str) -> bool {
        let untagged = |r: &str| r.strip_suffix(":latest").unwrap_or(r).to_owned();
        let own = untagged(&self.reference());
        own == untagged(reference) || own.split_once(':').is_some_and(|(name, _)| name == reference)
    }
}

/// The manifest that comes with the platform.
const BUNDLED: &str = include_str!("../../../runtimes/manifest.json");

impl Manifest {
    /// The manifest that comes with the platform.
    pub fn bundled() -> Manifest {
        Manifest::parse(BUNDLED).expect("a test reads the bundled manifest")
    }

    /// Keeps the kinds that pass `offered`, and the families that have any.
    pub fn retain(&mut self, offered: impl Fn(&Runtime) -> bool) {
        for kinds in self.runtimes.values_mut() {
            kinds.retain(&offered);
        }
        self.runtimes.retain(|_, kinds| !kinds.is_empty());
    }

    /// Parses and checks a manifest. Errors: [`Error::Rejected`] naming the family or field at fault.
    pub fn parse(text: &str) -> Result<Manifest, Error> {
        let manifest: Manifest =
            serde_json::from_str(text).map_err(|e| Error::Rejected(format!("runtimes manifest: {e}")))?;
        for (family, kinds) in &manifest.runtimes {
            match kinds.iter().filter(|k| k.default).count() {
                0 if kinds.len() > 1 => {
                    return Err(Error::Rejected(format!(
                        "{family} has multiple versions, but no default."
                    )));
                }
                0 | 1 => {}
                _ => return Err(Error::Rejected(format!("Found more than one default for {family}"))),
            }
        }
        Ok(manifest)
    }

    /// Every kind, in manifest order.
    pub fn kinds(&self) -> impl Iterator<Item = &Runtime> {
        self.runtimes.values().flatten()
    }

    /// The runtime of a kind as clients write it: trimmed, lower-cased, `family:default` resolved.
    pub fn resolve(&self, kind: &str) -> Option<&Runtime> {
        let kind = kind.trim().to_lowercase();
        match kind.strip_suffix(":default") {
            Some(family) => {
                let kinds = self.runtimes.get(family)?;
                kinds
                    .iter()
                    .find(|k| k.default)
                    .or_else(|| if kinds.len() == 1 { kinds.first() } else { None })
            }
            None => self.kinds().find(|k| k.kind == kind),
        }
    }

    /// The native image a blackbox reference names, if it does.
    pub fn native(&self, image: &str) -> Option<&Image> {
        self.blackboxes.iter().find(|i| i.matches(image))
    }

    /// What the process backend runs for `exec`; none for sequences and images it does not know. The image of a managed
    /// kind, named as a blackbox, is that kind's program.
    pub fn program(&self, exec: &Exec) -> Option<&ProcessProgram> {
        match exec {
            Exec::Code { kind, .. } => self.resolve(kind)?.process.as_ref(),
            Exec::Blackbox { image, .. } => match self.native(image) {
                Some(native) => native.process.as_ref(),
                None => self.kinds().find(|k| k.image.matches(image))?.process.as_ref(),
            },
            Exec::Sequence { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_manifest_is_one_and_keeps_what_is_offered() {
        let mut manifest = Manifest::bundled();
        assert!(manifest.runtimes.contains_key("python"));
        manifest.retain(|kind| kind.kind.starts_with("nodejs"));
        assert_eq!(manifest.runtimes.keys().collect::<Vec<_>>(), ["nodejs"]);
    }

    #[test]
    fn an_image_that_the_manifest_knows_has_its_program() {
        let manifest = Manifest::parse(
            r#"{"runtimes":{"python":[{"kind":"python:3","image":{"prefix":"a","name":"py","tag":"1"},
                "process":{"program":["proxy","python"]}}]},
                "blackboxes":[{"prefix":"a","name":"skeleton","tag":"1","process":{"program":["proxy","native"]}}]}"#,
        )
        .unwrap();
        let program = |image: &str| {
            let exec = Exec::Blackbox {
                image: image.to_owned(),
                code: None,
                main: None,
                binary: false,
            };
            manifest.program(&exec).map(|p| p.program[1].clone())
        };
        assert_eq!(program("a/skeleton").as_deref(), Some("native"));
        assert_eq!(program("a/py:1").as_deref(), Some("python"), "a managed kind's");
        assert_eq!(program("a/py").as_deref(), Some("python"));
        assert_eq!(program("a/py:2"), None);
        assert_eq!(program("b/py:1"), None);
    }

    #[test]
    fn an_image_has_variants_by_architecture() {
        let manifest = Manifest::parse(
            r#"{"runtimes":{"swift":[{"kind":"swift:5","image":{"prefix":"a","name":"swift","tag":"1",
                "architectures":["amd64","linux/arm64"],"variants":{"arm/v7":{"prefix":"b","name":"swift-arm"}}}}]}}"#,
        )
        .unwrap();
        let image = &manifest.resolve("swift:5").unwrap().image;
        let on = |name| image.on(&Architecture::new(name)).map(Image::reference);
        assert_eq!(on("amd64").as_deref(), Some("a/swift:1"));
        assert_eq!(on("aarch64").as_deref(), Some("a/swift:1"));
        assert_eq!(on("arm/v7").as_deref(), Some("b/swift-arm"));
        assert_eq!(on("riscv64"), None);
        let again = Manifest::parse(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(again, manifest);
        let plain = Manifest::bundled();
        let anywhere = plain
            .kinds()
            .all(|kind| kind.image.on(&Architecture::new("riscv64")) == Some(&kind.image));
        assert!(anywhere, "where nothing is said it is found out");
    }
}
