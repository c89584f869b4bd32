//! Exit codes, as scripts written for OpenWhisk's own `wsk` expect them.

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Success, help, and an unknown subcommand of a group.
    pub const OK: Self = Self(0);
    /// Wrong arguments and most failures that never reached the platform.
    pub const GENERAL: Self = Self(1);
    /// Missing files, unusable artifacts, and a missing key.
    pub const USAGE: Self = Self(2);
    /// The platform cannot be reached.
    pub const NETWORK: Self = Self(3);
    /// Flags that exclude each other.
    pub const NOT_ALLOWED: Self = Self(149);
    /// A blocking request that was not finished in time.
    pub const UNFINISHED: Self = Self(202);

    /// The code for an HTTP status: the status modulo 256.
    pub fn from_status(status: u16) -> Self {
        Self((status % 256) as u8)
    }

    /// A count of failed items, as `wskadmin user block` reports it.
    pub fn from_count(count: usize) -> Self {
        Self(u8::try_from(count).unwrap_or(u8::MAX))
    }

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_statuses_wrap_at_256() {
        let expected = [
            (400, 144),
            (401, 145),
            (404, 148),
            (409, 153),
            (429, 173),
            (500, 244),
            (502, 246),
            (504, 248),
        ];
        for (status, code) in expected {
            assert_eq!(Exit::from_status(status).code(), code);
        }
    }
}
