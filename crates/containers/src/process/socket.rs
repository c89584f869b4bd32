//! The control socket of a sandbox: a listening unix socket that no path leads to.
//!
//! It is bound, connected to and unlinked before the child exists. The platform keeps a handle on the socket's inode, by which
//! it can connect again (through `/proc/self/fd`); nobody else can name it.

use std::{
    fs::{self, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::{OpenOptionsExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use super::descriptors::high;

/// The platform's side.
pub(super) struct Control {
    /// Connected already, waiting in the program's queue.
    pub(super) stream: UnixStream,
    pub(super) handle: Handle,
}

/// The socket's inode.
pub(super) struct Handle(OwnedFd);

impl Handle {
    /// A path by which this process can connect again, as long as this lives.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// Makes the socket in this folder. `hide` is false only in tests that look for the hole.
pub(super) fn open(folder: &Path, id: &str, hide: bool) -> io::Result<(Control, OwnedFd)> {
    // A short name: the address of a unix socket has room for 107 bytes.
    let name = id.split('-').nth(1).unwrap_or("socket");
    let path = folder.join(name);
    let listener = UnixListener::bind(&path)?;
    let opened = connect(&path);
    if hide {
        fs::remove_file(&path)?;
    } else {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
    }
    Ok((opened?, high(listener.into())?))
}

fn connect(path: &Path) -> io::Result<Control> {
    let inode = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Ok(Control {
        stream,
        handle: Handle(inode.into()),
    })
}
