//! What each route takes and answers.

use wsk_entities::Collection::{Actions, Packages, Rules, Triggers};

use crate::api::router::{Resource, Route, Start};

/// One operation of the description.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    pub id: &'a str,
    pub tag: &'static str,
    pub summary: &'static str,
    /// Name, type, meaning.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    pub body: Option<&'static str>,
    /// Status, meaning, schema.
    pub success: &'static [(&'static str, &'static str, Option<&'static str>)],
    pub refusals: &'static [&'static str],
    /// Whether OpenWhisk's description leaves it out.
    pub is_new: bool,
}

type Queries = &'static [(&'static str, &'static str, &'static str)];

const LIMIT: (&str, &str, &str) = ("limit", "integer", "Most entries to answer, 0 to 200; 0 means 200");
const SKIP: (&str, &str, &str) = ("skip", "integer", "Entries to leave out from the beginning");
const COUNT: (&str, &str, &str) = (
    "count",
    "boolean",
    "Answer the number of entries, less those skipped, instead",
);
const PAGE: Queries = &[LIMIT, SKIP, COUNT];
const OVERWRITE: Queries = &[(
    "overwrite",
    "boolean",
    "Replace what is there already; without it that is a 409",
)];
const FOLLOW: Queries = &[(
    "follow",
    "boolean",
    "Answer the lines as server-sent events while the activation runs",
)];
const PENDING: Queries = &[(
    "pending",
    "boolean",
    "Answer also for what was accepted and has no record yet: its state, pending or running",
)];
/// Of what may be asked so many times at once.
const BUSY: &[&str] = &["400", "401", "403", "404", "429", "500"];
const FORCE: Queries = &[("force", "boolean", "Delete the actions of the package too")];
const CODE: Queries = &[("code", "boolean", "Whether to show the code; true unless given")];
const INVOKE: Queries = &[
    ("blocking", "boolean", "Wait for the result"),
    ("result", "boolean", "With blocking: answer the bare result"),
    (
        "timeout",
        "integer",
        "With blocking: how long to wait, in milliseconds, at most 60000",
    ),
];
const RECORDS: Queries = &[
    ("name", "string", "Only records of this action, or package/action"),
    LIMIT,
    SKIP,
    (
        "since",
        "integer",
        "Only what started at or after this time, in milliseconds since the epoch",
    ),
    (
        "upto",
        "integer",
        "Only what started at or before this time, in milliseconds since the epoch",
    ),
    ("docs", "boolean", "Answer whole records"),
    COUNT,
];

const BASIC: Operation<'static> = Operation {
    id: "",
    tag: "",
    summary: "",
    query: &[],
    body: None,
    success: &[("200", "Done", None)],
    refusals: &["401", "500"],
    is_new: false,
};

/// What all methods of a web action have in common.
pub const WEB: Operation<'static> = Operation {
    tag: "Actions",
    summary: "Run a web action; path, query, headers and body become its parameters",
    body: Some("Payload"),
    success: &[("default", "What the action makes of it", None)],
    refusals: &[],
    ..BASIC
};

/// The API gateway's management, which the gateway answers in the place of the web actions of these names.
pub const APIS: [(&str, Operation<'static>); 3] = {
    const API: Operation<'static> = Operation {
        tag: "APIs",
        refusals: &[],
        success: &[
            ("200", "Done", Some("Payload")),
            ("502", "Refused, or failed; the text says why", Some("ErrorMessage")),
        ],
        is_new: true,
        ..BASIC
    };
    const BASE_PATH: (&str, &str, &str) = (
        "basepath",
        "string",
        "Base path, or name, of the API; a list without it shows all",
    );
    [
        (
            "POST",
            Operation {
                id: "createApi",
                summary: "Add a route to an API, or import a description of a whole API",
                query: &[(
                    "responsetype",
                    "string",
                    "Extension of the web action: json, http, html, text or svg",
                )],
                body: Some("Payload"),
                ..API
            },
        ),
        (
            "GET",
            Operation {
                id: "getApi",
                summary: "The APIs of the key's namespace, with their descriptions",
                query: &[BASE_PATH, LIMIT, SKIP],
                ..API
            },
        ),
        (
            "DELETE",
            Operation {
                id: "deleteApi",
                summary: "Remove an API, a path of it, or a verb of that path",
                query: &[
                    BASE_PATH,
                    ("relpath", "string", "The path below the base path"),
                    ("operation", "string", "The verb of that path"),
                ],
                ..API
            },
        ),
    ]
};

/// The operation of a route; none for those that are not part of the described API.
pub fn operation(route: Route) -> Option<Operation<'static>> {
    match route {
        Route::Open(_) => None,
        Route::Start(start) => Some(starting(start)),
        Route::Resource(resource) => resourceful(resource),
    }
}

/// What a status of refusal means.
pub fn refusal(code: &str) -> &'static str {
    match code {
        "400" => "The request cannot be understood, or a rule forbids it",
        "401" => "No key, or no valid one",
        "403" => "The key may not do this here",
        "404" => "Nothing there",
        "409" => "Something else is there, or somebody else was faster",
        "413" => "Larger than allowed",
        "415" => "The body is not declared as JSON",
        "422" => "The stored document contradicts itself",
        "429" => "More than allowed in this time, or at the same time",
        "503" => "Something that the platform needs is not available",
        _ => "The platform failed",
    }
}

