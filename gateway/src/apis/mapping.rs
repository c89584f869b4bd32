//! Request mapping: what an API changes about a request before its backend sees it.
//!
//! A step `set-variable` sets parts to values; a step `reqMapping` inserts, supplies, moves and removes parts, in OpenWhisk's
//! terms `insert`, `default`, `transform` and `remove`. Parts are headers, members of the query and of a JSON body, and
//! placeholders in the path of the target. What a request does not have is not moved; what stands in its way is replaced.

mod message;

use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, VIA};
use serde_json::Value;

use super::public::asked::HOP_BY_HOP;
pub use message::Message;

/// What is done to each request, in order.
#[derive(Debug, Default, PartialEq)]
pub struct Mapping(Vec<Step>);

#[derive(Debug, PartialEq)]
enum Step {
    Insert {
        value: Source,
        to: Part,
    },
    /// Inserts where nothing is.
    Default {
        value: Value,
        to: Part,
    },
    Move {
        from: Part,
        to: Part,
    },
    MoveAll {
        from: Location,
        to: Location,
    },
    Remove(Part),
}

#[derive(Debug, PartialEq)]
enum Source {
    Value(Value),
    Part(Part),
}

/// One part of a request.
#[derive(Debug, PartialEq)]
struct Part {
    location: Location,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Location {
    Header,
    Query,
    /// A member of a JSON object.
    Body,
    /// Of the request: a parameter of its path. Of the backend's: a placeholder in the target.
    Path,
}

const ALL: &str = "*";

impl Mapping {
    /// Adds the actions of a `set-variable`. Errors: the text for the author of the description.
    pub fn set_variables(&mut self, step: &Value) -> Result<(), String> {
        for action in step.get("actions").and_then(Value::as_array).into_iter().flatten() {
            let variable = text(action, "set");
            let place = variable.strip_prefix("message.").and_then(|rest| rest.split_once('.'));
            let (location, name) = place.ok_or_else(|| format!("the variable '{variable}' cannot be set"))?;
            let location = Location::parse(location).map_err(|_| format!("the variable '{variable}' cannot be set"))?;
            let to = Part::new(location, name)?;
            let value = given(action, variable)?;
            to.admits(&value)?;
            let value = Source::Value(value);
            self.0.push(Step::Insert { value, to });
        }
        Ok(())
    }

    /// Adds the actions of a `reqMapping`. Errors: the text for the author of the description.
    pub fn map(&mut self, step: &Value) -> Result<(), String> {
        let actions = step.as_array().ok_or("a reqMapping must be an array of actions")?;
        for action in actions {
            self.0.push(Step::parse(action)?);
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the body of requests must be read.
    pub fn needs_body(&self) -> bool {
        self.0
            .iter()
            .any(|step| step.locations().contains(&Some(Location::Body)))
    }

    /// The placeholders that the target must have.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Insert { to, .. } | Step::Default { to, .. } | Step::Move { to, .. } => {
                (to.location == Location::Path).then_some(&*to.name)
            }
            Step::MoveAll { .. } | Step::Remove(_) => None,
        })
    }

    /// Changes a request. Errors: the text for the caller about a value that does not fit where it is to go.
    pub fn apply(&self, message: &mut Message<'_>) -> Result<(), String> {
        for step in &self.0 {
            match step {
                Step::Insert {
                    value: Source::Value(value),
                    to,
                } => message.set(to, value.clone())?,
                Step::Insert {
                    value: Source::Part(from),
                    to,
                } => {
                    if let Some(value) = message.get(from) {
                        message.set(to, value)?;
                    }
                }
                Step::Default { value, to } => {
                    if message.get(to).is_none() {
                        message.set(to, value.clone())?;
                    }
                }
                Step::Move { from, to } => message.relocate(from, to)?,
                Step::MoveAll { from, to } => {
                    for name in message.names(*from) {
                        let part = |location| Part {
                            location,
                            name: name.clone(),
                        };
                        message.relocate(&part(*from), &part(*to))?;
                    }
                }
                Step::Remove(part) => message.remove(part),
            }
        }
        Ok(())
    }
}

