//! The feed protocol: life-cycle calls that the client makes to the action behind a trigger.

use serde_json::{Map, Value, json};
use wsk_client::Wait;

use crate::commands::action::invoke::invoke;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::key_value;
use crate::names::QualifiedName;
use crate::pairs::Sort;

/// What happens to the trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeCycle {
    Create,
    Read,
    Update,
    Delete,
}

/// Where the user's parameters go.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub trigger: Vec<Value>,
    pub feed: Map<String, Value>,
    /// Whether `-F` was given.
    pub feed_given: bool,
    /// Whether the operands were told apart by `-F` and `-T`.
    pub explicit: bool,
}

impl LifeCycle {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Read => "READ",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

impl Split {
    /// Tells parameters for the trigger from those for its feed. `-F` and `-T` do it by hand; `-p` goes to the feed
    /// where there is one, else to the trigger, which the caller knows.
    pub fn new(cx: &Context) -> Result<Self, Failure> {
        let lists = &cx.lists;
        let explicit = !lists.feed.is_empty() || !lists.trigger.is_empty();
        if explicit && !lists.parameters.is_empty() {
            let mixed = "Incorrect usage. Cannot combine --feed-param or --trigger-param flag with neither --param \
                         nor --param-file flag";
            return Err(Failure::new(mixed).with_exit(Exit::NOT_ALLOWED).without_usage());
        }
        let (trigger, feed) = match explicit {
            true => (&lists.trigger, &lists.feed),
            false => (&lists.parameters, &lists.parameters),
        };
        Ok(Self {
            trigger: trigger.to_key_values(Sort::Parameter)?,
            feed: feed.to_object(Sort::Parameter)?,
            feed_given: !lists.feed.is_empty(),
            explicit,
        })
    }
}

/// The feed of a trigger, from its annotations.
pub fn of(trigger: &Value) -> Option<String> {
    let feed = key_value(trigger.get("annotations"), "feed")?.as_str()?;
    (!feed.is_empty()).then(|| feed.to_owned())
}

/// Makes one life-cycle call and tells how it ended.
pub async fn call(
    cx: &mut Context,
    feed: &str,
    event: LifeCycle,
    trigger: &QualifiedName,
    parameters: &Map<String, Value>,
) -> Result<(), Failure> {
    let feed = QualifiedName::parse(feed)?;
    let mut payload = parameters.clone();
    payload.insert("lifecycleEvent".to_owned(), json!(event.name()));
    payload.insert("triggerName".to_owned(), json!(trigger.to_string()));
    payload.insert("authKey".to_owned(), json!(cx.auth()));
    invoke(cx, &feed, &Value::Object(payload), Wait::ForRecord).await
}

/// The failure of a feed as the trigger's own: upstream's words, which say "create" for updates too. A failure that
/// has been told already stays as it is.
pub fn unconfigured(trigger: &QualifiedName, feed: &str, failure: Failure) -> Failure {
    let feed = QualifiedName::parse(feed)
        .map(|feed| feed.to_string())
        .unwrap_or_else(|_| feed.to_owned());
    failure
        .prefixed(&format!(
            "Unable to create trigger '{}': Unable to configure feed '{feed}': ",
            trigger.entity
        ))
        .without_usage()
}
