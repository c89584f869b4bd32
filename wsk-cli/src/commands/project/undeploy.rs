//! `wsk project undeploy`: what a manifest describes is taken away, what depends on others first.

use wsk_client::ApiQuery;

use super::calls::{Platform, Sort};
use super::entities::{self, all};
use super::{Job, broken, refused};
use crate::commands::api;
use crate::context::Context;
use crate::failure::Failure;

pub async fn run(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    match everything(cx, job).await {
        Ok(()) => cx.out.line("Success: Undeployment completed successfully."),
        Err(failure) => Err(broken(cx, "Undeployment did not complete successfully.", failure)),
    }
}

async fn everything(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    // Routes that stay keep nothing else from being removed.
    let routes = apis(cx, job).await;
    stored(cx, job).await?;
    routes
}

async fn stored(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    let manifest = &job.manifest;
    for (_, rule) in all(manifest, |package| &package.rules) {
        remove(cx, job, Sort::Rule, &rule.name).await?;
    }
    for (_, trigger) in all(manifest, |package| &package.triggers) {
        remove(cx, job, Sort::Trigger, &trigger.name).await?;
    }
    for (package, sequence) in all(manifest, |package| &package.sequences) {
        remove(cx, job, Sort::Action, &package.qualified(&sequence.name)).await?;
    }
    for (package, action) in all(manifest, |package| &package.actions) {
        remove(cx, job, Sort::Action, &package.qualified(&action.name)).await?;
    }
    for package in manifest.packages.iter().filter(|package| !package.is_default()) {
        remove(cx, job, Sort::Package, &package.name).await?;
    }
    for (_, dependency) in all(manifest, |package| &package.dependencies) {
        remove(cx, job, Sort::Package, &entities::dependency(dependency)?.name).await?;
    }
    Ok(())
}

/// Takes away all routes that can be; what kept the first of the others is the error. Routes that are not there, or on a platform
/// without an API gateway, are no mistake.
async fn apis(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    let mut result = Ok(());
    for query in routes(job)? {
        let route = format!("{} {}{}", query.verb, query.base, query.path);
        let route = route.trim_start();
        match job.client.delete_api(&api::tenant(cx)?, &query).await {
            Ok(()) => job.tell(cx, format!("api [{route}] has been successfully undeployed."))?,
            Err(error) if is_missing(&error) => {}
            Err(error) => {
                let text = format!("Unable to delete API [{route}]: {error}");
                result = result.and(Err(refused("ERROR_WHISK_CLIENT_ERROR", text)));
            }
        }
    }
    result
}

/// What `deploy` made: one whole API where a file describes it, else route by route.
fn routes(job: &Job) -> Result<Vec<ApiQuery>, Failure> {
    if let Some(file) = job.api_file() {
        let base = api::base_path(&file)?;
        return Ok(vec![ApiQuery {
            base,
            ..ApiQuery::default()
        }]);
    }
    let routes = all(&job.manifest, |package| &package.apis).map(|(_, api)| ApiQuery {
        base: api.base.clone(),
        path: api.path.clone(),
        verb: api.verb.clone(),
    });
    Ok(routes.collect())
}

/// Whether a route is not there: the API gateway's actions say so in words, with the status of any failure of an action.
fn is_missing(error: &wsk_client::Error) -> bool {
    let told = matches!(error, wsk_client::Error::Application { .. }) && error.to_string().contains("does not exist");
    told || error.not_found()
}

async fn remove(cx: &mut Context, job: &Job, sort: Sort, name: &str) -> Result<(), Failure> {
    let platform = Platform {
        client: &job.client,
        namespace: &job.namespace,
        auth: cx.auth(),
    };
    if platform.get(sort, name).await?.is_none() {
        return Ok(());
    }
    match sort {
        Sort::Trigger => platform.delete_trigger(name).await?,
        Sort::Package | Sort::Action | Sort::Rule => platform.delete(sort, name).await?,
    }
    job.tell(
        cx,
        format!("{} [{name}] has been successfully undeployed.", sort.name()),
    )
}
