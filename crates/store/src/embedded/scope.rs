//! Which index answers a list of entities.

use wsk_entities::{Collection, EntityPath};

use crate::Visibility;

/// Which index answers a list.
#[derive(Clone, Copy)]
pub enum Scope {
    Namespace,
    Package,
    Public,
}

/// Parameters: kind, namespace, package (which all statements have, so that one call fits all), limit, skip. The indexes
/// are read backwards, hence `key` ascending.
pub const LISTS: [&str; 3] = [
    "SELECT key, kind, doc FROM entities INDEXED BY entities_list
     WHERE kind = ?1 AND ns = ?2 AND (?3 IS NULL OR 1) ORDER BY updated DESC, key LIMIT ?4 OFFSET ?5",
    "SELECT key, kind, doc FROM entities INDEXED BY entities_package
     WHERE kind = ?1 AND ns = ?2 AND package = ?3 ORDER BY updated DESC, key LIMIT ?4 OFFSET ?5",
    "SELECT key, kind, doc FROM entities INDEXED BY entities_public
     WHERE kind = ?1 AND ns = ?2 AND public = 1 AND (?3 IS NULL OR 1) ORDER BY updated DESC, key LIMIT ?4 OFFSET ?5",
];

/// The same without limit and skip.
pub const COUNTS: [&str; 3] = [
    "SELECT count(*) FROM entities INDEXED BY entities_list WHERE kind = ?1 AND ns = ?2 AND (?3 IS NULL OR 1)",
    "SELECT count(*) FROM entities INDEXED BY entities_package WHERE kind = ?1 AND ns = ?2 AND package = ?3",
    "SELECT count(*) FROM entities INDEXED BY entities_public
     WHERE kind = ?1 AND ns = ?2 AND public = 1 AND (?3 IS NULL OR 1)",
];

impl Scope {
    pub fn of(collection: Collection, path: &EntityPath, visibility: Visibility) -> Scope {
        match (&path.package, collection, visibility) {
            (Some(_), _, _) => Scope::Package,
            (None, Collection::Packages, Visibility::Public) => Scope::Public,
            (None, _, _) => Scope::Namespace,
        }
    }

    pub fn page(self) -> &'static str {
        LISTS[self as usize]
    }

    pub fn total(self) -> &'static str {
        COUNTS[self as usize]
    }
}
