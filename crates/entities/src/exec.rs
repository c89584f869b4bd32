//! What an action runs.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::FullName;

/// What an action runs. `kind` tells the variants apart on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exec {
    /// A managed kind such as `nodejs:20`; the kind is stored resolved, never `family:default`.
    Code {
        kind: Arc<str>,
        code: Code,
        main: Option<String>,
        binary: bool,
    },
    /// An image of the user's; code is optional.
    Blackbox {
        image: String,
        code: Option<Code>,
        main: Option<String>,
        binary: bool,
    },
    /// A chain of actions.
    Sequence { components: Vec<FullName> },
}

/// Code as text, or a reference to where the store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub enum Code {
    /// Source text, or base64 of a zip, jar or binary.
    Inline(Arc<str>),
    Attached(Attachment),
}

/// Where the store keeps a piece of code; upstream's attachment object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub attachment_name: String,
    pub attachment_type: String,
    /// Length of the code as sent, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// `sha256-` and the hex digest of the code as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Families whose code is read by an interpreter or a virtual machine.
const INTERPRETED: [&str; 6] = ["nodejs", "python", "php", "ruby", "java", "ballerina"];

impl Exec {
    pub const BLACKBOX: &'static str = "blackbox";
    pub const SEQUENCE: &'static str = "sequence";

    pub fn kind(&self) -> &str {
        match self {
            Exec::Code { kind, .. } => kind,
            Exec::Blackbox { .. } => Exec::BLACKBOX,
            Exec::Sequence { .. } => Exec::SEQUENCE,
        }
    }

    pub fn code(&self) -> Option<&Code> {
        match self {
            Exec::Code { code, .. } => Some(code),
            Exec::Blackbox { code, .. } => code.as_ref(),
            Exec::Sequence { .. } => None,
        }
    }

    pub fn code_mut(&mut self) -> Option<&mut Code> {
        match self {
            Exec::Code { code, .. } => Some(code),
            Exec::Blackbox { code, .. } => code.as_mut(),
            Exec::Sequence { .. } => None,
        }
    }

    pub fn main(&self) -> Option<&str> {
        match self {
            Exec::Code { main, .. } | Exec::Blackbox { main, .. } => main.as_deref(),
            Exec::Sequence { .. } => None,
        }
    }

    /// Whether its code may be a compiled program, which then runs on one architecture: any that is not text, unless the kind
    /// is one of an interpreter's.
    pub fn is_compiled(&self) -> bool {
        match self {
            Exec::Code { kind, .. } if INTERPRETED.contains(&kind.split(':').next().unwrap_or(kind)) => false,
            Exec::Code { .. } | Exec::Blackbox { .. } | Exec::Sequence { .. } => self.binary(),
        }
    }

    /// Whether the code is base64 of something; false for sequences, as lists show them.
    pub fn binary(&self) -> bool {
        match self {
            Exec::Code { binary, .. } | Exec::Blackbox { binary, .. } => *binary,
            Exec::Sequence { .. } => false,
        }
    }
}

impl Code {
    /// The text, when it is at hand.
    pub fn inline(&self) -> Option<&Arc<str>> {
        match self {
            Code::Inline(text) => Some(text),
            Code::Attached(_) => None,
        }
    }
}

impl fmt::Debug for Code {
    /// Code is the user's and may hold secrets: only its size shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Inline(text) => write!(f, "Inline({} bytes)", text.len()),
            Code::Attached(attachment) => write!(f, "Attached({})", attachment.attachment_name),
        }
    }
}

/// Upstream's guess whether a code text is base64: after trimming it is not empty, its length is a multiple of four, and
/// it matches the base64 grammar. A four-letter program such as `abcd` therefore counts as binary.
pub fn is_base64(text: &str) -> bool {
    let text = text.trim().as_bytes();
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return false;
    }
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    padding <= 2
        && text[..text.len() - padding]
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Code::Inline(text) => serializer.serialize_str(text),
            Code::Attached(attachment) => attachment.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let json = crate::Json::deserialize(deserializer)?;
        match json.string() {
            Some(text) => Ok(Code::Inline(text.into())),
            None => serde_json::from_str(json.as_str())
                .map(Code::Attached)
                .map_err(D::Error::custom),
        }
    }
}

impl Serialize for Exec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Exec", 5)?;
        out.serialize_field("kind", self.kind())?;
        match self {
            Exec::Code {
                code,
                main,
                binary,
                kind: _,
            } => {
                out.serialize_field("code", code)?;
                out.serialize_field("binary", binary)?;
                optional(&mut out, "main", main.as_ref())?;
            }
            Exec::Blackbox {
                image,
                code,
                main,
                binary,
            } => {
                out.serialize_field("image", image)?;
                out.serialize_field("binary", binary)?;
                optional(&mut out, "code", code.as_ref())?;
                optional(&mut out, "main", main.as_ref())?;
            }
            Exec::Sequence { components } => {
                let slashed: Vec<String> = components.iter().map(FullName::slashed).collect();
                out.serialize_field("components", &slashed)?;
            }
        }
        out.end()
    }
}

fn optional<S: SerializeStruct, T: Serialize>(
    out: &mut S,
    name: &'static str,
    value: Option<&T>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => out.serialize_field(name, value),
        None => out.skip_field(name),
    }
}

#[derive(Deserialize)]
struct ExecWire {
    kind: String,
    /// Upstream's first java actions have it as `jar`.
    #[serde(alias = "jar")]
    code: Option<Code>,
    image: Option<String>,
    main: Option<String>,
    /// Absent from upstream's first documents, whose code is inline: it is told by its looks.
    binary: Option<bool>,
    components: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Exec {
    /// Reads the stored and the answered form. Request bodies, with their texts, go through the request types.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Exec, D::Error> {
        let ExecWire {
            kind,
            code,
            image,
            main,
            binary,
            components,
        } = ExecWire::deserialize(deserializer)?;
        let looks_binary = || code.as_ref().and_then(Code::inline).is_some_and(|text| is_base64(text));
        let binary = binary.unwrap_or_else(looks_binary);
        match kind.as_str() {
            Exec::SEQUENCE => {
                let components = components.ok_or_else(|| D::Error::missing_field("components"))?;
                let parsed: Result<Vec<FullName>, _> = components.iter().map(|c| c.parse()).collect();
                let components = parsed.map_err(|e: crate::Error| D::Error::custom(e.reason()))?;
                Ok(Exec::Sequence { components })
            }
            Exec::BLACKBOX => {
                let image = image.ok_or_else(|| D::Error::missing_field("image"))?;
                Ok(Exec::Blackbox {
                    image,
                    code,
                    main,
                    binary,
                })
            }
            _ => {
                let code = code.ok_or_else(|| D::Error::missing_field("code"))?;
                Ok(Exec::Code {
                    kind: kind.into(),
                    code,
                    main,
                    binary,
                })
            }
        }
    }
}
