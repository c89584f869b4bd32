//! From the text of a manifest to what it describes: every key is known, every value of its type.

use serde_json::{Value, json};

use super::fields::{Fields, Place};
use super::manifest::{Action, Api, Dependency, Manifest, Package, Rule, Sequence, Trigger, Web, annotate};
use super::refused;
use super::values::{Input, Lookup, inputs, interpolated, interpolated_text, overlay};
use crate::failure::Failure;
use crate::yaml;

const PROJECT: &[&str] = &[
    "name",
    "namespace",
    "credential",
    "apiHost",
    "apigwAccessToken",
    "version",
    "description",
    "inputs",
    "config",
    "packages",
];
const PACKAGE: &[&str] = &[
    "version",
    "license",
    "public",
    "description",
    "namespace",
    "credential",
    "apiHost",
    "apigwAccessToken",
    "repositories",
    "inputs",
    "annotations",
    "dependencies",
    "actions",
    "sequences",
    "triggers",
    "feeds",
    "rules",
    "apis",
];
const DEPENDENCY: &[&str] = &["location", "version", "inputs", "annotations", "description"];
const ACTION: &[&str] = &[
    "function",
    "location",
    "code",
    "runtime",
    "main",
    "docker",
    "native",
    "conductor",
    "web",
    "web-export",
    "version",
    "description",
    "inputs",
    "outputs",
    "limits",
    "annotations",
    "include",
    "exclude",
];
const SEQUENCE: &[&str] = &["actions", "web", "web-export", "annotations", "description"];
const TRIGGER: &[&str] = &["feed", "source", "inputs", "annotations", "description", "credential"];
const RULE: &[&str] = &["trigger", "action", "description", "annotations", "rule"];

/// Reads one file.
struct Reader<'a> {
    file: &'a str,
    lookup: Lookup<'a>,
    role: Role,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Says everything about what it names.
    Manifest,
    /// Puts inputs and annotations above those of a manifest, and may leave out all else.
    Deployment,
}

impl Manifest {
    pub fn parse(text: &str, file: &str, role: Role, lookup: Lookup<'_>) -> Result<Manifest, Failure> {
        let document = yaml::parse(text)
            .map_err(|error| refused("ERROR_YAML_PARSER_ERROR", format!("File: [{file}]: {error}")))?;
        let reader = Reader { file, lookup, role };
        let root = Fields::of(&document, reader.place("the manifest"), &["project", "packages"])?;
        let project = root.get("project").unwrap_or(&Value::Null);
        let project = Fields::of(project, reader.place("project"), PROJECT)?;
        let packages = match root.get("packages") {
            Some(_) => root.entries("packages")?,
            None => project.entries("packages")?,
        };
        let mut manifest = Manifest {
            name: reader.text(&project, "name")?,
            namespace: reader.text(&project, "namespace")?,
            credential: reader.text(&project, "credential")?,
            api_host: reader.text(&project, "apiHost")?,
            gateway_token: reader.text(&project, "apigwAccessToken")?,
            api_file: reader.text(&project, "config")?,
            packages: Vec::new(),
        };
        let of_project = reader.inputs(&project, "project")?;
        for (name, package) in packages {
            manifest.packages.push(reader.package(name, package)?);
        }
        for package in &mut manifest.packages {
            let own = std::mem::replace(&mut package.inputs, of_project.clone());
            overlay(&mut package.inputs, own);
        }
        Ok(manifest)
    }
}

