//! An action that tries to get out. What it attempts is said by `do` in the posted value; it answers `{"ok": …}` when that
//! worked and `{"failed": …}` when not.

mod server;

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::FileExt,
            net::{SocketAddr, UnixStream},
        },
    },
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use server::{Reply, outcome};

fn main() {
    server::serve(handle);
}

fn handle(path: &str, value: &Value) -> Reply {
    if path == "/init" {
        println!("init number one more");
        return Reply::json(json!({"ok": true}));
    }
    let text = |name: &str| value[name].as_str().unwrap_or_default();
    let number = |name: &str| value[name].as_i64().unwrap_or_default();
    match text("do") {
        "whoami" => {
            let ids = fs::read_to_string("/proc/self/status").unwrap_or_default();
            Reply::json(json!({"ok": ids}))
        }
        "read" => outcome(fs::read_to_string(text("path"))),
        "write" => outcome(fs::write(text("path"), text("body")).map(|()| true)),
        "list" => outcome(list(Path::new(text("path")))),
        "processes" => outcome(processes()),
        "signal" => {
            // SAFETY: a signal, which is the point.
            let sent = unsafe { libc::kill(number("pid") as i32, number("signal") as i32) };
            outcome(if sent == 0 {
                Ok(true)
            } else {
                Err(io::Error::last_os_error())
            })
        }
        "memory of" => outcome(memory_of(number("pid"), number("address") as u64)),
        "call" => outcome(call(text("name"), number("pid"))),
        "knock" => Reply::json(json!({"ok": knock(number("number"))})),
        "abstract socket" => outcome(abstract_socket(text("name"))),
        "init again" => outcome(init_again(Path::new(text("path")))),
        "processes without end" => outcome(fork_bomb(number("most"))),
        "files without end" => outcome(open_files(number("most"))),
        "disk without end" => outcome(fill(number("mb"))),
        _ => Reply::json(json!({})),
    }
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    Ok(fs::read_dir(path)?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

/// Command lines of whatever can be seen.
fn processes() -> io::Result<Vec<String>> {
    let ids = list(Path::new("/proc"))?
        .into_iter()
        .filter(|name| name.parse::<u32>().is_ok());
    Ok(ids
        .map(|id| {
            format!(
                "{id} {}",
                fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default()
            )
        })
        .collect())
}

/// Reads 16 bytes of another process by either of two ways.
fn memory_of(pid: i64, address: u64) -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    let by_file =
        fs::File::open(format!("/proc/{pid}/mem")).and_then(|memory| memory.read_exact_at(&mut bytes, address));
    if by_file.is_err() {
        let local = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        let remote = libc::iovec {
            iov_base: address as *mut libc::c_void,
            iov_len: bytes.len(),
        };
        // SAFETY: the local buffer is as long as said; the remote one is the other's.
        let read = unsafe { libc::process_vm_readv(pid as i32, &raw const local, 1, &raw const remote, 1, 0) };
        if read != bytes.len() as isize {
            return by_file.map(|()| String::new());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Calls that reach out of a sandbox. Nonsense arguments do: being refused differs from being wrong.
fn call(name: &str, pid: i64) -> io::Result<bool> {
    // SAFETY: null pointers and numbers; the kernel checks them.
    let result = unsafe {
        match name {
            "mount" => libc::mount(
                std::ptr::null(),
                c"/tmp".as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                std::ptr::null(),
            )
            .into(),
            "ptrace" => libc::ptrace(libc::PTRACE_SEIZE, pid as i32, 0, 0),
            "new user namespace" => libc::unshare(libc::CLONE_NEWUSER).into(),
            "user namespace by clone" => {
                let child = libc::syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0);
                if child == 0 {
                    libc::_exit(0);
                }
                child
            }
            "keyctl" => libc::syscall(libc::SYS_keyctl, 0, -3, 1),
            "vsock" => libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).into(),
            "chroot" => libc::chroot(c"/tmp".as_ptr()).into(),
            "host name" => libc::sethostname(c"x".as_ptr(), 1).into(),
            "become root" => libc::setuid(0).into(),
            _ => libc::syscall(-1),
        }
    };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(true)
    }
}

/// What the kernel says to a call whose arguments are all nonsense; 0 where it does not mind.
fn knock(number: i64) -> i32 {
    // SAFETY: no argument is a valid address; the kernel checks them.
    match unsafe { libc::syscall(number as libc::c_long, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or_default(),
        _ => 0,
    }
}

fn abstract_socket(name: &str) -> io::Result<bool> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(|_| true)
}

/// Posts `/init` to every socket found there, or through a descriptor of another process.
fn init_again(folder: &Path) -> io::Result<String> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for name in list(folder)? {
        match post(&folder.join(name)) {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn post(path: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"POST /init HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// As many children as it gets; they stay until this process dies.
fn fork_bomb(most: i64) -> io::Result<i64> {
    for started in 0..most {
        // SAFETY: the child only waits.
        match unsafe { libc::fork() } {
            -1 => return Ok(started),
            0 => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            _ => {}
        }
    }
    // A sign of life from outside of this process too.
    let _ = Command::new("/bin/true").stdout(Stdio::null()).status();
    Ok(most)
}

fn open_files(most: i64) -> io::Result<i64> {
    let mut open = Vec::new();
    while (open.len() as i64) < most {
        match fs::File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(_) => break,
        }
    }
    Ok(open.len() as i64)
}

/// How many MB fit into the temporary folder.
fn fill(most: i64) -> io::Result<i64> {
    let mut file = fs::File::create("/tmp/filled")?;
    let block = vec![1_u8; 1 << 20];
    let written = (0..most).take_while(|_| file.write_all(&block).is_ok()).count() as i64;
    fs::remove_file("/tmp/filled")?;
    Ok(written)
}
