//! Lists of entities as text.

use serde_json::Value;

use crate::json::{integer, key_value, text};
use crate::times;

/// Whether a page is sorted by name before it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    AsSent,
    ByName,
}

/// What is shown of an entity in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    Packages,
    Actions,
    Triggers,
    Rules,
}

impl Listed {
    /// The word above the list.
    pub fn header(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Actions => "actions",
            Self::Triggers => "triggers",
            Self::Rules => "rules",
        }
    }

    /// One line.
    pub fn row(self, entity: &Value) -> String {
        let name = full_name(entity);
        match self {
            Self::Packages => {
                let shared = entity.get("publish") == Some(&Value::Bool(true));
                format!("{name:<70} {}", if shared { "shared" } else { "private" })
            }
            Self::Actions => {
                let kind = key_value(entity.get("annotations"), "exec")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                format!("{name:<70} private {kind}")
            }
            Self::Triggers => format!("{name:<70} private"),
            Self::Rules => format!("{name:<70} {:<20} {}", "private", text(entity, "status")),
        }
    }

    /// Puts a page in order.
    pub fn sort(self, page: &mut [Value], order: Order) {
        match (order, self) {
            (Order::AsSent, _) => {}
            (Order::ByName, Self::Actions) => page.sort_by_cached_key(action_key),
            (Order::ByName, Self::Packages | Self::Triggers | Self::Rules) => {
                page.sort_by_cached_key(|entity| {
                    format!("{}{}", text(entity, "namespace"), text(entity, "name")).to_lowercase()
                });
            }
        }
    }
}

/// Actions outside packages come first, by name as it is; the others follow by their full name, in any case.
fn action_key(action: &Value) -> (bool, String) {
    let (namespace, name) = (text(action, "namespace"), text(action, "name"));
    match namespace.contains('/') {
        false => (false, name.to_owned()),
        true => (true, format!("{namespace}{name}").to_lowercase()),
    }
}

/// `/namespace/name` as the platform sent them.
pub fn full_name(entity: &Value) -> String {
    format!("/{}/{}", text(entity, "namespace"), text(entity, "name"))
}

/// The table of activations, header included.
pub fn activations(page: &[Value]) -> Vec<String> {
    if page.is_empty() {
        return vec![String::new()];
    }
    let rows: Vec<Row> = page.iter().map(Row::new).collect();
    let kinds = rows
        .iter()
        .map(|row| row.kind.chars().count())
        .max()
        .unwrap_or(0)
        .max("Kind".len());
    let statuses = rows
        .iter()
        .map(|row| row.status.len())
        .max()
        .unwrap_or(0)
        .max("success".len());
    let header = format!(
        "{:<19} {:<32} {:<kinds$} {:<6}{:<10} {:<statuses$} {:<6}",
        "Datetime", "Activation ID", "Kind", "Start", "Duration", "Status", "Entity"
    );
    let lines = rows.iter().map(|row| {
        let Row {
            time,
            id,
            kind,
            start,
            duration,
            status,
            entity,
        } = row;
        format!("{time} {id:<32} {kind:<kinds$} {start:<5} {duration:<10} {status:<statuses$} {entity}")
    });
    std::iter::once(header).chain(lines).collect()
}

struct Row {
    time: String,
    id: String,
    kind: String,
    start: &'static str,
    duration: String,
    status: &'static str,
    entity: String,
}

impl Row {
    fn new(record: &Value) -> Self {
        let annotations = record.get("annotations");
        let (start, end) = (integer(record, "start"), integer(record, "end"));
        let duration = match integer(record, "duration") {
            0 => 0,
            _ => end - start,
        };
        let entity = format!(
            "{}/{}:{}",
            truncate(text(record, "namespace"), 20),
            truncate(text(record, "name"), 30),
            truncate(text(record, "version"), 20)
        );
        Self {
            time: times::list_time(start),
            id: text(record, "activationId").to_owned(),
            kind: key_value(annotations, "kind")
                .and_then(Value::as_str)
                .unwrap_or("unknown")
                .to_owned(),
            start: if key_value(annotations, "initTime").is_some() {
                "cold"
            } else {
                "warm"
            },
            duration: times::go_duration(duration),
            status: status_text(integer(record, "statusCode")),
            entity,
        }
    }
}

