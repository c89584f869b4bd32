//! The documents of the API, as schemas.

use serde_json::{Map, Value, json};

/// Which schemas a description lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What is served.
    Served,
    /// Also what old generated clients import although nothing answers it any more.
    WithLegacy,
}

/// Name of a property, its type, its meaning. A type ending in `!` is of a property that is always there; `[T]` is an array.
type Property = (&'static str, &'static str, &'static str);

const NAMESPACE: Property = ("namespace", "string!", "Namespace, or namespace/package");
const NAME: Property = ("name", "string!", "Simple name");
const VERSION: Property = ("version", "string!", "Semantic version, raised by every update");
const PUBLISH: Property = (
    "publish",
    "boolean!",
    "For a plain package: whether everybody may use it",
);
const ANNOTATIONS: Property = ("annotations", "[KeyValue]!", "Facts about the entity");
const PARAMETERS: Property = ("parameters", "[KeyValue]!", "Bound parameters");
const UPDATED: Property = (
    "updated",
    "integer!",
    "Time of the last write, in milliseconds since the epoch",
);
const GIVEN_NAMESPACE: Property = ("namespace", "string", "Ignored: the path decides");
const GIVEN_NAME: Property = ("name", "string", "Ignored: the path decides");
const GIVEN_VERSION: Property = ("version", "string", "Instead of the next version");
const GIVEN_PUBLISH: Property = (
    "publish",
    "boolean",
    "For a plain package: whether everybody may use it",
);
const GIVEN_ANNOTATIONS: Property = ("annotations", "[KeyValue]", "Facts about the entity");
const GIVEN_PARAMETERS: Property = ("parameters", "[KeyValue]", "Bound parameters; replace the stored ones");

const SERVED: &[(&str, &str, &[Property])] = &[
    (
        "KeyValue",
        "A parameter or annotation",
        &[
            ("key", "string!", "Unique in its list"),
            (
                "value",
                "any!",
                "Any JSON value; null declares a parameter without binding it",
            ),
            (
                "init",
                "boolean",
                "Parameters: offered as environment when the action is initialised",
            ),
            (
                "secret",
                "boolean",
                "Parameters: stored encrypted and never shown; null or no value keeps the one that is there",
            ),
        ],
    ),
    (
        "PathName",
        "A full name",
        &[
            ("path", "string!", "Namespace, or namespace/package"),
            ("name", "string!", "Simple name"),
        ],
    ),
    (
        "ErrorMessage",
        "Every refusal",
        &[
            ("error", "string!", "What is wrong"),
            ("code", "string!", "Id of the transaction, as in X-Request-ID"),
        ],
    ),
    (
        "ActionLimits",
        "Limits of an action",
        &[
            ("timeout", "integer", "Longest run, in milliseconds; 60000 unless given"),
            ("memory", "integer", "Memory in MB; 256 unless given"),
            (
                "logs",
                "integer",
                "Kept log output per activation in MB; 10 unless given",
            ),
            (
                "concurrency",
                "integer",
                "Activations at the same time in one container; 1 unless given",
            ),
            (
                "instances",
                "integer",
                "Most containers; the namespace's concurrency unless given",
            ),
        ],
    ),
    (
        "ActionExec",
        "What an action runs",
        &[
            (
                "kind",
                "string",
                "A kind of the platform, family:default, blackbox, or sequence",
            ),
            ("code", "string", "Source text, or base64 of a zip, jar or binary"),
            ("image", "string", "Blackbox: the container image"),
            ("main", "string", "Name of the entry point"),
            ("binary", "boolean", "Whether the code is base64; decided by the server"),
            ("components", "[string]", "Sequence: full names of actions"),
        ],
    ),
    (
        "ActionExecMeta",
        "What a list says of it",
        &[("binary", "boolean", "Whether the code is base64")],
    ),
    (
        "Action",
        "An action",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ("exec", "ActionExec!", "What it runs"),
            PARAMETERS,
            ANNOTATIONS,
            ("limits", "ActionLimits!", "Its limits"),
        ],
    ),
    (
        "ActionMeta",
        "An action in a list",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ("exec", "ActionExecMeta!", "What it runs"),
            ANNOTATIONS,
            ("limits", "ActionLimits!", "Its limits"),
        ],
    ),
    (
        "ActionPut",
        "What a request sets on an action",
        &[
            GIVEN_NAMESPACE,
            GIVEN_NAME,
            GIVEN_VERSION,
            GIVEN_PUBLISH,
            ("exec", "ActionExec", "What it runs; needed to create"),
            GIVEN_PARAMETERS,
            ("annotations", "[KeyValue]", "Merged into the stored ones"),
            ("delAnnotations", "[string]", "Annotations to remove first"),
            ("limits", "ActionLimits", "Those that change"),
        ],
    ),
    (
        "Trigger",
        "A trigger",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            PARAMETERS,
            ANNOTATIONS,
            ("limits", "TriggerLimits!", "Always empty"),
            ("rules", "object", "Action and status of each rule, by the rule's name"),
        ],
    ),
    (
        "TriggerMeta",
        "A trigger in a list",
        &[NAMESPACE, NAME, VERSION, PUBLISH, UPDATED, ANNOTATIONS],
    ),
    (
        "TriggerPut",
        "What a request sets on a trigger",
        &[
            GIVEN_NAMESPACE,
            GIVEN_NAME,
            GIVEN_VERSION,
            GIVEN_PUBLISH,
            GIVEN_PARAMETERS,
            GIVEN_ANNOTATIONS,
            ("limits", "TriggerLimits", "Without meaning"),
        ],
    ),
    ("TriggerLimits", "Triggers have no limits", &[]),
    (
        "Rule",
        "A rule",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ("status", "string!", "active or inactive"),
            ANNOTATIONS,
            ("trigger", "PathName!", "What fires"),
            ("action", "PathName!", "What runs then"),
        ],
    ),
    (
        "RuleMeta",
        "A rule in a list",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ANNOTATIONS,
            ("trigger", "PathName!", "What fires"),
            ("action", "PathName!", "What runs then"),
        ],
    ),
    (
        "RulePut",
        "What a request sets on a rule",
        &[
            GIVEN_NAME,
            GIVEN_VERSION,
            GIVEN_PUBLISH,
            GIVEN_ANNOTATIONS,
            (
                "status",
                "string",
                "Ignored: a new rule is active, and a POST changes it",
            ),
            ("trigger", "string", "Full name; needed to create"),
            ("action", "string", "Full name; needed to create"),
        ],
    ),
    (
        "Package",
        "A package, or a binding to one",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ANNOTATIONS,
            PARAMETERS,
            (
                "binding",
                "PackageBinding!",
                "What it is bound to; empty for a plain package",
            ),
            ("actions", "[PackageAction]", "Its actions, when it is read"),
            ("feeds", "[PackageAction]", "Its feed actions, when it is read"),
        ],
    ),
    (
        "PackagePut",
        "What a request sets on a package",
        &[
            GIVEN_NAMESPACE,
            GIVEN_NAME,
            GIVEN_VERSION,
            GIVEN_PUBLISH,
            GIVEN_PARAMETERS,
            GIVEN_ANNOTATIONS,
            (
                "binding",
                "PackageBinding",
                "What to bind to; absent or empty for a plain package",
            ),
        ],
    ),
    (
        "PackageBinding",
        "A package by name",
        &[("namespace", "string", "Its namespace"), ("name", "string", "Its name")],
    ),
    (
        "PackageAction",
        "An action in its package",
        &[NAME, VERSION, ANNOTATIONS],
    ),
    (
        "ActivationBrief",
        "A record in a list",
        &[
            ("namespace", "string!", "Namespace of the invoker"),
            NAME,
            VERSION,
            ("publish", "boolean!", "Without meaning"),
            ANNOTATIONS,
            ("activationId", "string!", "Its id"),
            ("start", "integer!", "In milliseconds since the epoch"),
            ("end", "integer", "In milliseconds since the epoch; absent for triggers"),
            ("duration", "integer", "In milliseconds; absent for triggers"),
            ("cause", "string", "Id of the sequence or composition it belongs to"),
            (
                "statusCode",
                "integer",
                "0 success, 1 application error, 2 developer error, 3 platform error",
            ),
        ],
    ),
    (
        "Activation",
        "A record",
        &[
            ("namespace", "string!", "Namespace of the invoker"),
            NAME,
            VERSION,
            ("publish", "boolean!", "Without meaning"),
            ANNOTATIONS,
            ("subject", "string!", "Who invoked"),
            ("activationId", "string!", "Its id"),
            ("start", "integer!", "In milliseconds since the epoch"),
            ("end", "integer", "In milliseconds since the epoch; absent for triggers"),
            ("duration", "integer", "In milliseconds; absent for triggers"),
            ("response", "ActivationResult!", "Its outcome"),
            ("logs", "[string]!", "Log lines, or ids of components"),
            ("cause", "string", "Id of the sequence or composition it belongs to"),
        ],
    ),
    (
        "ActivationId",
        "What was accepted",
        &[("activationId", "string!", "Id of the record to come")],
    ),
    (
        "ActivationLogs",
        "Log lines",
        &[("logs", "[string]!", "Both streams, in order")],
    ),
    (
        "ActivationResult",
        "An outcome",
        &[
            ("status", "string!", "In words"),
            ("success", "boolean!", "Whether it was one"),
            ("result", "any!", "What the action returned"),
            ("size", "integer", "Length of the result"),
        ],
    ),
    (
        "UserLimits",
        "Limits in force",
        &[
            ("invocationsPerMinute", "integer!", "Invocations in one minute"),
            ("concurrentInvocations", "integer!", "Activations at the same time"),
            ("firesPerMinute", "integer!", "Trigger fires in one minute"),
            ("allowedKinds", "[string]", "Kinds that may be used; all when absent"),
            (
                "storeActivations",
                "boolean",
                "Whether records are kept; they are when absent",
            ),
            ("minActionMemory", "integer!", "MB"),
            ("maxActionMemory", "integer!", "MB"),
            ("minActionTimeout", "integer!", "Milliseconds"),
            ("maxActionTimeout", "integer!", "Milliseconds"),
            ("minActionLogs", "integer!", "MB"),
            ("maxActionLogs", "integer!", "MB"),
            ("minActionConcurrency", "integer!", "Activations in one container"),
            ("maxActionConcurrency", "integer!", "Activations in one container"),
            ("maxActionInstances", "integer!", "Containers of one action"),
            ("maxParameterSize", "string!", "Such as 1048576 B"),
        ],
    ),
];

