//! A composition as it is written down: who asked, what runs, what is waited for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wsk_entities::{Activation, ActivationId, Exec, FullName, Identity, Json, Namespace, Parameters, TransactionId};

use super::frame::{Entry, Head};
use super::{Composition, is_kept};
use crate::Config;
use crate::app::retry::Policy;
use crate::app::{Caller, ResolvedAction, now};

/// A composition as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    pub(super) identity: Arc<Identity>,
    pub(super) transid: TransactionId,
    pub machine: Composition,
    /// Counts the states of one composition.
    pub step: u32,
    pub(super) pending: Option<Pending>,
    /// Whether somebody waited for it when it began.
    #[serde(default)]
    pub blocking: bool,
    /// Sealed parameters of the trigger that fired it, which its input holds.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub sealed: Parameters,
}

/// What decides which records of a composition are kept.
#[derive(Debug)]
pub struct Terms {
    identity: Arc<Identity>,
    transid: TransactionId,
    blocking: bool,
}

/// The activation under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    pub(super) id: ActivationId,
    pub(super) action: FullName,
    /// How long its answer is waited for, in milliseconds.
    pub(super) patience: u64,
}

impl Terms {
    /// Whether this record is kept.
    pub fn keep(&self, config: &Config, record: &Activation) -> bool {
        let policy = match self.blocking {
            true => config.store_blocking,
            false => config.store_non_blocking,
        };
        is_kept(&self.identity, &self.transid, policy, record.response.status_code)
    }
}

impl Progress {
    /// Where it runs, and its record belongs.
    pub fn namespace(&self) -> &Namespace {
        &self.identity.namespace.name
    }

    pub(super) fn caller(&self) -> Caller {
        Caller {
            identity: self.identity.clone(),
            transid: self.transid.clone(),
        }
    }

    /// Whose it is, and the action it began with.
    pub fn label(&self) -> (Namespace, FullName) {
        (self.identity.namespace.name.clone(), self.machine.name().clone())
    }

    /// What decides which of its records are kept.
    pub fn terms(&self) -> Terms {
        Terms {
            identity: self.identity.clone(),
            transid: self.transid.clone(),
            blocking: self.blocking,
        }
    }

    /// Enters a sequence or conductor with this input.
    pub(super) fn enter(&mut self, id: ActivationId, called: FullName, target: &ResolvedAction, input: Option<Json>) {
        let (head, entry) = (head(called, target), self.entry(input));
        match &target.action.exec {
            Exec::Sequence { components } => {
                self.machine.enter_sequence(id, head, components.clone(), entry);
            }
            Exec::Code { .. } | Exec::Blackbox { .. } => self.machine.enter_conductor(id, head, entry),
        }
    }

    /// Enters an action that is run again when it fails.
    pub(super) fn enter_retry(
        &mut self,
        id: ActivationId,
        called: FullName,
        target: &ResolvedAction,
        input: Option<Json>,
        policy: Policy,
    ) {
        let (head, entry) = (head(called, target), self.entry(input));
        self.machine
            .enter_retry(id, head, target.action.exec.kind().into(), policy, entry);
    }

    fn entry(&self, input: Option<Json>) -> Entry {
        Entry {
            input,
            requested: self.transid.start,
            now: now(),
        }
    }
}

fn head(called: FullName, target: &ResolvedAction) -> Head {
    Head {
        called,
        name: target.full_name(),
        version: target.action.version,
        binding: target.binding.clone(),
        limits: target.action.limits,
    }
}
