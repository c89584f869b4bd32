//! Bodies of write requests, read with upstream's texts.
//!
//! They are read field by field rather than derived, because the text for each wrong field is part of the API, and so is
//! the order in which fields are judged: first what counts towards a size limit, of whatever collection the body is, then
//! the collection's own fields. Unknown fields are ignored, `null` equals absent.

mod action;
mod exec;
mod limits;
mod number;
mod package;
mod rule;
mod trigger;

pub use action::ActionPut;
pub use limits::LimitsPut;
pub use package::PackagePut;
pub use rule::{RulePut, read_rule_status};
pub use trigger::TriggerPut;

use indexmap::IndexMap;
use serde_json::value::RawValue;

use crate::{Error, Exec, Json, Manifest, Object, Parameters, Version};

/// Most bytes of an action's code.
pub const MAX_CODE: u64 = 48 * 1024 * 1024;

/// A PUT body whose sized fields were read and are within their limits.
#[derive(Debug, Clone)]
pub struct PutBody {
    fields: Object,
    exec: Option<Exec>,
    parameters: Option<Parameters>,
    annotations: Option<Parameters>,
}

impl PutBody {
    /// Reads `exec`, `parameters` and `annotations`, and holds the two last against `max_parameters` bytes each.
    ///
    /// Errors: [`Error::Malformed`] for what cannot be read, then [`Error::TooLarge`].
    pub fn read(json: &Json, manifest: &Manifest, max_parameters: u64) -> Result<PutBody, Error> {
        let mut borrowed = borrow(json.as_str()).ok_or_else(|| Error::malformed("Object expected in field 'exec'"))?;
        let exec = borrowed.swap_remove("exec").filter(|json| json.get() != "null");
        let exec = exec.map(|json| exec::read(json.get(), manifest)).transpose()?;
        let fields: Object = borrowed
            .into_iter()
            .map(|(name, json)| (name, Json::of(json)))
            .collect();
        let parameters = present(&fields, "parameters").map(Parameters::from_json).transpose()?;
        let annotations = present(&fields, "annotations").map(Parameters::from_json).transpose()?;
        if annotations
            .iter()
            .flat_map(Parameters::iter)
            .any(|a| a.secret.is_some())
        {
            return Err(Error::malformed(
                "annotations cannot be secret: whoever may list the entity reads them",
            ));
        }
        within("exec", exec.as_ref().map(exec::size), MAX_CODE)?;
        within("parameters", parameters.as_ref().map(Parameters::size), max_parameters)?;
        within(
            "annotations",
            annotations.as_ref().map(Parameters::size),
            max_parameters,
        )?;
        Ok(PutBody {
            fields,
            exec,
            parameters,
            annotations,
        })
    }

    fn version(&self) -> Result<Option<Version>, Error> {
        let malformed = || Error::malformed("semantic version malformed");
        present(&self.fields, "version")
            .map(|json| text(json).ok_or_else(malformed)?.parse())
            .transpose()
    }

    fn publish(&self) -> Result<Option<bool>, Error> {
        present(&self.fields, "publish")
            .map(|json| match json.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                other => Err(Error::Malformed(format!("Expected JsBoolean, but got {other}"))),
            })
            .transpose()
    }
}

fn within(field: &'static str, size: Option<u64>, limit: u64) -> Result<(), Error> {
    match size {
        Some(size) if size > limit => Err(Error::TooLarge { field, size, limit }),
        Some(_) | None => Ok(()),
    }
}

/// The field, unless it is absent or `null`.
fn present<'a>(fields: &'a Object, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|json| !json.is_null())
}

/// The fields of an object without a copy of their values: code may be 48 MB of the body.
fn borrow(json: &str) -> Option<IndexMap<String, &RawValue>> {
    if json.starts_with('{') {
        serde_json::from_str(json).ok()
    } else {
        None
    }
}

/// The text of a JSON string; lone surrogates become `?`.
fn text(json: &Json) -> Option<String> {
    text_of(json.as_str())
}

/// The text that a string's JSON stands for.
fn text_of(json: &str) -> Option<String> {
    if !json.starts_with('"') {
        return None;
    }
    let tolerant = || Json::parse(json).ok()?.string();
    serde_json::from_str(json).ok().or_else(tolerant)
}

#[cfg(test)]
mod tests;
