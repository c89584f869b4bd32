//! Who may depend on whom among our own packages.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, Package};

/// Every allowed edge. A package that is not named here, or an edge that is not, is a finding. Test-only dependencies of
/// the seam crates on themselves (for their `test-util`) are free; all others count.
const EDGES: &[(&str, &[&str])] = &[
    ("wsk-entities", &[]),
    ("wsk-service", &[]),
    ("wsk-proxy", &[]),
    ("wsk-catalog", &[]),
    ("wsk-demo", &[]),
    ("wsk-fuzz", &[]),
    ("wsk-planted", &[]),
    ("xtask", &[]),
    ("wsk-client", &["wsk-entities"]),
    ("wsk-torture", &["wsk-client"]),
    ("wsk-store", &["wsk-entities", "wsk-planted"]),
    ("wsk-bus", &["wsk-entities", "wsk-planted"]),
    ("wsk-containers", &["wsk-entities"]),
    ("wsk-secrets", &["wsk-entities"]),
    ("wsk-identity", &["wsk-entities", "wsk-store"]),
    (
        "wsk-controller",
        &[
            "wsk-entities",
            "wsk-store",
            "wsk-bus",
            "wsk-identity",
            "wsk-planted",
            "wsk-secrets",
            "wsk-service",
            "wsk-fuzz",
        ],
    ),
    (
        "wsk-invoker",
        &[
            "wsk-entities",
            "wsk-store",
            "wsk-bus",
            "wsk-containers",
            "wsk-planted",
            "wsk-secrets",
            "wsk-service",
        ],
    ),
    (
        "wsk-gateway",
        &["wsk-entities", "wsk-identity", "wsk-store", "wsk-service", "wsk-fuzz"],
    ),
    (
        "wsk-cli",
        &[
            "wsk-catalog",
            "wsk-entities",
            "wsk-client",
            "wsk-store",
            "wsk-identity",
            "wsk-secrets",
        ],
    ),
    (
        "wsk-standalone",
        &[
            "wsk-entities",
            "wsk-store",
            "wsk-bus",
            "wsk-identity",
            "wsk-containers",
            "wsk-secrets",
            "wsk-service",
            "wsk-controller",
            "wsk-invoker",
            "wsk-gateway",
            "wsk-catalog",
        ],
    ),
    (
        "wsk-tests",
        &[
            "wsk-entities",
            "wsk-client",
            "wsk-store",
            "wsk-bus",
            "wsk-identity",
            "wsk-containers",
            "wsk-planted",
            "wsk-secrets",
            "wsk-service",
            "wsk-controller",
            "wsk-invoker",
            "wsk-gateway",
            "wsk-standalone",
            "wsk-demo",
        ],
    ),
    ("wsk-bench", &["wsk-store", "wsk-bus", "wsk-entities", "wsk-controller"]),
];

/// The package with bugs to switch on, behind its feature `bugs`.
const PLANTED: &str = "wsk-planted";

pub fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some((_, allowed)) = EDGES.iter().find(|(from, _)| *from == name) else {
            findings.push(format!(
                "{name}: unknown package; give it a room in xtask/src/layers.rs"
            ));
            continue;
        };
        if asks_for_bugs(package, "default") {
            findings.push(format!("{name} has planted bugs among its default features"));
        }
        for dependency in &package.dependencies {
            let ours = dependency.path.is_some();
            let itself = dependency.name == name && dependency.kind == DependencyKind::Development;
            if ours && !itself && !allowed.contains(&dependency.name.as_str()) {
                findings.push(format!("{name} must not depend on {}", dependency.name));
            }
            if dependency.name == PLANTED
                && !dependency.features.is_empty()
                && dependency.kind != DependencyKind::Development
            {
                findings.push(format!("{name} ships planted bugs; only tests may ask for them"));
            }
        }
    }
    Ok(findings)
}

/// Whether a feature of a package switches the planted bugs on, itself or through others of the package.
fn asks_for_bugs(package: &Package, feature: &str) -> bool {
    let parts = package.features.get(feature).into_iter().flatten();
    parts
        .into_iter()
        .any(|part| part.starts_with(PLANTED) || part != feature && asks_for_bugs(package, part))
}
