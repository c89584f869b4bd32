//! Names as users type them: `name`, `pkg/name`, `/ns/name`, `/ns/pkg/name`.

use std::fmt;

use crate::failure::Failure;

/// The namespace of the caller's key.
pub const OWN: &str = "_";

/// A name taken apart. The platform judges the characters; only the shape is checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// The namespace, or `_`.
    pub namespace: String,
    /// `name` or `pkg/name`; empty when only a namespace was given.
    pub entity: String,
}

impl QualifiedName {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let three_parts = text.split('/').count() == 3 && !text.starts_with('/');
        let slashed = match three_parts {
            true => format!("/{text}"),
            false => text.to_owned(),
        };
        let valid = match slashed.strip_prefix('/') {
            Some(path) => {
                let parts: Vec<&str> = path.split('/').collect();
                (parts.len() <= 3 && parts.iter().all(|part| !part.is_empty() && *part != ".")).then(|| Self {
                    namespace: parts[0].to_owned(),
                    entity: parts[1..].join("/"),
                })
            }
            None => (!slashed.is_empty() && slashed != ".").then(|| Self {
                namespace: OWN.to_owned(),
                entity: slashed.clone(),
            }),
        };
        valid.ok_or_else(|| {
            Failure::new(format!(
                "'{text}' is not a valid qualified name: A valid qualified name must be specified."
            ))
        })
    }

    /// The package, when the name has one.
    pub fn package(&self) -> Option<&str> {
        self.entity.rsplit_once('/').map(|(package, _)| package)
    }

    /// The last part.
    pub fn base(&self) -> &str {
        self.entity.rsplit('/').next().unwrap_or_default()
    }

    /// The namespace as messages about lists call it.
    pub fn namespace_for_messages(&self) -> &str {
        match self.namespace.as_str() {
            OWN => "default",
            namespace => namespace,
        }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.namespace, self.entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String) {
        let name = QualifiedName::parse(text).unwrap();
        (name.namespace, name.entity)
    }

    #[test]
    fn shapes() {
        let cases = [
            ("foo", "_", "foo"),
            ("pkg/foo", "_", "pkg/foo"),
            ("/ns/foo", "ns", "foo"),
            ("/ns/pkg/foo", "ns", "pkg/foo"),
            ("ns/pkg/foo", "ns", "pkg/foo"),
            ("/ns", "ns", ""),
            ("a/b/c/d/e", "_", "a/b/c/d/e"),
            ("hi+there", "_", "hi+there"),
        ];
        for (text, namespace, entity) in cases {
            assert_eq!(parts(text), (namespace.to_owned(), entity.to_owned()), "{text}");
        }
    }

    #[test]
    fn refused_shapes() {
        for text in ["", ".", "/", "//", "/ns/", "/ns//a", "/ns/./a", "/a/b/c/d"] {
            let Failure::Said { message, .. } = QualifiedName::parse(text).unwrap_err() else {
                panic!("{text}")
            };
            assert_eq!(
                message,
                format!("'{text}' is not a valid qualified name: A valid qualified name must be specified.")
            );
        }
    }

    #[test]
    fn package_and_base() {
        let name = QualifiedName::parse("/ns/pkg/foo").unwrap();
        assert_eq!(
            (name.package(), name.base(), name.to_string().as_str()),
            (Some("pkg"), "foo", "/ns/pkg/foo")
        );
        assert_eq!(QualifiedName::parse("foo").unwrap().package(), None);
    }
}
