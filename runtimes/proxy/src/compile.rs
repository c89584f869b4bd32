//! The steps between an upload and a program: extract, compile where need be, pack the result again for `-compile`.

use std::ffi::OsString;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::archive;
use crate::child::{Nursery, Program};
use crate::code::Shape;

/// Compiles what is uploaded.
#[derive(Debug)]
pub struct Compiler<'a> {
    pub nursery: &'a Nursery,
    /// `OW_COMPILER`.
    pub program: Option<String>,
    /// `OW_SAVE_JAR`.
    pub save_jar: Option<String>,
    pub environment: &'a [(OsString, OsString)],
    pub max_unpacked: u64,
}

impl Compiler<'_> {
    /// Makes `<action>/bin/exec` out of `data`. The error is what the user is told, as the compiler said it.
    pub async fn build(&self, data: &[u8], main: &str, action: &Path) -> Result<(), String> {
        let (src, bin) = (action.join("src"), action.join("bin"));
        fs::create_dir_all(&src).map_err(|e| e.to_string())?;
        self.extract(data, &src)?;
        let exec = src.join("exec");
        let uploaded = fs::read(&exec).unwrap_or_default();
        if Shape::of(&uploaded).is_executable() {
            fs::rename(&src, &bin).map_err(|e| e.to_string())?;
        } else {
            self.compile(main, &src, &bin).await?;
        }
        let exec = bin.join("exec");
        match fs::metadata(&exec) {
            Ok(found) if found.len() > 0 => {
                let mode = found.permissions().mode() | 0o755;
                fs::set_permissions(&exec, fs::Permissions::from_mode(mode)).map_err(|e| e.to_string())
            }
            Ok(_) | Err(_) => Err("cannot compile".to_owned()),
        }
    }

    fn extract(&self, data: &[u8], src: &Path) -> Result<(), String> {
        let unpacked = |result: Result<(), archive::Error>| {
            result.map_err(|error| format!("The archive of the action cannot be unpacked: {error}."))
        };
        match Shape::of(data) {
            Shape::Zip => match &self.save_jar {
                Some(name) if is_jar(data) => fs::write(src.join(name), data).map_err(|e| e.to_string()),
                Some(_) | None => unpacked(archive::unzip(data, src, self.max_unpacked)),
            },
            Shape::Gzip => unpacked(archive::untar(data, src, self.max_unpacked)),
            Shape::Elf | Shape::Script | Shape::Other => {
                let exec = src.join("exec");
                fs::write(&exec, data).map_err(|e| e.to_string())?;
                fs::set_permissions(&exec, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())
            }
        }
    }

    /// Any output of the compiler is a failure, also when it ends well.
    async fn compile(&self, main: &str, src: &Path, bin: &Path) -> Result<(), String> {
        let Some(compiler) = &self.program else {
            return Err("No compiler defined".to_owned());
        };
        fs::create_dir_all(bin).map_err(|e| e.to_string())?;
        let output = self
            .nursery
            .output(Program {
                command: compiler.as_ref(),
                arguments: vec![main.into(), src.into(), bin.into()],
                environment: self.environment,
                folder: src.parent().unwrap_or(src),
                handed: None,
                stdin: Stdio::null(),
            })
            .await;
        match output {
            Ok((true, text)) if text.is_empty() => Ok(()),
            Ok((_, text)) if text.is_empty() => Err("cannot compile".to_owned()),
            Ok((_, text)) => Err(text),
            Err(error) => Err(format!("cannot start the compiler {compiler}: {error}")),
        }
    }
}

fn is_jar(data: &[u8]) -> bool {
    zip::ZipArchive::new(Cursor::new(data)).is_ok_and(|mut jar| jar.by_name("META-INF/MANIFEST.MF").is_ok())
}

/// A zip archive of a folder, with permission bits and symbolic links.
pub fn pack(root: &Path) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(root.join(&folder))
            .and_then(Iterator::collect)
            .map_err(|e: std::io::Error| e.to_string())?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = folder.join(entry.file_name());
            add(&mut writer, &entry, &name, &mut folders)?;
        }
    }
    writer.finish().map(Cursor::into_inner).map_err(|e| e.to_string())
}

fn add(
    writer: &mut ZipWriter<Cursor<Vec<u8>>>,
    entry: &fs::DirEntry,
    name: &Path,
    folders: &mut Vec<PathBuf>,
) -> Result<(), String> {
    let text = |e: std::io::Error| e.to_string();
    let meta = entry.path().symlink_metadata().map_err(text)?;
    let options = SimpleFileOptions::default().unix_permissions(meta.permissions().mode());
    let entry_name = name.to_string_lossy();
    if meta.is_symlink() {
        let to = fs::read_link(entry.path()).map_err(text)?;
        writer
            .add_symlink(entry_name, to.to_string_lossy(), options)
            .map_err(|e| e.to_string())
    } else if meta.is_dir() {
        folders.push(name.to_owned());
        writer.add_directory(entry_name, options).map_err(|e| e.to_string())
    } else {
        writer.start_file(entry_name, options).map_err(|e| e.to_string())?;
        writer.write_all(&fs::read(entry.path()).map_err(text)?).map_err(text)
    }
}
