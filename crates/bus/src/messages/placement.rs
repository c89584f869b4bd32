//! What an activation needs of the machine it runs on, and where it was sent in vain.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wsk_entities::{Action, Exec, Manifest};

/// Activations that an invoker could not run but another one might. Any controller places them anew.
pub const ELSEWHERE: &str = "elsewhere";

/// Where an activation was before, in an [`ActivationMessage`](super::ActivationMessage). OpenWhisk has no such thing: what is
/// published first does not have it, and an invoker that does not know it runs the activation as any other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detour {
    /// Invokers whose machines could not run it.
    #[serde(default)]
    pub refused: Vec<u32>,
    /// Whether no other invoker can: the one that gets it answers, whatever it finds.
    #[serde(default)]
    pub last: bool,
    /// Why no invoker may run it: the one that gets it answers with this and runs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a machine needs to have to run an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// A managed kind.
    Kind(Arc<str>),
    /// An image that comes with the platform and has a program of its own where there are no images.
    Native { image: Arc<str> },
    /// A user's image. Where there are no images the kind it stands for will do, if there is one.
    Image { image: Arc<str>, kind: Option<Arc<str>> },
}

impl Needs {
    /// What an action that is run in a container needs; none for sequences.
    pub fn of(action: &Action, manifest: &Manifest) -> Option<Needs> {
        match &action.exec {
            Exec::Code { kind, .. } => Some(Needs::Kind(kind.clone())),
            Exec::Blackbox { image, .. } if manifest.native(image).is_some() => Some(Needs::Native {
                image: image.as_str().into(),
            }),
            Exec::Blackbox { image, .. } => {
                let stands_for = manifest.kinds().find(|kind| kind.image.matches(image));
                Some(Needs::Image {
                    image: image.as_str().into(),
                    kind: stands_for.map(|kind| kind.kind.as_str().into()),
                })
            }
            Exec::Sequence { .. } => None,
        }
    }

    /// What it is called where invokers say what they cannot run.
    pub fn key(&self) -> String {
        match self {
            Needs::Kind(kind) => format!("kind {kind}"),
            Needs::Native { image } | Needs::Image { image, .. } => format!("image {image}"),
        }
    }

    /// What one revision of an action is called there, when its code is what cannot be run.
    pub fn code_key(action: &str, revision: &str) -> String {
        format!("action {action} {revision}")
    }
}
