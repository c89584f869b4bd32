//! `wsk sdk`.

use std::path::Path;

use clap::{Args, CommandFactory as _, Subcommand};

use super::Cli;
use crate::args::tuned;
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::files;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// install SDK artifacts
    Install(Install),
}

#[derive(Debug, Args)]
pub struct Install {
    #[arg(value_name = "COMPONENT")]
    args: Vec<String>,
    /// prints bash command completion script to stdout
    #[arg(short, long)]
    stdout: bool,
}

impl Command {
    pub fn works_without_host(&self) -> bool {
        let Self::Install(install) = self;
        matches!(install.component(), Ok(Component::Completion))
    }

    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let Self::Install(install) = self;
        install.run(cx).await
    }
}

/// What can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Component {
    Docker,
    Ios,
    Completion,
}

impl Install {
    fn component(&self) -> Result<Component, Failure> {
        let Some(named) = self.args.first() else {
            let missing =
                "The SDK component argument is missing. One component (docker, ios, or bashauto) must be specified";
            return Err(Failure::new(missing));
        };
        match named.to_lowercase().as_str() {
            "docker" => Ok(Component::Docker),
            "ios" => Ok(Component::Ios),
            "bashauto" => Ok(Component::Completion),
            _ => Err(Failure::new(format!(
                "The SDK component argument '{named}' is invalid. Valid components are docker, ios and bashauto"
            ))),
        }
    }

    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self.component()? {
            Component::Docker => docker(cx).await,
            Component::Ios => ios(cx).await,
            Component::Completion => completion(cx, self.stdout),
        }
    }
}

const SKELETON: &str = "blackbox.tar.gz";
const STARTER_APP: &str = "OpenWhiskIOSStarterApp.zip";
const SCRIPT: &str = "wsk_cli_bash_completion.sh";

/// Unpacks the skeleton of an action image into the working directory.
async fn docker(cx: &mut Context) -> Result<(), Failure> {
    let attempted = "The docker SDK installation failed";
    let packed = download(cx, SKELETON, attempted).await?;
    let unpacked = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice())).unpack(".");
    unpacked.map_err(|error| Failure::new(format!("{attempted}: {error}")).without_usage())?;
    cx.out
        .line("The docker skeleton is now installed at the current directory.")
}

async fn ios(cx: &mut Context) -> Result<(), Failure> {
    let app = download(cx, STARTER_APP, "The iOS SDK installation failed").await?;
    files::create(STARTER_APP, &app)?;
    cx.out.line(format!(
        "Downloaded OpenWhisk iOS starter app. Unzip '{STARTER_APP}' and open the project in Xcode."
    ))
}

async fn download(cx: &Context, file: &str, attempted: &str) -> Result<Vec<u8>, Failure> {
    if Path::new(file).exists() {
        let text = format!("{attempted}: The file '{file}' already exists.  Delete it and retry.");
        return Err(Failure::new(text).without_usage());
    }
    let fetched = cx.client()?.download(file).await;
    fetched
        .map(Into::into)
        .map_err(|error| Failure::call(attempted, &error, Usage::Hidden))
}

fn completion(cx: &mut Context, to_stdout: bool) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut root = tuned(Cli::command());
    clap_complete::generate(clap_complete::Shell::Bash, &mut root, "wsk", &mut script);
    if to_stdout {
        return cx.out.text(&String::from_utf8_lossy(&script));
    }
    files::create(SCRIPT, &script)?;
    cx.out.line(format!(
        "The bash auto-completion script ({SCRIPT}) is installed in the current directory.\nTo enable command line \
         completion of wsk commands, source the auto completion script into your bash environment\n"
    ))
}
