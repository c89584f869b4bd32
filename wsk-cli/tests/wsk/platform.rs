//! A platform that answers by script, and runs of the built `wsk` against it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// The key of every run.
pub const AUTH: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:secret";
/// Its form in the `Authorization` header.
pub const BASIC: &str = "Basic MjNiYzQ2YjEtNzFmNi00ZWQ1LThjNTQtODE2YWE0ZjhjNTAyOnNlY3JldA==";

/// Status and body of one answer.
pub type Reply = (u16, &'static str);

/// An error body of the platform.
pub const MISSING: Reply = (404, r#"{"error":"The requested resource does not exist.","code":"T"}"#);

pub struct Platform {
    address: String,
    seen: Arc<Mutex<Seen>>,
    /// Where commands run; has the properties file and what tests put there.
    pub dir: TempDir,
}

#[derive(Default)]
struct Seen {
    /// `METHOD target body`.
    requests: Vec<String>,
    /// Header lines of the last request.
    headers: Vec<String>,
    replies: VecDeque<Reply>,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Platform {
    pub fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            replies: replies.into_iter().collect(),
            ..Seen::default()
        }));
        let server = Arc::clone(&seen);
        // The thread ends with the process; a test that fails needs no help from it.
        thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap(), &server)));
        let platform = Self {
            address,
            seen,
            dir: TempDir::new().unwrap(),
        };
        platform.file("props", &format!("APIHOST={}\nAUTH={AUTH}\n", platform.address));
        platform
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn file(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `wsk` with words split at blanks; `''` stands for an empty word.
    pub fn wsk(&self, line: &str) -> Run {
        self.wsk_words(line.split_whitespace().map(|word| if word == "''" { "" } else { word }))
    }

    pub fn wsk_words<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Run {
        self.run(words, &[])
    }

    pub fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>, environment: &[(&str, &str)]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_wsk"))
            .args(words)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("WSK_CONFIG_FILE", self.path("props"))
            .env("TZ", "UTC")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Requests since the last call, as `METHOD target body`.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().requests)
    }

    /// Header lines of the last request.
    pub fn headers(&self) -> Vec<String> {
        self.seen.lock().unwrap().headers.clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Seen>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let length = lines
        .iter()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let first = lines.remove(0);
    let target = first.strip_suffix(" HTTP/1.1").unwrap();
    let request = format!("{target} {}", String::from_utf8(body).unwrap());
    let (status, answer) = {
        let mut seen = seen.lock().unwrap();
        seen.requests.push(request.trim_end().to_owned());
        seen.headers = lines;
        seen.replies
            .pop_front()
            .unwrap_or((500, r#"{"error":"the script has no answer for this","code":"SCRIPT"}"#))
    };
    let length = answer.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    (&stream).write_all((head + answer).as_bytes()).unwrap();
}

/// The line that points at the help.
pub const USAGE: &str = "Run 'wsk --help' for usage.\n";

impl Run {
    /// Success with exactly this output.
    #[track_caller]
    pub fn printed(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str(), self.err.as_str()), (0, out, ""));
    }

    /// Failure with exactly this error and no output.
    #[track_caller]
    pub fn failed(&self, code: i32, err: &str) {
        assert_eq!((self.code, self.out.as_str(), self.err.as_str()), (code, "", err));
    }
}
