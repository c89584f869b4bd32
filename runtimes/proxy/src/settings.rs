//! What the container's environment tells the proxy.
//!
//! Everything named `WSK_*` is ours and is taken out of the environment, so that no child sees it: the log's end mark is a
//! secret, and the listening socket would let user code speak to the proxy as the invoker does.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::Error;

/// The end mark when no secret one was given, as every OpenWhisk log reader knows it.
pub const CLASSIC_SENTINEL: &str = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_UNPACKED_BYTES: u64 = 512 * 1024 * 1024;

/// Which launcher answers `/init` and `/run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Nodejs,
    Python,
    Native,
    ActionLoop,
}

/// Where requests come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A listening unix socket inherited from the parent.
    Inherited(RawFd),
    Path(PathBuf),
    /// All addresses of the container, as images do.
    Port(u16),
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: Listen,
    pub sentinel: String,
    /// Bytes an archive may unpack to.
    pub max_unpacked: u64,
    /// Several activations at a time in one process, for the languages that can.
    pub concurrent: bool,
    /// The environment children start from.
    pub environment: Vec<(OsString, OsString)>,
}

impl Language {
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "nodejs" => Ok(Language::Nodejs),
            "python" => Ok(Language::Python),
            "native" => Ok(Language::Native),
            "actionloop" => Ok(Language::ActionLoop),
            other => Err(Error::UnknownLanguage(other.to_owned())),
        }
    }
}

impl Settings {
    /// Reads the environment. `WSK_*` variables do not get into [`Settings::environment`].
    pub fn from_variables(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, Error> {
        let (ours, environment): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| is_ours(name));
        let find = |list: &[(OsString, OsString)], name: &str| {
            list.iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.to_string_lossy().into_owned())
        };
        let listen = if let Some(fd) = find(&ours, "WSK_PROXY_FD") {
            Listen::Inherited(number("WSK_PROXY_FD", "the number of a listening socket", &fd)?)
        } else if let Some(path) = find(&ours, "WSK_PROXY_SOCKET") {
            Listen::Path(path.into())
        } else {
            match find(&environment, "PORT") {
                Some(port) => Listen::Port(number("PORT", "a port number", &port)?),
                None => Listen::Port(DEFAULT_PORT),
            }
        };
        let max_unpacked = match find(&ours, "WSK_MAX_UNPACKED_BYTES") {
            Some(text) => number("WSK_MAX_UNPACKED_BYTES", "a number of bytes", &text)?,
            None => DEFAULT_UNPACKED_BYTES,
        };
        Ok(Settings {
            listen,
            sentinel: find(&ours, "WSK_LOG_SENTINEL").unwrap_or_else(|| CLASSIC_SENTINEL.to_owned()),
            max_unpacked,
            concurrent: find(&environment, "__OW_ALLOW_CONCURRENT").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            environment,
        })
    }

    /// The value of a variable of the environment children get.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.environment
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.to_string_lossy().into_owned())
    }
}

fn is_ours(name: &OsString) -> bool {
    name.to_string_lossy().starts_with("WSK_")
}

fn number<T: std::str::FromStr>(name: &'static str, expected: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Setting {
        name,
        expected,
        value: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter()
            .map(|(n, v)| (OsString::from(n), OsString::from(v)))
            .collect()
    }

    #[test]
    fn an_inherited_socket_comes_before_a_path_and_a_path_before_a_port() {
        let all = [("WSK_PROXY_FD", "7"), ("WSK_PROXY_SOCKET", "/s"), ("PORT", "99")];
        let listen = |list: &[(&str, &str)]| Settings::from_variables(variables(list)).unwrap().listen;
        assert_eq!(listen(&all), Listen::Inherited(7));
        assert_eq!(listen(&all[1..]), Listen::Path("/s".into()));
        assert_eq!(listen(&all[2..]), Listen::Port(99));
        assert_eq!(listen(&[]), Listen::Port(8080));
    }

    #[test]
    fn children_never_see_our_variables() {
        let settings = Settings::from_variables(variables(&[
            ("WSK_LOG_SENTINEL", "secret"),
            ("A", "b=c"),
            ("WSK_PROXY_FD", "3"),
        ]))
        .unwrap();
        assert_eq!(settings.sentinel, "secret");
        assert_eq!(settings.environment, variables(&[("A", "b=c")]));
    }

    #[test]
    fn a_wrong_number_names_its_variable() {
        let error = Settings::from_variables(variables(&[("WSK_PROXY_FD", "x")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "WSK_PROXY_FD must be the number of a listening socket, it is 'x'"
        );
    }
}
