//! `wsk property`.

use clap::{Args, Subcommand};
use wsk_client::BuildInfo;

use crate::context::{CLI_VERSION, Context};
use crate::failure::{Failure, Usage};
use crate::names::OWN;
use crate::output::{Line, line};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// set property
    Set(Set),
    /// get property
    Get(Get),
    /// unset property
    Unset(Unset),
}

/// The flags are the global ones: what they set for one command elsewhere is written down here.
#[derive(Debug, Args)]
pub struct Set {}

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "", hide = true)]
    _ignored: Vec<String>,
    /// authorization key
    #[arg(long)]
    auth: bool,
    /// whisk API host
    #[arg(long)]
    apihost: bool,
    /// whisk API version
    #[arg(long)]
    apiversion: bool,
    /// whisk CLI version
    #[arg(long)]
    cliversion: bool,
    /// whisk API build version
    #[arg(long)]
    apibuild: bool,
    /// whisk API build number
    #[arg(long)]
    apibuildno: bool,
    /// whisk namespace
    #[arg(long)]
    namespace: bool,
    /// client cert
    #[arg(long)]
    cert: bool,
    /// client key
    #[arg(long)]
    key: bool,
    /// all properties
    #[arg(long)]
    all: bool,
    /// output format in std|raw
    #[arg(short, long, value_name = "string", default_value = "std")]
    output: String,
}

#[derive(Debug, Args)]
pub struct Unset {
    #[arg(value_name = "", hide = true)]
    _ignored: Vec<String>,
    /// authorization key
    #[arg(long)]
    auth: bool,
    /// whisk API host
    #[arg(long)]
    apihost: bool,
    /// whisk API version
    #[arg(long)]
    apiversion: bool,
    /// client cert
    #[arg(long)]
    cert: bool,
    /// client key
    #[arg(long)]
    key: bool,
}

/// What `get` can show, in the order it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Property {
    Host,
    Auth,
    Namespace,
    Cert,
    Key,
    CliVersion,
    ApiVersion,
    Build,
    BuildNumber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Labelled,
    Raw,
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Set(command) => command.run(cx),
            Self::Get(command) => command.run(cx).await,
            Self::Unset(command) => command.run(cx),
        }
    }

    /// Everything here works on files alone, but for what only the platform knows.
    pub fn works_without_host(&self) -> bool {
        match self {
            Self::Set(_) | Self::Unset(_) => true,
            Self::Get(get) => get.auth || get.cert || get.key || get.apihost || get.apiversion || get.cliversion,
        }
    }
}

impl Set {
    fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let given = cx.globals.overrides.clone();
        if given.api_host.is_none() && given.api_version.is_none() && given.auth.is_none() {
            cx.require_host()?;
        }
        cx.check_client()?;
        let see = |what: &str, flag: &str| {
            line(format!(
                "{what} set. Run 'wsk property get --{flag}' to see the new value."
            ))
        };
        let shown = |what: &str, value: &str| line(format!("{what} set to ")).bold(value);
        let changes = [
            ("CERT", &given.cert, see("client cert", "cert")),
            ("KEY", &given.key, see("client key", "key")),
            ("AUTH", &given.auth, see("whisk auth", "auth")),
            (
                "APIHOST",
                &given.api_host,
                shown("whisk API host", given.api_host.as_deref().unwrap_or_default()),
            ),
            (
                "APIVERSION",
                &given.api_version,
                shown("whisk API version", given.api_version.as_deref().unwrap_or_default()),
            ),
        ];
        let mut properties = cx.environment.properties();
        let mut told = Vec::new();
        for (key, value, line) in changes {
            if let Some(value) = value {
                properties.set(key, value);
                told.push(line);
            }
        }
        save(cx, &properties)?;
        told.into_iter().try_for_each(|line| cx.out.ok(line))
    }
}

impl Unset {
    fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let changes = [
            (self.cert, "CERT", "client cert unset."),
            (self.key, "KEY", "client key unset."),
            (self.auth, "AUTH", "whisk auth unset."),
            (self.apihost, "APIHOST", "whisk API host unset."),
            (
                self.apiversion,
                "APIVERSION",
                "whisk API version unset; the default value of v1 will be used.",
            ),
        ];
        let mut properties = cx.environment.properties();
        let changes: Vec<_> = changes.into_iter().filter(|(asked, _, _)| *asked).collect();
        if changes.is_empty() {
            return Ok(());
        }
        changes.iter().for_each(|(_, key, _)| properties.remove(key));
        save(cx, &properties)?;
        changes.into_iter().try_for_each(|(_, _, told)| cx.out.ok(told))
    }
}

