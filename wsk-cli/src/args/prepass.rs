//! The pass over the raw arguments that comes before flag parsing.
//!
//! `KEY VALUE` flags take two operands and may stand anywhere, even after `--` and even where the command has no such
//! flag; OpenWhisk's `wsk` therefore removes them first, and so do we.

use crate::failure::Failure;
use crate::files;
use crate::pairs::{Pairs, Secrecy};

/// The lists that were collected, and what is left of the command line.
#[derive(Debug, Default)]
pub struct Prepass {
    pub rest: Vec<String>,
    pub lists: Lists,
}

/// The four lists of `KEY VALUE` operands.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    pub parameters: Pairs,
    pub annotations: Pairs,
    pub feed: Pairs,
    pub trigger: Pairs,
}

/// What a flag of this pass takes and where it goes.
#[derive(Clone, Copy)]
enum Token {
    Parameter,
    Annotation,
    ParameterFile,
    AnnotationFile,
    Feed,
    Trigger,
    /// Ours: the platform never shows the value again.
    Secret,
    SecretFile,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "-p" | "--param" => Some(Self::Parameter),
            "-a" | "--annotation" => Some(Self::Annotation),
            "-P" | "--param-file" => Some(Self::ParameterFile),
            "-A" | "--annotation-file" => Some(Self::AnnotationFile),
            "-F" | "--feed-param" => Some(Self::Feed),
            "-T" | "--trigger-param" => Some(Self::Trigger),
            "--secret-param" => Some(Self::Secret),
            "--secret-param-file" => Some(Self::SecretFile),
            _ => None,
        }
    }

    /// The clause that names the list in messages; feed and trigger parameters have none.
    fn clause(self) -> &'static str {
        match self {
            Self::Parameter | Self::ParameterFile | Self::Secret | Self::SecretFile => {
                "The parameter arguments are invalid: "
            }
            Self::Annotation | Self::AnnotationFile => "The annotation arguments are invalid: ",
            Self::Feed | Self::Trigger => "",
        }
    }
}

/// Takes the `KEY VALUE` flags out of `arguments` (without the program's name).
pub fn run(arguments: Vec<String>) -> Result<Prepass, Failure> {
    let mut pass = Prepass::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let Some(token) = Token::parse(&argument) else {
            pass.rest.push(argument);
            continue;
        };
        let lists = &mut pass.lists;
        let list = match token {
            Token::Parameter | Token::ParameterFile | Token::Secret | Token::SecretFile => &mut lists.parameters,
            Token::Annotation | Token::AnnotationFile => &mut lists.annotations,
            Token::Feed => &mut lists.feed,
            Token::Trigger => &mut lists.trigger,
        };
        let secrecy = match token {
            Token::Secret | Token::SecretFile => Secrecy::Secret,
            Token::Parameter
            | Token::ParameterFile
            | Token::Annotation
            | Token::AnnotationFile
            | Token::Feed
            | Token::Trigger => Secrecy::Plain,
        };
        match token {
            Token::ParameterFile | Token::AnnotationFile | Token::SecretFile => {
                let file = arguments.next().ok_or_else(|| {
                    refused(format!(
                        "{}An argument must be provided for '{argument}'",
                        token.clause()
                    ))
                })?;
                list.push_file(
                    files::read_text(&file).map_err(|failure| failure.prefixed(PREFIX))?,
                    secrecy,
                );
            }
            Token::Parameter | Token::Annotation | Token::Feed | Token::Trigger | Token::Secret => {
                let (Some(key), Some(value)) = (arguments.next(), arguments.next()) else {
                    let clause = token.clause();
                    return Err(refused(format!(
                        "{clause}Arguments for '{argument}' must be a key/value pair"
                    )));
                };
                list.push_pair(&key, &value, secrecy);
            }
        }
    }
    Ok(pass)
}

const PREFIX: &str = "Failed to parse arguments: ";

fn refused(message: String) -> Failure {
    Failure::new(message).prefixed(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::pairs::Sort;

    fn pass(line: &str) -> Result<Prepass, Failure> {
        run(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn pairs_are_taken_wherever_they_stand() {
        let pass = pass("-p a 1 action -a x y invoke --param b 2 hello -- -p c -3").unwrap();
        assert_eq!(pass.rest, ["action", "invoke", "hello", "--"]);
        let parameters = pass.lists.parameters.to_object(Sort::Parameter).unwrap();
        assert_eq!(serde_json::to_string(&parameters).unwrap(), r#"{"a":1,"b":2,"c":-3}"#);
        assert!(!pass.lists.annotations.is_empty());
    }

    #[test]
    fn other_spellings_are_left_alone() {
        assert_eq!(
            pass("--param=a -pk -bp k v").unwrap().rest,
            ["--param=a", "-pk", "-bp", "k", "v"]
        );
    }

    #[test]
    fn missing_operands_name_the_token_as_typed() {
        let cases = [
            (
                "invoke x -p a",
                "The parameter arguments are invalid: Arguments for '-p' must be a key/value pair",
            ),
            (
                "x --annotation a",
                "The annotation arguments are invalid: Arguments for '--annotation' must be a key/value pair",
            ),
            (
                "x -P",
                "The parameter arguments are invalid: An argument must be provided for '-P'",
            ),
            (
                "x -A",
                "The annotation arguments are invalid: An argument must be provided for '-A'",
            ),
            ("x -F a", "Arguments for '-F' must be a key/value pair"),
        ];
        for (line, text) in cases {
            let expected = Failure::new(format!("Failed to parse arguments: {text}"));
            assert_eq!(pass(line).unwrap_err(), expected, "{line}");
        }
    }

    #[test]
    fn a_missing_file_is_exit_2() {
        let text = "Failed to parse arguments: File 'nofile' is not a valid file or it does not exist";
        assert_eq!(
            pass("x -P nofile").unwrap_err(),
            Failure::new(text).with_exit(Exit::USAGE)
        );
    }
}
