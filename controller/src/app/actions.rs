//! Actions: reading, writing, listing.

use std::sync::Arc;

use wsk_entities::requests::ActionPut;
use wsk_entities::{
    Action, ActionLimits, Code, Collection, Entity, EntityPath, Exec, FullName, Json, Parameters, ShownAction, Version,
};

use super::cache::Value;
use super::changes::Overwrite;
use super::entitlement::{CONFORMANCE, package_of};
use super::secrets::veiled;
use super::{App, Caller, Error, now};

/// Whether an answer shows the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeWanted {
    Yes,
    No,
}

/// An action with what an answer shows of it.
#[derive(Debug)]
pub struct FullAction {
    action: Arc<Action>,
    parameters: Arc<Parameters>,
    code: Option<Arc<str>>,
}

/// Tells which keys the server itself decides.
const API_KEY_ANNOTATION: &str = "provide-api-key";
const EXEC_ANNOTATION: &str = "exec";

impl FullAction {
    pub fn shown(&self) -> ShownAction<'_> {
        self.action.shown(&self.parameters, self.code.as_deref())
    }
}

impl App {
    /// Checks that the caller may read under this name, whether or not there is an action.
    pub async fn may_read_action(&self, caller: &Caller, name: &FullName) -> Result<(), Error> {
        match name.package_name() {
            Some(package) => self.readable_package(caller, &package).await.map(drop),
            None => caller.must_own(name),
        }
    }

    /// Checks that the caller may write under this name: in an own namespace, and in a package that is there and plain.
    pub async fn may_write_action(&self, caller: &Caller, name: &FullName) -> Result<(), Error> {
        caller.must_own(name)?;
        let Some(package) = name.package_name() else {
            return Ok(());
        };
        let entry = self.find(&package).await?.ok_or(Error::Missing)?;
        match package_of(&entry) {
            None => Err(Error::Conflict(CONFORMANCE.into())),
            Some(package) if package.binding.is_some() => {
                Err(Error::Rejected("Operation not permitted on package binding.".into()))
            }
            Some(_) => Ok(()),
        }
    }

