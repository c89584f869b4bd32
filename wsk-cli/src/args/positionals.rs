//! Operands that are not flags, counted with upstream's messages.

use crate::failure::Failure;

/// The operands of a leaf command, not yet counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positionals(pub Vec<String>);

impl Positionals {
    /// Checks that there are `least` to `most`; `required` is the sentence that says what the command wants.
    pub fn count(self, least: usize, most: usize, required: &str) -> Result<Vec<String>, Failure> {
        let given = self.0;
        if given.len() < least {
            return Err(Failure::new(required).in_arguments());
        }
        if given.len() > most {
            let surplus = given[most..].join(", ");
            return Err(Failure::new(format!("Invalid argument(s): {surplus}. {required}")));
        }
        Ok(given)
    }

    /// Exactly one.
    pub fn one(self, required: &str) -> Result<String, Failure> {
        let mut given = self.count(1, 1, required)?;
        Ok(given.remove(0))
    }

    /// One, and perhaps a second.
    pub fn one_or_two(self, required: &str) -> Result<(String, Option<String>), Failure> {
        let mut given = self.count(1, 2, required)?.into_iter();
        Ok((given.next().expect("at least one was counted"), given.next()))
    }

    /// None or one.
    pub fn optional(self, required: &str) -> Result<Option<String>, Failure> {
        Ok(self.count(0, 1, required)?.into_iter().next())
    }
}

impl From<Vec<String>> for Positionals {
    fn from(given: Vec<String>) -> Self {
        Self(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_and_too_many() {
        let required = "An action name is required.";
        let given = |words: &[&str]| Positionals(words.iter().map(|word| (*word).to_owned()).collect());
        let few = given(&[]).one(required).unwrap_err();
        assert_eq!(few, Failure::new("Invalid argument(s). An action name is required."));
        let many = given(&["a", "b", "c"]).one(required).unwrap_err();
        assert_eq!(
            many,
            Failure::new("Invalid argument(s): b, c. An action name is required.")
        );
    }
}
