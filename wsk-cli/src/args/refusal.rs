//! What is wrong with a flag, in the words of upstream's parser.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

/// The one line for a leaf command's parse error.
pub fn text(error: &clap::Error, leaf: &Command, line: &[String]) -> String {
    let flag = context(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(&flag, line),
        ErrorKind::InvalidValue if context(error, ContextKind::InvalidValue).is_empty() => {
            needs_operand(&flag, leaf, line)
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => invalid(error, &flag, leaf),
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    }
}

/// The line for a flag that is not known, in a group or a leaf.
pub fn unknown(flag: &str, line: &[String]) -> String {
    if flag.starts_with("--") {
        let name = flag.split('=').next().unwrap_or_default();
        return format!("unknown flag: {name}");
    }
    let letter = flag.trim_start_matches('-').chars().next().unwrap_or_default();
    let cluster = |word: &&String| word.starts_with('-') && !word.starts_with("--") && word.contains(letter);
    let typed = line.iter().find(cluster).map_or(flag, String::as_str);
    format!("unknown shorthand flag: '{letter}' in {typed}")
}

fn needs_operand(flag: &str, leaf: &Command, line: &[String]) -> String {
    let long = long_name(flag);
    let short = find(leaf, &long).and_then(Arg::get_short);
    let typed_short = line
        .last()
        .filter(|word| word.starts_with('-') && !word.starts_with("--"));
    match (short, typed_short) {
        (Some(short), Some(typed)) => format!("flag needs an argument: '{short}' in {typed}"),
        _ => format!("flag needs an argument: --{long}"),
    }
}

fn invalid(error: &clap::Error, flag: &str, leaf: &Command) -> String {
    let long = long_name(flag);
    let arg = find(leaf, &long);
    let shown = match arg.and_then(Arg::get_short) {
        Some(short) => format!("-{short}, --{long}"),
        None => format!("--{long}"),
    };
    let function = match arg.is_some_and(|arg| matches!(arg.get_default_values(), [value] if value == "false")) {
        true => "ParseBool",
        false => "ParseInt",
    };
    let value = context(error, ContextKind::InvalidValue);
    let reason = error.source().map(ToString::to_string).unwrap_or_default();
    format!(r#"invalid argument "{value}" for "{shown}" flag: strconv.{function}: parsing "{value}": {reason}"#)
}

fn find<'a>(leaf: &'a Command, long: &str) -> Option<&'a Arg> {
    leaf.get_arguments().find(|arg| arg.get_long() == Some(long))
}

/// clap names a flag with its operands: `--memory <LIMIT>`.
fn long_name(flag: &str) -> String {
    let word = flag.split([' ', '=', '[']).next().unwrap_or_default();
    word.trim_start_matches('-').to_owned()
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    }
}

/// Whether an argument takes an operand.
pub fn takes_operand(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.is_require_equals_set() && !matches!(arg.get_action(), ArgAction::SetTrue)
}
