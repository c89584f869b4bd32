//! The stored entities: actions, triggers, rules, packages.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ActionLimits, EntityName, EntityPath, Exec, FullName, Namespace, Parameters, Timestamp, Version};

/// The four collections that share one name space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    Actions,
    Triggers,
    Rules,
    Packages,
}

/// An action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub namespace: EntityPath,
    pub name: EntityName,
    pub version: Version,
    pub publish: bool,
    pub updated: Timestamp,
    pub exec: Exec,
    pub parameters: Parameters,
    pub annotations: Parameters,
    pub limits: ActionLimits,
}

/// Limits of a trigger: the empty object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerLimits {}

/// Whether a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleStatus {
    Active,
    Inactive,
}

/// A trigger's copy of a rule: what fire runs, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLink {
    pub action: FullName,
    pub status: RuleStatus,
}

/// A trigger. `rules` is absent until the first rule was attached; its keys are `ns/rule`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub namespace: EntityPath,
    pub name: EntityName,
    pub version: Version,
    pub publish: bool,
    pub updated: Timestamp,
    pub parameters: Parameters,
    pub annotations: Parameters,
    #[serde(default)]
    pub limits: TriggerLimits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<IndexMap<String, RuleLink>>,
}

/// A rule. Its status lives in the trigger's `rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub namespace: EntityPath,
    pub name: EntityName,
    pub version: Version,
    pub publish: bool,
    pub updated: Timestamp,
    pub annotations: Parameters,
    pub trigger: FullName,
    pub action: FullName,
}

/// What a package binding points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    pub namespace: Namespace,
    pub name: EntityName,
}

/// A package, or a binding to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub namespace: EntityPath,
    pub name: EntityName,
    pub version: Version,
    pub publish: bool,
    pub updated: Timestamp,
    pub annotations: Parameters,
    pub parameters: Parameters,
    /// Written `{}` for a plain package.
    #[serde(with = "binding_or_empty", default)]
    pub binding: Option<Binding>,
}

/// Any stored entity. `entityType` tells them apart in documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    Action(Action),
    Trigger(Trigger),
    Rule(Rule),
    Package(Package),
}

impl Binding {
    pub fn full_name(&self) -> FullName {
        FullName::new(self.namespace.clone(), None, self.name.clone())
    }
}

impl Action {
    pub fn full_name(&self) -> FullName {
        self.namespace.with(self.name.clone())
    }
}

impl Trigger {
    pub fn full_name(&self) -> FullName {
        self.namespace.with(self.name.clone())
    }
}

impl Rule {
    pub fn full_name(&self) -> FullName {
        self.namespace.with(self.name.clone())
    }
}

impl Package {
    pub fn full_name(&self) -> FullName {
        self.namespace.with(self.name.clone())
    }
}

impl Entity {
    pub fn full_name(&self) -> FullName {
        match self {
            Entity::Action(e) => e.full_name(),
            Entity::Trigger(e) => e.full_name(),
            Entity::Rule(e) => e.full_name(),
            Entity::Package(e) => e.full_name(),
        }
    }

    pub fn collection(&self) -> Collection {
        match self {
            Entity::Action(_) => Collection::Actions,
            Entity::Trigger(_) => Collection::Triggers,
            Entity::Rule(_) => Collection::Rules,
            Entity::Package(_) => Collection::Packages,
        }
    }

    pub fn updated(&self) -> Timestamp {
        match self {
            Entity::Action(e) => e.updated,
            Entity::Trigger(e) => e.updated,
            Entity::Rule(e) => e.updated,
            Entity::Package(e) => e.updated,
        }
    }
}

impl Collection {
    pub const ALL: [Collection; 4] = [
        Collection::Actions,
        Collection::Triggers,
        Collection::Rules,
        Collection::Packages,
    ];

    /// The path segment and the key of counts.
    pub fn plural(self) -> &'static str {
        match self {
            Collection::Actions => "actions",
            Collection::Triggers => "triggers",
            Collection::Rules => "rules",
            Collection::Packages => "packages",
        }
    }

    /// `entityType` of stored documents.
    pub fn singular(self) -> &'static str {
        match self {
            Collection::Actions => "action",
            Collection::Triggers => "trigger",
            Collection::Rules => "rule",
            Collection::Packages => "package",
        }
    }
}

mod binding_or_empty {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Wire {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<Namespace>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<EntityName>,
    }

    pub fn serialize<S: Serializer>(binding: &Option<Binding>, serializer: S) -> Result<S::Ok, S::Error> {
        let (namespace, name) = match binding {
            Some(b) => (Some(b.namespace.clone()), Some(b.name.clone())),
            None => (None, None),
        };
        Wire { namespace, name }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Binding>, D::Error> {
        let Wire { namespace, name } = Wire::deserialize(deserializer)?;
        Ok(namespace.zip(name).map(|(namespace, name)| Binding { namespace, name }))
    }
}
