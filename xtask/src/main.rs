//! Checks of this repository that no compiler does: `cargo xtask check` runs them all.
//!
//! Each check prints what it found, by file and line where there is one, and the program fails when any did.

mod dependencies;
mod layers;
mod sources;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

/// One check: its name, and what it finds wrong.
type Check = (&'static str, fn(&Metadata) -> Result<Vec<String>>);

const CHECKS: &[Check] = &[
    ("check-layers", layers::check),
    ("check-dependencies", dependencies::check),
    ("check-sources", sources::check),
];

fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "check".into());
    let chosen: Vec<&Check> = CHECKS
        .iter()
        .filter(|(name, _)| wanted == "check" || wanted == *name)
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        bail!(
            "`{wanted}` is not a check; say `check` for all, or one of {}",
            names.join(", ")
        );
    }
    let metadata = MetadataCommand::new()
        .other_options(vec!["--locked".into()])
        .exec()
        .context("cargo metadata")?;
    let mut failed = false;
    for (name, check) in chosen {
        let findings = check(&metadata)?;
        println!(
            "{name}: {}",
            if findings.is_empty() {
                "ok".into()
            } else {
                format!("{} findings", findings.len())
            }
        );
        for finding in &findings {
            println!("  {finding}");
        }
        failed |= !findings.is_empty();
    }
    if failed {
        bail!("the repository breaks its own rules (see above)");
    }
    Ok(())
}
