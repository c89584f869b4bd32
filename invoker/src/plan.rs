//! What the invoker knows of one revision of an action: everything a run needs, prepared once.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use tokio::sync::Mutex;
use wsk_bus::messages::{ActivationMessage, Needs};
use wsk_entities::{
    Action, ActionLimits, Architecture, Code, Exec, FullName, Image, Json, LimitBounds, Manifest, Parameters, Runtime,
    UserLimits, Version,
};
use wsk_store::Revision;

use crate::outcome::Fault;
use crate::run::push_string;

/// One revision of an action.
#[derive(Debug)]
pub(crate) struct Plan {
    pub name: FullName,
    pub revision: Arc<str>,
    pub version: Version,
    pub kind: Arc<str>,
    /// As they apply: `concurrency` is 1 where the program takes one run at a time, whatever the action asks for.
    pub limits: ActionLimits,
    pub main: Option<String>,
    pub binary: bool,
    pub code: Option<Code>,
    /// The code as a JSON string, while it is kept at hand.
    pub loaded: Mutex<Option<Bytes>>,
    pub program: Program,
    /// Whether the code may be a program for one architecture.
    pub compiled: bool,
    /// What it is called where a machine that cannot run it remembers that: its kind or image first, then its code.
    pub names: [String; 2],
    pub provide_api_key: bool,
    /// Runs that the action allows for one activation; absent: any number.
    pub max_attempts: Option<u32>,
    /// The part of `/run` bodies between the namespace and the activation id.
    pub context: String,
    /// Annotations that all records of this revision share.
    pub annotations: Parameters,
}

/// What a container of the action is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub image: String,
    pub command: Vec<String>,
    /// Where the command is started.
    pub folder: Option<PathBuf>,
    pub managed: bool,
    /// Whether the end of a log is marked.
    pub sentinelled: bool,
    /// Whether it takes several runs at a time: Node.js does, and a user's own image is taken at the user's word. Anything else
    /// would let them wait inside the container, while their time limits run.
    pub shared: bool,
}

impl Program {
    /// What runs a managed kind on this architecture.
    pub fn of_runtime(runtime: &Runtime, architecture: &Architecture) -> Program {
        Program {
            image: reference(&runtime.image, architecture),
            command: runtime.process.as_ref().map(|p| p.program.clone()).unwrap_or_default(),
            folder: runtime.process.as_ref().and_then(|p| p.folder.clone()),
            managed: true,
            sentinelled: runtime.sentinelled_logs,
            shared: runtime.kind.split(':').next() == Some("nodejs"),
        }
    }

    /// What runs an action; none where the manifest does not know its kind (any more), or where nothing runs it.
    fn of(exec: &Exec, manifest: &Manifest, architecture: &Architecture) -> Option<Program> {
        match exec {
            Exec::Code { kind, .. } => manifest
                .resolve(kind)
                .map(|runtime| Program::of_runtime(runtime, architecture)),
            Exec::Blackbox { image, .. } => {
                let native = manifest.native(image);
                let program = manifest.program(exec);
                Some(Program {
                    // The operator says which tag stands for one that the user left out.
                    image: native.map_or_else(|| image.clone(), |native| reference(native, architecture)),
                    command: program.map(|p| p.program.clone()).unwrap_or_default(),
                    folder: program.and_then(|p| p.folder.clone()),
                    managed: native.is_some(),
                    // A managed kind's image, named by the user, marks ends as it always does. Read without waiting for the mark,
                    // it would end the next activation's log instead.
                    sentinelled: native.is_some()
                        || manifest
                            .kinds()
                            .any(|kind| kind.sentinelled_logs && kind.image.matches(image)),
                    shared: native.is_none(),
                })
            }
            Exec::Sequence { .. } => None,
        }
    }
}

/// The image for an architecture. Where the manifest says that there is none, the kind is not offered.
fn reference(image: &Image, architecture: &Architecture) -> String {
    image.on(architecture).unwrap_or(image).reference()
}

impl Plan {
    /// Prepares a stored action. Errors: [`Fault::Incompatible`] when nothing here can run it.
    pub fn new(
        action: Action,
        revision: Revision,
        manifest: &Manifest,
        architecture: &Architecture,
    ) -> Result<Plan, Fault> {
        let program = Program::of(&action.exec, manifest, architecture).ok_or(Fault::Incompatible)?;
        let needs = Needs::of(&action, manifest).ok_or(Fault::Incompatible)?;
        let name = action.full_name();
        let kind: Arc<str> = action.exec.kind().into();
        let mut annotations = Parameters::new();
        annotations.set("path", Json::from(name.to_string().as_str()));
        annotations.set("kind", Json::from(&*kind));
        annotations.set("limits", Json::of(&action.limits));
        let mut limits = action.limits;
        if !program.shared {
            limits.concurrency = 1;
        }
        Ok(Plan {
            context: context(&name, action.version),
            version: action.version,
            kind,
            limits,
            main: action.exec.main().map(str::to_owned),
            binary: action.exec.binary(),
            code: action.exec.code().cloned(),
            loaded: Mutex::new(None),
            program,
            compiled: action.exec.is_compiled(),
            names: [needs.key(), Needs::code_key(&name.to_string(), &revision.0)],
            provide_api_key: action.annotations.is_truthy("provide-api-key", true),
            max_attempts: action
                .annotations
                .get("max-attempts")
                .and_then(|n| n.as_str().parse().ok()),
            annotations,
            revision: revision.0,
            name,
        })
    }