/// Not in the description that old clients know.
const NEW: &[(&str, &str, &[Property])] = &[
    (
        "PackageMeta",
        "A package in a list",
        &[
            NAMESPACE,
            NAME,
            VERSION,
            PUBLISH,
            UPDATED,
            ANNOTATIONS,
            ("binding", "any!", "What it is bound to; false for a plain package"),
        ],
    ),
    ("Payload", "Arguments", &[]),
    (
        "RuleStatus",
        "The wanted status",
        &[("status", "string!", "active or inactive")],
    ),
];

const LEGACY: &[(&str, &[Property])] = &[
    ("ItemId", &[("id", "string!", "An id")]),
    ("EntityBrief", &[NAMESPACE, NAME, VERSION, PUBLISH]),
    ("ActionPayload", &[("payload", "string!", "Arguments")]),
    ("TriggerPayload", &[("payload", "string!", "Arguments")]),
    ("ActivationIds", &[("ids", "[ActivationId]", "Ids")]),
    (
        "ActivationInfo",
        &[
            ("id", "string", "An id"),
            ("result", "object", "A result"),
            ("stdout", "string", "Log lines"),
            ("stderr", "string", "Log lines"),
        ],
    ),
    ("ActivationStderr", &[("stderr", "string", "Log lines")]),
    ("ProviderTrigger", &[NAME]),
    ("ProviderAction", &[NAME]),
    ("ProviderBinding", &[NAME]),
    ("Provider", &[NAME, GIVEN_PUBLISH, GIVEN_PARAMETERS]),
];

