//! The program of a sandbox and its environment.

use std::{
    ffi::CString,
    path::{Path, PathBuf},
};

use super::child::LISTENER;
use crate::{Error, Spec};

/// Where programs in a sandbox look for others, unless the environment of containers says otherwise.
pub const BASE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds `argv[0]`: absolute, beside our own executable, or on `PATH`.
pub(super) fn find(spec: &Spec) -> Result<PathBuf, Error> {
    let name = spec.program.first().map_or("", String::as_str);
    let missing = || Error::ProgramMissing {
        image: spec.image.clone(),
        program: name.to_owned(),
    };
    if name.is_empty() {
        // An image is all there is, and nothing here can fetch or run one.
        return Err(Error::ImagePull {
            image: spec.image.clone(),
            reason: "images take a Docker engine: configure [containers.docker]".to_owned(),
        });
    }
    if Path::new(name).is_absolute() {
        return Some(PathBuf::from(name))
            .filter(|path| path.is_file())
            .ok_or_else(missing);
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_else(|| BASE_PATH.into());
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|path| path.is_absolute());
    beside
        .into_iter()
        .chain(on_path)
        .find(|path| path.is_file())
        .ok_or_else(missing)
}

/// The variables of a program, the last of a name only; `None` when something cannot be one.
pub(super) fn environment(spec: &Spec, sentinel: &str, own_folder: Option<&Path>) -> Option<Vec<CString>> {
    let home = own_folder.map_or(Some("/tmp"), Path::to_str)?;
    let listener = LISTENER.to_string();
    let base = [
        ("PATH", BASE_PATH),
        ("HOME", home),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", home),
    ];
    let of_spec = spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own = [("WSK_PROXY_FD", listener.as_str()), ("WSK_LOG_SENTINEL", sentinel)];
    let all: Vec<(&str, &str)> = base.into_iter().chain(of_spec).chain(own).collect();
    let is_last = |at: usize, name: &str| !all[at + 1..].iter().any(|(later, _)| *later == name);
    let last = all.iter().enumerate().filter(|(at, (name, _))| is_last(*at, name));
    last.map(|(_, (name, value))| variable(name, value)).collect()
}

fn variable(name: &str, value: &str) -> Option<CString> {
    let possible = !name.is_empty() && !name.contains('=');
    CString::new([name, "=", value].concat()).ok().filter(|_| possible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(program: &str, env: &[(&str, &str)]) -> Spec {
        Spec {
            name: String::new(),
            image: "example/image".to_owned(),
            program: vec![program.to_owned()],
            folder: None,
            memory_mb: 128,
            concurrency: 1,
            env: env
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            managed: true,
            tenant: None,
        }
    }

    #[test]
    fn programs_are_found_beside_us_and_on_the_path() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(find(&spec(own.to_str().unwrap(), &[])).unwrap(), own);
        assert_eq!(
            find(&spec(own.file_name().unwrap().to_str().unwrap(), &[])).unwrap(),
            own
        );
        assert!(find(&spec("sh", &[])).unwrap().is_absolute());
        assert!(matches!(find(&spec("", &[])), Err(Error::ImagePull { .. })));
        for missing in ["/nonexistent", "no-such-program-anywhere", "/usr"] {
            let found = find(&spec(missing, &[]));
            assert!(matches!(found, Err(Error::ProgramMissing { program, .. }) if program == missing));
        }
    }

    #[test]
    fn the_last_of_a_name_wins_and_ours_cannot_be_set() {
        let env = [
            ("A", "1"),
            ("A", "2=3"),
            ("PATH", "/x"),
            ("WSK_PROXY_FD", "0"),
            ("EMPTY", ""),
        ];
        let variables = environment(&spec("sh", &env), "secret", None).unwrap();
        let variables: Vec<&str> = variables.iter().map(|variable| variable.to_str().unwrap()).collect();
        let expected = [
            "HOME=/tmp",
            "LANG=C.UTF-8",
            "TMPDIR=/tmp",
            "A=2=3",
            "PATH=/x",
            "EMPTY=",
            "WSK_PROXY_FD=3",
            "WSK_LOG_SENTINEL=secret",
        ];
        assert_eq!(variables, expected);
        for (name, value) in [("A\0", ""), ("A", "\0"), ("", "x"), ("A=B", "x")] {
            assert!(environment(&spec("sh", &[(name, value)]), "secret", None).is_none());
        }
    }
}
