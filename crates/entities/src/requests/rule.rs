//! `PUT …/rules/…` and the change of a rule's status.

use super::{PutBody, present, text};
use crate::{EntityName, EntityPath, Error, FullName, Json, Namespace, Parameters, RuleStatus, Version};

/// What a request sets on a rule.
#[derive(Debug, Clone, Default)]
pub struct RulePut {
    pub trigger: Option<FullName>,
    pub action: Option<FullName>,
    pub annotations: Option<Parameters>,
    pub version: Option<Version>,
    pub publish: Option<bool>,
}

impl RulePut {
    /// Reads what is not sized; `_` in names becomes `namespace`, the rule's own. Errors: [`Error::Malformed`].
    pub fn read(body: PutBody, namespace: &Namespace) -> Result<RulePut, Error> {
        let name_of = |field| present(&body.fields, field).map(name).transpose();
        let trigger = name_of("trigger")?.map(|name| name.resolved(namespace));
        let action = name_of("action")?.map(|name| name.resolved(namespace));
        let version = body.version()?;
        let publish = body.publish()?;
        let PutBody { annotations, .. } = body;
        Ok(RulePut {
            trigger,
            action,
            annotations,
            version,
            publish,
        })
    }
}

/// The wanted status of `{"status": …}`; other fields are ignored. Errors: [`Error::Malformed`].
pub fn read_rule_status(json: &Json) -> Result<RuleStatus, Error> {
    let fields = json.object().ok_or_else(|| Error::malformed("JSON object expected"))?;
    let status = fields
        .get("status")
        .ok_or_else(|| Error::malformed("key not found: status"))?;
    let status = text(status).ok_or_else(|| Error::Malformed(format!("'status' must be a string, but is {status}")))?;
    match status.as_str() {
        "active" => Ok(RuleStatus::Active),
        "inactive" => Ok(RuleStatus::Inactive),
        _ => Err(Error::Malformed(format!(
            "requirement failed: {status} is not a recognized rule state"
        ))),
    }
}

/// A full name as text or as `{path, name}`. Errors: [`Error::Malformed`].
pub(super) fn name(json: &Json) -> Result<FullName, Error> {
    let malformed = || Error::malformed("fully qualified name malformed");
    if let Some(text) = text(json) {
        return text.parse().map_err(|e: Error| Error::Malformed(e.reason()));
    }
    let fields = json.object().ok_or_else(malformed)?;
    let field = |name: &str| fields.get(name).and_then(text).ok_or_else(malformed);
    let path: EntityPath = field("path")?.parse().map_err(|_| malformed())?;
    let name = EntityName::new(&field("name")?).map_err(|_| malformed())?;
    Ok(path.with(name))
}
