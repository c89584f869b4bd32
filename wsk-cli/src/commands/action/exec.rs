//! From a code artifact and the flags about it to `exec`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::json::object;
use crate::names::QualifiedName;

/// Flags that say what the artifact is.
#[derive(Debug, Default, Args)]
pub struct ExecFlags {
    /// the KIND of the action runtime (example: swift:default, nodejs:default)
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// use provided docker image (a path on DockerHub) to run the action
    #[arg(long, value_name = "string")]
    pub docker: Option<String>,
    /// treat ACTION as native action (zip file provides a compatible executable to run)
    #[arg(long)]
    pub native: bool,
    /// the name of the action entry point (function or fully-qualified method name when applicable)
    #[arg(long, value_name = "string")]
    pub main: Option<String>,
}

/// The image that runs native executables.
pub const NATIVE_IMAGE: &str = "openwhisk/dockerskeleton";

/// Runtime families by file extension.
const FAMILIES: &[(&str, &str)] = &[
    (".js", "nodejs"),
    (".py", "python"),
    (".swift", "swift"),
    (".jar", "java"),
    (".php", "php"),
    (".rb", "ruby"),
    (".rs", "rust"),
    (".go", "go"),
    (".balx", "ballerina"),
];

/// Extensions whose content is an archive and travels in base64.
const ARCHIVES: &[&str] = &[".zip", ".jar", ".balx"];

/// Whether there is enough to make an `exec` from.
pub fn is_given(flags: &ExecFlags, artifact: Option<&str>) -> bool {
    artifact.is_some() || flags.native || flags.docker.as_ref().is_some_and(|image| !image.is_empty())
}

/// The `exec` for code in a file, an image, or both.
pub fn from_artifact(flags: &ExecFlags, artifact: Option<&str>) -> Result<Value, Failure> {
    let kind = flags.kind.as_deref().filter(|kind| !kind.is_empty());
    let docker = flags.docker.as_deref().filter(|image| !image.is_empty());
    if kind.is_some() && docker.is_some() {
        let both = "Cannot specify both --kind and --docker at the same time.";
        return Err(Failure::new(both).with_exit(Exit::NOT_ALLOWED));
    }
    let code = artifact
        .map(|file| Ok::<_, Failure>((file, files::read(file)?)))
        .transpose()?;
    let mut members = match (kind, docker) {
        (Some(kind), _) => vec![("kind", json!(kind))],
        (None, _) if flags.native => vec![("kind", json!("blackbox")), ("image", json!(NATIVE_IMAGE))],
        (None, Some(image)) => vec![("kind", json!("blackbox")), ("image", json!(image))],
        (None, None) => vec![("kind", json!(infer_kind(artifact.unwrap_or_default())?))],
    };
    if kind == Some("java") && flags.main.is_none() {
        let main = "Java actions require --main to specify the fully-qualified name of the main class";
        return Err(Failure::input(main));
    }
    if let Some((file, content)) = code {
        members.push(("code", json!(encode(file, content))));
    }
    if let Some(main) = flags.main.as_deref().filter(|main| !main.is_empty()) {
        members.push(("main", json!(main)));
    }
    Ok(object(members))
}

/// The `exec` of a sequence, from a comma list of names.
pub fn sequence(list: &str) -> Result<Value, Failure> {
    let components: Result<Vec<String>, Failure> = list
        .split(',')
        .map(|name| QualifiedName::parse(name).map(|name| name.to_string()))
        .collect();
    Ok(json!({ "kind": "sequence", "components": components? }))
}

pub fn infer_kind(file: &str) -> Result<String, Failure> {
    let extension = extension(file);
    if extension == ".zip" {
        let zip = "creating an action from a .zip artifact requires specifying the action kind explicitly";
        return Err(Failure::input(zip));
    }
    let family = FAMILIES.iter().find(|(known, _)| *known == extension);
    match family {
        Some((_, family)) => Ok(format!("{family}:default")),
        None => Err(Failure::input(format!(
            "'{extension}' is not a supported action runtime"
        ))),
    }
}

/// Text goes as it is; archives, and anything that is not text, go in base64.
pub fn encode(file: &str, content: Vec<u8>) -> String {
    if ARCHIVES.contains(&extension(file).as_str()) {
        return STANDARD.encode(content);
    }
    String::from_utf8(content).unwrap_or_else(|binary| STANDARD.encode(binary.as_bytes()))
}

pub fn extension(file: &str) -> String {
    let name = Path::new(file)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.rfind('.').map(|dot| name[dot..].to_owned()).unwrap_or_default()
}

/// The extension that code of a kind is saved with.
pub fn extension_for(kind: &str, binary: bool) -> &'static str {
    let family = kind.split(':').next().unwrap_or_default();
    let known = FAMILIES
        .iter()
        .find(|(_, known)| *known == family)
        .map(|(extension, _)| *extension);
    match known {
        Some(archive) if ARCHIVES.contains(&archive) => archive,
        _ if binary => ".zip",
        known => known.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_extensions() {
        assert_eq!(infer_kind("dir.d/hello.js").unwrap(), "nodejs:default");
        assert_eq!(infer_kind("a.balx").unwrap(), "ballerina:default");
        assert_eq!(
            infer_kind("bin.exe").unwrap_err(),
            Failure::input("'.exe' is not a supported action runtime")
        );
        assert_eq!(
            infer_kind("noext").unwrap_err(),
            Failure::input("'' is not a supported action runtime")
        );
        assert!(infer_kind("a.zip").is_err());
    }

    #[test]
    fn archives_and_binaries_travel_in_base64() {
        assert_eq!(encode("a.zip", b"text".to_vec()), "dGV4dA==");
        assert_eq!(encode("a.js", b"text".to_vec()), "text");
        assert_eq!(encode("program", vec![0xff, 0xfe]), "//4=");
    }

    #[test]
    fn components_are_qualified_in_order() {
        let exec = sequence("a,pkg/b,/ns/c,ns/pkg/d").unwrap();
        assert_eq!(exec["components"], json!(["/_/a", "/_/pkg/b", "/ns/c", "/ns/pkg/d"]));
        assert!(sequence("a,,b").is_err());
    }

    #[test]
    fn saved_code_gets_the_extension_of_its_kind() {
        let cases = [
            ("nodejs:20", false, ".js"),
            ("nodejs:20", true, ".zip"),
            ("java:17", true, ".jar"),
            ("blackbox", false, ""),
            ("blackbox", true, ".zip"),
            ("rust:1.34", false, ".rs"),
        ];
        for (kind, binary, extension) in cases {
            assert_eq!(extension_for(kind, binary), extension, "{kind} {binary}");
        }
    }

    #[test]
    fn docker_and_native() {
        let flags = ExecFlags {
            docker: Some("me/image".into()),
            main: Some("m".into()),
            ..ExecFlags::default()
        };
        let expected = r#"{"kind":"blackbox","image":"me/image","main":"m"}"#;
        assert_eq!(from_artifact(&flags, None).unwrap().to_string(), expected);
        let flags = ExecFlags { native: true, ..flags };
        assert_eq!(from_artifact(&flags, None).unwrap()["image"], json!(NATIVE_IMAGE));
        let flags = ExecFlags {
            kind: Some("nodejs:20".into()),
            ..flags
        };
        let both = Failure::new("Cannot specify both --kind and --docker at the same time.");
        assert_eq!(
            from_artifact(&flags, None).unwrap_err(),
            both.with_exit(Exit::NOT_ALLOWED)
        );
    }
}
