//! Layers of configuration, and errors that say which layer is wrong.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Collects the layers; later ones win.
#[derive(Clone, Debug)]
pub struct Loader {
    prefix: String,
    tree: Table,
    /// Who set a key last.
    origins: BTreeMap<String, Origin>,
    /// Texts whose type is for the struct to say.
    texts: BTreeMap<String, String>,
}

/// Stands for a dot inside a name, which dots between names must not be taken for.
const DOT: &str = "\u{1}";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    Variable(String),
    Flag,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and problem.
        reason: String,
    },
    /// Nothing reads this key.
    #[error("unknown configuration key `{key}` in {origin}{hint}")]
    Unknown {
        /// The key.
        key: String,
        /// Which layer set it.
        origin: String,
        /// The nearest key there is.
        hint: String,
    },
    /// The value does not fit.
    #[error("configuration key `{key}` in {origin}: {reason}")]
    Value {
        /// The key.
        key: String,
        /// Which layer set it.
        origin: String,
        /// What was found and what is expected.
        reason: String,
    },
}

/// What is in a file that a key names, in a form of its own; `default` where none is named.
///
/// # Errors
/// The text for the operator, with the key and the file.
pub fn named_file<T, E: std::fmt::Display>(
    key: &str,
    file: &str,
    default: impl FnOnce() -> T,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, String> {
    if file.is_empty() {
        return Ok(default());
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("`{key}`: cannot read {file}: {error}"))?;
    parse(&text).map_err(|error| format!("`{key}`: {file}: {error}"))
}

impl Loader {
    /// No layers yet; variables of the environment that begin with `prefix` and `_` belong to the configuration.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            tree: Table::new(),
            origins: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// Lays a TOML file over what is there.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Syntax`].
    pub fn file(mut self, path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let layer: Table = text.parse().map_err(|error: toml::de::Error| Error::Syntax {
            path: path.to_owned(),
            reason: one_line(&text, &error),
        })?;
        self.lay("", layer, &Origin::File(path.to_owned()));
        Ok(self)
    }

    /// Lays the variables `PREFIX_SECTION__KEY=value` over what is there; the rest of the environment is ignored.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let start = format!("{}_", self.prefix);
        for (name, value) in variables {
            if let Some(key) = name.strip_prefix(&start) {
                let key = key.to_ascii_lowercase().replace("__", ".");
                self.text(&key, value, Origin::Variable(name));
            }
        }
        self
    }

    /// Lays one value, given as text on the command line, over what is there.
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.text(key, value.into(), Origin::Flag);
        self
    }

    /// Makes the configuration.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::Value`].
    pub fn load<T: DeserializeOwned + Serialize + Default>(self) -> Result<T, Error> {
        let defaults = Table::try_from(T::default()).expect("a configuration is a table of plain values");
        let mut tree = self.tree.clone();
        for (key, text) in &self.texts {
            put(&mut tree, key, typed(text, find(&defaults, key)));
        }
        default_types(&mut tree, &defaults);
        // A text whose default does not tell its type was read as TOML; where that does not fit, it is a plain text.
        let mut plain = self.texts.clone();
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(dotted(&tree))) {
                Ok(config) => return Ok(config),
                Err(error) => error,
            };
            let key = error.path().to_string();
            match plain.remove(&key) {
                Some(text)
                    if find(&tree, &key) != Some(&Value::String(text.clone())) && find(&defaults, &key).is_none() =>
                {
                    put(&mut tree, &key, Value::String(text));
                }
                Some(_) | None => {
                    let reason = error.into_inner().to_string();
                    let key = narrowed::<T>(&tree, &key, &reason).unwrap_or(key);
                    return Err(self.explain(&key, &reason));
                }
            }
        }
    }

    fn lay(&mut self, prefix: &str, layer: Table, origin: &Origin) {
        for (name, value) in layer {
            let key = format!("{prefix}{}", name.replace('.', DOT));
            match value {
                Value::Table(inner) => {
                    if !matches!(find(&self.tree, &key), Some(Value::Table(_))) {
                        put(&mut self.tree, &key, Value::Table(Table::new()));
                    }
                    self.origins.insert(key.clone(), origin.clone());
                    self.lay(&format!("{key}."), inner, origin);
                }
                value => {
                    put(&mut self.tree, &key, value);
                    self.texts.remove(&key);
                    self.origins.insert(key, origin.clone());
                }
            }
        }
    }

    fn text(&mut self, key: &str, value: String, origin: Origin) {
        self.texts.insert(key.to_owned(), value);
        self.origins.insert(key.to_owned(), origin);
    }

    /// Turns serde's words into ours. Its text for an unknown field lists the fields there are, which gives the hint.
    fn explain(&self, path: &str, reason: &str) -> Error {
        let reason = reason.lines().next().unwrap_or(reason).to_owned();
        let Some(rest) = reason.strip_prefix("unknown field `") else {
            let key = path.to_owned();
            return Error::Value {
                origin: self.origin(&key),
                key: key.replace(DOT, "."),
                reason,
            };
        };
        let mut names = rest.split('`').step_by(2);
        let wrong = names.next().unwrap_or_default();
        let parent = path.strip_suffix(wrong).unwrap_or(path).trim_end_matches('.');
        let full = |name: &str| {
            if parent.is_empty() || parent == "?" {
                name.to_owned()
            } else {
                format!("{parent}.{name}")
            }
        };
        let known = rest.split('`').skip(2).step_by(2).collect::<Vec<_>>();
        let nearest = known.iter().min_by_key(|name| distance(name, wrong));
        let hint = nearest
            .map(|name| format!("; did you mean `{}`?", full(name)))
            .unwrap_or_default();
        let key = full(wrong);
        Error::Unknown {
            origin: self.origin(&key),
            key,
            hint,
        }
    }

    fn origin(&self, key: &str) -> String {
        let mut part = key;
        loop {
            match self.origins.get(part) {
                Some(Origin::File(path)) => return path.display().to_string(),
                Some(Origin::Variable(name)) => return format!("the environment ({name})"),
                Some(Origin::Flag) => return "the command line".to_owned(),
                None => {}
            }
            match part.rfind('.') {
                Some(dot) => part = &part[..dot],
                None => return "the configuration".to_owned(),
            }
        }
    }
}