/// All schemas of a scope; references begin with `prefix`.
pub fn all(prefix: &str, scope: Scope) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, description, properties) in SERVED {
        out.insert((*name).into(), object(description, properties, prefix));
    }
    match scope {
        Scope::Served => {
            for (name, description, properties) in NEW {
                out.insert((*name).into(), object(description, properties, prefix));
            }
        }
        Scope::WithLegacy => {
            for (name, properties) in LEGACY {
                out.insert(
                    (*name).into(),
                    object("Kept for old generated clients; nothing answers it", properties, prefix),
                );
            }
        }
    }
    out
}

/// The schemas of the information document.
pub fn info(prefix: &str) -> Map<String, Value> {
    let properties: &[Property] = &[
        ("description", "string!", "What this is"),
        ("support", "object!", "Where to ask"),
        ("api_paths", "[string]!", "Where the API is"),
        (
            "limits",
            "object!",
            "System limits: memory and logs in bytes, times in milliseconds",
        ),
        ("runtimes", "RuntimesManifest!", "Kinds by family"),
    ];
    [
        ("Info".to_owned(), object("The platform", properties, prefix)),
        (
            "RuntimesManifest".to_owned(),
            object("A list of kinds for each family", &[], prefix),
        ),
    ]
    .into_iter()
    .collect()
}

