//! From arguments to an exit code.

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::args::find::{Found, find};
use crate::args::{Globals, help, prepass, refusal, tuned};
use crate::commands::{Cli, Command};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::props::{Environment, Settings};

/// Runs `wsk` with the arguments after the program's name.
pub async fn run(arguments: Vec<String>, environment: Environment, mut out: Output) -> Exit {
    let pass = match prepass::run(arguments) {
        Ok(pass) => pass,
        Err(failure) => return out.failure(failure),
    };
    let root = tuned(Cli::command());
    match find(&root, pass.rest.clone()) {
        Found::Unknown { word } => ended(unknown_command(&mut out, &root, &word), out),
        Found::Group { flag: Some(flag), .. } => {
            let text = refusal::unknown(&flag, &pass.rest);
            ended(twice(&mut out, &text, ""), out)
        }
        Found::Group { path, flag: None } => ended(out.text(&help::render(&root, &path)), out),
        Found::Leaf { path, rest } => {
            let parsed = match parse(&root, &path, &rest) {
                Ok(parsed) => parsed,
                Err(text) => return ended(out.error_text(&text).and(Err(Failure::Reported(Exit::GENERAL))), out),
            };
            let (command, globals) = parsed;
            if globals.help {
                return ended(out.text(&help::render(&root, &path)), out);
            }
            if let Command::Help(help) = &command {
                return ended(explain(&mut out, &root, &help.words), out);
            }
            let settings = Settings::resolve(&globals.overrides, &environment, &environment.properties());
            let mut cx = Context {
                environment,
                settings,
                globals,
                lists: pass.lists,
                out,
            };
            let result = command.run(&mut cx).await;
            ended(result, cx.out)
        }
    }
}

fn ended(result: Result<(), Failure>, mut out: Output) -> Exit {
    match result.and_then(|()| out.flush()) {
        Ok(()) => Exit::OK,
        Err(failure) => out.failure(failure),
    }
}

/// Parses a leaf's flags; an error is one line for the error stream.
fn parse(root: &clap::Command, path: &[String], rest: &[String]) -> Result<(Command, Globals), String> {
    let line = std::iter::once("wsk").chain(path.iter().chain(rest).map(String::as_str));
    let matches = root.clone().try_get_matches_from(line).map_err(|error| {
        let leaf = path.iter().fold(root, |command, word| {
            command.find_subcommand(word).expect("the path was found")
        });
        refusal::text(&error, leaf, rest)
    })?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    Ok((cli.command, Globals::from_matches(innermost(&matches))))
}

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => innermost(inner),
        None => matches,
    }
}

fn explain(out: &mut Output, root: &clap::Command, words: &[String]) -> Result<(), Failure> {
    let path = match find(root, words.to_vec()) {
        Found::Leaf { path, .. } | Found::Group { path, .. } => path,
        Found::Unknown { .. } => {
            out.text(&format!("Unknown help topic {words:?}\n"))?;
            Vec::new()
        }
    };
    out.text(&help::render(root, &path))
}

fn unknown_command(out: &mut Output, root: &clap::Command, word: &str) -> Result<(), Failure> {
    let mut close: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
    close.retain(|name| strsim::levenshtein(word, name) <= 2 || name.starts_with(word));
    close.sort_unstable();
    let mut text = format!("unknown command \"{word}\" for \"wsk\"");
    if !close.is_empty() {
        text += "\n\nDid you mean this?\n";
        text.extend(close.iter().map(|name| format!("\t{name}\n")));
    }
    twice(out, &text, "Run 'wsk --help' for usage.")
}

/// Errors of the root and of groups come twice, as upstream's do.
fn twice(out: &mut Output, text: &str, between: &str) -> Result<(), Failure> {
    out.error_text(&format!("Error: {text}"))?;
    if !between.is_empty() {
        out.error_text(between)?;
    }
    out.error_text(text)?;
    Err(Failure::Reported(Exit::GENERAL))
}
