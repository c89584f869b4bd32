//! Paths, verbs and names as they are typed.

use serde_json::{Value, json};

use crate::failure::Failure;

/// The verbs a route may have.
const VERBS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// How an API is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    Path(String),
    Name(String),
}

impl Base {
    /// A text that begins with a slash is a base path, any other an API name.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if !text.starts_with('/') {
            return Ok(Self::Name(text.to_owned()));
        }
        match parameters(text).next() {
            None => Ok(Self::Path(text.to_owned())),
            Some(_) => Err(Failure::new(format!(
                "The base path '{text}' cannot have parameters. Only the relative path supports path parameters."
            ))),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Path(text) | Self::Name(text) => text,
        }
    }
}

/// Checks a relative path.
pub fn parse_path(text: &str) -> Result<String, Failure> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(Failure::new(format!("'{text}' must begin with '/'."))),
    }
}

/// Checks a verb; gives it in upper case.
pub fn parse_verb(text: &str) -> Result<String, Failure> {
    let verb = text.to_uppercase();
    match VERBS.contains(&verb.as_str()) {
        true => Ok(verb),
        false => {
            let valid = VERBS.join(" ");
            Err(Failure::new(format!(
                "'{text}' is not a valid API verb.  Valid values are: [{valid}]"
            )))
        }
    }
}

/// The names of whole segments in braces.
pub fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .filter(|name| !name.is_empty())
}

/// The declarations of a path's parameters.
pub fn declared(path: &str) -> Vec<Value> {
    parameters(path)
        .map(|name| {
            json!({
                "name": name, "in": "path", "description": format!("Default description for '{name}'"),
                "required": true, "type": "string"
            })
        })
        .collect()
}

/// Base and relative path in one.
pub fn joined(base: &str, path: &str) -> String {
    format!("{}{path}", base.strip_suffix('/').unwrap_or(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        assert_eq!(Base::parse("/club").unwrap(), Base::Path("/club".into()));
        assert_eq!(Base::parse("Book Club").unwrap(), Base::Name("Book Club".into()));
        let text = "The base path '/h/{x}' cannot have parameters. Only the relative path supports path parameters.";
        assert_eq!(Base::parse("/h/{x}").unwrap_err(), Failure::new(text));
    }

    #[test]
    fn parameters_are_whole_segments() {
        assert_eq!(parameters("/a/{b}/x{c}/{d}/{}").collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn joining() {
        assert_eq!(joined("/", "/world"), "/world");
        assert_eq!(joined("/hello", "/world"), "/hello/world");
        assert_eq!(joined("Book Club", "/x/{id}"), "Book Club/x/{id}");
    }
}
