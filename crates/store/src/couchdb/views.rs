//! The design documents, with the keys and values that upstream's have; the functions are our own, in the JavaScript that
//! CouchDB 1 to 3 runs.

/// A design document.
pub(super) struct Design {
    pub name: &'static str,
    views: &'static [(&'static str, &'static str, Option<&'static str>)],
}

pub(super) const ENTITIES: &str = "whisks.v2.1.0";
pub(super) const FILTERS: &str = "whisks-filters.v2.1.1";
pub(super) const BY_DATE: &str = "activations";
pub(super) const IDENTITIES: &str = "subjects.v2.0.0";
/// What upstream has no view for.
pub(super) const OURS: &str = "ferrowhisk.v1";

/// Of what form the documents of a database are; a change that an earlier version would misread makes it one more. It stands in
/// a design document, which neither lists nor the original's tools show.
pub(super) const FORMAT: u64 = 1;
pub(super) const FORMAT_ID: &str = "_design/ferrowhisk-format";

const COUNT: Option<&str> = Some("_count");

pub(super) const WHISKS: &[Design] = &[
    Design {
        name: ENTITIES,
        views: &[
            ("actions", ACTIONS, COUNT),
            ("packages", PACKAGES, COUNT),
            ("packages-public", PUBLIC_PACKAGES, COUNT),
            ("rules", RULES, COUNT),
            ("triggers", TRIGGERS, COUNT),
        ],
    },
    Design {
        name: OURS,
        views: &[("bindings", BINDINGS, None), ("sealed", SEALED, None)],
    },
];

pub(super) const ACTIVATIONS: &[Design] = &[
    Design {
        name: ENTITIES,
        views: &[("activations", RECORDS, COUNT)],
    },
    Design {
        name: FILTERS,
        views: &[("activations", RECORDS_BY_NAME, COUNT)],
    },
    Design {
        name: BY_DATE,
        views: &[("byDate", RECORDS_BY_DATE, COUNT)],
    },
    Design {
        name: "logCleanup",
        views: &[("byDateWithLogs", RECORDS_WITH_LOGS, None)],
    },
];

pub(super) const SUBJECTS: &[Design] = &[
    Design {
        name: IDENTITIES,
        views: &[("identities", KEYS, None)],
    },
    Design {
        name: "namespaceThrottlings",
        views: &[("blockedNamespaces", BLOCKED, Some("_sum"))],
    },
];

const ACTIONS: &str = "function (doc) {
  if (doc.exec === undefined || doc.activationId !== undefined) return;
  var limits = doc.limits, exec = { binary: doc.exec.binary || false };
  if (doc.exec.kind !== undefined) exec.kind = doc.exec.kind;
  var value = { namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish,
    annotations: doc.annotations, limits: limits, exec: exec, updated: doc.updated };
  emit([doc.namespace, doc.updated], value);
  var slash = doc.namespace.indexOf('/');
  if (slash > 0) emit([doc.namespace.substring(0, slash), doc.updated], value);
}";

const PACKAGES: &str = "function (doc) {
  if (doc.binding === undefined || doc.activationId !== undefined) return;
  var bound = false;
  for (var key in doc.binding) bound = doc.binding;
  emit([doc.namespace, doc.updated], { namespace: doc.namespace, name: doc.name, version: doc.version,
    publish: doc.publish, annotations: doc.annotations, updated: doc.updated, binding: bound });
}";

const PUBLIC_PACKAGES: &str = "function (doc) {
  if (doc.binding === undefined || doc.activationId !== undefined || doc.publish !== true) return;
  for (var key in doc.binding) return;
  emit([doc.namespace, doc.updated], { namespace: doc.namespace, name: doc.name, version: doc.version,
    publish: doc.publish, annotations: doc.annotations, updated: doc.updated, binding: false });
}";

const RULES: &str = "function (doc) {
  if (doc.trigger !== undefined) emit([doc.namespace, doc.updated], 1);
}";

const TRIGGERS: &str = "function (doc) {
  if (doc.exec !== undefined || doc.binding !== undefined || doc.trigger !== undefined) return;
  if (doc.parameters === undefined || doc.activationId !== undefined) return;
  emit([doc.namespace, doc.updated], { namespace: doc.namespace, name: doc.name, version: doc.version,
    publish: doc.publish, annotations: doc.annotations, updated: doc.updated });
}";

