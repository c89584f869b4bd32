//! Saving the code of an action to a file.

use std::env;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::exec::extension_for;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::json::text;
use crate::names::QualifiedName;
use crate::output::line;

/// Writes the code of `action` to `file`, or to a file named after the action and its kind.
pub fn save(cx: &mut Context, name: &QualifiedName, action: &Value, file: Option<&str>) -> Result<(), Failure> {
    let exec = action.get("exec").unwrap_or(&Value::Null);
    let kind = text(exec, "kind");
    let binary = exec.get("binary") == Some(&Value::Bool(true));
    let code = text(exec, "code");
    match kind {
        "sequence" => return Err(Failure::input("Cannot save action sequences")),
        "blackbox" if code.is_empty() => return Err(Failure::input("Cannot save Docker images")),
        _ => {}
    }
    let file = match file {
        Some(file) => file.to_owned(),
        None => format!("{}{}", name.base(), extension_for(kind, binary)),
    };
    let content = match binary {
        true => STANDARD
            .decode(code.trim())
            .map_err(|error| Failure::input(format!("Cannot save the code of '{}': {error}", name.entity)))?,
        false => code.as_bytes().to_vec(),
    };
    files::create(&file, &content)?;
    // Upstream joins the two without looking, also when the file name is absolute.
    let directory = env::current_dir()
        .map(|dir| dir.display().to_string())
        .unwrap_or_default();
    cx.out
        .ok(line("saved action code to ").bold(format!("{directory}/{file}")))
}
