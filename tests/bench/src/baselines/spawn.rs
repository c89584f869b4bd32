//! **spawn**: start a static-like server in namespaces of its own, wait for its first answer, kill it.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sched::CloneFlags;

/// Namespaces as a sandbox takes them; with root only, as a user namespace would change what is compared.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWUTS);

/// One start, first `/init` and first `/run` of the echo server; how long until the answer was there.
pub fn once(folder: &Path) -> Result<Duration> {
    let path = folder.join("spawn.sock");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path).context("cannot listen")?;
    let fd = OwnedFd::from(listener);
    let raw = fd.as_raw_fd();
    let begun = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("echo")
        .env("WSK_PROXY_FD", raw.to_string())
        .stdout(Stdio::null());
    let root = nix::unistd::geteuid().is_root();
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if root {
                nix::sched::unshare(NAMESPACES)?;
            }
            if libc::fcntl(raw, libc::F_SETFD, 0) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    drop(fd);
    let mut stream = UnixStream::connect(&path)?;
    for call in ["/init", "/run"] {
        post(&mut stream, call)?;
    }
    let took = begun.elapsed();
    child.kill()?;
    child.wait()?;
    Ok(took)
}

fn post(stream: &mut UnixStream, path: &str) -> Result<()> {
    let body = r#"{"value":{}}"#;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut buffer = [0u8; 1024];
    let n = stream.read(&mut buffer)?;
    if !buffer[..n].starts_with(b"HTTP/1.1 200") {
        bail!(
            "the spawned server answered {:?}",
            String::from_utf8_lossy(&buffer[..n])
        );
    }
    Ok(())
}
