//! Rules: which action a trigger starts.
//!
//! Whether a rule is active is kept by its trigger, beside a copy of the action's name, so that a fire reads one document.
//! The rule is written first and the trigger after it: what a crash between the two leaves is an inactive rule, never a
//! trigger that starts an action for a rule that is not there.

use std::sync::Arc;

use indexmap::IndexMap;
use wsk_entities::requests::RulePut;
use wsk_entities::{Collection, Entity, FullName, Rule, RuleLink, RuleStatus, Trigger, Version};

use super::cache::{Entry, Value};
use super::changes::Overwrite;
use super::triggers::trigger_of;
use super::{App, Caller, Error, now};

/// How often a change of a trigger's rules is tried again when others change the same trigger.
const TRIES: u32 = 20;

/// A rule with its status.
#[derive(Debug)]
pub struct StatedRule {
    pub rule: Arc<Rule>,
    pub status: RuleStatus,
}

/// The rules of a trigger by name.
type Links = IndexMap<String, RuleLink>;

impl App {
    /// The rule stored under this name, with its status. Errors: 404, and 409 for an entity of another collection.
    pub async fn get_rule(&self, name: &FullName) -> Result<StatedRule, Error> {
        let entry = self.find(name).await?.ok_or(Error::Missing)?;
        let rule = Arc::clone(rule_of(&entry).ok_or_else(|| Error::Conflict(super::entitlement::CONFORMANCE.into()))?);
        let status = self.status_of(&rule).await?;
        Ok(StatedRule { rule, status })
    }

    /// Creates or updates a rule. The caller owns the namespace.
    pub async fn put_rule(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        overwrite: Overwrite,
        put: RulePut,
    ) -> Result<StatedRule, Error> {
        self.may_connect(caller, put.trigger.as_ref(), put.action.as_ref())
            .await?;
        let found = self.to_put(Collection::Rules, name, overwrite).await?;
        match found.as_deref().and_then(rule_of) {
            None => self.create_rule(name, put).await,
            Some(stored) => {
                self.update_rule(found.as_deref().expect("a rule was found"), stored, put)
                    .await
            }
        }
    }

    /// Deletes a rule and gives it back, inactive. The caller owns the namespace.
    pub async fn delete_rule(self: &Arc<App>, name: &FullName) -> Result<StatedRule, Error> {
        let entry = self.fresh(Collection::Rules, name).await?.ok_or(Error::Missing)?;
        let rule = Arc::clone(rule_of(&entry).expect("rules were asked for"));
        let key = name.to_string();
        self.change_links(&rule.trigger, |links| drop(links.shift_remove(&key)))
            .await?;
        self.erase(name, &entry.revision).await?;
        Ok(StatedRule {
            rule,
            status: RuleStatus::Inactive,
        })
    }

    /// Activates or deactivates a rule. Nothing is written when it has that status already.
    ///
    /// Errors: 404 when there is no rule, or no trigger that could keep `Active`.
    pub async fn set_rule_status(self: &Arc<App>, name: &FullName, status: RuleStatus) -> Result<(), Error> {
        let StatedRule { rule, status: current } = self.get_rule(name).await?;
        if current == status {
            return Ok(());
        }
        let link = RuleLink {
            action: rule.action.clone(),
            status,
        };
        let linked = self
            .change_links(&rule.trigger, |links| {
                drop(links.insert(name.to_string(), link.clone()))
            })
            .await?;
        if linked {
            Ok(())
        } else {
            Err(Error::NotFound(
                "Only rules with existing triggers can be activated".into(),
            ))
        }
    }

    async fn create_rule(self: &Arc<App>, name: &FullName, put: RulePut) -> Result<StatedRule, Error> {
        let (Some(trigger), Some(action)) = (put.trigger, put.action) else {
            return Err(Error::Rejected(
                "rule requires a valid trigger and a valid action".into(),
            ));
        };
        self.must_exist(&trigger, &action).await?;
        let rule = Rule {
            namespace: name.path.clone(),
            name: name.name.clone(),
            version: put.version.unwrap_or(Version::FIRST),
            publish: put.publish.unwrap_or(false),
            updated: now(),
            annotations: put.annotations.unwrap_or_default(),
            trigger,
            action,
        };
        self.write_rule(rule, None, RuleStatus::Active).await
    }

