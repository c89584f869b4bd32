//! From what a manifest says about an action's code to `exec`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::archive::{Choice, pack};
use super::manifest::Action;
use super::refused;
use crate::commands::action::exec::{NATIVE_IMAGE, encode, extension, infer_kind};
use crate::failure::Failure;
use crate::json::{items, object, text};

/// The runtimes that the platform offers, as its information document lists them.
#[derive(Debug)]
pub struct Runtimes(Value);

impl Runtimes {
    /// `information` is the document at `/`; nothing when the platform does not tell.
    pub fn new(information: Option<&Value>) -> Self {
        Self(
            information
                .and_then(|document| document.get("runtimes"))
                .cloned()
                .unwrap_or_default(),
        )
    }

    /// The kind that a manifest's `runtime` stands for: one of the platform's, or the default of a family.
    fn kind(&self, runtime: &str) -> Option<String> {
        let Some(families) = self.0.as_object() else {
            // Nothing is known: the platform will judge.
            return Some(runtime.to_owned());
        };
        let family = runtime.split(':').next().unwrap_or_default();
        families.get(family)?;
        if runtime == family || runtime.ends_with(":default") {
            return Some(format!("{family}:default"));
        }
        let kinds = items(&self.0, family);
        kinds
            .iter()
            .any(|kind| text(kind, "kind") == runtime)
            .then(|| runtime.to_owned())
    }
}

/// What to make of code whose extension suggests another runtime than the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// What `--strict` asks for.
    ManifestWins,
    ExtensionWins,
}

/// Where an action's code is to be fetched: origin, and path without its first slash. Nothing when it is a file.
pub fn address(action: &Action) -> Option<(&str, &str)> {
    split(action.function.as_deref()?)
}

fn split(function: &str) -> Option<(&str, &str)> {
    let start = ["http://", "https://"]
        .iter()
        .find(|scheme| function.starts_with(**scheme))?
        .len();
    let end = function[start..]
        .find('/')
        .map_or(function.len(), |slash| start + slash);
    Some((&function[..end], function[end..].trim_start_matches('/')))
}

/// The `exec` of an action whose files are found below `folder`; `fetched` is the code from its [`address`], if it has one.
pub fn exec(
    action: &Action,
    folder: &Path,
    fetched: Option<Vec<u8>>,
    runtimes: &Runtimes,
    mismatch: Mismatch,
) -> Result<Value, Failure> {
    let image = match (&action.docker, action.native) {
        (_, true) => Some(NATIVE_IMAGE),
        (Some(image), false) => Some(image.as_str()),
        (None, false) => None,
    };
    let code = code(action, folder, fetched)?;
    let mut members = match image {
        Some(image) => vec![("kind", json!("blackbox")), ("image", json!(image))],
        None => vec![("kind", json!(kind(action, folder, runtimes, mismatch)?))],
    };
    members.extend(code.map(|code| ("code", json!(code))));
    members.extend(action.main.as_ref().map(|main| ("main", json!(main))));
    Ok(object(members))
}

fn code(action: &Action, folder: &Path, fetched: Option<Vec<u8>>) -> Result<Option<String>, Failure> {
    if let Some(code) = &action.code {
        return Ok(Some(code.clone()));
    }
    let Some(function) = &action.function else {
        return Ok(None);
    };
    if let Some(content) = fetched {
        return Ok(Some(encode(file_of(function), content)));
    }
    let path = folder.join(function);
    if path.is_dir() {
        let choice = Choice {
            include: &action.include,
            exclude: &action.exclude,
        };
        return Ok(Some(STANDARD.encode(pack(&path, &choice)?)));
    }
    let content = std::fs::read(&path)
        .map_err(|error| refused("ERROR_FILE_READ_ERROR", format!("File: [{}]: {error}", path.display())))?;
    Ok(Some(encode(function, content)))
}

/// The part of a file's name or address that has its extension.
fn file_of(function: &str) -> &str {
    match split(function) {
        Some(_) => function.split(['?', '#']).next().unwrap_or_default(),
        None => function,
    }
}

