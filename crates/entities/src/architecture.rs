//! What machines and programs are made for.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A processor architecture, named as images name it: `amd64`, `arm64`, `arm/v7`; others by what they call themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Architecture {
    Amd64,
    Arm64,
    ArmV7,
    Other(Arc<str>),
}

/// Bytes of an ELF header up to and with the machine.
const HEADER: usize = 20;
/// The program in a zip of a native action.
const ENTRY: &str = "exec";

impl Architecture {
    /// The one of this program.
    pub fn own() -> Architecture {
        Architecture::new(std::env::consts::ARCH)
    }

    /// From the names in use: those of images, of Rust, of `uname`, with or without `linux/` before them.
    pub fn new(name: &str) -> Architecture {
        let name = name.trim().to_ascii_lowercase();
        match name.strip_prefix("linux/").unwrap_or(&name) {
            "amd64" | "x86_64" | "x86-64" => Architecture::Amd64,
            "arm64" | "arm64/v8" | "aarch64" => Architecture::Arm64,
            "arm/v7" | "arm" | "armv7" | "armv7l" | "armhf" => Architecture::ArmV7,
            other => Architecture::Other(other.into()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
            Architecture::ArmV7 => "arm/v7",
            Architecture::Other(name) => name,
        }
    }

    /// The one an ELF file was compiled for; none when these bytes do not begin one. Enough are the first 20.
    pub fn of_elf(file: &[u8]) -> Option<Architecture> {
        let header = file.get(..HEADER)?;
        if !header.starts_with(b"\x7fELF") {
            return None;
        }
        let machine = [header[18], header[19]];
        let machine = match header[5] {
            2 => u16::from_be_bytes(machine),
            _ => u16::from_le_bytes(machine),
        };
        Some(match machine {
            62 => Architecture::Amd64,
            183 => Architecture::Arm64,
            40 => Architecture::ArmV7,
            3 => Architecture::new("386"),
            21 => Architecture::new("ppc64le"),
            22 => Architecture::new("s390x"),
            243 => Architecture::new("riscv64"),
            258 => Architecture::new("loong64"),
            other => Architecture::new(&format!("elf-{other}")),
        })
    }

    /// The one that an action's code was compiled for: an ELF file, or a zip whose `exec` is one, in base64 as actions
    /// carry them. None for everything else, which runs anywhere as far as can be told.
    pub fn of_code(code: &str) -> Option<Architecture> {
        let mut reader = Base64::new(code.trim().as_bytes());
        let mut start = [0; HEADER];
        reader.read_exact(&mut start).ok()?;
        if !start.starts_with(b"PK") {
            return Architecture::of_elf(&start);
        }
        let mut archive = zip::ZipArchive::new(reader).ok()?;
        let mut program = archive.by_name(ENTRY).ok()?;
        program.read_exact(&mut start).ok()?;
        Architecture::of_elf(&start)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Architecture, D::Error> {
        String::deserialize(deserializer).map(|name| Architecture::new(&name))
    }
}

/// Reads what a base64 text stands for, anywhere in it: of a large zip only the directory and one entry are decoded.
struct Base64<'a> {
    text: &'a [u8],
    /// Decoded bytes.
    length: u64,
    at: u64,
}

/// Characters decoded at a time, a multiple of four.
const CHUNK: usize = 4096;

impl Base64<'_> {
    fn new(text: &[u8]) -> Base64<'_> {
        let padding = text.iter().rev().take_while(|b| **b == b'=').count();
        let length = (text.len() / 4 * 3).saturating_sub(padding) as u64;
        Base64 { text, length, at: 0 }
    }
}

impl Read for Base64<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.length || out.is_empty() {
            return Ok(0);
        }
        let group = usize::try_from(self.at / 3).unwrap_or(usize::MAX);
        let skipped = usize::try_from(self.at % 3).unwrap_or(0);
        let rest = &self.text[group * 4..];
        let text = &rest[..rest.len().min(CHUNK)];
        let decoded = STANDARD.decode(text).map_err(io::Error::other)?;
        let found = decoded.get(skipped..).unwrap_or_default();
        let count = found.len().min(out.len());
        out[..count].copy_from_slice(&found[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Base64<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;

    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(18, 0);
        file.extend(machine.to_le_bytes());
        file.resize(300, 7);
        file
    }

    fn zipped(entries: &[(&str, &[u8])]) -> String {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer
                .start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
        STANDARD.encode(writer.finish().unwrap().into_inner())
    }

    #[test]
    fn names_of_any_origin_mean_the_same() {
        for (name, shown) in [
            ("x86_64", "amd64"),
            ("linux/arm64", "arm64"),
            ("aarch64", "arm64"),
            ("armv7l", "arm/v7"),
            ("linux/arm/v7", "arm/v7"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(Architecture::new(name).as_str(), shown);
        }
    }

    #[test]
    fn a_program_says_what_it_was_compiled_for() {
        assert_eq!(Architecture::of_elf(&elf(62)), Some(Architecture::Amd64));
        assert_eq!(Architecture::of_elf(&elf(183)), Some(Architecture::Arm64));
        assert_eq!(Architecture::of_elf(&elf(40)), Some(Architecture::ArmV7));
        assert_eq!(Architecture::of_elf(&elf(243)), Some(Architecture::new("riscv64")));
        assert_eq!(Architecture::of_elf(b"#!/bin/sh\necho no program here at all"), None);
        assert_eq!(Architecture::of_elf(b"\x7fELF"), None);
    }

    #[test]
    fn code_is_looked_into() {
        assert_eq!(
            Architecture::of_code(&STANDARD.encode(elf(183))),
            Some(Architecture::Arm64)
        );
        let large = vec![1; 100_000];
        let archive = zipped(&[("lib/a", &large), ("exec", &elf(40)), ("lib/b", &large)]);
        assert_eq!(Architecture::of_code(&archive), Some(Architecture::ArmV7));
        assert_eq!(Architecture::of_code(&zipped(&[("exec", b"#!/bin/sh\n")])), None);
        assert_eq!(Architecture::of_code(&zipped(&[("index.js", &elf(62))])), None);
        for code in ["", "function main() {}", "UEsDBA==", "UEs!", "f0VMRg=="] {
            assert_eq!(Architecture::of_code(code), None, "{code}");
        }
    }

    proptest! {
        /// Whatever is sent as code is looked at without harm.
        #[test]
        fn nothing_harms(bytes in proptest::collection::vec(any::<u8>(), 0..600), zip in any::<bool>(), text in ".{0,64}") {
            let mut bytes = bytes;
            if zip { bytes.splice(0..0, *b"PK\x03\x04"); }
            let _ = Architecture::of_code(&STANDARD.encode(bytes));
            let _ = Architecture::of_code(&text);
        }

        /// Reading anywhere gives what decoding the whole gives.
        #[test]
        fn base64_is_read_anywhere(bytes in proptest::collection::vec(any::<u8>(), 1..9000), at in any::<u64>()) {
            let text = STANDARD.encode(&bytes);
            let at = at % bytes.len() as u64;
            let mut reader = Base64::new(text.as_bytes());
            reader.seek(SeekFrom::Start(at)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            prop_assert_eq!(&rest, &bytes[at as usize..]);
        }
    }
}
