//! Reading and writing the user's files, with upstream's words for what goes wrong.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::failure::Failure;

/// The bytes of a file.
pub fn read(name: &str) -> Result<Vec<u8>, Failure> {
    let missing = |_| Failure::input(format!("File '{name}' is not a valid file or it does not exist"));
    fs::read(name).map_err(missing)
}

/// The text of a file; bytes that are not UTF-8 become U+FFFD.
pub fn read_text(name: &str) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&read(name)?).into_owned())
}

/// Writes a file that must not exist yet.
pub fn create(name: &str, content: &[u8]) -> Result<(), Failure> {
    if Path::new(name).exists() {
        return Err(Failure::input(format!("The file '{name}' already exists")));
    }
    let write = || fs::File::create_new(name)?.write_all(content);
    write().map_err(|error| Failure::input(format!("Cannot create file '{name}': {error}")))
}
