//! What kind of thing the code of an action is.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Told from the first bytes, as the upstream proxies do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Zip,
    Gzip,
    Elf,
    /// Starts with `#!`.
    Script,
    Other,
}

/// As much of a program as tells what it is.
const HEAD: u64 = 64;

/// The ELF machine numbers this one runs; empty where we do not know.
const MACHINES: &[u16] = if cfg!(target_arch = "x86_64") {
    &[62, 3]
} else if cfg!(target_arch = "aarch64") {
    &[183, 40]
} else if cfg!(target_arch = "arm") {
    &[40]
} else {
    &[]
};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Shape {
    pub fn of(data: &[u8]) -> Self {
        match data {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 7, 8, ..] => Shape::Zip,
            [0x1f, 0x8b, 8, ..] => Shape::Gzip,
            [0x7f, b'E', b'L', b'F', ..] if data.len() > 52 => Shape::Elf,
            [b'#', b'!', ..] => Shape::Script,
            _ => Shape::Other,
        }
    }

    /// Whether the kernel can run it.
    pub fn is_executable(self) -> bool {
        match self {
            Shape::Elf | Shape::Script => true,
            Shape::Zip | Shape::Gzip | Shape::Other => false,
        }
    }
}

/// `ENOEXEC` for a file the kernel of this machine would refuse, which the C library would hand to a shell instead.
pub fn check_runnable(path: &Path) -> io::Result<()> {
    let mut head = Vec::with_capacity(HEAD as usize);
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    let fits = match Shape::of(&head) {
        Shape::Script => true,
        Shape::Elf => MACHINES.is_empty() || MACHINES.contains(&u16::from(head[18])),
        Shape::Zip | Shape::Gzip | Shape::Other => false,
    };
    if fits {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOEXEC))
    }
}

/// Base64, with line ends tolerated; the error says what is wrong.
pub fn decode(text: &str) -> Result<Vec<u8>, String> {
    if text.bytes().any(|b| b.is_ascii_whitespace()) {
        let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        return LENIENT.decode(packed).map_err(|e| e.to_string());
    }
    LENIENT.decode(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_by_magic() {
        assert_eq!(Shape::of(b"PK\x03\x04..."), Shape::Zip);
        assert_eq!(Shape::of(b"PK\x05\x06"), Shape::Zip);
        assert_eq!(Shape::of(b"\x1f\x8b\x08\x08"), Shape::Gzip);
        assert_eq!(Shape::of(b"#!/bin/sh"), Shape::Script);
        assert_eq!(Shape::of(&[&b"\x7fELF"[..], &[0; 60]].concat()), Shape::Elf);
        assert_eq!(Shape::of(b"\x7fELF"), Shape::Other);
        assert_eq!(Shape::of(b""), Shape::Other);
    }

    #[test]
    fn decodes_what_clients_send() {
        assert_eq!(decode("YWJj\nZA==").unwrap(), b"abcd");
        assert_eq!(decode("YWJjZA").unwrap(), b"abcd");
        assert!(decode("a b!").is_err());
    }
}
