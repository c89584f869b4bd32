//! Which command a line means, when flags may stand between the words of its name.

use clap::Command;

use super::flags::global_operand;

/// The outcome of the search.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A command that does something; `rest` is the line without the words of its name.
    Leaf { path: Vec<String>, rest: Vec<String> },
    /// A group without one of its commands, or with a word it does not know: its help is the answer.
    Group { path: Vec<String>, flag: Option<String> },
    /// A word the root does not know.
    Unknown { word: String },
}

/// Searches `root` for the command that `line` names.
pub fn find(root: &Command, line: Vec<String>) -> Found {
    let mut command = root;
    let mut path = Vec::new();
    let mut rest = Vec::new();
    let mut words = line.into_iter();
    while command.has_subcommands() {
        let Some(word) = words.next() else { break };
        if word == "--" {
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            // An unknown flag may have an operand, so the next word does not count as a name either.
            let takes_operand = !word.contains('=') && global_operand(&word).unwrap_or(true);
            let operand = takes_operand.then(|| words.next()).flatten();
            rest.push(word);
            rest.extend(operand);
            continue;
        }
        match command.find_subcommand(&word) {
            Some(found) => {
                command = found;
                path.push(word);
            }
            None if path.is_empty() => return Found::Unknown { word },
            None => break,
        }
    }
    if command.has_subcommands() {
        let flag = rest.into_iter().find(|word| word.starts_with('-') && !is_global(word));
        return Found::Group { path, flag };
    }
    rest.extend(words);
    Found::Leaf { path, rest }
}

fn is_global(word: &str) -> bool {
    global_operand(word.split('=').next().unwrap_or_default()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(line: &str) -> Found {
        let root = Command::new("wsk").subcommand(Command::new("list")).subcommand(
            Command::new("action")
                .subcommand(Command::new("list"))
                .subcommand(Command::new("get")),
        );
        find(&root, line.split_whitespace().map(str::to_owned).collect())
    }

    fn leaf(path: &[&str], rest: &[&str]) -> Found {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Found::Leaf {
            path: own(path),
            rest: own(rest),
        }
    }

    #[test]
    fn flags_may_stand_anywhere() {
        assert_eq!(
            search("-v action -u key list -l 5 x"),
            leaf(&["action", "list"], &["-v", "-u", "key", "-l", "5", "x"])
        );
        assert_eq!(search("--apihost=h list"), leaf(&["list"], &["--apihost=h"]));
        assert_eq!(search("--apihost list list"), leaf(&["list"], &["--apihost", "list"]));
    }

    #[test]
    fn groups_and_strangers() {
        let group = |path: &[&str], flag: Option<&str>| Found::Group {
            path: path.iter().map(|word| (*word).to_owned()).collect(),
            flag: flag.map(str::to_owned),
        };
        assert_eq!(search(""), group(&[], None));
        assert_eq!(search("action"), group(&["action"], None));
        assert_eq!(search("action bogus"), group(&["action"], None));
        assert_eq!(search("action -h"), group(&["action"], None));
        assert_eq!(search("action --bogus"), group(&["action"], Some("--bogus")));
        assert_eq!(search("bogus"), Found::Unknown { word: "bogus".into() });
    }
}
