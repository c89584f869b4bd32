//! The properties file and the environment: the only place that reads either.
//!
//! Precedence is flag, environment, file, default. `$WSK_CONFIG_FILE` replaces `~/.wskprops` whenever the variable
//! exists, even when it is empty or points nowhere.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use wsk_client::Proxies;

/// What the process was started with, besides its arguments.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The properties file; nothing when no home is known.
    pub file: Option<PathBuf>,
    pub api_host: Option<String>,
    pub auth: Option<String>,
    pub api_version: Option<String>,
    /// Debug output from the start (`WSK_CLI_DEBUG`).
    pub debug: bool,
    /// Proxies for plain and for encrypted requests, and the hosts that go without.
    pub proxies: Proxies,
}

/// The content of a properties file, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

/// What is in force after every source has been asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub api_host: String,
    pub auth: String,
    pub api_version: String,
    pub cert: String,
    pub key: String,
    pub gateway_token: Option<String>,
    /// The key in the file alone, which names the tenant of API routes.
    pub file_auth: String,
}

/// Values given as flags.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub api_host: Option<String>,
    pub auth: Option<String>,
    pub api_version: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

pub const DEFAULT_API_VERSION: &str = "v1";

impl Environment {
    pub fn from_process() -> Self {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let either = |name: &str| set(name).or_else(|| set(&name.to_lowercase()));
        let file = match env::var_os("WSK_CONFIG_FILE") {
            Some(file) => Some(PathBuf::from(file)),
            None => env::home_dir().map(|home| home.join(".wskprops")),
        };
        Self {
            file,
            api_host: set("WHISK_APIHOST"),
            auth: set("WHISK_AUTH"),
            api_version: set("WHISK_APIVERSION"),
            debug: set("WSK_CLI_DEBUG").is_some(),
            proxies: Proxies {
                http: either("HTTP_PROXY"),
                https: either("HTTPS_PROXY"),
                none_for: either("NO_PROXY"),
            },
        }
    }

    /// A variable that a manifest names.
    pub fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }

    /// The file's content; an unreadable file is an empty one.
    pub fn properties(&self) -> Properties {
        let text = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        Properties::parse(&text.unwrap_or_default())
    }

    /// Writes the whole file again.
    pub fn write(&self, properties: &Properties) -> io::Result<()> {
        let file = self.file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let file = file.ok_or_else(|| io::Error::other("no properties file: set HOME or WSK_CONFIG_FILE"))?;
        write_private(file, &properties.to_text())
    }
}

/// The file holds a key, so a new one is for its owner's eyes only.
fn write_private(file: &std::path::Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}

impl Properties {
    pub fn parse(text: &str) -> Self {
        let mut properties = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let parts: Vec<&str> = line.split('=').collect();
            if let [key, value] = parts[..] {
                properties.set(key, value);
            }
        }
        properties
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, key: &str, value: &str) {
        let key = key.to_uppercase();
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.0.push((key, value.to_owned())),
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    fn to_text(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }
}

impl Settings {
    pub fn resolve(flags: &Overrides, environment: &Environment, file: &Properties) -> Self {
        let text = |key: &str| file.get(key).unwrap_or_default().to_owned();
        let first = |flag: &Option<String>, env: &Option<String>, file: String| {
            flag.clone().or_else(|| env.clone()).unwrap_or(file)
        };
        let host = text("APIHOST");
        let version = match text("APIVERSION") {
            empty if empty.is_empty() => DEFAULT_API_VERSION.to_owned(),
            version => version,
        };
        Self {
            api_host: first(
                &flags.api_host,
                &environment.api_host,
                host.strip_suffix('/').unwrap_or(&host).to_owned(),
            ),
            auth: first(&flags.auth, &environment.auth, text("AUTH")),
            api_version: first(&flags.api_version, &environment.api_version, version),
            cert: first(&flags.cert, &None, text("CERT")),
            key: first(&flags.key, &None, text("KEY")),
            gateway_token: file.get("APIGW_ACCESS_TOKEN").map(str::to_owned),
            file_auth: text("AUTH"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_count() {
        let text = "APIHOST=http://h:1    # c\n# AUTH=no\n  AUTH=a:b  \nBROKEN\nTWO=a=b\nlower=x\n";
        let properties = Properties::parse(text);
        assert_eq!(properties.get("APIHOST"), Some("http://h:1"));
        assert_eq!(properties.get("AUTH"), Some("a:b"));
        assert_eq!(properties.get("TWO"), None);
        assert_eq!(properties.get("LOWER"), Some("x"));
    }

    #[test]
    fn unknown_keys_survive_a_change() {
        let mut properties = Properties::parse("OTHER=1\nAPIHOST=a\n");
        properties.set("APIHOST", "b");
        properties.remove("AUTH");
        assert_eq!(properties.to_text(), "OTHER=1\nAPIHOST=b\n");
    }

    #[test]
    fn precedence_is_flag_environment_file_default() {
        let file = Properties::parse("APIHOST=file/\nAUTH=file\n");
        let none = (Overrides::default(), Environment::default());
        let settings = Settings::resolve(&none.0, &none.1, &file);
        assert_eq!(
            (settings.api_host.as_str(), settings.api_version.as_str()),
            ("file", "v1")
        );

        let environment = Environment {
            api_host: Some("env/".into()),
            ..Environment::default()
        };
        assert_eq!(Settings::resolve(&none.0, &environment, &file).api_host, "env/");

        let flags = Overrides {
            api_host: Some("flag".into()),
            ..Overrides::default()
        };
        assert_eq!(Settings::resolve(&flags, &environment, &file).api_host, "flag");
    }

    #[test]
    fn the_tenant_comes_from_the_file_alone() {
        let flags = Overrides {
            auth: Some("flag:k".into()),
            ..Overrides::default()
        };
        let settings = Settings::resolve(&flags, &Environment::default(), &Properties::parse("AUTH=file:k"));
        assert_eq!(
            (settings.auth.as_str(), settings.file_auth.as_str()),
            ("flag:k", "file:k")
        );
    }
}