fn starting(start: Start) -> Operation<'static> {
    const REFUSALS: &[&str] = &["400", "401", "403", "404", "409", "413", "415", "429", "500", "503"];
    const ACTION: Operation<'static> = Operation {
        tag: "Actions",
        query: INVOKE,
        body: Some("Payload"),
        success: &[
            (
                "200",
                "The record of a run that succeeded, or its result",
                Some("Activation"),
            ),
            (
                "202",
                "Accepted, or still running when the wait was over",
                Some("ActivationId"),
            ),
            (
                "502",
                "The record of a run that failed by its own doing",
                Some("Activation"),
            ),
        ],
        refusals: REFUSALS,
        ..BASIC
    };
    match start {
        Start::Action => Operation {
            id: "invokeAction",
            summary: "Invoke an action",
            ..ACTION
        },
        Start::PackagedAction => Operation {
            id: "invokeActionInPackage",
            summary: "Invoke an action of a package",
            ..ACTION
        },
        Start::Trigger => Operation {
            id: "fireTrigger",
            tag: "Triggers",
            summary: "Fire a trigger",
            body: Some("Payload"),
            success: &[
                ("202", "Actions of active rules are started", Some("ActivationId")),
                ("204", "No rule is active", None),
            ],
            refusals: REFUSALS,
            ..BASIC
        },
    }
}

fn resourceful(resource: Resource) -> Option<Operation<'static>> {
    const LIST: Operation<'static> = Operation {
        query: PAGE,
        refusals: &["400", "401", "403", "500"],
        ..BASIC
    };
    const GET: Operation<'static> = Operation {
        refusals: &["400", "401", "403", "404", "409", "500"],
        ..BASIC
    };
    const PUT: Operation<'static> = Operation {
        query: OVERWRITE,
        refusals: &["400", "401", "403", "404", "409", "413", "415", "500"],
        ..BASIC
    };
    Some(match resource {
        Resource::LimitsEntity => return None,
        Resource::Namespaces => Operation {
            id: "getAllNamespaces",
            tag: "Namespaces",
            summary: "The namespace of the key, as a list of one",
            success: &[("200", "Names", Some("[string]"))],
            ..BASIC
        },
        Resource::Limits => Operation {
            id: "getLimits",
            tag: "Limits",
            summary: "The limits in force for a namespace",
            success: &[("200", "Limits", Some("UserLimits"))],
            refusals: &["400", "401", "403", "500"],
            ..BASIC
        },
        Resource::List(Actions) => Operation {
            id: "getAllActions",
            tag: "Actions",
            summary: "The actions of a namespace, those in packages included, newest first",
            success: &[("200", "A page", Some("[ActionMeta]"))],
            ..LIST
        },
        Resource::PackageActions => Operation {
            id: "getAllActionsInPackage",
            tag: "Actions",
            summary: "The actions of a package, newest first",
            success: &[("200", "A page", Some("[ActionMeta]"))],
            refusals: &["400", "401", "403", "404", "409", "500"],
            is_new: true,
            ..LIST
        },
        Resource::List(Triggers) => Operation {
            id: "getAllTriggers",
            tag: "Triggers",
            summary: "The triggers of a namespace, newest first",
            success: &[("200", "A page", Some("[TriggerMeta]"))],
            ..LIST
        },
        Resource::List(Rules) => Operation {
            id: "getAllRules",
            tag: "Rules",
            summary: "The rules of a namespace, newest first, without their status",
            success: &[("200", "A page", Some("[RuleMeta]"))],
            ..LIST
        },
        Resource::List(Packages) => Operation {
            id: "getAllPackages",
            tag: "Packages",
            summary: "The packages of a namespace, newest first; of a foreign one those that are public",
            success: &[("200", "A page", Some("[PackageMeta]"))],
            refusals: &["400", "401", "500"],
            ..LIST
        },
        Resource::Get(_) | Resource::GetPackaged => Operation {
            query: code_query(resource),
            ..named(resource, GET)
        },
        Resource::Put(_) | Resource::PutPackaged => Operation {
            body: Some(body_of(resource)),
            ..named(resource, PUT)
        },
        Resource::Delete(Packages) => {
            let refusals = &["400", "401", "403", "404", "409", "500"];
            Operation {
                query: FORCE,
                refusals,
                ..named(resource, BASIC)
            }
        }
        Resource::Delete(_) | Resource::DeletePackaged => named(resource, GET),
        Resource::RuleStatus => Operation {
            id: "setState",
            tag: "Rules",
            summary: "Activate or deactivate a rule",
            body: Some("RuleStatus"),
            success: &[("200", "Done", None)],
            refusals: &["400", "401", "403", "404", "409", "413", "415", "500"],
            ..BASIC
        },
        Resource::Activations => Operation {
            id: "getActivations",
            tag: "Activations",
            summary: "The records of a namespace, newest first",
            query: RECORDS,
            success: &[("200", "A page", Some("[ActivationBrief]"))],
            ..LIST
        },
        Resource::Activation => Operation {
            query: PENDING,
            refusals: BUSY,
            ..record(
                "getActivationById",
                "A record",
                &[("200", "The record", Some("Activation"))],
            )
        },
        Resource::CancelActivation => Operation {
            refusals: &["400", "401", "403", "404", "409", "503"],
            is_new: true,
            ..record(
                "cancelActivation",
                "End an activation that is pending or running",
                &[
                    ("200", "The record of what was cancelled", Some("Activation")),
                    ("202", "It is going to end", None),
                ],
            )
        },
        Resource::ActivationResult => record(
            "getActivationResult",
            "The outcome of a record",
            &[("200", "The outcome", Some("ActivationResult"))],
        ),
        Resource::ActivationLogs => Operation {
            query: FOLLOW,
            refusals: BUSY,
            ..record(
                "getActivationLogs",
                "The log lines of a record",
                &[("200", "The lines", Some("ActivationLogs"))],
            )
        },
    })
}