/// Reads a text as the type that the default has, or, where there is none, as TOML if it is any.
fn typed(text: &str, default: Option<&Value>) -> Value {
    let plain = || Value::String(text.to_owned());
    match default {
        Some(Value::String(_)) => plain(),
        Some(Value::Integer(_)) => text.parse().map_or_else(|_| plain(), Value::Integer),
        Some(Value::Float(_)) => text.parse().map_or_else(|_| plain(), Value::Float),
        Some(Value::Boolean(_)) => text.parse().map_or_else(|_| plain(), Value::Boolean),
        Some(Value::Array(_) | Value::Table(_) | Value::Datetime(_)) | None => format!("value = {text}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(plain),
    }
}

/// A section that is of one type among several has the type of its default where it does not say which.
fn default_types(tree: &mut Table, defaults: &Table) {
    for (name, default) in defaults {
        if let (Some(Value::Table(section)), Some(default)) = (tree.get_mut(name), default.get("type")) {
            section.entry("type").or_insert_with(|| default.clone());
        }
    }
}

/// The value below `key` that is wrong. What has a type of its own among several, such as a store, says only that it is
/// somewhere inside: it is the one without which there is no such error.
fn narrowed<T: DeserializeOwned>(tree: &Table, key: &str, reason: &str) -> Option<String> {
    let below = find(tree, key)?.as_table()?;
    let mut leaves = Vec::new();
    collect(key, below, &mut leaves);
    leaves.into_iter().find(|leaf| {
        let mut without = tree.clone();
        remove(&mut without, leaf);
        match serde_path_to_error::deserialize::<_, T>(Value::Table(dotted(&without))) {
            Ok(_) => true,
            Err(error) => {
                let other = error.into_inner().to_string();
                other != reason && !other.starts_with("missing field")
            }
        }
    })
}

/// With the names as they were written.
fn dotted(table: &Table) -> Table {
    let named = table.iter().map(|(name, value)| {
        let value = match value {
            Value::Table(inner) => Value::Table(dotted(inner)),
            value => value.clone(),
        };
        (name.replace(DOT, "."), value)
    });
    named.collect()
}

fn collect(key: &str, table: &Table, leaves: &mut Vec<String>) {
    for (name, value) in table {
        let key = format!("{key}.{name}");
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(&key, inner, leaves),
            _ => leaves.push(key),
        }
    }
}

fn remove(table: &mut Table, key: &str) {
    match key.split_once('.') {
        None => drop(table.remove(key)),
        Some((name, rest)) => {
            if let Some(inner) = table.get_mut(name).and_then(Value::as_table_mut) {
                remove(inner, rest);
            }
        }
    }
}

fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let mut value = table.get(names.next()?)?;
    for name in names {
        value = value.as_table()?.get(name)?;
    }
    Some(value)
}

/// Sets a dotted key, making tables on the way; a value that stands where a table must be gives way.
fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            put(inner.as_table_mut().expect("made above"), rest, value);
        }
    }
}

/// What is wrong with a TOML file, and where.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(place) = error.span() else { return message };
    let before = text.get(..place.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
