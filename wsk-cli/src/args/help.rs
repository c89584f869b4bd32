//! Help texts in upstream's shape, drawn from the command tree.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::flags::GLOBAL_PREFIX;
use super::refusal::takes_operand;

const LOGO: &str = "
  ___                    _    _     _
 | __|__ _ _ _ _ _____ __| |_ (_)___| |__
 | _/ -_) '_| '_/ _ \\ V  V / ' \\| (_-<| / /
 |_|\\___|_| |_| \\___/\\_/\\_/|_||_|_/__/|_\\_\\
";

/// The help of the command at `path`, below `root`.
pub fn render(root: &Command, path: &[String]) -> String {
    let mut command = root;
    for word in path {
        command = command.find_subcommand(word).expect("the path was found in this tree");
    }
    let name = std::iter::once("wsk")
        .chain(path.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join(" ");
    let mut text = match path.is_empty() {
        true => LOGO.trim_start_matches('\n').to_owned(),
        false => format!("{}\n", about(command)),
    };
    match command.has_subcommands() {
        true => group(&mut text, command, &name, leaf_globals(root)),
        false => leaf(&mut text, command, &name),
    }
    text
}

fn group(text: &mut String, command: &Command, name: &str, globals: Vec<Arg>) {
    let _ = write!(text, "Usage:\n  {name} [command]\n\nAvailable Commands:\n");
    let mut commands: Vec<&Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
    commands.sort_by_key(|sub| sub.get_name());
    for sub in commands {
        let _ = writeln!(text, "  {:<11} {}", sub.get_name(), about(sub));
    }
    let (help, globals): (Vec<Arg>, Vec<Arg>) = globals.into_iter().partition(is_help);
    if name == "wsk" {
        section(text, name, "Flags", help.iter().chain(&globals));
    } else {
        section(text, name, "Flags", help.iter());
        section(text, name, "Global Flags", globals.iter());
    }
    let _ = write!(
        text,
        "\nUse \"{name} [command] --help\" for more information about a command.\n"
    );
}

fn leaf(text: &mut String, command: &Command, name: &str) {
    let operands: Vec<String> = command
        .get_positionals()
        .filter_map(|arg| arg.get_value_names())
        .flat_map(|names| names.iter().map(ToString::to_string))
        .filter(|name| !name.is_empty())
        .collect();
    let tail = operands.iter().map(|operand| format!(" {operand}")).collect::<String>();
    let _ = write!(text, "Usage:\n  {name}{tail} [flags]\n");
    let flags = command.get_arguments().filter(|arg| !arg.is_positional());
    let (globals, own): (Vec<&Arg>, Vec<&Arg>) =
        flags.partition(|arg| arg.get_id().as_str().starts_with(GLOBAL_PREFIX) && !is_help(arg));
    section(text, name, "Flags", own.into_iter());
    section(text, name, "Global Flags", globals.into_iter());
}

fn section<'a>(text: &mut String, name: &str, title: &str, args: impl Iterator<Item = &'a Arg>) {
    let mut args: Vec<&Arg> = args.collect();
    args.sort_by_key(|arg| arg.get_long());
    let heads: Vec<String> = args.iter().map(|arg| head(arg)).collect();
    let width = heads.iter().map(String::len).max().unwrap_or(0);
    let _ = write!(text, "\n{title}:\n");
    for (arg, head) in args.iter().zip(&heads) {
        let help = match is_help(arg) {
            true => format!("help for {}", name.rsplit(' ').next().unwrap_or_default()),
            false => arg.get_help().map(ToString::to_string).unwrap_or_default(),
        };
        let _ = writeln!(text, "{head:<width$}   {help}{}", default(arg));
    }
}

fn head(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    let operand = match takes_operand(arg) {
        true => arg
            .get_value_names()
            .and_then(|names| names.first())
            .map(|name| format!(" {name}")),
        false => None,
    };
    let operand = operand.unwrap_or_default();
    match arg.get_short() {
        Some(short) => format!("  -{short}, --{long}{operand}"),
        None => format!("      --{long}{operand}"),
    }
}

/// A default worth showing: zero, false and empty go without saying.
fn default(arg: &Arg) -> String {
    match arg.get_default_values() {
        [value] if value != "0" && value != "false" && !value.is_empty() => {
            format!(" (default {})", value.to_string_lossy())
        }
        _ => String::new(),
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn is_help(arg: &Arg) -> bool {
    arg.get_long() == Some("help")
}

/// The global flags, as any leaf below `command` carries them.
fn leaf_globals(command: &Command) -> Vec<Arg> {
    let mut leaf = command;
    while let Some(sub) = leaf.get_subcommands().next() {
        leaf = sub;
    }
    leaf.get_arguments()
        .filter(|arg| arg.get_id().as_str().starts_with(GLOBAL_PREFIX))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::tuned;
    use crate::commands::Cli;

    /// Command, what follows it in the usage line (`/` for `|`), and its description.
    const TEXTS: &str = include_str!("help_texts.txt");

    #[test]
    fn every_command_introduces_itself_as_upstream_does() {
        let root = tuned(Cli::command());
        for row in TEXTS.lines() {
            let [words, tail, about] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            let path: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let command = path
                .iter()
                .fold(&root, |command, word| command.find_subcommand(word).unwrap());
            let end = if command.has_subcommands() {
                "[command]"
            } else {
                "[flags]"
            };
            let tail = if tail.is_empty() {
                String::new()
            } else {
                format!("{} ", tail.replace('/', "|"))
            };
            let expected = format!("{about}\nUsage:\n  wsk {words} {tail}{end}\n\n");
            let text = render(&root, &path);
            assert!(text.starts_with(&expected), "{expected}---\n{text}");
        }
    }

    #[test]
    fn no_command_is_without_a_row() {
        fn walk(command: &Command, path: &str, missing: &mut Vec<String>) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
                if !TEXTS.lines().any(|row| row.split('|').next() == Some(path.as_str())) {
                    missing.push(path.clone());
                }
                walk(sub, &path, missing);
            }
        }
        let mut missing = Vec::new();
        walk(&tuned(Cli::command()), "", &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
