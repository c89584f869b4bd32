//! Who may depend on whom among our own packages.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata};

/// Every allowed edge. A package that is not named here, or an edge that is not, is a finding. Test-only dependencies of
/// the seam crates on themselves (for their `test-util`) are free; all others count.
const EDGES: &[(&str, &[&str])] = &[
    ("wsk-entities", &[]),
    ("wsk-service", &[]),
    ("wsk-proxy", &[]),
    ("wsk-catalog", &[]),
    ("wsk-demo", &[]),
    ("wsk-fuzz", &[]),
    ("xtask", &[]),
    ("wsk-client", &["wsk-entities"]),
    ("wsk-torture", &["wsk-client"]),
    ("wsk-store", &["wsk-entities"]),
    ("wsk-bus", &["wsk-entities"]),
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
        &["wsk-entities", "wsk-client", "wsk-store", "wsk-identity", "wsk-secrets"],
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
            "wsk-secrets",
            "wsk-service",
            "wsk-controller",
            "wsk-invoker",
            "wsk-gateway",
            "wsk-standalone",
            "wsk-demo",
        ],
    ),
    (
        "wsk-bench",
        &["wsk-store", "wsk-bus", "wsk-entities", "wsk-controller"],
    ),
];

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
        for dependency in &package.dependencies {
            let ours = dependency.path.is_some();
            let itself = dependency.name == name && dependency.kind == DependencyKind::Development;
            if ours && !itself && !allowed.contains(&dependency.name.as_str()) {
                findings.push(format!("{name} must not depend on {}", dependency.name));
            }
        }
    }
    Ok(findings)
}