fn status_text(code: i64) -> &'static str {
    match code {
        1 => "application error",
        2 => "developer error",
        3 => "internal error",
        _ => "success",
    }
}

/// Shortens to `most` characters, with dots for the middle.
fn truncate(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let head: String = characters[..most.div_ceil(2)].iter().collect();
    let tail: String = characters[characters.len() - (most / 2 - 3)..].iter().collect();
    format!("{head}...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows() {
        let action = json!({"namespace": "guest/pkg", "name": "a", "publish": true,
                            "annotations": [{"key": "exec", "value": "nodejs:20"}]});
        assert_eq!(
            Listed::Actions.row(&action),
            format!("{:<70} private nodejs:20", "/guest/pkg/a")
        );
        let package = json!({"namespace": "guest", "name": "p", "publish": true});
        assert_eq!(Listed::Packages.row(&package), format!("{:<70} shared", "/guest/p"));
        let rule = json!({"namespace": "guest", "name": "r", "status": "active"});
        assert_eq!(
            Listed::Rules.row(&rule),
            format!("{:<70} {:<20} active", "/guest/r", "private")
        );
        let long = json!({"namespace": "guest", "name": "x".repeat(80)});
        assert_eq!(
            Listed::Triggers.row(&long),
            format!("/guest/{} private", "x".repeat(80))
        );
    }

    #[test]
    fn sorting_by_name() {
        let entity = |namespace: &str, name: &str| json!({"namespace": namespace, "name": name});
        let mut page = vec![
            entity("g/p", "a"),
            entity("g", "b"),
            entity("g", "B"),
            entity("g/P", "A"),
        ];
        Listed::Actions.sort(&mut page, Order::ByName);
        let names: Vec<String> = page.iter().map(full_name).collect();
        assert_eq!(names, ["/g/B", "/g/b", "/g/p/a", "/g/P/A"]);
        let mut page = vec![entity("g", "b"), entity("g", "A")];
        Listed::Triggers.sort(&mut page, Order::ByName);
        assert_eq!(full_name(&page[0]), "/g/A");
    }

    #[test]
    fn activation_table() {
        let record = |id: &str, start: i64, duration: i64, code: i64, name: &str, annotations: Value| {
            json!({"activationId": id, "start": start, "end": start + duration, "duration": duration,
                   "statusCode": code, "namespace": "guest", "name": name, "version": "0.0.1",
                   "annotations": annotations})
        };
        let kind = json!({"key": "kind", "value": "nodejs:20"});
        let page = [
            record(
                "00000000000000000000000000abc016",
                0,
                62345,
                0,
                "slow",
                json!([kind, {"key": "initTime", "value": 5}]),
            ),
            record("00000000000000000000000000abc015", 0, 0, 0, "trig", json!([])),
            record("00000000000000000000000000abc007", 0, 50, 1, "objerr", json!([kind])),
        ];
        // The time depends on the zone; its width does not.
        let lines: Vec<String> = activations(&page).iter().map(|line| line[19..].to_owned()).collect();
        let expected = [
            " Activation ID                    Kind      Start Duration   Status            Entity",
            " 00000000000000000000000000abc016 nodejs:20 cold  1m2.345s   success           guest/slow:0.0.1",
            " 00000000000000000000000000abc015 unknown   warm  0s         success           guest/trig:0.0.1",
            " 00000000000000000000000000abc007 nodejs:20 warm  50ms       application error guest/objerr:0.0.1",
        ];
        assert_eq!(lines, expected);
        assert_eq!(activations(&[]), [""]);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(
            truncate("averyveryverylongactionnamemorethan30chars", 30),
            "averyveryverylo...ethan30chars"
        );
        assert_eq!(truncate("short", 30), "short");
    }
}
