//! A program that speaks ActionLoop: one line in on descriptor 0 per request, one line out on descriptor 3 per answer.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::fcntl::OFlag;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::child::{Child, Nursery, Program};
use crate::logs::{Logs, Side};

const ANSWERS: i32 = 3;
/// How long a program that does not acknowledge its start is watched for an early end.
const START_WATCH: Duration = Duration::from_millis(5);
const ACKNOWLEDGED: &[u8] = br#""ok":true"#;

/// A started program.
#[derive(Debug)]
pub struct LoopProgram {
    child: Child,
    requests: pipe::Sender,
    answers: Answers,
}

/// The reading side of descriptor 3.
#[derive(Debug)]
struct Answers {
    pipe: pipe::Receiver,
    data: BytesMut,
}

/// Why a program does not serve, in the words of the ActionLoop proxy.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    #[error("Command exited abruptly during initialization.")]
    Exited,
    #[error("command exited")]
    ExitedUnwatched,
    #[error("The action did not initialize properly.")]
    NotAcknowledged,
    #[error("open ./action/{0}/bin/exec.env: no such file or directory")]
    NoEnvironment(usize),
    #[error("Execution environment version mismatch. See logs for details.")]
    OtherEnvironment { expected: String, actual: String },
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl StartFailure {
    /// What goes to stdout beside the message.
    pub fn stdout_lines(&self) -> Vec<String> {
        match self {
            StartFailure::OtherEnvironment { expected, actual } => {
                vec![
                    format!("Expected exec.env should start with {expected}"),
                    format!("Actual value: {actual}"),
                ]
            }
            StartFailure::Exited
            | StartFailure::ExitedUnwatched
            | StartFailure::NotAcknowledged
            | StartFailure::NoEnvironment(_)
            | StartFailure::System(_) => Vec::new(),
        }
    }
}

/// A prebuilt program runs only in the environment it was built for.
pub fn check_environment(bin: &Path, number: usize, expected: &str) -> Result<(), StartFailure> {
    let actual = fs::read_to_string(bin.join("exec.env")).map_err(|_| StartFailure::NoEnvironment(number))?;
    if actual.trim() == expected {
        return Ok(());
    }
    Err(StartFailure::OtherEnvironment {
        expected: expected.to_owned(),
        actual: actual.trim_end().to_owned(),
    })
}

impl LoopProgram {
    /// Starts `exec`. With `acknowledged`, waits for `{"ok":true}` on descriptor 3.
    pub async fn start(
        nursery: &Nursery,
        exec: &Path,
        folder: &Path,
        environment: &[(OsString, OsString)],
        logs: &Logs,
        acknowledged: bool,
    ) -> Result<Self, StartFailure> {
        let (reading, writing) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(std::io::Error::from)?;
        let mut child = nursery.start(Program {
            command: exec.as_os_str(),
            arguments: Vec::new(),
            environment,
            folder,
            handed: Some((writing, ANSWERS)),
            stdin: Stdio::piped(),
        })?;
        logs.attach(child.stdout.take(), child.stderr.take()).await?;
        let stdin: OwnedFd = child.stdin.take().expect("stdin was asked to be a pipe");
        let answers = Answers {
            pipe: pipe::Receiver::from_owned_fd(reading)?,
            data: BytesMut::new(),
        };
        let mut program = LoopProgram {
            child,
            requests: pipe::Sender::from_owned_fd(stdin)?,
            answers,
        };
        program.started(acknowledged).await?;
        Ok(program)
    }

    async fn started(&mut self, acknowledged: bool) -> Result<(), StartFailure> {
        if !acknowledged {
            return match tokio::time::timeout(START_WATCH, self.child.ended()).await {
                Ok(()) => Err(StartFailure::ExitedUnwatched),
                Err(_) => Ok(()),
            };
        }
        let line = tokio::select! {
            line = self.answers.line() => line,
            () = self.child.ended() => self.answers.line_present(),
        };
        match line {
            None => Err(StartFailure::Exited),
            Some(line) => {
                let packed: Vec<u8> = line.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
                let ok = memchr::memmem::find(&packed, ACKNOWLEDGED).is_some();
                if ok { Ok(()) } else { Err(StartFailure::NotAcknowledged) }
            }
        }
    }

    pub fn has_ended(&self) -> bool {
        self.child.has_ended()
    }

    /// One request and its answer line, newline included; `None` when the program ended instead.
    pub async fn interact(&mut self, body: &[u8], logs: &Logs) -> Option<Bytes> {
        if self.answers.drop_stale() {
            logs.note(
                Side::Stderr,
                "The action wrote more than one line on descriptor 3; the rest was dropped.",
            )
            .await;
        }
        let mut line: Vec<u8> = body.iter().copied().filter(|&b| b != b'\n').collect();
        line.push(b'\n');
        let LoopProgram {
            child,
            requests,
            answers,
        } = self;
        let send = async {
            // A program that does not read may still answer, or end.
            let _ = requests.write_all(&line).await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            biased;
            line = answers.line() => line,
            () = child.ended() => answers.line_present(),
            () = send => None,
        }
    }

    /// Lets a program that is ending say its last words, else kills it.
    pub async fn bury(&self, patience: Duration) {
        self.child.last_words(patience).await;
    }
}

impl Answers {
    /// The next line that is not blank.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.next_line() {
                return Some(line);
            }
            match self.pipe.read_buf(&mut self.data).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// The same without waiting, for a program that has ended.
    fn line_present(&mut self) -> Option<Bytes> {
        self.read_present();
        self.next_line()
    }

    /// Whether there was anything nobody had asked for.
    fn drop_stale(&mut self) -> bool {
        self.read_present();
        let stale = self.data.iter().any(|b| !b.is_ascii_whitespace());
        self.data.clear();
        stale
    }

    fn read_present(&mut self) {
        while matches!(self.pipe.try_read_buf(&mut self.data), Ok(1..)) {}
    }

    fn next_line(&mut self) -> Option<Bytes> {
        loop {
            let end = memchr::memchr(b'\n', &self.data)?;
            let line = self.data.split_to(end + 1);
            if line.iter().any(|b| !b.is_ascii_whitespace()) {
                return Some(line.freeze());
            }
        }
    }
}