fn kind(action: &Action, folder: &Path, runtimes: &Runtimes, mismatch: Mismatch) -> Result<String, Failure> {
    let invalid = |text: String| refused("ERROR_YAML_INVALID_RUNTIME", text);
    let function = action.function.as_deref().unwrap_or_default();
    let file = file_of(function);
    let packed = extension(file) == ".zip" || folder.join(function).is_dir();
    let suggested = match function.is_empty() || packed {
        true => None,
        false => infer_kind(file).ok(),
    };
    let Some(runtime) = &action.runtime else {
        return suggested.ok_or_else(|| {
            invalid(format!(
                "Action [{}]: the runtime cannot be told from [{function}]; it must be given.",
                action.name
            ))
        });
    };
    let family = |kind: &str| kind.split(':').next().unwrap_or_default().to_owned();
    match suggested {
        Some(suggested) if family(&suggested) != family(runtime) && mismatch == Mismatch::ExtensionWins => {
            Ok(suggested)
        }
        Some(_) | None => runtimes.kind(runtime).ok_or_else(|| {
            invalid(format!(
                "Action [{}]: runtime [{runtime}] is not offered by the platform.",
                action.name
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtimes() -> Runtimes {
        let nodejs = json!([{"kind": "nodejs:18"}, {"kind": "nodejs:20", "default": true}]);
        Runtimes::new(Some(
            &json!({"runtimes": {"nodejs": nodejs, "python": [{"kind": "python:3"}]}}),
        ))
    }

    fn made(action: &Action, mismatch: Mismatch) -> Result<Value, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.js"), "code").unwrap();
        std::fs::write(folder.path().join("http#1.js"), "code").unwrap();
        std::fs::write(folder.path().join("a.zip"), "PK").unwrap();
        std::fs::create_dir(folder.path().join("app")).unwrap();
        std::fs::write(folder.path().join("app/index.js"), "code").unwrap();
        exec(action, folder.path(), None, &runtimes(), mismatch)
    }

    fn of_file(function: &str, runtime: Option<&str>) -> Action {
        Action {
            function: Some(function.to_owned()),
            runtime: runtime.map(str::to_owned),
            ..Action::default()
        }
    }

    #[test]
    fn kinds_follow_from_runtime_and_extension() {
        for (function, runtime, kind) in [
            ("a.js", None, "nodejs:default"),
            ("a.js", Some("nodejs:18"), "nodejs:18"),
            ("a.js", Some("nodejs"), "nodejs:default"),
            ("a.js", Some("python:3"), "nodejs:default"),
            ("a.zip", Some("python"), "python:default"),
            ("app", Some("nodejs:20"), "nodejs:20"),
            ("http#1.js", None, "nodejs:default"),
        ] {
            let made = made(&of_file(function, runtime), Mismatch::ExtensionWins).unwrap();
            assert_eq!(made["kind"], kind, "{function} {runtime:?}");
        }
        for (function, runtime) in [
            ("a.zip", None),
            ("a.js", Some("nodejs:6")),
            ("gone.js", None),
            ("app", None),
        ] {
            assert!(
                made(&of_file(function, runtime), Mismatch::ExtensionWins).is_err(),
                "{function}"
            );
        }
        let strict = |runtime| made(&of_file("a.js", Some(runtime)), Mismatch::ManifestWins);
        assert_eq!(strict("python:3").unwrap()["kind"], "python:3");
        assert!(strict("cobol:60").is_err());
    }

    #[test]
    fn code_may_be_elsewhere() {
        let there = of_file("https://host:1/x/a.py?raw=true", None);
        assert_eq!(address(&there), Some(("https://host:1", "x/a.py?raw=true")));
        assert_eq!(address(&of_file("http://host", None)), Some(("http://host", "")));
        assert_eq!(address(&of_file("http/a.js", None)), None);
        let fetched = |action, code: &[u8]| {
            exec(
                &action,
                Path::new("."),
                Some(code.to_vec()),
                &runtimes(),
                Mismatch::ExtensionWins,
            )
            .unwrap()
        };
        assert_eq!(
            fetched(there, b"code"),
            json!({"kind": "python:default", "code": "code"})
        );
        let archive = of_file("https://host/a.zip?x=.js", Some("nodejs"));
        assert_eq!(
            fetched(archive, b"PK"),
            json!({"kind": "nodejs:default", "code": "UEs="})
        );
    }

    #[test]
    fn code_is_text_or_an_archive() {
        assert_eq!(
            made(&of_file("a.js", None), Mismatch::ManifestWins).unwrap()["code"],
            "code"
        );
        assert_eq!(
            made(&of_file("a.zip", Some("nodejs")), Mismatch::ManifestWins).unwrap()["code"],
            "UEs="
        );
        let packed = made(&of_file("app", Some("nodejs")), Mismatch::ManifestWins).unwrap();
        assert!(packed["code"].as_str().unwrap().starts_with("UEsDB"));
        let inline = Action {
            code: Some("text".into()),
            runtime: Some("nodejs".into()),
            main: Some("go".into()),
            ..Action::default()
        };
        let expected = json!({"kind": "nodejs:default", "code": "text", "main": "go"});
        assert_eq!(made(&inline, Mismatch::ManifestWins).unwrap(), expected);
        let native = Action {
            native: true,
            function: Some("a.zip".into()),
            ..Action::default()
        };
        let expected = json!({"kind": "blackbox", "image": NATIVE_IMAGE, "code": "UEs="});
        assert_eq!(made(&native, Mismatch::ManifestWins).unwrap(), expected);
    }
}
