//! House rules of the sources: length of files, nothing half done, no silenced lints without a reason.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::Metadata;

/// Longest source file outside tests, in lines.
const LONGEST: usize = 400;

/// Longer files, each with the shape that explains it.
const LONGER: &[(&str, &str)] = &[
    (
        "controller/src/api/description/operations.rs",
        "a table: one entry per operation of the API",
    ),
    (
        "controller/src/api/description/schemas.rs",
        "a table: one schema per document of the API",
    ),
];

/// What no source may hold, and what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("#[allow(", "silence a lint with #[expect(.., reason = \"..\")]"),
    ("#[ignore", "a test that does not run tests nothing"),
    ("todo!(", "finish it"),
    ("unimplemented!(", "finish it"),
    ("dbg!(", "remove it"),
];

pub fn check(metadata: &Metadata) -> Result<Vec<String>> {
    let root = metadata.workspace_root.as_std_path();
    let mut findings = Vec::new();
    for file in tracked_sources(root)? {
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if shown.starts_with("xtask/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).with_context(|| shown.clone())?;
        let lines = without_tests(&text).lines().count();
        if !is_test(&shown) && lines > LONGEST && !LONGER.iter().any(|(name, _)| *name == shown) {
            findings.push(format!(
                "{shown}: {lines} lines, more than {LONGEST}; split it, or explain its shape in xtask"
            ));
        }
        for (at, line) in text.lines().enumerate() {
            for (banned, instead) in BANNED {
                if line.contains(banned) {
                    findings.push(format!("{shown}:{}: `{banned}`: {instead}", at + 1));
                }
            }
        }
    }
    Ok(findings)
}

/// The part of a file before its inline tests.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/contract")
}

fn tracked_sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') && name != "node_modules" {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}
