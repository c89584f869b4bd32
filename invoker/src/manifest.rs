//! The runtimes manifest that a configuration names.

use wsk_entities::Manifest;

/// The manifest in a file; the bundled one where none is named. Errors: the text for the operator, with the key.
pub fn manifest(file: &str) -> Result<Manifest, String> {
    if file.is_empty() {
        return Ok(Manifest::bundled());
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("`manifest`: cannot read {file}: {error}"))?;
    Manifest::parse(&text).map_err(|error| format!("`manifest`: {file}: {error}"))
}
