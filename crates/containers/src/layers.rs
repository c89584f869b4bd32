//! The layers of protection a backend offers on this machine, as data for `doctor`.

use serde::Serialize;

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Short and stable, as `mount-namespace`.
    pub name: &'static str,
    pub state: LayerState,
    /// What it does here, or why it is missing and what would bring it.
    pub detail: String,
}

/// Whether a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerState {
    On,
    /// Holds in part, or by a weaker means.
    Partial,
    Missing,
}