impl Step {
    fn parse(action: &Value) -> Result<Step, String> {
        let part = |side: &str| {
            let described = action
                .get(side)
                .ok_or_else(|| format!("an action of a reqMapping has no '{side}'"))?;
            Part::new(Location::parse(text(described, "location"))?, text(described, "name"))
        };
        let value = || given(action.get("from").unwrap_or(&Value::Null), text(&action["to"], "name"));
        let step = match text(action, "action") {
            "insert" if action["from"].get("value").is_some() => Step::Insert {
                value: Source::Value(value()?),
                to: part("to")?,
            },
            "insert" => Step::Insert {
                value: Source::Part(part("from")?),
                to: part("to")?,
            },
            "default" => Step::Default {
                value: value()?,
                to: part("to")?,
            },
            "transform" if text(&action["from"], "name") == ALL => Step::MoveAll {
                from: Location::parse(text(&action["from"], "location"))?,
                to: Location::parse(text(&action["to"], "location"))?,
            },
            "transform" => Step::Move {
                from: part("from")?,
                to: part("to")?,
            },
            "remove" => Step::Remove(part("from")?),
            other => {
                return Err(format!(
                    "'{other}' is no action of a reqMapping (insert, default, transform, remove)"
                ));
            }
        };
        match &step {
            Step::Insert {
                value: Source::Value(value),
                to,
            }
            | Step::Default { value, to } => to.admits(value)?,
            Step::Insert { .. } | Step::Move { .. } | Step::MoveAll { .. } | Step::Remove(_) => {}
        }
        match &step {
            Step::Default {
                to: Part {
                    location: Location::Path,
                    ..
                },
                ..
            }
            | Step::Remove(Part {
                location: Location::Path,
                ..
            }) => Err(format!(
                "the path has no part to {} in a reqMapping",
                text(action, "action")
            )),
            _ => Ok(step),
        }
    }

    /// Where it reads and writes.
    fn locations(&self) -> [Option<Location>; 2] {
        match self {
            Step::Insert {
                value: Source::Value(_),
                to,
            }
            | Step::Default { to, .. } => [None, Some(to.location)],
            Step::Insert {
                value: Source::Part(from),
                to,
            }
            | Step::Move { from, to } => [Some(from.location), Some(to.location)],
            Step::MoveAll { from, to } => [Some(*from), Some(*to)],
            Step::Remove(part) => [Some(part.location), None],
        }
    }
}

impl Location {
    fn parse(text: &str) -> Result<Location, String> {
        match text {
            "header" | "headers" => Ok(Location::Header),
            "query" => Ok(Location::Query),
            "body" => Ok(Location::Body),
            "path" => Ok(Location::Path),
            other => Err(format!("'{other}' is no part of a request (header, query, body, path)")),
        }
    }
}

impl Part {
    fn new(location: Location, name: &str) -> Result<Part, String> {
        let name = name.to_owned();
        if name.is_empty() || name == ALL {
            return Err(format!("'{name}' cannot name one part of a request"));
        }
        if location == Location::Header {
            let header =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' cannot name a header"))?;
            if is_fixed(&header) {
                return Err(format!("the header '{name}' cannot be changed by an API"));
            }
        }
        Ok(Part { location, name })
    }

    /// Whether a value of a description can stand here. Errors: the text for its author.
    fn admits(&self, value: &Value) -> Result<(), String> {
        match self.location {
            Location::Header => header_value(&self.name, value).map(drop),
            Location::Query | Location::Path if value.is_array() || value.is_object() => Err(format!(
                "the value of '{}' must be a text, a number or a boolean",
                self.name
            )),
            Location::Query | Location::Path | Location::Body => Ok(()),
        }
    }
}

/// A value of a description. Errors: the text for its author.
fn given(action: &Value, name: &str) -> Result<Value, String> {
    match action.get("value") {
        Some(Value::Null) | None => Err(format!("'{name}' has no value")),
        Some(value) => Ok(value.clone()),
    }
}

/// A value outside of a body.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a header is about a connection and its messages, not about a request: changing it would break either.
fn is_fixed(header: &HeaderName) -> bool {
    HOP_BY_HOP
        .iter()
        .chain(&[CONTENT_LENGTH, HOST, VIA])
        .any(|fixed| fixed == header)
}

fn header_value(name: &str, value: &Value) -> Result<HeaderValue, String> {
    HeaderValue::from_str(&plain(value)).map_err(|_| format!("the value of '{name}' cannot be a header's"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
