//! Flags that every command has, and the habits all flags share.

use clap::builder::{TypedValueParser as _, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::props::Overrides;

/// The global flags as they were given.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    pub verbose: bool,
    pub debug: bool,
    pub insecure: bool,
    pub help: bool,
    pub overrides: Overrides,
}

/// A global flag: id (its long name behind a prefix), short name, operand (none for a switch) and help text.
struct Global(&'static str, Option<char>, Option<&'static str>, &'static str);

const GLOBALS: &[Global] = &[
    Global("global-apihost", None, Some("HOST"), "whisk API HOST"),
    Global("global-apiversion", None, Some("VERSION"), "whisk API VERSION"),
    Global("global-auth", Some('u'), Some("KEY"), "authorization KEY"),
    Global("global-cert", None, Some("string"), "client cert"),
    Global("global-debug", Some('d'), None, "debug level output"),
    Global("global-help", Some('h'), None, "help"),
    Global("global-insecure", Some('i'), None, "bypass certificate checking"),
    Global("global-key", None, Some("string"), "client key"),
    Global("global-verbose", Some('v'), None, "verbose output"),
];

/// The commands that came from a program of their own, which had letters for the files of a client certificate.
const PROJECT: &str = "project";

/// Ids of global flags start with this, so that they never meet a command's own.
pub const GLOBAL_PREFIX: &str = "global-";

/// Gives every leaf the global flags that its own do not hide, and every flag the manners of upstream's parser: the
/// last one wins, an operand may begin with a dash, a switch may be written `--flag=false`.
pub fn tuned(command: Command) -> Command {
    let mut command = command
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true);
    if command.has_subcommands() {
        for name in command
            .get_subcommands()
            .map(|sub| sub.get_name().to_owned())
            .collect::<Vec<_>>()
        {
            command = command.mut_subcommand(name, tuned);
        }
        if command.get_name() == PROJECT {
            return command.mut_subcommands(|leaf| {
                leaf.mut_arg("global-key", |arg| arg.short('k'))
                    .mut_arg("global-cert", |arg| arg.short('c'))
            });
        }
        return command;
    }
    let hidden: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    for global in GLOBALS
        .iter()
        .filter(|global| !hidden.iter().any(|name| name == global.long()))
    {
        command = command.arg(global.to_arg());
    }
    command.args_override_self(true).mut_args(tuned_arg)
}

fn tuned_arg(arg: Arg) -> Arg {
    if arg.is_positional() {
        return arg;
    }
    match arg.get_action() {
        ArgAction::SetTrue => {
            let parser = clap::builder::StringValueParser::new().try_map(|text| go_bool(&text));
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .value_parser(ValueParser::new(parser))
                .hide_possible_values(true)
        }
        _ => arg.allow_hyphen_values(true),
    }
}

impl Global {
    fn long(&self) -> &'static str {
        self.0.strip_prefix(GLOBAL_PREFIX).expect("every id has the prefix")
    }

    fn to_arg(&self) -> Arg {
        let Self(id, short, operand, help) = *self;
        let arg = Arg::new(id).long(self.long()).help(help);
        let arg = match short {
            Some(short) => arg.short(short),
            None => arg,
        };
        match operand {
            Some(operand) => arg.value_name(operand).action(ArgAction::Set),
            None => arg.action(ArgAction::SetTrue),
        }
    }
}

impl Globals {
    /// Reads the flags out of the matches of a leaf; those hidden by the leaf's own count as not given.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        let switch = |name: &str| get::<bool>(matches, name).unwrap_or(false);
        let text = |name: &str| get::<String>(matches, name);
        Self {
            verbose: switch("verbose"),
            debug: switch("debug"),
            insecure: switch("insecure"),
            help: switch("help"),
            overrides: Overrides {
                api_host: text("apihost"),
                auth: text("auth"),
                api_version: text("apiversion"),
                cert: text("cert"),
                key: text("key"),
            },
        }
    }
}

fn get<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches
        .try_get_one::<T>(&format!("{GLOBAL_PREFIX}{name}"))
        .ok()
        .flatten()
        .cloned()
}

/// Whether `token` is a global flag, and if so whether it takes an operand.
pub fn global_operand(token: &str) -> Option<bool> {
    let found = GLOBALS.iter().find(|global| match token.strip_prefix("--") {
        Some(name) => name == global.long(),
        None => global.1.is_some_and(|short| token == format!("-{short}")),
    });
    found.map(|global| global.2.is_some())
}

/// A number as upstream's parser takes it, with the words it has for one it does not take.
pub fn go_int(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|error| match error.kind() {
        PosOverflow | NegOverflow => "value out of range".to_owned(),
        _ => "invalid syntax".to_owned(),
    })
}

fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("invalid syntax".to_owned()),
    }
}
