//! Containers of a Docker engine.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ContainerFactory, Error};

/// How to reach the engine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {}

pub(crate) fn open(_config: &Config) -> Result<Arc<dyn ContainerFactory>, Error> {
    Err(Error::Backend {
        backend: "docker",
        reason: "not built into this program".to_owned(),
    })
}
