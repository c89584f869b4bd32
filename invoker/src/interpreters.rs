//! Which kinds this machine can run as processes: those whose interpreter is there, for sandboxes too.
//!
//! One that was installed in a home folder (nvm, pyenv, a toolchain's archive) is not where programs of a system are, so
//! sandboxes are shown its folder and have it on their path. A shim, a script that looks for the real one, is passed over:
//! what it looks at is not shown.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use wsk_containers::{ProcessConfig, SANDBOX_PATH};
use wsk_entities::{Manifest, Runtime};

/// The manifest without the kinds whose interpreter is missing here.
pub fn offered(mut manifest: Manifest) -> Manifest {
    manifest.retain(|kind| missing(kind).is_none());
    manifest
}

/// The interpreter that a kind needs and this machine lacks.
pub fn missing(kind: &Runtime) -> Option<&str> {
    let needs = needs(kind)?;
    find(needs).is_none().then_some(needs)
}

/// Where a program is on `PATH` that a sandbox can run.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file() && (is_usual(file) || elsewhere(file).is_some()))
}

/// Shows sandboxes the interpreters of these kinds that are not where the programs of a system are, and puts them on the path
/// that actions have, unless that was configured.
pub fn show(manifest: &Manifest, process: &mut ProcessConfig, env: &mut Vec<(String, String)>) {
    let found = manifest.kinds().filter_map(needs).filter_map(find);
    let mut path = Vec::new();
    for place in found.filter(|file| !is_usual(file)).filter_map(|file| elsewhere(&file)) {
        if !path.contains(&place.programs) {
            process.shown.push(place.whole);
            path.push(place.programs);
        }
    }
    if path.is_empty() || env.iter().any(|(name, _)| name == "PATH") {
        return;
    }
    path.extend(std::env::split_paths(SANDBOX_PATH));
    if let Some(path) = std::env::join_paths(path).ok().and_then(|path| path.into_string().ok()) {
        env.push(("PATH".to_owned(), path));
    }
}

/// An interpreter's folders.
struct Elsewhere {
    /// What it consists of.
    whole: PathBuf,
    programs: PathBuf,
}

fn needs(kind: &Runtime) -> Option<&str> {
    kind.process.as_ref()?.needs.as_deref()
}

/// Whether sandboxes find it where they look anyway.
fn is_usual(file: &Path) -> bool {
    let usual = |file: &Path| {
        file.parent()
            .is_some_and(|folder| std::env::split_paths(SANDBOX_PATH).any(|own| own == folder))
    };
    usual(file) || file.canonicalize().is_ok_and(|file| usual(&file))
}

fn elsewhere(file: &Path) -> Option<Elsewhere> {
    let real = file.canonicalize().ok()?;
    let mut magic = [0; 4];
    std::fs::File::open(&real).ok()?.read_exact(&mut magic).ok()?;
    let programs = real.parent()?.to_owned();
    let whole = programs.parent()?.to_owned();
    let is_program = magic == *b"\x7fELF" && programs.join(file.file_name()?).is_file();
    (is_program && is_installation(&whole) && ProcessConfig::can_show(&whole)).then_some(Elsewhere { whole, programs })
}

/// Whether a folder is what some program was installed as, and not one in which people keep other things, too: all of it is
/// shown to every action.
fn is_installation(folder: &Path) -> bool {
    let has = |part: &str| folder.join(part).is_dir();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let of_people = folder.ends_with(".local")
        || folder.parent() == Some(Path::new("/home"))
        || home.is_some_and(|home| home.starts_with(folder));
    has("bin") && (has("lib") || has("include")) && !of_people
}