impl<'a> Reader<'a> {
    fn place(&self, path: &'a str) -> Place<'a> {
        Place { file: self.file, path }
    }

    fn text(&self, fields: &Fields<'_>, name: &str) -> Result<Option<String>, Failure> {
        let text = fields.text(name)?.map(|text| interpolated_text(&text, self.lookup));
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn inputs(&self, fields: &Fields<'_>, path: &str) -> Result<Vec<Input>, Failure> {
        let place = Place { file: self.file, path };
        inputs(fields.entries("inputs")?, place, self.lookup)
    }

    fn annotations(&self, fields: &Fields<'_>) -> Result<Vec<Value>, Failure> {
        let entries = fields.entries("annotations")?.into_iter();
        let annotation = |(key, value)| json!({ "key": key, "value": interpolated(value, self.lookup) });
        Ok(entries.map(annotation).collect())
    }

    fn fields<'v>(&self, value: &'v Value, path: &'v str, known: &[&str]) -> Result<Fields<'v>, Failure>
    where
        'a: 'v,
    {
        Fields::of(value, Place { file: self.file, path }, known)
    }

    fn package(&self, name: &str, value: &Value) -> Result<Package, Failure> {
        let path = format!("packages.{name}");
        let fields = self.fields(value, &path, PACKAGE)?;
        let mut package = Package {
            name: interpolated_text(name, self.lookup),
            version: self.text(&fields, "version")?,
            public: fields.flag("public")?.unwrap_or(false),
            inputs: self.inputs(&fields, &path)?,
            annotations: self.annotations(&fields)?,
            ..Package::default()
        };
        for (name, value) in fields.entries("dependencies")? {
            package.dependencies.push(self.dependency(name, value)?);
        }
        for (name, value) in fields.entries("actions")? {
            package.actions.push(self.action(name, value)?);
        }
        for (name, value) in fields.entries("sequences")? {
            package.sequences.push(self.sequence(name, value)?);
        }
        for (name, value) in fields.entries("triggers")? {
            package.triggers.push(self.trigger(name, value)?);
        }
        for (name, value) in fields.entries("rules")? {
            package.rules.push(self.rule(name, value)?);
        }
        package.apis = self.apis(&fields, &path)?;
        Ok(package)
    }

    fn dependency(&self, name: &str, value: &Value) -> Result<Dependency, Failure> {
        let path = format!("dependencies.{name}");
        let fields = self.fields(value, &path, DEPENDENCY)?;
        Ok(Dependency {
            label: name.to_owned(),
            location: self.text(&fields, "location")?.unwrap_or_default(),
            inputs: self.inputs(&fields, &path)?,
            annotations: self.annotations(&fields)?,
        })
    }

    fn action(&self, name: &str, value: &Value) -> Result<Action, Failure> {
        let path = format!("actions.{name}");
        let fields = self.fields(value, &path, ACTION)?;
        let mut annotations = self.annotations(&fields)?;
        if fields.flag("conductor")?.unwrap_or(false) {
            annotate(&mut annotations, vec![json!({"key": "conductor", "value": true})]);
        }
        let limits = fields.entries("limits")?.into_iter();
        let action = Action {
            name: interpolated_text(name, self.lookup),
            version: self.text(&fields, "version")?,
            function: self.text(&fields, "function")?.or(self.text(&fields, "location")?),
            code: fields.text("code")?,
            runtime: self.text(&fields, "runtime")?,
            main: self.text(&fields, "main")?,
            docker: self.text(&fields, "docker")?,
            native: fields.flag("native")?.unwrap_or(false),
            web: self.web(&fields)?,
            inputs: self.inputs(&fields, &path)?,
            annotations,
            limits: limits.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
            include: self.pairs(&fields)?,
            exclude: texts(fields.list("exclude")?),
        };
        match flaw(&action) {
            Some(flaw) if self.role == Role::Manifest => Err(fields.wrong(flaw)),
            Some(_) | None => Ok(action),
        }
    }

    fn pairs(&self, fields: &Fields<'_>) -> Result<Vec<(String, String)>, Failure> {
        let pair = |item: &Value| match &*texts(item.as_array().map_or(&[], Vec::as_slice)) {
            [from] => Ok((from.clone(), String::new())),
            [from, to] => Ok((from.clone(), to.clone())),
            _ => Err(fields.wrong("'include' is a list of [source, destination]")),
        };
        fields.list("include")?.iter().map(pair).collect()
    }

    /// `web`, or its old name.
    fn web(&self, fields: &Fields<'_>) -> Result<Option<Web>, Failure> {
        let Some(text) = fields.text("web")?.or(fields.text("web-export")?) else {
            return Ok(None);
        };
        match text.to_lowercase().as_str() {
            "true" | "yes" => Ok(Some(Web::Yes)),
            "raw" => Ok(Some(Web::Raw)),
            "false" | "no" => Ok(Some(Web::No)),
            _ => {
                let text = format!("File: [{}]: '{text}' is not a valid value of web.", self.file);
                Err(refused("ERROR_YAML_INVALID_WEB_EXPORT", text))
            }
        }
    }

    fn sequence(&self, name: &str, value: &Value) -> Result<Sequence, Failure> {
        let path = format!("sequences.{name}");
        let fields = self.fields(value, &path, SEQUENCE)?;
        let actions = self.text(&fields, "actions")?.unwrap_or_default();
        Ok(Sequence {
            name: name.to_owned(),
            actions: actions.split(',').map(|action| action.trim().to_owned()).collect(),
            web: self.web(&fields)?,
            annotations: self.annotations(&fields)?,
        })
    }

    fn trigger(&self, name: &str, value: &Value) -> Result<Trigger, Failure> {
        let path = format!("triggers.{name}");
        let fields = self.fields(value, &path, TRIGGER)?;
        Ok(Trigger {
            name: interpolated_text(name, self.lookup),
            feed: self.text(&fields, "feed")?.or(self.text(&fields, "source")?),
            inputs: self.inputs(&fields, &path)?,
            annotations: self.annotations(&fields)?,
        })
    }

    fn rule(&self, name: &str, value: &Value) -> Result<Rule, Failure> {
        let path = format!("rules.{name}");
        let fields = self.fields(value, &path, RULE)?;
        let needed = |text: Option<String>, what: &str| match (text, self.role) {
            (Some(text), _) => Ok(text),
            (None, Role::Deployment) => Ok(String::new()),
            (None, Role::Manifest) => Err(fields.wrong(&format!("'{what}' is missing"))),
        };
        Ok(Rule {
            name: interpolated_text(name, self.lookup),
            trigger: needed(self.text(&fields, "trigger")?, "trigger")?,
            action: needed(self.text(&fields, "action")?, "action")?,
            annotations: self.annotations(&fields)?,
        })
    }

    /// Name, base path, relative path and action, one within the other.
    fn apis(&self, fields: &Fields<'_>, path: &str) -> Result<Vec<Api>, Failure> {
        let mut apis = Vec::new();
        for (name, bases) in fields.entries("apis")? {
            for (base, paths) in members(bases, fields)? {
                for (relative, actions) in members(paths, fields)? {
                    for (action, how) in members(actions, fields)? {
                        apis.push(self.api([name, base, relative, action], how, path)?);
                    }
                }
            }
        }
        Ok(apis)
    }

    fn api(&self, [name, base, relative, action]: [&str; 4], how: &Value, path: &str) -> Result<Api, Failure> {
        let how = match how {
            Value::String(verb) => json!({ "method": verb }),
            other => other.clone(),
        };
        let place = Place { file: self.file, path };
        let fields = Fields::of(&how, place, &["method", "response"])?;
        let slashed = |text: &str| format!("/{}", text.trim_matches('/'));
        let verb = fields.text("method")?.unwrap_or_default().to_uppercase();
        if !["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"].contains(&verb.as_str()) {
            let text = format!("File: [{}]: '{verb}' is not a valid method of an API.", self.file);
            return Err(refused("ERROR_YAML_INVALID_API_GATEWAY_METHOD", text));
        }
        let response = match relative.contains('{') {
            true => "http".to_owned(),
            false => fields.text("response")?.unwrap_or_else(|| "json".to_owned()),
        };
        Ok(Api {
            name: interpolated_text(name, self.lookup),
            base: slashed(&interpolated_text(base, self.lookup)),
            path: slashed(&interpolated_text(relative, self.lookup)),
            action: action.to_owned(),
            verb,
            response,
        })
    }
}

/// What an action cannot be made from.
fn flaw(action: &Action) -> Option<&'static str> {
    match (&action.function, &action.code) {
        (Some(_), Some(_)) => Some("'function' and 'code' exclude each other"),
        (None, Some(_)) if action.runtime.is_none() => Some("'code' needs a 'runtime'"),
        (None, None) if action.docker.is_none() && !action.native => Some("'function' is missing"),
        _ => None,
    }
}

fn members<'v>(value: &'v Value, fields: &Fields<'_>) -> Result<Vec<(&'v str, &'v Value)>, Failure> {
    let members = value
        .as_object()
        .ok_or_else(|| fields.wrong("'apis' has a mapping for each level"))?;
    Ok(members.iter().map(|(name, value)| (name.as_str(), value)).collect())
}

fn texts(items: &[Value]) -> Vec<String> {
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
