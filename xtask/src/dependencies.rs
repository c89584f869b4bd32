//! What we take from others: licences, sources, and versions in one place.

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, Package};

/// Licences that may be linked into an Apache-2.0 program.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        if package.source.is_none() {
            findings.extend(own_versions(package)?);
            continue;
        }
        let licence = package.license.as_deref().unwrap_or("none named");
        if !permitted(licence) {
            findings.push(format!("{} {}: licence {licence}", package.name, package.version));
        }
        if package
            .source
            .as_ref()
            .is_some_and(|s| !s.repr.starts_with("registry+"))
        {
            findings.push(format!(
                "{} {}: comes from outside the registry",
                package.name, package.version
            ));
        }
    }
    Ok(findings)
}

/// Whether an SPDX expression can be met: some alternative consists of permitted licences only.
fn permitted(expression: &str) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    let alternatives = flat
        .split(" AND ")
        .map(|part| part.split(" OR ").map(str::trim).collect::<Vec<_>>());
    alternatives
        .into_iter()
        .all(|names| names.iter().any(|name| LICENCES.contains(name)))
}

/// Versions stand in the workspace's table only: a member that writes one itself is a finding.
fn own_versions(package: &Package) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(&package.manifest_path)?;
    if text.contains("[workspace]") {
        return Ok(Vec::new());
    }
    let written = |name: &str| {
        let starts = [format!("{name} = \""), format!("{name} = {{ version")];
        text.lines()
            .any(|line| starts.iter().any(|s| line.trim_start().starts_with(s.as_str())))
    };
    let foreign = |d: &&cargo_metadata::Dependency| d.path.is_none() && d.kind != DependencyKind::Unknown;
    Ok(package
        .dependencies
        .iter()
        .filter(foreign)
        .filter(|d| written(&d.name))
        .map(|d| {
            format!(
                "{}: the version of {} belongs in the workspace's Cargo.toml",
                package.manifest_path, d.name
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn expressions_are_met_by_some_alternative() {
        assert!(permitted("MIT OR GPL-3.0"));
        assert!(permitted("MIT/Apache-2.0"));
        assert!(permitted("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!permitted("GPL-3.0"));
        assert!(!permitted("MIT AND GPL-3.0"));
    }
}
