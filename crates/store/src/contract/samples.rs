//! Entities and records to test with.

use std::sync::Arc;

use wsk_entities::{
    Action, ActionLimits, Activation, ActivationId, Binding, Code, Entity, EntityName, EntityPath, Exec, FullName,
    Json, Namespace, Package, Parameters, Response, Rule, SubjectDocument, SubjectNamespace, Timestamp, Trigger,
    TriggerLimits, Version,
};

pub fn ns(name: &str) -> Namespace {
    Namespace::new(name).expect("a valid namespace")
}

pub fn name(text: &str) -> EntityName {
    EntityName::new(text).expect("a valid name")
}

/// `ns` or `ns/package`.
pub fn path(text: &str) -> EntityPath {
    text.parse().expect("a valid path")
}

/// `ns/name` or `ns/package/name`.
pub fn full(text: &str) -> FullName {
    text.parse().expect("a valid full name")
}

fn parameters(key: &str, json: &str) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.set(key, Json::parse(json).expect("valid JSON"));
    parameters
}

/// An action with this source text.
pub fn action_with(full_name: &str, updated: Timestamp, code: &str) -> Entity {
    let FullName { path, name } = full(full_name);
    Entity::Action(Action {
        namespace: path,
        name,
        version: Version::FIRST,
        publish: false,
        updated,
        exec: Exec::Code {
            kind: "nodejs:20".into(),
            code: Code::Inline(code.into()),
            main: Some("main".into()),
            binary: false,
        },
        parameters: parameters("precise", "12345678901234567890.10"),
        annotations: parameters("final", "true"),
        limits: ActionLimits::default(),
    })
}

pub fn action(full_name: &str, updated: Timestamp) -> Entity {
    action_with(full_name, updated, &format!("// code of {full_name}"))
}

pub fn trigger(full_name: &str, updated: Timestamp) -> Entity {
    let FullName { path, name } = full(full_name);
    Entity::Trigger(Trigger {
        namespace: path,
        name,
        version: Version::FIRST,
        publish: false,
        updated,
        parameters: Parameters::new(),
        annotations: Parameters::new(),
        limits: TriggerLimits {},
        rules: None,
    })
}

pub fn rule(full_name: &str, updated: Timestamp) -> Entity {
    let FullName { path, name } = full(full_name);
    let ns = path.namespace.clone();
    Entity::Rule(Rule {
        namespace: path,
        name,
        version: Version::FIRST,
        publish: false,
        updated,
        annotations: Parameters::new(),
        trigger: full(&format!("{ns}/some-trigger")),
        action: full(&format!("{ns}/some-action")),
    })
}

pub fn package(full_name: &str, updated: Timestamp, publish: bool) -> Entity {
    let FullName { path, name } = full(full_name);
    Entity::Package(Package {
        namespace: path,
        name,
        version: Version::FIRST,
        publish,
        updated,
        annotations: Parameters::new(),
        parameters: Parameters::new(),
        binding: None,
    })
}

/// A package binding to `target`.
pub fn binding(full_name: &str, updated: Timestamp, target: &str) -> Entity {
    let (FullName { path, name }, target) = (full(full_name), full(target));
    Entity::Package(Package {
        namespace: path,
        name,
        version: Version::FIRST,
        publish: true,
        updated,
        annotations: Parameters::new(),
        parameters: Parameters::new(),
        binding: Some(Binding {
            namespace: target.path.namespace,
            name: target.name,
        }),
    })
}

/// The record of an action `ns/name` or `ns/package/name`, a millisecond long.
pub fn record(id: u128, action: &str, start: Timestamp) -> Activation {
    let action = full(action);
    Activation {
        namespace: action.path.namespace.clone(),
        name: action.name.clone(),
        version: Version::FIRST,
        subject: "tester".into(),
        activation_id: ActivationId::from_bits(id),
        cause: None,
        start,
        end: start + 1,
        duration: Some(1),
        response: Response::success(Json::parse(r#"{"n":1.00}"#).expect("valid JSON"), Some(10)),
        logs: vec!["2026-01-01T00:00:00Z stdout: one".to_owned()],
        annotations: parameters("path", &format!("\"{action}\"")),
        publish: false,
    }
}

pub fn arcs(records: impl IntoIterator<Item = Activation>) -> Vec<Arc<Activation>> {
    records.into_iter().map(Arc::new).collect()
}

/// A subject that owns namespaces, each with a key of the one letter.
pub fn subject(name: &str, namespaces: &[(&str, &str, char)]) -> SubjectDocument {
    let namespaces = namespaces.iter().map(|(name, uuid, letter)| SubjectNamespace {
        name: ns(name),
        uuid: (*uuid).to_owned(),
        key: key(*letter),
    });
    SubjectDocument {
        subject: name.to_owned(),
        namespaces: namespaces.collect(),
        blocked: false,
    }
}

/// 64 times a letter.
pub fn key(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// Small, fast and the same everywhere: what tests are shuffled with.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}
