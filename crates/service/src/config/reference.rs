//! What can be configured, for people: the printed configuration and the table of all keys.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A configuration struct that knows its own documentation; implemented by [`crate::settings!`].
pub trait Documented {
    /// Its fields in order.
    fn fields() -> Vec<Field>;
}

/// One field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A value, of the type so written.
    Value(&'static str),
    /// Another documented struct.
    Section(fn() -> Vec<Field>),
    /// A struct of a crate that cannot be documented from inside: keys below it and their docs.
    Foreign(&'static [(&'static str, &'static str)]),
}

/// One row of the table.
struct Row {
    key: String,
    r#type: String,
    default: String,
    doc: String,
}

/// The effective configuration as TOML, secrets hidden.
pub fn print<T: Serialize>(config: &T) -> String {
    let tree = toml::Table::try_from(config).and_then(|tree| toml::to_string(&tree));
    tree.unwrap_or_else(|error| format!("# this configuration cannot be shown: {error}\n"))
}

/// A Markdown table of every key with type, default and meaning.
pub fn reference<T: Documented + Default + Serialize>() -> String {
    let mut page = String::from("| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
    for Row {
        key,
        r#type,
        default,
        doc,
    } in rows::<T>()
    {
        let escape = |text: &str| text.replace('|', "\\|");
        let (r#type, default, doc) = (escape(&r#type), escape(&default), escape(&doc));
        writeln!(page, "| `{key}` | {type} | {default} | {doc} |").expect("a string takes any text");
    }
    page
}

/// Keys that have a default but no documentation; a test of each service asserts that there is none.
pub fn undocumented<T: Documented + Default + Serialize>() -> Vec<String> {
    rows::<T>()
        .into_iter()
        .filter(|row| row.doc.is_empty())
        .map(|row| row.key)
        .collect()
}

fn rows<T: Documented + Default + Serialize>() -> Vec<Row> {
    let defaults = leaves(&T::default());
    let mut rows = Vec::new();
    describe("", T::fields(), &defaults, &mut rows);
    rows
}

fn describe(prefix: &str, fields: Vec<Field>, defaults: &BTreeMap<String, toml::Value>, rows: &mut Vec<Row>) {
    for field in fields {
        let key = format!("{prefix}{}", field.name);
        match field.kind {
            Kind::Value(name) => rows.push(row(&key, field.doc, Some(name), defaults)),
            Kind::Section(fields) => describe(&format!("{key}."), fields(), defaults, rows),
            Kind::Foreign(docs) => {
                let below = format!("{key}.");
                for (name, doc) in docs {
                    rows.push(row(&format!("{below}{name}"), doc, None, defaults));
                }
                let described = |key: &str| docs.iter().any(|(name, _)| key.strip_prefix(&below) == Some(name));
                let bare = defaults
                    .keys()
                    .filter(|known| known.starts_with(&below) && !described(known));
                rows.extend(bare.map(|key| row(key, "", None, defaults)).collect::<Vec<_>>());
            }
        }
    }
}

fn row(key: &str, doc: &str, type_name: Option<&str>, defaults: &BTreeMap<String, toml::Value>) -> Row {
    let default = defaults.get(key);
    let from_default = default.map_or("", |value| match value {
        toml::Value::String(_) => "text",
        toml::Value::Integer(_) => "number",
        toml::Value::Float(_) => "decimal",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Array(_) => "list",
        toml::Value::Table(_) => "table",
        toml::Value::Datetime(_) => "date",
    });
    Row {
        key: key.to_owned(),
        r#type: type_name
            .map_or(from_default, |name| readable(name).unwrap_or(from_default))
            .to_owned(),
        default: default.map_or("not set".to_owned(), |value| format!("`{value}`")),
        doc: doc.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// How the types that configurations use are called; others show as what their default looks like.
fn readable(type_name: &str) -> Option<&'static str> {
    let inner = type_name
        .strip_prefix("Option<")
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(type_name);
    match inner.rsplit("::").next().unwrap_or(inner) {
        "Duration" => Some("duration"),
        "Size" => Some("size"),
        "Secret" => Some("secret"),
        "String" => Some("text"),
        "PathBuf" => Some("path"),
        "bool" => Some("true or false"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => Some("number"),
        "f64" => Some("decimal"),
        _ => None,
    }
}

/// Every leaf of a configuration under its dotted key.
fn leaves<T: Serialize>(config: &T) -> BTreeMap<String, toml::Value> {
    let mut found = BTreeMap::new();
    let tree = toml::Table::try_from(config).expect("a configuration is a table of plain values");
    flatten("", &tree, &mut found);
    found
}

fn flatten(prefix: &str, table: &toml::Table, found: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => flatten(&format!("{key}."), inner, found),
            value => drop(found.insert(key, value.clone())),
        }
    }
}