/// A reference to a schema, `[Name]` for a list of it. What only one description has is an object in the other.
pub fn reference(name: &str, prefix: &str) -> Value {
    let is_new = NEW.iter().any(|(new, ..)| name.trim_matches(['[', ']']) == *new);
    if is_new && prefix.contains("definitions") {
        let object = json!({ "type": "object" });
        return if name.starts_with('[') {
            json!({ "type": "array", "items": object })
        } else {
            object
        };
    }
    kind(name, prefix)
}

/// What a parameter of a path means.
pub fn path_parameter(name: &str) -> &'static str {
    match name {
        "namespace" => "A namespace, or _ for the caller's own",
        "packageName" => "Name of a package or binding; default, for web actions, is no package",
        "activationid" => "Id of an activation: 32 lower-case hexadecimal digits",
        "extension" => "How the result becomes an answer: http, json, html, svg or text",
        _ => "A simple name",
    }
}

fn object(description: &str, properties: &[Property], prefix: &str) -> Value {
    let mut out = json!({ "type": "object", "description": description });
    let required: Vec<&str> = properties
        .iter()
        .filter(|(_, kind, _)| kind.ends_with('!'))
        .map(|(name, ..)| *name)
        .collect();
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    if !properties.is_empty() {
        let property = |(name, of, meaning): &Property| {
            let mut schema = kind(of.trim_end_matches('!'), prefix);
            if schema.get("$ref").is_none() {
                schema["description"] = json!(meaning);
            }
            ((*name).to_owned(), schema)
        };
        out["properties"] = properties.iter().map(property).collect::<Map<_, _>>().into();
    }
    out
}

fn kind(name: &str, prefix: &str) -> Value {
    if let Some(item) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return json!({ "type": "array", "items": kind(item, prefix) });
    }
    match name {
        "any" => json!({}),
        "string" | "boolean" | "object" => json!({ "type": name }),
        "integer" => json!({ "type": "integer", "format": "int64" }),
        _ => json!({ "$ref": format!("{prefix}{name}") }),
    }
}
