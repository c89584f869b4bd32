//! What the record of a fire says, and those of what it could not start after all.

use std::sync::Arc;

use serde::Serialize;
use wsk_entities::{Activation, ActivationId, Json, Parameters, Response, StatusCode, StorePolicy, Trigger};

use super::known::Known;
use crate::app::composition::is_kept;
use crate::app::{Caller, Error, ResolvedAction, now};

/// What the record of a fire will say.
pub(super) struct Story {
    pub caller: Caller,
    pub trigger: Arc<Trigger>,
    /// Its rules.
    pub known: Arc<[Known]>,
    pub id: ActivationId,
    pub start: u64,
    pub payload: Json,
    /// Of each rule, in order.
    pub lines: Vec<Line>,
    /// What is kept of what nobody waits for.
    pub policy: StorePolicy,
}

/// One line of a trigger's record, behind what names the rule.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub status_code: u8,
    pub success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_id: Option<ActivationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Story {
    /// The record as it is to be kept, if it is.
    pub fn record(&self) -> Option<Activation> {
        self.keeps(StatusCode::Success).then(|| Activation {
            namespace: self.caller.namespace().clone(),
            name: self.trigger.name.clone(),
            version: self.trigger.version,
            subject: self.caller.identity.subject.clone(),
            activation_id: self.id,
            cause: None,
            start: self.start,
            end: 0,
            duration: None,
            response: Response::success(self.payload.clone(), None),
            logs: self.known.iter().zip(&self.lines).map(Known::tell).collect(),
            annotations: Parameters::new(),
            publish: false,
        })
    }

    /// The record of what this says was started and is too large to be, and whether it is kept.
    pub fn too_large(&self, id: ActivationId, target: &ResolvedAction) -> (Activation, bool) {
        let (at, action) = (now(), &target.action);
        let text = Json::from(Error::TooLarge.to_string().as_str());
        let response = Response::failure(StatusCode::ApplicationError, &text, None);
        let kept = self.keeps(response.status_code);
        let mut annotations = Parameters::new();
        annotations.set("path", Json::of(&target.full_name().to_string()));
        annotations.set("kind", Json::of(&action.exec.kind()));
        annotations.set("limits", Json::of(&action.limits));
        let record = Activation {
            namespace: self.caller.namespace().clone(),
            name: action.name.clone(),
            version: action.version,
            subject: self.caller.identity.subject.clone(),
            activation_id: id,
            cause: None,
            start: at,
            end: at,
            duration: Some(0),
            response,
            logs: Vec::new(),
            annotations,
            publish: false,
        };
        (record, kept)
    }

    fn keeps(&self, status: StatusCode) -> bool {
        is_kept(&self.caller.identity, &self.caller.transid, self.policy, status)
    }
}

impl Line {
    pub fn refuse(&mut self, error: &Error) {
        self.status_code = if error.is_ours() { 3 } else { 1 };
        self.success = false;
        self.activation_id = None;
        self.error = Some(error.to_string());
    }
}
