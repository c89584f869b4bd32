//! What fires need of a rule and is the same for all fires of one revision of its trigger.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;
use wsk_entities::{FullName, RuleLink};

use super::story::Line;

/// One rule of a trigger.
#[derive(Debug)]
pub struct Known {
    /// Its name; none where the trigger has something else in its place.
    pub(super) name: Option<FullName>,
    /// How its line in the record begins: rule and action, without the closing brace.
    head: Box<str>,
}

#[derive(Serialize)]
struct Head<'a> {
    rule: &'a str,
    action: &'a str,
}

impl Known {
    /// Of each rule, in order.
    pub fn of(rules: &IndexMap<String, RuleLink>) -> Arc<[Known]> {
        let known = |(rule, link): (&String, &RuleLink)| {
            let action = &link.action.to_string();
            let mut head = serde_json::to_string(&Head { rule, action }).expect("two texts serialise");
            head.pop();
            Known {
                name: rule.parse().ok(),
                head: head.into(),
            }
        };
        rules.iter().map(known).collect()
    }

    /// The rule's line in a record.
    pub(super) fn tell((known, line): (&Known, &Line)) -> String {
        let rest = serde_json::to_string(line).expect("a line serialises");
        let mut told = String::with_capacity(known.head.len() + rest.len());
        told.push_str(&known.head);
        told.push(',');
        told.push_str(&rest[1..]);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Error;
    use wsk_entities::RuleStatus;

    /// To the byte what a client reads in the logs of a trigger's record.
    #[test]
    fn a_line_is_one_object_of_rule_and_outcome() {
        let link = RuleLink {
            action: "guest/pack/a b".parse().unwrap(),
            status: RuleStatus::Active,
        };
        let rules = IndexMap::from([("guest/quo\"té".to_owned(), link)]);
        let known = Known::of(&rules);
        let mut line = Line {
            status_code: 0,
            success: true,
            activation_id: Some(wsk_entities::ActivationId::from_bits(7)),
            error: None,
        };
        let head = r#"{"rule":"guest/quo\"té","action":"guest/pack/a b""#;
        assert_eq!(
            Known::tell((&known[0], &line)),
            format!(r#"{head},"statusCode":0,"success":true,"activationId":"00000000000000000000000000000007"}}"#)
        );
        line.refuse(&Error::Missing);
        let told = Known::tell((&known[0], &line));
        let error = serde_json::to_string(&Error::Missing.to_string()).unwrap();
        assert_eq!(
            told,
            format!(r#"{head},"statusCode":1,"success":false,"error":{error}}}"#)
        );
    }
}