    /// An action with the parameters of its package and binding merged in.
    pub async fn get_action(&self, caller: &Caller, name: &FullName, code: CodeWanted) -> Result<FullAction, Error> {
        let resolved = self.resolve_action(caller, name).await?;
        let (action, parameters) = (Arc::clone(&resolved.action), self.shown(&resolved.parameters)?);
        let code = match code {
            CodeWanted::No => {
                return Ok(FullAction {
                    action,
                    parameters,
                    code: None,
                });
            }
            CodeWanted::Yes => self.code_of(&action).await,
        };
        match code {
            Ok(code) => Ok(FullAction {
                action,
                parameters,
                code,
            }),
            // Updated since it was cached or read: what is there now has other code.
            Err(Error::Missing) => {
                self.cache.forget(&action.full_name());
                let resolved = self.resolve_action(caller, name).await?;
                let (action, parameters) = (Arc::clone(&resolved.action), self.shown(&resolved.parameters)?);
                let code = self.code_of(&action).await?;
                Ok(FullAction {
                    action,
                    parameters,
                    code,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Creates or updates an action. The caller may write here, and the body's limits are not judged yet.
    pub async fn put_action(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        overwrite: Overwrite,
        put: ActionPut,
    ) -> Result<FullAction, Error> {
        let put = put.resolved(caller.namespace());
        self.check_limits(caller, &put)?;
        if let Some(exec) = &put.exec {
            if let Exec::Sequence { components } = exec {
                self.may_use_actions(caller, components).await?;
            }
            check_kind(caller, exec)?;
        }
        let found = self.to_put(Collection::Actions, name, overwrite).await?;
        match found.as_deref().map(|entry| (&entry.value, put.exec.as_ref())) {
            Some((Value::Action(stored), exec)) => {
                self.check_exec(name, exec.unwrap_or(&stored.exec), exec.is_some())
                    .await?
            }
            _ => {
                self.check_exec(
                    name,
                    put.exec.as_ref().ok_or(Error::Rejected("exec undefined".into()))?,
                    true,
                )
                .await?
            }
        }
        let (mut action, stored) = match found.as_deref().map(|entry| &entry.value) {
            Some(Value::Action(stored)) => (updated(stored, put), Some(&stored.parameters)),
            _ => (created(name, put), None),
        };
        action.parameters = self.sealed(action.parameters, stored, &action.annotations)?;
        let code = self.code_of(&action).await.map_err(lost_race)?;
        let entity = Entity::Action(action);
        self.write(&entity, found.as_deref()).await?;
        let Entity::Action(action) = entity else {
            unreachable!("an action was written")
        };
        let parameters = self.shown(&Arc::new(action.parameters.clone()))?;
        Ok(FullAction {
            action: Arc::new(action),
            parameters,
            code,
        })
    }

    /// Deletes an action and gives it back. The caller may write here.
    pub async fn delete_action(self: &Arc<App>, name: &FullName) -> Result<FullAction, Error> {
        let entry = self.fresh(Collection::Actions, name).await?.ok_or(Error::Missing)?;
        let Value::Action(action) = &entry.value else {
            unreachable!("actions were asked for")
        };
        let code = self.code_of(action).await.map_err(lost_race)?;
        self.erase(name, &entry.revision).await?;
        let parameters = Arc::new(veiled(&action.parameters));
        Ok(FullAction {
            action: Arc::clone(action),
            parameters,
            code,
        })
    }

    /// The path whose actions a list of `package` shows: the provider's for a binding. Errors: as for reading the package.
    pub async fn listed_package(&self, caller: &Caller, package: &FullName) -> Result<EntityPath, Error> {
        let readable = self.readable_package(caller, package).await?;
        let provider = readable.provider();
        Ok(EntityPath::in_package(
            provider.namespace.namespace.clone(),
            provider.name.clone(),
        ))
    }

    /// The code of an action that has any, from the store unless it is at hand.
    pub(super) async fn code_of(&self, action: &Action) -> Result<Option<Arc<str>>, Error> {
        match action.exec.code() {
            None => Ok(None),
            Some(Code::Inline(text)) => Ok(Some(Arc::clone(text))),
            Some(Code::Attached(attachment)) => Ok(Some(self.entities.code(&action.full_name(), attachment).await?)),
        }
    }

    fn check_limits(&self, caller: &Caller, put: &ActionPut) -> Result<(), Error> {
        let Some(limits) = &put.limits else { return Ok(()) };
        limits.check(&self.bounds_for(&caller.identity.limits))?;
        let most = self.concurrency_of(&caller.identity.limits);
        if limits.instances().is_some_and(|n| n > most) {
            let text = format!("Max action instance concurrency must not exceed your namespace concurrency of {most}.");
            return Err(Error::Rejected(text));
        }
        Ok(())
    }

    /// Checks what an action is to run: sequences when they change, kinds always.
    async fn check_exec(&self, name: &FullName, exec: &Exec, is_new: bool) -> Result<(), Error> {
        match exec {
            Exec::Sequence { components } if is_new => self.check_components(name, components).await,
            Exec::Code { .. } | Exec::Blackbox { .. } | Exec::Sequence { .. } => self.must_be_supported(exec),
        }
    }

    /// Errors: 400 for a kind that is deprecated, or has left the manifest since the action was made.
    pub fn must_be_supported(&self, exec: &Exec) -> Result<(), Error> {
        match exec {
            Exec::Code { kind, .. } if self.manifest.resolve(kind).is_none_or(|runtime| runtime.deprecated) => {
                Err(Error::Rejected(format!(
                    "The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action."
                )))
            }
            Exec::Code { .. } | Exec::Blackbox { .. } | Exec::Sequence { .. } => Ok(()),
        }
    }
}

fn check_kind(caller: &Caller, exec: &Exec) -> Result<(), Error> {
    match &caller.identity.limits.allowed_kinds {
        Some(allowed) if !allowed.iter().any(|kind| kind == exec.kind()) => {
            let kind = exec.kind();
            Err(Error::NotPermitted(format!(
                "The supplied authentication is not authorized to access actions of kind '{kind}'."
            )))
        }
        Some(_) | None => Ok(()),
    }
}

/// Code that went away between two reads of one request: somebody else was faster.
fn lost_race(error: Error) -> Error {
    match error {
        Error::Missing => Error::concurrent(),
        other => other,
    }
}

fn created(name: &FullName, put: ActionPut) -> Action {
    let exec = put.exec.expect("checked to be there on create");
    let parameters = match &exec {
        Exec::Sequence { components } => actions_of(components),
        Exec::Code { .. } | Exec::Blackbox { .. } => put.parameters.unwrap_or_default(),
    };
    let mut annotations = put.annotations.unwrap_or_default();
    if annotations.get(API_KEY_ANNOTATION).is_none() {
        annotations.set(API_KEY_ANNOTATION, Json::of(&false));
    }
    annotations.set(EXEC_ANNOTATION, exec.kind().into());
    Action {
        namespace: name.path.clone(),
        name: name.name.clone(),
        version: put.version.unwrap_or(Version::FIRST),
        publish: put.publish.unwrap_or(false),
        updated: now(),
        parameters,
        annotations,
        limits: put
            .limits
            .map_or_else(ActionLimits::default, |limits| limits.over(ActionLimits::default())),
        exec,
    }
}

fn updated(stored: &Action, put: ActionPut) -> Action {
    let was_sequence = matches!(stored.exec, Exec::Sequence { .. });
    let parameters = match (&put.exec, put.parameters) {
        (Some(Exec::Sequence { components }), _) => actions_of(components),
        (Some(_), Some(given)) => given,
        // What a sequence holds as parameters is its components: nothing for another kind to inherit.
        (Some(_), None) if was_sequence => Parameters::new(),
        (None, Some(given)) if !was_sequence => given,
        (Some(_) | None, _) => stored.parameters.clone(),
    };
    let mut annotations = stored.annotations.clone();
    if !matches!(put.exec, Some(Exec::Sequence { .. })) {
        put.del_annotations.iter().for_each(|key| drop(annotations.remove(key)));
    }
    let exec = put.exec.unwrap_or_else(|| stored.exec.clone());
    annotations = annotations.merged(&put.annotations.unwrap_or_default());
    annotations.set(EXEC_ANNOTATION, exec.kind().into());
    Action {
        namespace: stored.namespace.clone(),
        name: stored.name.clone(),
        version: put.version.unwrap_or_else(|| stored.version.next()),
        publish: put.publish.unwrap_or(stored.publish),
        updated: now(),
        parameters,
        annotations,
        limits: put.limits.map_or(stored.limits, |limits| limits.over(stored.limits)),
        exec,
    }
}

/// The parameters that every sequence has: the names of its components.
fn actions_of(components: &[FullName]) -> Parameters {
    let names: Vec<String> = components.iter().map(FullName::slashed).collect();
    let mut parameters = Parameters::new();
    parameters.set("_actions", Json::of(&names));
    parameters
}