impl Get {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        cx.check_client()?;
        let (chosen, asked_for_all) = self.chosen();
        let format = match self.output.to_lowercase().as_str() {
            "std" => Format::Labelled,
            "raw" if asked_for_all => {
                let specific = "--output|-o raw only supported with specific property type";
                return Err(Failure::new(specific).without_usage());
            }
            "raw" => Format::Raw,
            _ => return Err(Failure::new("Supported output format are std|raw").without_usage()),
        };
        let build = match chosen.iter().any(|property| property.needs_build()) {
            true => Some(cx.client()?.build_info().await),
            false => None,
        };
        let known = build.as_ref().and_then(|build| build.as_ref().ok()).cloned();
        for property in chosen {
            let value = property.value(cx, known.as_ref()).await?;
            match format {
                Format::Labelled => cx.out.line(Line::default().plain(property.label()).bold(value))?,
                Format::Raw => cx.out.line(value)?,
            }
        }
        match build {
            Some(Err(error)) => Err(Failure::call(
                "Unable to obtain API build information",
                &error,
                Usage::Hidden,
            )),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn chosen(&self) -> (Vec<Property>, bool) {
        use Property::{ApiVersion, Auth, Build, BuildNumber, Cert, CliVersion, Host, Key, Namespace};
        let flags = [
            (self.apihost, Host),
            (self.auth, Auth),
            (self.namespace, Namespace),
            (self.cert, Cert),
            (self.key, Key),
            (self.cliversion, CliVersion),
            (self.apiversion, ApiVersion),
            (self.apibuild, Build),
            (self.apibuildno, BuildNumber),
        ];
        if self.all || flags.iter().all(|(asked, _)| !asked) {
            return (
                vec![
                    Host,
                    Auth,
                    Namespace,
                    Cert,
                    Key,
                    ApiVersion,
                    CliVersion,
                    Build,
                    BuildNumber,
                ],
                true,
            );
        }
        (
            flags
                .into_iter()
                .filter_map(|(asked, property)| asked.then_some(property))
                .collect(),
            false,
        )
    }
}

impl Property {
    fn needs_build(self) -> bool {
        matches!(self, Self::Build | Self::BuildNumber)
    }

    /// The label with its tabs: two where the words are short.
    fn label(self) -> &'static str {
        match self {
            Self::Host => "whisk API host\t\t",
            Self::Auth => "whisk auth\t\t",
            Self::Namespace => "whisk namespace\t\t",
            Self::Cert => "client cert\t\t",
            Self::Key => "Client key\t\t",
            Self::CliVersion => "whisk CLI version\t",
            Self::ApiVersion => "whisk API version\t",
            Self::Build => "whisk API build\t\t",
            Self::BuildNumber => "whisk API build number\t",
        }
    }

    async fn value(self, cx: &Context, build: Option<&BuildInfo>) -> Result<String, Failure> {
        let settings = &cx.settings;
        let unknown = || "Unknown".to_owned();
        Ok(match self {
            Self::Host => settings.api_host.clone(),
            Self::Auth => settings.auth.clone(),
            Self::Namespace => namespace(cx).await?,
            Self::Cert => settings.cert.clone(),
            Self::Key => settings.key.clone(),
            Self::CliVersion => CLI_VERSION.to_owned(),
            Self::ApiVersion => settings.api_version.clone(),
            Self::Build => build.map_or_else(unknown, |build| build.build.clone()),
            Self::BuildNumber => build.map_or_else(unknown, |build| build.number.clone()),
        })
    }
}

/// The first namespace the key opens; `_` whenever that cannot be found out.
async fn namespace(cx: &Context) -> Result<String, Failure> {
    let names = cx.client()?.namespaces().await.unwrap_or_default();
    Ok(names.into_iter().next().unwrap_or_else(|| OWN.to_owned()))
}

fn save(cx: &Context, properties: &crate::props::Properties) -> Result<(), Failure> {
    cx.environment
        .write(properties)
        .map_err(|error| Failure::new(format!("Unable to write the property file: {error}")))
}