    async fn update_rule(self: &Arc<App>, entry: &Entry, stored: &Rule, put: RulePut) -> Result<StatedRule, Error> {
        let status = self.status_of(stored).await?;
        let trigger = put.trigger.unwrap_or_else(|| stored.trigger.clone());
        let action = put.action.unwrap_or_else(|| stored.action.clone());
        self.must_exist(&trigger, &action).await?;
        let moved = (trigger != stored.trigger).then(|| stored.trigger.clone());
        let rule = Rule {
            namespace: stored.namespace.clone(),
            name: stored.name.clone(),
            version: put.version.unwrap_or_else(|| stored.version.next()),
            publish: put.publish.unwrap_or(stored.publish),
            updated: now(),
            annotations: put.annotations.unwrap_or_else(|| stored.annotations.clone()),
            trigger,
            action,
        };
        let written = self.write_rule(rule, Some(entry), status).await?;
        if let Some(old) = moved {
            let key = written.rule.full_name().to_string();
            self.change_links(&old, |links| drop(links.shift_remove(&key))).await?;
        }
        Ok(written)
    }

    async fn write_rule(
        self: &Arc<App>,
        rule: Rule,
        over: Option<&Entry>,
        status: RuleStatus,
    ) -> Result<StatedRule, Error> {
        let link = RuleLink {
            action: rule.action.clone(),
            status,
        };
        let (key, trigger) = (rule.full_name().to_string(), rule.trigger.clone());
        let entry = self.write(&Entity::Rule(rule), over).await?;
        let linked = self
            .change_links(&trigger, |links| drop(links.insert(key.clone(), link.clone())))
            .await?;
        let rule = Arc::clone(rule_of(&entry).expect("a rule was written"));
        Ok(StatedRule {
            rule,
            status: if linked { status } else { RuleStatus::Inactive },
        })
    }

    /// Changes the rules of a trigger, again when others changed it meanwhile. Whether there is such a trigger.
    async fn change_links(self: &Arc<App>, name: &FullName, change: impl Fn(&mut Links)) -> Result<bool, Error> {
        for _ in 0..TRIES {
            let entry = match self.fresh(Collection::Triggers, name).await {
                Ok(Some(entry)) => entry,
                Ok(None) | Err(Error::Conflict(_)) => return Ok(false),
                Err(error) => return Err(error),
            };
            let stored = trigger_of(&entry).expect("triggers were asked for");
            let mut links = stored.rules.clone().unwrap_or_default();
            change(&mut links);
            if stored.rules.as_ref() == Some(&links) {
                return Ok(true);
            }
            let trigger = Trigger {
                rules: Some(links),
                ..Trigger::clone(stored)
            };
            match self.write(&Entity::Trigger(trigger), Some(&entry)).await {
                Ok(_) => return Ok(true),
                Err(Error::Conflict(_) | Error::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::concurrent())
    }

    async fn status_of(&self, rule: &Rule) -> Result<RuleStatus, Error> {
        let entry = self.find(&rule.trigger).await?;
        let links = entry
            .as_deref()
            .and_then(trigger_of)
            .and_then(|trigger| trigger.rules.as_ref());
        let link = links.and_then(|links| links.get(&rule.full_name().to_string()));
        Ok(link.map_or(RuleStatus::Inactive, |link| link.status))
    }

    /// Errors: 403 naming the trigger and the action that are refused; the package's own refusal for a packaged action.
    async fn may_connect(
        &self,
        caller: &Caller,
        trigger: Option<&FullName>,
        action: Option<&FullName>,
    ) -> Result<(), Error> {
        let mut refused = Vec::new();
        if let Some(trigger) = trigger.filter(|trigger| !caller.owns(trigger.namespace())) {
            refused.push(trigger.to_string());
        }
        if let Some(action) = action {
            match action.package_name() {
                Some(package) => drop(self.readable_package(caller, &package).await?),
                None if caller.owns(action.namespace()) => {}
                None => refused.push(action.to_string()),
            }
        }
        refused.sort();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Error::Forbidden(refused.join(", ")))
        }
    }

    /// Errors: 400 naming what is missing, the trigger first.
    async fn must_exist(&self, trigger: &FullName, action: &FullName) -> Result<(), Error> {
        match self.find(trigger).await?.as_deref().map(trigger_of) {
            Some(Some(_)) => {}
            Some(None) => return Err(Error::Rejected(format!("{} is not a trigger", trigger.slashed()))),
            None => return Err(Error::Rejected(format!("trigger {} does not exist", trigger.slashed()))),
        }
        let missing = || Error::Rejected(format!("action {} does not exist", action.slashed()));
        let stored = self.without_binding(action).await?.ok_or_else(missing)?;
        match self.action_entry(&stored).await {
            Ok(_) => Ok(()),
            Err(Error::Missing) => Err(missing()),
            Err(Error::Conflict(_)) => Err(Error::Rejected(format!("{} is not an action", action.slashed()))),
            Err(error) => Err(error),
        }
    }
}

fn rule_of(entry: &Entry) -> Option<&Arc<Rule>> {
    match &entry.value {
        Value::Rule(rule) => Some(rule),
        Value::Action(_) | Value::Trigger(_) | Value::Package(_) => None,
    }
}
