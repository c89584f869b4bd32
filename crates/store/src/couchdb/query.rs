//! Questions to views.

use std::collections::HashMap;

/// What a view is asked for; keys are JSON.
#[derive(Default)]
pub(super) struct Query<'a> {
    pub design: &'a str,
    pub view: &'a str,
    pub start: Option<String>,
    pub end: Option<String>,
    pub key: Option<String>,
    pub descending: bool,
    pub skip: u64,
    pub limit: Option<u64>,
    pub docs: bool,
    pub count: bool,
}

impl Query<'_> {
    pub fn parameters(&self) -> HashMap<String, String> {
        let mut parameters = HashMap::new();
        let mut set = |name: &str, value: String| drop(parameters.insert(name.to_owned(), value));
        for (name, key) in [("startkey", &self.start), ("endkey", &self.end), ("key", &self.key)] {
            if let Some(key) = key {
                set(name, key.clone());
            }
        }
        set("reduce", self.count.to_string());
        if self.descending {
            set("descending", "true".to_owned());
        }
        if self.docs && !self.count {
            set("include_docs", "true".to_owned());
        }
        if self.skip > 0 {
            set("skip", self.skip.to_string());
        }
        if let Some(limit) = self.limit {
            set("limit", limit.to_string());
        }
        parameters
    }
}