const BINDINGS: &str = "function (doc) {
  if (doc.binding && doc.binding.name) emit(doc.binding.namespace + '/' + doc.binding.name, null);
}";

const SEALED: &str = "function (doc) {
  var parameters = doc.parameters || [];
  for (var i = 0; i < parameters.length; i++) {
    if (parameters[i].encryption) { emit(doc._id, null); return; }
  }
}";

const RECORDS: &str = "function (doc) {
  if (doc.activationId === undefined) return;
  var value = { namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish,
    annotations: doc.annotations, activationId: doc.activationId, start: doc.start };
  if (doc.end) {
    value.end = doc.end;
    value.duration = doc.end > doc.start ? doc.end - doc.start : 0;
    value.statusCode = doc.response.statusCode;
  }
  if (doc.cause !== undefined) value.cause = doc.cause;
  emit([doc.namespace, doc.start], value);
}";

const RECORDS_BY_NAME: &str = "function (doc) {
  if (doc.activationId === undefined) return;
  var value = { namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish,
    annotations: doc.annotations, activationId: doc.activationId, start: doc.start };
  if (doc.end) {
    value.end = doc.end;
    value.duration = doc.end > doc.start ? doc.end - doc.start : 0;
    value.statusCode = doc.response.statusCode;
  }
  if (doc.cause !== undefined) value.cause = doc.cause;
  var path, binding, annotations = doc.annotations || [];
  for (var i = 0; i < annotations.length; i++) {
    if (annotations[i].key === 'path' && typeof annotations[i].value === 'string') path = annotations[i].value.split('/');
    if (annotations[i].key === 'binding' && typeof annotations[i].value === 'string') binding = annotations[i].value.split('/');
  }
  var name = doc.name;
  if (binding !== undefined) name = binding[binding.length - 1] + '/' + name;
  else if (path !== undefined && path.length === 3) name = path[1] + '/' + name;
  emit([doc.namespace + '/' + name, doc.start], value);
}";

const RECORDS_BY_DATE: &str = "function (doc) {
  if (doc.activationId !== undefined) emit(doc.start, null);
}";

const RECORDS_WITH_LOGS: &str = "function (doc) {
  if (doc.activationId !== undefined && doc.logs && doc.logs.length > 0) emit(doc.start, null);
}";

const KEYS: &str = "function (doc) {
  if (doc.subject === undefined || doc.blocked || !doc.namespaces) return;
  for (var i = 0; i < doc.namespaces.length; i++) {
    var ns = doc.namespaces[i], value = { _id: ns.name + '/limits', namespace: ns.name, uuid: ns.uuid, key: ns.key };
    emit([ns.name], value);
    emit([ns.uuid, ns.key], value);
  }
}";

const BLOCKED: &str = "function (doc) {
  if (doc.subject !== undefined && doc.blocked && doc.namespaces) {
    for (var i = 0; i < doc.namespaces.length; i++) emit(doc.namespaces[i].name, 1);
  }
  if (doc._id.indexOf('/limits') > 0 && (doc.concurrentInvocations === 0 || doc.invocationsPerMinute === 0)) {
    emit(doc._id.replace('/limits', ''), 1);
  }
}";

/// The document that says so.
pub(super) fn format() -> String {
    serde_json::json!({ "_id": FORMAT_ID, "language": "javascript", "views": {}, "ferrowhiskFormat": FORMAT })
        .to_string()
}

impl Design {
    pub fn document(&self) -> String {
        let views = self.views.iter().map(|(name, map, reduce)| {
            let mut view = serde_json::Map::new();
            view.insert("map".to_owned(), (*map).into());
            if let Some(reduce) = reduce {
                view.insert("reduce".to_owned(), (*reduce).into());
            }
            ((*name).to_owned(), view.into())
        });
        let views: serde_json::Map<String, serde_json::Value> = views.collect();
        serde_json::json!({ "_id": format!("_design/{}", self.name), "language": "javascript", "views": views })
            .to_string()
    }
}
