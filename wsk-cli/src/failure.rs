//! Why a command stopped: what to say, whether to point at the help, and the exit code.

use std::io;

use crate::exit::Exit;

/// How a command ends when it does not succeed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reader of our output went away, which is its good right: a success.
    ClosedPipe,
    /// Everything there is to say has been printed.
    Reported(Exit),
    /// One line to print.
    Said { message: String, exit: Exit, usage: Usage },
}

/// Whether the line that points at `wsk --help` follows the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Shown,
    Hidden,
}

impl Failure {
    /// A local mistake: exit 1, with the usage line.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Said {
            message: message.into(),
            exit: Exit::GENERAL,
            usage: Usage::Shown,
        }
    }

    /// Something about a file or an artifact: exit 2, with the usage line.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(message).with_exit(Exit::USAGE)
    }

    /// A call that failed, told with what was attempted in front.
    pub fn call(attempted: &str, error: &wsk_client::Error, usage: Usage) -> Self {
        use wsk_client::Error as Client;
        let exit = match error {
            // The failure of an action is its own message; upstream prints none.
            Client::Application { status, .. } | Client::Rejected { status, .. } | Client::Unexplained { status } => {
                Exit::from_status(*status)
            }
            Client::NoCredentials { .. } => Exit::USAGE,
            Client::Connection { .. } | Client::NoTls { .. } => Exit::NETWORK,
            Client::InvalidHost { .. } | Client::Malformed { .. } | Client::Tls { .. } => Exit::GENERAL,
        };
        let usage = match error {
            Client::NoCredentials { .. } => Usage::Shown,
            Client::Application { .. }
            | Client::Rejected { .. }
            | Client::Unexplained { .. }
            | Client::Connection { .. }
            | Client::NoTls { .. }
            | Client::InvalidHost { .. }
            | Client::Malformed { .. }
            | Client::Tls { .. } => usage,
        };
        Self::Said {
            message: format!("{attempted}: {error}"),
            exit,
            usage,
        }
    }

    pub fn with_exit(self, exit: Exit) -> Self {
        match self {
            Self::Said { message, usage, .. } => Self::Said { message, exit, usage },
            Self::Reported(_) => Self::Reported(exit),
            Self::ClosedPipe => Self::ClosedPipe,
        }
    }

    pub fn without_usage(self) -> Self {
        match self {
            Self::Said { message, exit, .. } => Self::Said {
                message,
                exit,
                usage: Usage::Hidden,
            },
            Self::Reported(_) | Self::ClosedPipe => self,
        }
    }

    /// Puts `text` in front of the message.
    pub fn prefixed(self, text: &str) -> Self {
        match self {
            Self::Said { message, exit, usage } => Self::Said {
                message: format!("{text}{message}"),
                exit,
                usage,
            },
            Self::Reported(_) | Self::ClosedPipe => self,
        }
    }

    /// The prefix of everything that is wrong with what was typed.
    pub fn in_arguments(self) -> Self {
        self.prefixed("Invalid argument(s). ")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::new(format!("Unable to write the output: {error}")).without_usage(),
        }
    }
}
