//! The folder of a Python action: what an upload becomes before the launcher loads it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use super::Failure;
use crate::child::{Nursery, Program};
use crate::code::Shape;
use crate::{Error, archive};

/// What precompiled archives contain as `exec`; here the interpreter is running before there is one.
const EXEC: &str = "#!/bin/bash\ncd \"$(dirname \"$0\")\" && exec python3 exec__.py \"$@\"\n";

/// Puts the code where the launcher looks for it.
pub(super) fn place(data: &[u8], bin: &Path, limit: u64) -> Result<(), Failure> {
    match Shape::of(data) {
        Shape::Zip => archive::unzip(data, bin, limit).map_err(Failure::Archive),
        Shape::Gzip => archive::untar(data, bin, limit).map_err(Failure::Archive),
        Shape::Elf | Shape::Script | Shape::Other => {
            let path = bin.join("exec");
            fs::write(&path, data).map_err(|source| Failure::System(Error::Folder { path, source }))
        }
    }
}

/// Installs what `requirements.txt` asks for, unless the archive brought its own environment.
pub(super) async fn install_requirements(
    nursery: &Nursery,
    interpreter: &str,
    environment: &[(OsString, OsString)],
    bin: &Path,
) -> Result<(), Failure> {
    if !bin.join("requirements.txt").is_file() || bin.join("virtualenv").exists() {
        return Ok(());
    }
    let output = nursery
        .output(Program {
            command: interpreter.as_ref(),
            arguments: [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-cache-dir",
                "--disable-pip-version-check",
            ]
            .into_iter()
            .chain(["--target", "virtualenv/lib", "-r", "requirements.txt"])
            .map(Into::into)
            .collect(),
            environment,
            folder: bin,
            handed: None,
            stdin: Stdio::null(),
        })
        .await;
    let activation = bin.join("virtualenv/lib");
    match output {
        Ok((true, _)) => write_activation(bin, &activation).map_err(Failure::System),
        Ok((false, text)) => Err(Failure::Build(Some(format!(
            "requirements.txt could not be installed:\n{text}"
        )))),
        Err(source) => Err(Failure::System(Error::Start {
            program: interpreter.to_owned(),
            source,
        })),
    }
}

/// Whether the kernel can run an uploaded `exec`.
pub(super) fn is_executable(exec: &Path) -> bool {
    fs::read(exec).is_ok_and(|data| Shape::of(&data).is_executable())
}

/// The names upstream's build step leaves behind.
pub(super) fn lay_out(bin: &Path, execution_env: &str) -> Result<(), Error> {
    let failed = |source| Error::Folder {
        path: bin.to_owned(),
        source,
    };
    for (from, to) in [("exec", "__main__.py"), ("__main__.py", "main__.py")] {
        if bin.join(from).is_file() {
            fs::rename(bin.join(from), bin.join(to)).map_err(failed)?;
        }
    }
    fs::write(bin.join("exec.env"), execution_env).map_err(failed)?;
    fs::write(bin.join("exec"), EXEC).map_err(failed)?;
    fs::set_permissions(bin.join("exec"), fs::Permissions::from_mode(0o755)).map_err(failed)
}

fn write_activation(bin: &Path, packages: &Path) -> Result<(), Error> {
    let script = bin.join("virtualenv/bin/activate_this.py");
    let failed = |source| Error::Folder {
        path: script.clone(),
        source,
    };
    fs::create_dir_all(bin.join("virtualenv/bin")).map_err(failed)?;
    let text = format!(
        "import sys\nsys.path.insert(1, {})\n",
        serde_json::json!(packages.to_string_lossy())
    );
    fs::write(&script, text).map_err(failed)
}
