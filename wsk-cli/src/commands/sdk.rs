//! `wsk sdk`.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::failure::Failure;

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

    async fn run(self, _: &mut Context) -> Result<(), Failure> {
        let _ = self.stdout;
        match self.component()? {
            Component::Docker | Component::Ios | Component::Completion => {
                Err(Failure::new("This SDK component is not available in this build."))
            }
        }
    }
}
