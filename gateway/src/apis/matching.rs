//! Which route a path takes: the exact one, else a template, else the longest prefix.
//!
//! Paths are compared by decoded segments; a slash at the end says nothing. At each length, longest first, an exact route
//! comes before a template, and among templates the one whose literal segments come first.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// A path cut into decoded segments.
pub type Segments = Vec<Box<str>>;

/// Patterns and what they stand for.
#[derive(Debug)]
pub struct Table<T> {
    values: Vec<T>,
    exact: HashMap<Segments, usize>,
    /// By number of segments.
    templates: HashMap<usize, Vec<(Vec<Piece>, usize)>>,
}

/// One segment of a template. Literals come before parameters in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Literal(Box<str>),
    Parameter,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table {
            values: Vec::new(),
            exact: HashMap::new(),
            templates: HashMap::new(),
        }
    }
}

impl<T> Table<T> {
    /// Adds a pattern such as `/club/books/{isbn}`. One that is there already stays what it was.
    pub fn add(&mut self, pattern: &str, value: T) {
        let pieces: Vec<Piece> = segments(pattern).into_iter().map(Piece::of).collect();
        let at = self.values.len();
        self.values.push(value);
        let literal: Option<Segments> = pieces.iter().map(Piece::literal).collect();
        match literal {
            Some(literal) => {
                self.exact.entry(literal).or_insert(at);
            }
            None => {
                let peers = self.templates.entry(pieces.len()).or_default();
                let place = peers.partition_point(|(other, _)| *other <= pieces);
                peers.insert(place, (pieces, at));
            }
        }
    }

    /// What a path stands for.
    pub fn find(&self, path: &[Box<str>]) -> Option<&T> {
        let lengths = (0..=path.len()).rev();
        let at = lengths.filter_map(|length| self.at_length(&path[..length])).next()?;
        self.values.get(at)
    }

    fn at_length(&self, path: &[Box<str>]) -> Option<usize> {
        if let Some(at) = self.exact.get(path) {
            return Some(*at);
        }
        let templates = self.templates.get(&path.len())?;
        let found = templates
            .iter()
            .find(|(pieces, _)| pieces.iter().zip(path).all(|(piece, segment)| piece.takes(segment)));
        found.map(|(_, at)| *at)
    }
}

impl Piece {
    fn of(segment: Box<str>) -> Piece {
        match segment.starts_with('{') && segment.ends_with('}') {
            true => Piece::Parameter,
            false => Piece::Literal(segment),
        }
    }

    fn literal(&self) -> Option<Box<str>> {
        match self {
            Piece::Literal(text) => Some(text.clone()),
            Piece::Parameter => None,
        }
    }

    fn takes(&self, segment: &str) -> bool {
        match self {
            Piece::Literal(text) => **text == *segment,
            Piece::Parameter => !segment.is_empty(),
        }
    }
}

/// What the parameters of a pattern stand for in a path that it takes, decoded.
pub fn parameters(pattern: &str, path: &str) -> Vec<(String, String)> {
    let names = segments(pattern);
    let pairs = names.iter().zip(segments(path));
    pairs
        .filter_map(|(name, value)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.to_owned(), value.into()))
        })
        .collect()
}

/// Cuts a path at its slashes and decodes each segment, so that an encoded slash is no slash.
pub fn segments(path: &str) -> Segments {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut segments: Segments = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned().into())
        .collect();
    while segments.last().is_some_and(|last| last.is_empty()) {
        segments.pop();
    }
    segments
}

/// A path with `.` and `..` resolved, encoded ones too: nothing that is appended to a target may climb out of it.
pub fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in path.split('/').skip(1) {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        directory = matches!(dots.as_str(), "." | "..");
        match dots.as_str() {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let tail = if directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(patterns: &[&'static str]) -> Table<&'static str> {
        let mut table = Table::default();
        patterns.iter().for_each(|pattern| table.add(pattern, *pattern));
        table
    }

    fn found(table: &Table<&'static str>, path: &str) -> Option<&'static str> {
        table.find(&segments(path)).copied()
    }

    #[test]
    fn exact_then_template_then_prefix() {
        let table = table(&["/a", "/a/{x}", "/a/b", "/a/{x}/c", "/{y}/b", "/a/b/{z}"]);
        for (path, expected) in [
            ("/a/b", Some("/a/b")),
            ("/a/b/", Some("/a/b")),
            ("/a/q", Some("/a/{x}")),
            ("/q/b", Some("/{y}/b")),
            ("/a/b/c", Some("/a/b/{z}")),
            ("/a/q/c", Some("/a/{x}/c")),
            ("/a/q/d", Some("/a/{x}")),
            ("/a/b/c/d", Some("/a/b/{z}")),
            ("/a/b%2Fc", Some("/a/{x}")),
            ("/%61/b", Some("/a/b")),
            ("/q", None),
            ("/", None),
            ("/ab", None),
        ] {
            assert_eq!(found(&table, path), expected, "{path}");
        }
    }

    #[test]
    fn a_route_at_the_root_takes_everything_else() {
        let table = table(&["/", "/a"]);
        for (path, expected) in [("", "/"), ("/", "/"), ("/x/y", "/"), ("/a/b", "/a")] {
            assert_eq!(found(&table, path), Some(expected), "{path}");
        }
    }

    #[test]
    fn nothing_climbs() {
        for (path, expected) in [
            ("/a/../b", "/b"),
            ("/../../x", "/x"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b/.", "/b/"),
            ("/a/./b", "/a/b"),
            ("/..", "/"),
            ("", "/"),
            ("/a//b/", "/a//b/"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(without_dots(path), expected, "{path}");
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let segment = prop_oneof![3 => "[ab]", 1 => Just("{x}".to_owned())];
        proptest::collection::vec(segment, 0..4).prop_map(|s| format!("/{}", s.join("/")))
    }

    /// How well a pattern fits: longer first, then literal segments from the left. None when it does not.
    fn fit(pattern: &str, path: &str) -> Option<(usize, bool, Vec<bool>)> {
        let (pattern, path) = (segments(pattern), segments(path));
        let fits = pattern.len() <= path.len() && pattern.iter().zip(&path).all(|(p, s)| &**p == "{x}" || p == s);
        let literal: Vec<bool> = pattern.iter().map(|p| &**p != "{x}").collect();
        fits.then(|| (pattern.len(), literal.iter().all(|l| *l), literal))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The table finds what a slow reading of the rule finds.
        #[test]
        fn the_best_fit_is_found(patterns in proptest::collection::vec(pattern(), 0..8), path in pattern()) {
            let path = path.replace("{x}", "c");
            let mut table = Table::default();
            patterns.iter().for_each(|pattern| table.add(pattern, pattern.clone()));
            let best = patterns.iter().filter_map(|pattern| fit(pattern, &path)).max();
            let chosen = table.find(&segments(&path)).and_then(|pattern| fit(pattern, &path));
            prop_assert_eq!(chosen, best);
        }

        /// What comes out of the dots rule has none left and is no longer.
        #[test]
        fn dots_are_gone(path in "(/(\\.|\\.\\.|%2e|%2E\\.|a|b))*/?") {
            let clean = without_dots(&path);
            let dots = clean.split('/').any(|s| matches!(s.to_lowercase().replace("%2e", ".").as_str(), "." | ".."));
            prop_assert!(!dots && clean.starts_with('/'), "{}", clean);
        }
    }
}