type Success = &'static [(&'static str, &'static str, Option<&'static str>)];

fn record(id: &'static str, summary: &'static str, success: Success) -> Operation<'static> {
    Operation {
        id,
        tag: "Activations",
        summary,
        success,
        refusals: &["400", "401", "403", "404", "500"],
        ..BASIC
    }
}

/// Fills in what depends on the collection.
fn named(resource: Resource, common: Operation<'static>) -> Operation<'static> {
    let (id, tag, summary, success): (_, _, _, Success) = match resource {
        Resource::Get(Actions) => (
            "getActionByName",
            "Actions",
            "An action",
            &[("200", "The action", Some("Action"))],
        ),
        Resource::Put(Actions) => (
            "updateAction",
            "Actions",
            "Create or update an action",
            &[("200", "The action", Some("Action"))],
        ),
        Resource::Delete(Actions) => (
            "deleteAction",
            "Actions",
            "Delete an action",
            &[("200", "What it was", Some("Action"))],
        ),
        Resource::GetPackaged => (
            "getActionInPackageByName",
            "Actions",
            "An action of a package or binding, their parameters merged in",
            &[("200", "The action", Some("Action"))],
        ),
        Resource::PutPackaged => (
            "updateActionInPackage",
            "Actions",
            "Create or update an action of a package",
            &[("200", "The action", Some("Action"))],
        ),
        Resource::DeletePackaged => (
            "deleteActionInPackage",
            "Actions",
            "Delete an action of a package",
            &[("200", "What it was", Some("Action"))],
        ),
        Resource::Get(Triggers) => (
            "getTriggerByName",
            "Triggers",
            "A trigger with its rules",
            &[("200", "The trigger", Some("Trigger"))],
        ),
        Resource::Put(Triggers) => (
            "updateTrigger",
            "Triggers",
            "Create or update a trigger",
            &[("200", "The trigger", Some("Trigger"))],
        ),
        Resource::Delete(Triggers) => (
            "deleteTrigger",
            "Triggers",
            "Delete a trigger",
            &[("200", "What it was", Some("Trigger"))],
        ),
        Resource::Get(Rules) => (
            "getRuleByName",
            "Rules",
            "A rule with its status",
            &[("200", "The rule", Some("Rule"))],
        ),
        Resource::Put(Rules) => (
            "updateRule",
            "Rules",
            "Create or update a rule",
            &[("200", "The rule", Some("Rule"))],
        ),
        Resource::Delete(Rules) => (
            "deleteRule",
            "Rules",
            "Delete a rule",
            &[("200", "What it was", Some("Rule"))],
        ),
        Resource::Get(Packages) => (
            "getPackageByName",
            "Packages",
            "A package or binding with its actions",
            &[("200", "The package", Some("Package"))],
        ),
        Resource::Put(Packages) => (
            "updatePackage",
            "Packages",
            "Create or update a package or binding",
            &[("200", "The package", Some("Package"))],
        ),
        Resource::Delete(Packages) => (
            "deletePackage",
            "Packages",
            "Delete a package",
            &[("200", "What it was", Some("Package"))],
        ),
        Resource::Namespaces
        | Resource::Limits
        | Resource::LimitsEntity
        | Resource::List(_)
        | Resource::PackageActions
        | Resource::RuleStatus
        | Resource::Activations
        | Resource::Activation
        | Resource::CancelActivation
        | Resource::ActivationResult
        | Resource::ActivationLogs => ("", "", "", &[]),
    };
    Operation {
        id,
        tag,
        summary,
        success,
        ..common
    }
}

fn code_query(resource: Resource) -> Queries {
    if matches!(resource, Resource::Get(Actions) | Resource::GetPackaged) {
        CODE
    } else {
        &[]
    }
}

fn body_of(resource: Resource) -> &'static str {
    match resource {
        Resource::Put(Triggers) => "TriggerPut",
        Resource::Put(Rules) => "RulePut",
        Resource::Put(Packages) => "PackagePut",
        _ => "ActionPut",
    }
}
