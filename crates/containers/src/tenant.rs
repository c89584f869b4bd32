//! Whose image it is, and what opens registries to them.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// A namespace whose action names an image of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    pub namespace: Arc<str>,
    /// Its own access to private registries, by host; `docker.io` for images that name none.
    pub logins: BTreeMap<String, Login>,
}

/// A user of a registry. Its password never shows in debug output.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Login {
    pub username: String,
    pub password: Arc<str>,
}

impl Tenant {
    /// One without any access of its own.
    pub fn new(namespace: impl Into<Arc<str>>) -> Tenant {
        Tenant {
            namespace: namespace.into(),
            logins: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}
