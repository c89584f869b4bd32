//! Entities as answers show them: in full, and as lists do.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{
    Action, ActionLimits, Binding, EntityName, EntityPath, Exec, FullName, Package, Parameters, Rule, RuleStatus,
    Timestamp, Trigger, Version,
};

/// An action in full.
#[derive(Debug, Serialize)]
pub struct ShownAction<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    exec: ShownExec<'a>,
    parameters: &'a Parameters,
    annotations: &'a Parameters,
    limits: &'a ActionLimits,
}

/// `exec` with its code inline, or without.
#[derive(Debug)]
struct ShownExec<'a> {
    exec: &'a Exec,
    code: Option<&'a str>,
}

/// An action in a list: neither parameters nor kind nor code.
#[derive(Debug, Serialize)]
pub struct ActionSummary<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    annotations: &'a Parameters,
    limits: &'a ActionLimits,
    exec: Binary,
}

#[derive(Debug, Serialize)]
struct Binary {
    binary: bool,
}

/// A trigger in a list.
#[derive(Debug, Serialize)]
pub struct TriggerSummary<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    annotations: &'a Parameters,
}

/// A rule in full: with its status, which the trigger keeps.
#[derive(Debug, Serialize)]
pub struct ShownRule<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    status: RuleStatus,
    annotations: &'a Parameters,
    trigger: &'a FullName,
    action: &'a FullName,
}

/// A package in full, with the actions of its provider.
#[derive(Debug, Serialize)]
pub struct ShownPackage<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    annotations: &'a Parameters,
    parameters: &'a Parameters,
    binding: ShownBinding<'a>,
    actions: Vec<PackagedAction<'a>>,
    feeds: Vec<PackagedAction<'a>>,
}

/// An action in its package's description.
#[derive(Debug, Serialize)]
struct PackagedAction<'a> {
    name: &'a EntityName,
    version: Version,
    annotations: &'a Parameters,
}

/// A package in a list: `binding` is the literal `false` for a plain one.
#[derive(Debug, Serialize)]
pub struct PackageSummary<'a> {
    namespace: &'a EntityPath,
    name: &'a EntityName,
    version: Version,
    publish: bool,
    updated: Timestamp,
    annotations: &'a Parameters,
    binding: ShownBinding<'a>,
}

/// A binding, or what stands for none.
#[derive(Debug)]
enum ShownBinding<'a> {
    Of(&'a Binding),
    EmptyObject,
    False,
}

impl Action {
    /// The action in full, with these parameters and this code instead of its own.
    pub fn shown<'a>(&'a self, parameters: &'a Parameters, code: Option<&'a str>) -> ShownAction<'a> {
        ShownAction {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            exec: ShownExec { exec: &self.exec, code },
            parameters,
            annotations: &self.annotations,
            limits: &self.limits,
        }
    }

    pub fn summary(&self) -> ActionSummary<'_> {
        ActionSummary {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            annotations: &self.annotations,
            limits: &self.limits,
            exec: Binary {
                binary: self.exec.binary(),
            },
        }
    }
}

impl Trigger {
    pub fn summary(&self) -> TriggerSummary<'_> {
        TriggerSummary {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            annotations: &self.annotations,
        }
    }
}

impl Rule {
    pub fn shown(&self, status: RuleStatus) -> ShownRule<'_> {
        ShownRule {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            status,
            annotations: &self.annotations,
            trigger: &self.trigger,
            action: &self.action,
        }
    }
}

impl Package {
    /// The package with merged `parameters` and the actions of its provider, feeds apart.
    pub fn shown<'a>(&'a self, parameters: &'a Parameters, contents: &'a [Action]) -> ShownPackage<'a> {
        let entry = |action: &'a Action| PackagedAction {
            name: &action.name,
            version: action.version,
            annotations: &action.annotations,
        };
        let (feeds, actions): (Vec<&Action>, Vec<&Action>) = contents
            .iter()
            .partition(|action| action.annotations.get("feed").is_some());
        ShownPackage {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            annotations: &self.annotations,
            parameters,
            binding: self
                .binding
                .as_ref()
                .map_or(ShownBinding::EmptyObject, ShownBinding::Of),
            actions: actions.into_iter().map(entry).collect(),
            feeds: feeds.into_iter().map(entry).collect(),
        }
    }

    pub fn summary(&self) -> PackageSummary<'_> {
        PackageSummary {
            namespace: &self.namespace,
            name: &self.name,
            version: self.version,
            publish: self.publish,
            updated: self.updated,
            annotations: &self.annotations,
            binding: self.binding.as_ref().map_or(ShownBinding::False, ShownBinding::Of),
        }
    }
}

impl Serialize for ShownExec<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("kind", self.exec.kind())?;
        if let Some(code) = self.code {
            out.serialize_entry("code", code)?;
        }
        match self.exec {
            Exec::Code { binary, main, .. } => {
                out.serialize_entry("binary", binary)?;
                main.as_ref().map_or(Ok(()), |main| out.serialize_entry("main", main))?;
            }
            Exec::Blackbox {
                image, binary, main, ..
            } => {
                out.serialize_entry("image", image)?;
                out.serialize_entry("binary", binary)?;
                main.as_ref().map_or(Ok(()), |main| out.serialize_entry("main", main))?;
            }
            Exec::Sequence { components } => {
                let slashed: Vec<String> = components.iter().map(FullName::slashed).collect();
                out.serialize_entry("components", &slashed)?;
            }
        }
        out.end()
    }
}

impl Serialize for ShownBinding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ShownBinding::Of(binding) => binding.serialize(serializer),
            ShownBinding::EmptyObject => serializer.serialize_map(Some(0))?.end(),
            ShownBinding::False => serializer.serialize_bool(false),
        }
    }
}
