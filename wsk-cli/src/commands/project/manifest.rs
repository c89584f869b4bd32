//! What a manifest describes, and what a deployment file or the command line puts above it.

use serde_json::{Map, Value};

use super::refused;
use super::values::{Input, overlay};
use crate::failure::Failure;

/// What a manifest describes.
#[derive(Debug, Default)]
pub struct Manifest {
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub credential: Option<String>,
    pub api_host: Option<String>,
    pub gateway_token: Option<String>,
    /// A file that describes the whole API; it takes the place of all others.
    pub api_file: Option<String>,
    pub packages: Vec<Package>,
}

#[derive(Debug, Default)]
pub struct Package {
    pub name: String,
    pub version: Option<String>,
    pub public: bool,
    pub inputs: Vec<Input>,
    pub annotations: Vec<Value>,
    pub dependencies: Vec<Dependency>,
    pub actions: Vec<Action>,
    pub sequences: Vec<Sequence>,
    pub triggers: Vec<Trigger>,
    pub rules: Vec<Rule>,
    pub apis: Vec<Api>,
}

#[derive(Debug, Default)]
pub struct Dependency {
    pub label: String,
    pub location: String,
    pub inputs: Vec<Input>,
    pub annotations: Vec<Value>,
}

#[derive(Debug, Default)]
pub struct Action {
    pub name: String,
    pub version: Option<String>,
    pub function: Option<String>,
    pub code: Option<String>,
    pub runtime: Option<String>,
    pub main: Option<String>,
    pub docker: Option<String>,
    pub native: bool,
    pub web: Option<Web>,
    pub inputs: Vec<Input>,
    pub annotations: Vec<Value>,
    pub limits: Map<String, Value>,
    pub include: Vec<(String, String)>,
    pub exclude: Vec<String>,
}

/// How an action is exported to the web.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    No,
    Yes,
    Raw,
}

#[derive(Debug, Default)]
pub struct Sequence {
    pub name: String,
    pub actions: Vec<String>,
    pub web: Option<Web>,
    pub annotations: Vec<Value>,
}

#[derive(Debug, Default)]
pub struct Trigger {
    pub name: String,
    pub feed: Option<String>,
    pub inputs: Vec<Input>,
    pub annotations: Vec<Value>,
}

#[derive(Debug, Default)]
pub struct Rule {
    pub name: String,
    pub trigger: String,
    pub action: String,
    pub annotations: Vec<Value>,
}

#[derive(Debug, Default)]
pub struct Api {
    pub name: String,
    pub base: String,
    pub path: String,
    pub action: String,
    pub verb: String,
    pub response: String,
}

impl Manifest {
    /// Takes inputs and annotations from a deployment file: key by key, where both name the same thing.
    pub fn overlay(&mut self, over: Manifest, own_file: &str, file: &str) -> Result<(), Failure> {
        if let (Some(name), Some(other)) = (&self.name, &over.name)
            && name != other
        {
            let text = format!(
                "File: [{file}]: The name of the project in deployment file at path [{file}] does not match the name of the \
                 project in manifest file at path [{own_file}]."
            );
            return Err(refused("ERROR_YAML_FILE_FORMAT_ERROR", text));
        }
        for (own, over) in [
            (&mut self.namespace, over.namespace),
            (&mut self.credential, over.credential),
            (&mut self.api_host, over.api_host),
            (&mut self.gateway_token, over.gateway_token),
        ] {
            *own = over.or(own.take());
        }
        for package in over.packages {
            if let Some(own) = self.packages.iter_mut().find(|own| own.name == package.name) {
                own.overlay(package);
            }
        }
        Ok(())
    }

    /// Inputs from the command line, which come before all others.
    pub fn set_inputs(&mut self, given: &Map<String, Value>) {
        let given: Vec<Input> = given
            .iter()
            .map(|(name, value)| Input {
                name: name.clone(),
                value: Some(value.clone()),
                required: false,
            })
            .collect();
        for package in &mut self.packages {
            overlay(&mut package.inputs, given.clone());
        }
    }

    /// Every input that must have a value has one.
    pub fn check_required(&self) -> Result<(), Failure> {
        let of_package = |package: &Package| {
            let of_actions = package.actions.iter().flat_map(|action| &action.inputs);
            let of_triggers = package.triggers.iter().flat_map(|trigger| &trigger.inputs);
            let all = package.inputs.iter().chain(of_actions).chain(of_triggers);
            let missing = all.filter(|input| input.required && input.value.is_none());
            missing.map(|input| input.name.clone()).collect::<Vec<_>>()
        };
        let missing: Vec<String> = self.packages.iter().flat_map(of_package).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(refused(
                "ERROR_YAML_FILE_FORMAT_ERROR",
                format!(
                    "Required inputs are missing values even after applying interpolation using env. variables. Please set \
                     missing environment variables and/or input values in manifest/deployment file or on CLI for following \
                     inputs: {missing:?}"
                ),
            )),
        }
    }
}

impl Package {
    /// A name in this package as the platform's collections know it.
    pub fn qualified(&self, name: &str) -> String {
        match self.is_default() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.name),
        }
    }

    /// Whether this stands for what is in no package.
    pub fn is_default(&self) -> bool {
        self.name == "default"
    }

    fn overlay(&mut self, over: Package) {
        overlay(&mut self.inputs, over.inputs);
        annotate(&mut self.annotations, over.annotations);
        for action in over.actions {
            if let Some(own) = self.actions.iter_mut().find(|own| own.name == action.name) {
                overlay(&mut own.inputs, action.inputs);
                annotate(&mut own.annotations, action.annotations);
            }
        }
        for trigger in over.triggers {
            if let Some(own) = self.triggers.iter_mut().find(|own| own.name == trigger.name) {
                overlay(&mut own.inputs, trigger.inputs);
                annotate(&mut own.annotations, trigger.annotations);
            }
        }
    }
}

/// Puts annotations above others, key by key.
pub fn annotate(under: &mut Vec<Value>, over: Vec<Value>) {
    under.retain(|known| !over.iter().any(|new| new["key"] == known["key"]));
    under.extend(over);
}

#[cfg(test)]
mod tests;
