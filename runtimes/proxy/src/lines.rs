//! What happens to log text on its way out: long lines are broken, the end mark cannot be imitated, an unfinished line is
//! finished. Pure; text is passed on as it comes, never held back.

use std::borrow::Cow;

/// A line is broken after so many bytes. The line end that follows a full piece makes an empty line, as it does in the
/// log driver whose behaviour records show.
pub const MAX_LINE: usize = 16 * 1024;

/// The state of one stream of one activation.
#[derive(Debug)]
pub struct Lines {
    column: usize,
    guard: Option<Guard>,
}

/// Recognises the end mark in the text of user code, across chunks, so that its last byte can be put on another line.
#[derive(Debug)]
struct Guard {
    mark: Vec<u8>,
    /// For each length of a partial match, the longest shorter partial match that is its suffix.
    fallback: Vec<usize>,
    matched: usize,
}

impl Lines {
    /// `forgeable`: the end mark when user code may know it.
    pub fn new(forgeable: Option<&str>) -> Self {
        Lines {
            column: 0,
            guard: forgeable.map(Guard::new),
        }
    }

    /// Forgets an unfinished line.
    pub fn restart(&mut self) {
        self.column = 0;
        if let Some(guard) = &mut self.guard {
            guard.matched = 0;
        }
    }

    /// The bytes to write for `input`.
    pub fn pass<'a>(&mut self, input: &'a [u8]) -> Cow<'a, [u8]> {
        let guarded = match &mut self.guard {
            Some(guard) => guard.pass(input),
            None => Cow::Borrowed(input),
        };
        match guarded {
            Cow::Borrowed(text) => self.broken(text),
            Cow::Owned(text) => Cow::Owned(self.broken(&text).into_owned()),
        }
    }

    /// Whether a newline is owed before something else may be written; the next text starts a line.
    pub fn finish(&mut self) -> bool {
        let owed = self.column > 0;
        self.restart();
        owed
    }

    fn broken<'a>(&mut self, input: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out: Option<Vec<u8>> = None;
        let mut taken = 0;
        let mut at = 0;
        while at < input.len() {
            let room = MAX_LINE - self.column;
            let rest = &input[at..];
            let window = &rest[..room.min(rest.len())];
            if let Some(end) = memchr::memchr(b'\n', window) {
                at += end + 1;
                self.column = 0;
            } else if window.len() < room {
                self.column += window.len();
                at = input.len();
            } else {
                at += room;
                self.column = 0;
                let out = out.get_or_insert_with(|| Vec::with_capacity(input.len() + input.len() / MAX_LINE + 2));
                out.extend_from_slice(&input[taken..at]);
                out.push(b'\n');
                taken = at;
            }
        }
        match out {
            None => Cow::Borrowed(input),
            Some(mut out) => {
                out.extend_from_slice(&input[taken..]);
                Cow::Owned(out)
            }
        }
    }
}

impl Guard {
    fn new(mark: &str) -> Self {
        let mark = mark.as_bytes().to_vec();
        let mut fallback = vec![0; mark.len()];
        for i in 1..mark.len() {
            let mut k = fallback[i - 1];
            while k > 0 && mark[i] != mark[k] {
                k = fallback[k - 1];
            }
            fallback[i] = if mark[i] == mark[k] { k + 1 } else { 0 };
        }
        Guard {
            mark,
            fallback,
            matched: 0,
        }
    }

    fn pass<'a>(&mut self, input: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out: Option<Vec<u8>> = None;
        let mut taken = 0;
        for (at, &byte) in input.iter().enumerate() {
            while self.matched > 0 && byte != self.mark[self.matched] {
                self.matched = self.fallback[self.matched - 1];
            }
            if byte == self.mark[self.matched] {
                self.matched += 1;
            }
            if self.matched == self.mark.len() {
                let out = out.get_or_insert_with(Vec::new);
                out.extend_from_slice(&input[taken..at]);
                out.push(b'\n');
                taken = at;
                self.matched = 0;
            }
        }
        match out {
            None => Cow::Borrowed(input),
            Some(mut out) => {
                out.extend_from_slice(&input[taken..]);
                Cow::Owned(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(lines: &mut Lines, chunks: &[&[u8]]) -> String {
        let bytes: Vec<u8> = chunks.iter().flat_map(|c| lines.pass(c).into_owned()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn short_lines_pass_without_a_copy() {
        assert!(matches!(Lines::new(None).pass(b"a\nb"), Cow::Borrowed(b"a\nb")));
    }

    #[test]
    fn a_line_is_broken_at_the_limit_however_it_arrives() {
        let text = "x".repeat(MAX_LINE * 2 + 5) + "\nafter\n";
        let expected = format!("{0}\n{0}\nxxxxx\nafter\n", "x".repeat(MAX_LINE));
        for size in [1, 7, 1000, MAX_LINE, MAX_LINE + 1, 100_000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(through(&mut Lines::new(None), &chunks), expected, "chunks of {size}");
        }
    }

    #[test]
    fn a_full_piece_followed_by_the_line_end_leaves_an_empty_line() {
        let text = "x".repeat(MAX_LINE) + "\n";
        assert_eq!(
            through(&mut Lines::new(None), &[text.as_bytes()]),
            "x".repeat(MAX_LINE) + "\n\n"
        );
    }

    #[test]
    fn an_unfinished_line_is_owed_its_end_once() {
        let mut lines = Lines::new(None);
        lines.pass(b"a\nb");
        assert!(lines.finish());
        assert!(!lines.finish());
        lines.pass(b"c\n");
        assert!(!lines.finish());
    }

    #[test]
    fn the_end_mark_in_user_text_is_taken_apart() {
        for size in 1..12 {
            let chunks: Vec<&[u8]> = b"one\nENDEND\nan EEND too\nEN D\n".chunks(size).collect();
            let expected = "one\nEN\nDEN\nD\nan EEN\nD too\nEN D\n";
            assert_eq!(
                through(&mut Lines::new(Some("END")), &chunks),
                expected,
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn a_secret_end_mark_needs_no_guard() {
        assert_eq!(through(&mut Lines::new(None), &[b"XXX END XXX"]), "XXX END XXX");
    }
}
