//! The platform's nouns and their rules: names, versions, actions, triggers, rules, packages, limits, identities,
//! activations and the bodies of the REST API, exactly as an OpenWhisk client sees them.
//!
//! Everything here is pure: nothing opens, spawns, logs or reads a clock. Who may do what, and where things are kept, is
//! left to the crates above. Invariants: a value of these types is valid by construction (its parser enforced the rule and
//! gave upstream's text when it did not), and whatever a user wrote as JSON is carried as its own text ([`Json`]), so that
//! no number is ever rounded on the way.

mod activation;
mod architecture;
mod error;
mod exec;
mod identity;
mod ids;
mod image;
mod json;
mod limits;
mod manifest;
mod names;
mod objects;
mod parameters;
pub mod requests;
mod shown;
mod version;

pub use activation::{
    Activation, ActivationSummary, Response, ShownActivation, ShownResponse, StatusCode, StorePolicy,
};
pub use architecture::Architecture;
pub use error::{Error, ErrorBody};
pub use exec::{Attachment, Code, Exec, is_base64};
pub use identity::{
    AuthKey, Identity, NamespaceRef, RegistryLogin, Right, Subject, SubjectDocument, SubjectNamespace, UserLimits,
};
pub use ids::{ActivationId, TransactionId};
pub use json::{Json, Object};
pub use limits::{ActionLimits, Bounds, LimitBounds};
pub use manifest::{Image, Manifest, ProcessProgram, Runtime, StemCell};
pub use names::{EntityName, EntityPath, FullName, Namespace, is_path};
pub use objects::{Action, Binding, Collection, Entity, Package, Rule, RuleLink, RuleStatus, Trigger, TriggerLimits};
pub use parameters::{Parameter, Parameters};
pub use shown::{ActionSummary, PackageSummary, ShownAction, ShownPackage, ShownRule, TriggerSummary};
pub use version::Version;

/// Milliseconds since the Unix epoch, the unit of every time in the API.
pub type Timestamp = u64;