    /// Whether that it cannot be run somewhere is the platform's affair: everything but the image is.
    pub fn is_ours(&self) -> bool {
        self.program.managed && !self.compiled
    }

    /// Why the namespace may not run this action any more, if so: its limits were narrowed since the action was stored.
    pub fn outside(&self, system: &LimitBounds, user: &UserLimits) -> Option<Fault> {
        let check =
            |what: &str, unit: &str, value: u32, min: Option<u32>, max: Option<u32>, bounds: wsk_entities::Bounds| {
                let (min, max) = (
                    min.unwrap_or(bounds.min).max(bounds.min),
                    max.unwrap_or(bounds.max).min(bounds.max),
                );
                if value > max {
                    Some(format!(
                        "{what} {value} {unit} exceeds allowed threshold of {max} {unit}"
                    ))
                } else if value < min {
                    Some(format!("{what} {value} {unit} below allowed threshold of {min} {unit}"))
                } else {
                    None
                }
            };
        let l = &self.limits;
        let text = check(
            "memory size",
            "MB",
            l.memory,
            user.min_action_memory,
            user.max_action_memory,
            system.memory,
        )
        .or_else(|| {
            check(
                "duration",
                "milliseconds",
                l.timeout,
                user.min_action_timeout,
                user.max_action_timeout,
                system.timeout,
            )
        })
        .or_else(|| {
            check(
                "log size",
                "MB",
                l.logs,
                user.min_action_logs,
                user.max_action_logs,
                system.logs,
            )
        });
        text.map(|text| Fault::Limit(format!("requirement failed: {text}")))
    }

    /// Whether an activation that is delivered for the `attempt`th time must not run (again).
    pub fn exhausted(&self, attempt: u32) -> Option<Fault> {
        self.max_attempts
            .filter(|allowed| attempt > *allowed)
            .map(|allowed| Fault::Attempts { allowed })
    }
}

fn context(name: &FullName, version: Version) -> String {
    let mut out = Vec::new();
    out.extend_from_slice(b",\"action_name\":");
    push_string(&mut out, &name.slashed());
    out.extend_from_slice(b",\"action_version\":");
    push_string(&mut out, &version.to_string());
    out.extend_from_slice(b",\"activation_id\":\"");
    String::from_utf8(out).expect("JSON of text is text")
}

/// Annotations of a record whose action could not be read.
pub(crate) fn fallback_annotations(message: &ActivationMessage) -> Parameters {
    let mut annotations = Parameters::new();
    annotations.set("path", Json::from(message.action.full_name().to_string().as_str()));
    annotations
}

/// JSON of a whole number; the small ones, which most waits are, are made once.
pub(crate) fn number(value: u64) -> Json {
    static SMALL: LazyLock<Vec<Json>> = LazyLock::new(|| (0u64..64).map(|n| Json::of(&n)).collect());
    match usize::try_from(value).ok().and_then(|at| SMALL.get(at)) {
        Some(json) => json.clone(),
        None => Json::of(&value),
    }
}

/// `true` or `false` as JSON, made once.
pub(crate) fn boolean(value: bool) -> Json {
    static BOTH: LazyLock<[Json; 2]> = LazyLock::new(|| [Json::of(&false), Json::of(&true)]);
    BOTH[usize::from(value)].clone()
}

/// `"sequence"` as JSON, made once.
pub(crate) fn sequence() -> Json {
    static TEXT: LazyLock<Json> = LazyLock::new(|| Json::from("sequence"));
    TEXT.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_the_manifest_knows_marks_the_ends_of_logs() {
        let manifest = Manifest::parse(
            r#"{"runtimes":{"python":[{"kind":"python:3","image":{"prefix":"a","name":"py","tag":"1"}}],
                "quiet":[{"kind":"quiet:1","image":{"prefix":"a","name":"quiet","tag":"1"},"sentinelledLogs":false}]},
                "blackboxes":[{"prefix":"a","name":"skeleton","tag":"1"}]}"#,
        )
        .unwrap();
        let marked = |image: &str| {
            let exec = Exec::Blackbox {
                image: image.to_owned(),
                code: None,
                main: None,
                binary: false,
            };
            let program = Program::of(&exec, &manifest, &Architecture::own()).unwrap();
            (program.sentinelled, program.managed)
        };
        assert_eq!(marked("a/skeleton:1"), (true, true));
        assert_eq!(marked("a/py:1"), (true, false));
        assert_eq!(marked("a/quiet:1"), (false, false));
        assert_eq!(marked("somebody/else:1"), (false, false));
    }
}
