//! `wsk project sync`: a deployment that remembers what it made, so that what has left the manifest leaves the platform.

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use wsk_client::{Client, Page};

use super::calls::{Platform, Sort, own_name};
use super::entities::project_of;
use super::{Job, deploy, refused};
use crate::context::Context;
use crate::failure::Failure;
use crate::json::text;

pub async fn run(cx: &mut Context, job: &Job) -> Result<(), Failure> {
    let Some(name) = job.manifest.name.as_deref() else {
        let text = "The name of the project is missing; a managed project needs one.";
        return Err(refused("ERROR_YAML_FILE_FORMAT_ERROR", text));
    };
    let hash = fingerprint(job);
    let managed = json!({
        "file": job.files.manifest.name,
        "projectDeps": [],
        "projectHash": hash,
        "projectName": name,
    });
    deploy::run(cx, job, Some(&managed)).await?;
    let told = job.told;
    let (client, namespace) = (&job.client, &job.namespace);
    let out = &mut cx.out;
    remove(client, namespace, name, Some(&hash), &mut |what: &str| match told {
        true => out.line(format!(
            "Warning: Deleting {what} which was removed from the current managed project [{name}] as part of undeployment."
        )),
        false => Ok(()),
    })
    .await
}

/// Changes whenever one of the files does.
fn fingerprint(job: &Job) -> String {
    let mut hash = Sha1::new();
    hash.update(job.files.manifest.text.as_bytes());
    if let Some(deployment) = &job.files.deployment {
        hash.update([0]);
        hash.update(deployment.text.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Deletes what is marked as the project's, but for what carries the hash `keep`.
pub async fn remove(
    client: &Client,
    namespace: &str,
    project: &str,
    keep: Option<&str>,
    tell: &mut (dyn FnMut(&str) -> Result<(), Failure> + Send),
) -> Result<(), Failure> {
    let auth = client
        .config()
        .credentials
        .as_ref()
        .map_or("", |credentials| credentials.as_str());
    let platform = Platform {
        client,
        namespace,
        auth,
    };
    for sort in [Sort::Rule, Sort::Trigger, Sort::Action, Sort::Package] {
        for name in marked(&platform, sort, project, keep).await? {
            tell(&format!("{} [{name}]", sort.name()))?;
            match sort {
                Sort::Trigger => platform.delete_trigger(&name).await?,
                Sort::Package | Sort::Action | Sort::Rule => platform.delete(sort, &name).await?,
            }
        }
    }
    Ok(())
}

async fn marked(
    platform: &Platform<'_>,
    sort: Sort,
    project: &str,
    keep: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let listed = platform.collection(sort).list(Page::ALL).await;
    let listed = listed.map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", error))?;
    let is_ours = |document: &&Value| {
        project_of(document)
            .is_some_and(|mark| text(mark, "projectName") == project && Some(text(mark, "projectHash")) != keep)
    };
    Ok(listed.iter().filter(is_ours).map(own_name).collect())
}
