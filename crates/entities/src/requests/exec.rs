//! What a request wants an action to run.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::{borrow, rule, text_of};
use crate::{Code, Error, Exec, FullName, Json, Manifest, image, is_base64};

type Fields<'a> = IndexMap<String, &'a RawValue>;

/// Reads `exec`; a kind is resolved against the manifest. Errors: [`Error::Malformed`].
pub(super) fn read(json: &str, manifest: &Manifest) -> Result<Exec, Error> {
    let fields = borrow(json).ok_or_else(|| Error::malformed("JSON object expected"))?;
    let kind = fields.get("kind").and_then(|json| text_of(json.get()));
    let kind = kind
        .ok_or_else(|| Error::malformed("'kind' must be a string defined in 'exec'"))?
        .trim()
        .to_lowercase();
    match kind.as_str() {
        Exec::SEQUENCE => sequence(&fields),
        Exec::BLACKBOX => blackbox(&fields),
        _ => managed(&kind, &fields, manifest),
    }
}

/// Bytes as the limit counts them: code as sent and the name of the entry point, or the names of the components.
pub(super) fn size(exec: &Exec) -> u64 {
    let code = exec.code().and_then(Code::inline).map_or(0, |code| code.len());
    let main = exec.main().map_or(0, str::len);
    let components = match exec {
        Exec::Sequence { components } => components.iter().map(|c| c.to_string().len()).sum(),
        Exec::Code { .. } | Exec::Blackbox { .. } => 0,
    };
    (code + main + components) as u64
}

fn sequence(fields: &Fields<'_>) -> Result<Exec, Error> {
    let components = fields
        .get("components")
        .ok_or_else(|| Error::malformed("'components' must be defined for sequence kind"))?;
    let components: Vec<Json> =
        serde_json::from_str(components.get()).map_err(|_| Error::malformed("'components' must be an array"))?;
    let components: Result<Vec<FullName>, Error> = components.iter().map(rule::name).collect();
    Ok(Exec::Sequence {
        components: components?,
    })
}

fn blackbox(fields: &Fields<'_>) -> Result<Exec, Error> {
    let malformed = || Error::malformed("'image' must be a string defined in 'exec' for 'blackbox' actions");
    let image = fields
        .get("image")
        .and_then(|json| text_of(json.get()))
        .ok_or_else(malformed)?;
    if !image::is_reference(&image) {
        return Err(Error::malformed("could not parse image name"));
    }
    let code = match code_field(fields) {
        None => None,
        Some(json) => Some(code_text(json)?).filter(|code| !code.trim().is_empty()),
    };
    let main = main(fields, Exec::BLACKBOX)?;
    let binary = code.as_deref().is_some_and(is_base64);
    Ok(Exec::Blackbox {
        image,
        code: code.map(Code::Inline),
        main,
        binary,
    })
}

fn managed(kind: &str, fields: &Fields<'_>, manifest: &Manifest) -> Result<Exec, Error> {
    let runtime = manifest
        .resolve(kind)
        .ok_or_else(|| Error::Malformed(unknown_kind(kind, manifest)))?;
    let code = match code_field(fields) {
        Some(json) => code_text(json)?,
        None => {
            let text = format!("'code' must be a string or attachment object defined in 'exec' for '{kind}' actions");
            return Err(Error::Malformed(text));
        }
    };
    let main = main(fields, kind)?;
    if main.is_none() && runtime.require_main {
        return Err(Error::Malformed(format!(
            "'main' must be a string defined in 'exec' for '{kind}' actions"
        )));
    }
    let binary = is_base64(&code);
    Ok(Exec::Code {
        kind: runtime.kind.as_str().into(),
        code: Code::Inline(code),
        main,
        binary,
    })
}

/// `code`, or under its old name `jar`.
fn code_field<'a>(fields: &Fields<'a>) -> Option<&'a RawValue> {
    fields.get("code").or_else(|| fields.get("jar")).copied()
}

/// Clients send code as text; a reference to stored code is the store's alone to make.
fn code_text(json: &RawValue) -> Result<Arc<str>, Error> {
    let code = text_of(json.get());
    code.map(Arc::from)
        .ok_or_else(|| Error::Malformed(format!("Could not deserialize as attachment record: {}", json.get())))
}

fn main(fields: &Fields<'_>, kind: &str) -> Result<Option<String>, Error> {
    match fields.get("main") {
        None => Ok(None),
        Some(json) => text_of(json.get())
            .map(Some)
            .ok_or_else(|| Error::Malformed(format!("if defined, 'main' be a string in 'exec' for '{kind}' actions"))),
    }
}

fn unknown_kind(kind: &str, manifest: &Manifest) -> String {
    let valid: Vec<String> = manifest.kinds().map(|k| format!("'{}'", k.kind)).collect();
    let valid = valid.join(", ");
    format!("The specified runtime '{kind}' is not supported by this platform. Valid values are: {valid}.")
}
