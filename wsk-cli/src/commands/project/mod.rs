//! `wsk project`: what a manifest describes, brought to the platform, taken away again, or written down.
//!
//! A command finds its files ([`locate`]), reads them strictly ([`manifest`]), and turns what they say into documents
//! ([`entities`], which decides everything and calls nobody). `deploy`, `undeploy`, `sync` and `export` make the calls.
//! Not here: whether a name or a limit is valid; the platform says so.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use wsk_client::Client;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::pairs::Sort;

use locate::Files;
use manifest::Manifest;
use reader::Role;

mod archive;
mod artifact;
mod calls;
mod deploy;
mod entities;
mod export;
mod fields;
mod locate;
mod manifest;
mod preview;
mod reader;
mod sync;
mod undeploy;
mod values;

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(about = "A tool set to help deploy your openwhisk packages using a manifest file.")]
    Deploy(Flags),
    /// Undeploy OpenWhisk assets from server
    Undeploy(Flags),
    #[command(about = "A tool to sync your OpenWhisk packages between client and server.")]
    Sync(Flags),
    /// Export project assets from OpenWhisk
    Export(Flags),
}

/// What all four take.
#[derive(Debug, Args)]
pub struct Flags {
    /// path to manifest file
    #[arg(long, value_name = "string")]
    manifest: Option<String>,
    /// path to deployment file
    #[arg(long, value_name = "string")]
    deployment: Option<String>,
    /// path to serverless project
    #[arg(long, value_name = "string", default_value = ".")]
    project: String,
    /// path of the properties file with the credentials
    #[arg(long, value_name = "string")]
    config: Option<String>,
    /// show what would be deployed, without deploying it
    #[arg(long)]
    preview: bool,
    /// take the runtime of the manifest also where the file's extension suggests another, and let no action that an API needs to become a web action
    #[arg(long)]
    strict: bool,
    /// name of the project
    #[arg(long, value_name = "string")]
    projectname: Option<String>,
    /// namespace of the deployment
    #[arg(short, long, value_name = "string")]
    namespace: Option<String>,
    #[command(flatten)]
    parameters: super::ParameterHelp,
}

/// A manifest that was read, and where it goes.
pub struct Job {
    pub manifest: Manifest,
    pub files: Files,
    pub client: Client,
    pub namespace: String,
    pub strict: bool,
    /// Whether each step is told.
    pub told: bool,
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        // Verbose means the steps here; the traffic is for `--debug`.
        let told = std::mem::take(&mut cx.globals.verbose);
        match self {
            Self::Export(flags) => export::run(cx, &flags).await,
            Self::Undeploy(flags) if flags.projectname.is_some() => {
                let (client, namespace) = locate::platform(cx, &flags, None)?;
                let name = flags.projectname.as_deref().unwrap_or_default();
                sync::remove(&client, &namespace, name, None, &mut |_| Ok(())).await
            }
            Self::Deploy(flags) => match Job::prepare(cx, &flags, told, "deploy")? {
                Some(job) if flags.preview => preview::show(cx, &job.manifest),
                Some(job) => deploy::run(cx, &job, None).await,
                None => Ok(()),
            },
            Self::Undeploy(flags) => match Job::prepare(cx, &flags, told, "undeploy")? {
                Some(job) if flags.preview => preview::show(cx, &job.manifest),
                Some(job) => undeploy::run(cx, &job).await,
                None => Ok(()),
            },
            Self::Sync(flags) => match Job::prepare(cx, &flags, told, "sync")? {
                Some(job) => sync::run(cx, &job).await,
                None => Ok(()),
            },
        }
    }
}

impl Job {
    /// Finds and reads what is to be done; nothing when there is no manifest, which has been said then.
    fn prepare(cx: &mut Context, flags: &Flags, told: bool, command: &str) -> Result<Option<Job>, Failure> {
        let Some(files) = Files::find(flags)? else {
            cx.out
                .line(format!("Manifest file not found at path [{}].", flags.project))?;
            cx.out.line(format!("Usage:\n  wsk project {command} [flags]"))?;
            return Ok(None);
        };
        let given = cx.lists.parameters.to_object(Sort::Parameter)?;
        let manifest = read(cx, &files, flags, &given)?;
        let (client, namespace) = locate::platform(cx, flags, Some(&manifest))?;
        Ok(Some(Job {
            manifest,
            files,
            client,
            namespace,
            strict: flags.strict,
            told,
        }))
    }

    /// Path of the file that describes the whole API, if one does.
    fn api_file(&self) -> Option<String> {
        let file = self.manifest.api_file.as_ref()?;
        Some(self.files.folder().join(file).display().to_string())
    }

    /// A step of the work, said when somebody wants to hear it.
    fn tell(&self, cx: &mut Context, text: impl AsRef<str>) -> Result<(), Failure> {
        match self.told {
            true => cx.out.line(format!("Info: {}", text.as_ref())),
            false => Ok(()),
        }
    }
}

fn read(cx: &Context, files: &Files, flags: &Flags, given: &Map<String, Value>) -> Result<Manifest, Failure> {
    let lookup = |name: &str| cx.environment.variable(name);
    let mut manifest = Manifest::parse(&files.manifest.text, &files.manifest.name, Role::Manifest, &lookup)?;
    if let Some(deployment) = &files.deployment {
        let over = Manifest::parse(&deployment.text, &deployment.name, Role::Deployment, &lookup)?;
        manifest.overlay(over, &files.manifest.name, &deployment.name)?;
    }
    manifest.set_inputs(given);
    if let Some(name) = &flags.projectname {
        manifest.name = Some(name.clone());
    }
    manifest.check_required()?;
    Ok(manifest)
}

/// A failure with upstream's name for its sort, which scripts look for.
fn refused(sort: &str, text: impl std::fmt::Display) -> Failure {
    Failure::new(format!("[{sort}]: {text}")).without_usage()
}

/// Says that something went wrong after the work had begun, and ends with 1.
fn broken(cx: &mut Context, headline: &str, failure: Failure) -> Failure {
    let Failure::Said { message, .. } = failure else {
        return failure;
    };
    match cx.out.error_text(&format!("Error: {headline}\n{message}")) {
        Ok(()) => Failure::Reported(Exit::GENERAL),
        Err(failure) => failure,
    }
}
