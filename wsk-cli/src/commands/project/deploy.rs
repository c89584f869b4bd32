//! `wsk project deploy`: everything a manifest describes, in the order in which one needs the other.

use serde_json::{Map, Value};
use wsk_client::{Client, Config, RuleState};

use super::artifact::{Mismatch, Runtimes, address, exec};
use super::calls::{LifeCycle, Platform, Sort};
use super::entities::{self, Put, all, mark};
use super::manifest::{Action, Api, Package, Trigger};
use super::{Job, broken, refused};
use crate::commands::api;
use crate::context::Context;
use crate::failure::Failure;
use crate::json::key_value;

const FAILED: &str =
    "Deployment did not complete successfully. Run `wskdeploy undeploy` to remove partially deployed assets.";

/// Deploys; `managed` is the mark of a project that is kept in step.
pub async fn run(cx: &mut Context, job: &Job, managed: Option<&Value>) -> Result<(), Failure> {
    match everything(cx, job, managed).await {
        Ok(()) => cx.out.line("Success: Deployment completed successfully."),
        Err(failure) => Err(broken(cx, FAILED, failure)),
    }
}

async fn everything(cx: &mut Context, job: &Job, managed: Option<&Value>) -> Result<(), Failure> {
    let actions = actions(job).await?;
    // As with code: what cannot be is found out before anything is written.
    let dependencies = all(&job.manifest, |package| &package.dependencies).map(|(_, one)| entities::dependency(one));
    let dependencies = dependencies.collect::<Result<Vec<Put>, Failure>>()?;
    let described = job.api_file().map(|file| api::description(&file)).transpose()?;
    let namespace = &job.namespace;
    for package in job.manifest.packages.iter().filter(|package| !package.is_default()) {
        store(cx, job, Sort::Package, entities::package(package), managed).await?;
    }
    for dependency in dependencies {
        store(cx, job, Sort::Package, dependency, managed).await?;
    }
    for action in actions {
        store(cx, job, Sort::Action, action, managed).await?;
    }
    for (package, sequence) in all(&job.manifest, |package| &package.sequences) {
        let web = entities::web_for_apis(package, &sequence.name, sequence.web, job.strict)?;
        let put = entities::sequence(namespace, package, sequence, web);
        store(cx, job, Sort::Action, put, managed).await?;
    }
    for (_, trigger) in all(&job.manifest, |package| &package.triggers) {
        deploy_trigger(cx, job, trigger, managed).await?;
    }
    for (package, rule) in all(&job.manifest, |package| &package.rules) {
        store(cx, job, Sort::Rule, entities::rule(namespace, package, rule), managed).await?;
        let active = job
            .client
            .set_rule_state(namespace, &rule.name, RuleState::Active)
            .await;
        active.map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", error))?;
    }
    apis(cx, job, described).await
}

/// Every action with its code: what cannot be read is found out before anything is written.
async fn actions(job: &Job) -> Result<Vec<Put>, Failure> {
    let runtimes = Runtimes::new(job.client.information().await.ok().as_ref());
    let mismatch = match job.strict {
        true => Mismatch::ManifestWins,
        false => Mismatch::ExtensionWins,
    };
    let folder = job.files.folder();
    let mut made = Vec::new();
    for (package, action) in all(&job.manifest, |package| &package.actions) {
        let web = entities::web_for_apis(package, &action.name, action.web, job.strict)?;
        let fetched = fetch(job, action).await?;
        let exec = exec(action, &folder, fetched, &runtimes, mismatch)?;
        made.push(entities::action(package, action, exec, web));
    }
    Ok(made)
}

/// The code of an action that names an address. Whoever hands it out does not learn the caller's key, and has to show a
/// certificate that can be trusted: this is code that will run.
async fn fetch(job: &Job, action: &Action) -> Result<Option<Vec<u8>>, Failure> {
    let Some((origin, path)) = address(action) else {
        return Ok(None);
    };
    let elsewhere = Config {
        host: origin.to_owned(),
        credentials: None,
        identity: None,
        insecure: false,
        ..job.client.config().clone()
    };
    let fetched = async { Client::new(elsewhere)?.download(path).await }.await;
    let code = fetched.map_err(|error| {
        let text = format!("Action [{}]: File: [{origin}/{path}]: {error}", action.name);
        refused("ERROR_FILE_READ_ERROR", text)
    })?;
    Ok(Some(code.into()))
}

async fn store(cx: &mut Context, job: &Job, sort: Sort, mut put: Put, managed: Option<&Value>) -> Result<(), Failure> {
    let name = put.name.clone();
    mark(&mut put, managed);
    job.tell(cx, format!("Deploying {} [{name}] ...", sort.name()))?;
    platform(cx, job).put(sort, &put).await?;
    job.tell(cx, format!("{} [{name}] has been successfully deployed.", sort.name()))
}

fn platform<'a>(cx: &'a Context, job: &'a Job) -> Platform<'a> {
    Platform {
        client: &job.client,
        namespace: &job.namespace,
        auth: cx.auth(),
    }
}

/// A trigger with a feed is made anew, so that the feed learns what changed.
async fn deploy_trigger(
    cx: &mut Context,
    job: &Job,
    trigger: &Trigger,
    managed: Option<&Value>,
) -> Result<(), Failure> {
    let put = entities::trigger(&job.namespace, trigger);
    let Some(feed) = entities::feed_of(&job.namespace, trigger) else {
        return store(cx, job, Sort::Trigger, put, managed).await;
    };
    platform(cx, job).delete_trigger(&trigger.name).await?;
    store(cx, job, Sort::Trigger, put, managed).await?;
    let inputs = trigger.inputs.iter();
    let inputs: Map<String, Value> = inputs
        .filter_map(|input| Some((input.name.clone(), input.value.clone()?)))
        .collect();
    let platform = platform(cx, job);
    let told = platform.feed(&feed, LifeCycle::Create, &trigger.name, &inputs).await;
    if told.is_err() {
        platform.delete(Sort::Trigger, &trigger.name).await?;
    }
    told.map(|_| ())
}

/// Makes the API that a file describes, or else the routes of the manifest.
async fn apis(cx: &mut Context, job: &Job, described: Option<Value>) -> Result<(), Failure> {
    if let Some(body) = described {
        let tenant = api::tenant(cx)?;
        let created = job.client.create_api(&tenant, None, &body).await;
        return created
            .map(|_| ())
            .map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", error));
    }
    for (package, api) in all(&job.manifest, |package| &package.apis) {
        deploy_api(cx, job, package, api).await?;
    }
    Ok(())
}

async fn deploy_api(cx: &mut Context, job: &Job, package: &Package, api: &Api) -> Result<(), Failure> {
    let tenant = api::tenant(cx)?;
    let name = package.qualified(&api.action);
    let action = platform(cx, job).get(Sort::Action, &name).await?;
    let missing = || {
        refused(
            "ERROR_YAML_FILE_FORMAT_ERROR",
            format!("API [{}]: there is no action [{name}].", api.name),
        )
    };
    let action = action.ok_or_else(missing)?;
    let backend = entities::Backend {
        namespace: &job.namespace,
        origin: &job.client.config().origin(),
        auth: cx.auth(),
        secret: key_value(action.get("annotations"), "require-whisk-auth"),
    };
    let body = entities::api(package, api, &backend);
    let created = job.client.create_api(&tenant, Some(&api.response), &body).await;
    created.map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", format!("Unable to create API: {error}")))?;
    job.tell(
        cx,
        format!(
            "api [{} {}{}] has been successfully deployed.",
            api.verb, api.base, api.path
        ),
    )
}
