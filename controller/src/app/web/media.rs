//! Media types as upstream's server understands them: which are text, which are not, and how they are written.

use std::borrow::Cow;

/// A parsed media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `type/subtype`; the type and the subtype of registered types in lower case.
    essence: String,
    charset: Option<String>,
    /// Parameters other than `charset`, as they were written.
    parameters: String,
    form: Form,
}

/// How the content of a type is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    /// Text in a charset that the type leaves open.
    Open,
    /// Text that is always UTF-8 and says nothing of it.
    Utf8,
}

/// Registered types that are text. Every other registered type is binary, and so is whatever is not registered unless it
/// names a charset.
const OPEN: &[&str] = &[
    "application/atom+xml",
    "application/javascript",
    "application/problem+xml",
    "application/rss+xml",
    "application/soap+xml",
    "application/vnd.google-earth.kml+xml",
    "application/x-vrml",
    "application/xhtml+xml",
    "application/xml",
    "application/xml-dtd",
    "text/asp",
    "text/cache-manifest",
    "text/calendar",
    "text/css",
    "text/csv",
    "text/html",
    "text/mcf",
    "text/plain",
    "text/richtext",
    "text/tab-separated-values",
    "text/uri-list",
    "text/vnd.wap.wml",
    "text/vnd.wap.wmlscript",
    "text/x-asm",
    "text/x-c",
    "text/x-component",
    "text/x-h",
    "text/x-java-source",
    "text/x-pascal",
    "text/x-script",
    "text/x-scriptcsh",
    "text/x-scriptelisp",
    "text/x-scriptksh",
    "text/x-scriptlisp",
    "text/x-scriptperl",
    "text/x-scriptperl-module",
    "text/x-scriptphyton",
    "text/x-scriptrexx",
    "text/x-scriptscheme",
    "text/x-scriptsh",
    "text/x-scripttcl",
    "text/x-scripttcsh",
    "text/x-scriptzsh",
    "text/x-server-parsed-html",
    "text/x-setext",
    "text/x-sgml",
    "text/x-speech",
    "text/x-uuencode",
    "text/x-vcalendar",
    "text/x-vcard",
    "text/xml",
];
const UTF8: &[&str] = &[
    "application/json",
    "application/problem+json",
    "application/vnd.api+json",
    "application/x-www-form-urlencoded",
    "text/event-stream",
];
/// Registered types that stay binary whatever charset they name.
const BINARY_TREES: &[&str] = &["audio/", "image/", "video/", "multipart/"];
const BINARY: &[&str] = &["application/octet-stream", "application/pdf", "application/zip"];

impl Media {
    /// Parses a `Content-Type`; none when it cannot be read.
    pub fn parse(text: &str) -> Option<Media> {
        let mut parts = text.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let (mut charset, mut parameters) = (None, String::new());
        for part in parts.map(str::trim) {
            let (name, value) = part.split_once('=')?;
            let bare = value
                .strip_prefix('"')
                .and_then(|v| v.strip_suffix('"'))
                .unwrap_or(value);
            if !is_token(name) || (bare.len() == value.len() && !is_token(value)) {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") {
                charset = Some(bare.to_ascii_uppercase());
            } else {
                parameters.push_str("; ");
                parameters.push_str(part);
            }
        }
        let essence = format!("{}/{subtype}", kind.to_ascii_lowercase());
        let known = essence.to_ascii_lowercase();
        let form = form(&known, charset.is_some());
        let essence = if is_registered(&known) { known } else { essence };
        Some(Media {
            essence,
            charset,
            parameters,
            form,
        })
    }

    /// What a body without a readable type is.
    pub fn octets() -> Media {
        Media::parse("application/octet-stream").expect("the type is well formed")
    }

    pub fn essence(&self) -> &str {
        &self.essence
    }

    pub fn is_binary(&self) -> bool {
        self.form == Form::Binary
    }

    /// `application/json` or `*/*+json`.
    pub fn is_json(&self) -> bool {
        self.essence == "application/json" || self.essence.ends_with("+json")
    }

    pub fn is_form(&self) -> bool {
        self.essence == "application/x-www-form-urlencoded"
    }

    /// As a request's type is shown: with the charset it named, where the type leaves that open.
    pub fn shown(&self) -> String {
        match (&self.charset, self.form) {
            (Some(charset), Form::Open) => format!("{}{}; charset={charset}", self.essence, self.parameters),
            (_, Form::Open | Form::Binary | Form::Utf8) => format!("{}{}", self.essence, self.parameters),
        }
    }

    /// As an answer's type is sent: text whose charset is open is UTF-8.
    pub fn sent(&self) -> String {
        match self.form {
            Form::Open => format!("{}{}; charset=UTF-8", self.essence, self.parameters),
            Form::Binary | Form::Utf8 => format!("{}{}", self.essence, self.parameters),
        }
    }
}

fn form(known: &str, names_charset: bool) -> Form {
    if UTF8.contains(&known) {
        Form::Utf8
    } else if OPEN.contains(&known) || (names_charset && !is_registered(known)) {
        Form::Open
    } else {
        Form::Binary
    }
}

fn is_registered(known: &str) -> bool {
    UTF8.contains(&known)
        || OPEN.contains(&known)
        || BINARY.contains(&known)
        || BINARY_TREES.iter().any(|tree| known.starts_with(tree))
}

fn is_token(text: &str) -> bool {
    let special = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || special(b))
}

/// JSON in upstream's layout: objects over several lines, two blanks a level, arrays on one line. Numbers and strings
/// keep their own text. `compact` is valid JSON without blanks.
pub fn indented(compact: &str) -> String {
    let mut layout = Layout {
        out: String::with_capacity(compact.len() * 2),
        inside: Vec::new(),
    };
    let (mut in_string, mut escaped) = (false, false);
    for c in compact.chars() {
        if !in_string {
            in_string = c == '"';
            layout.token(c);
            continue;
        }
        layout.out.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = false,
            _ => {}
        }
    }
    layout.out
}

struct Layout {
    out: String,
    /// The brackets that are open.
    inside: Vec<char>,
}

impl Layout {
    /// A character outside of strings.
    fn token(&mut self, c: char) {
        match c {
            '{' => {
                self.open(c);
                self.line();
            }
            '[' => self.open(c),
            '}' => {
                self.inside.pop();
                // The blanks of a line that turned out to be empty go.
                self.out.truncate(self.out.trim_end_matches(' ').len());
                self.line();
                self.out.push(c);
            }
            ']' => {
                self.inside.pop();
                self.out.push(c);
            }
            ',' if self.inside.last() == Some(&'{') => {
                self.out.push(c);
                self.line();
            }
            ',' | ':' => {
                self.out.push(c);
                self.out.push(' ');
            }
            _ => self.out.push(c),
        }
    }

    fn open(&mut self, bracket: char) {
        self.inside.push(bracket);
        self.out.push(bracket);
    }

    fn line(&mut self) {
        self.out.push('\n');
        for _ in self.inside.iter().filter(|bracket| **bracket == '{') {
            self.out.push_str("  ");
        }
    }
}

/// Decodes `%XX` and `+` of a form or query; broken UTF-8 becomes U+FFFD.
///
/// # Errors
/// The place, in characters from 1, of what should have been a hexadecimal digit, and what stands there.
pub fn form_decoded(text: &str) -> Result<Cow<'_, str>, (usize, Option<char>)> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let offset = text.len() - rest.len();
        for digit in 1..=2 {
            let found = rest[at..].chars().nth(digit);
            if !found.is_some_and(|c| c.is_ascii_hexdigit()) {
                return Err((text[..offset + at].chars().count() + digit + 1, found));
            }
        }
        rest = &rest[at + 3..];
    }
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    Ok(Cow::Owned(
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> Media {
        Media::parse(text).unwrap()
    }

    #[test]
    fn text_and_binary_are_told_apart() {
        for (text, binary) in [
            ("text/plain", false),
            ("application/xml", false),
            ("application/json", false),
            ("image/svg+xml", true),
            ("image/png; charset=utf-8", true),
            ("foo/bar", true),
            ("foo/bar; charset=utf-8", false),
            ("text/markdown", true),
            ("multipart/form-data; boundary=b", true),
            ("application/hal+json", true),
            ("text/event-stream", false),
            ("application/wasm", true),
        ] {
            assert_eq!(media(text).is_binary(), binary, "{text}");
        }
    }

    #[test]
    fn charsets_are_shown_where_they_are_open_and_sent_as_utf8() {
        for (text, shown, sent) in [
            (
                "text/plain; charset=utf-8",
                "text/plain; charset=UTF-8",
                "text/plain; charset=UTF-8",
            ),
            (
                "text/plain; charset=iso-8859-1",
                "text/plain; charset=ISO-8859-1",
                "text/plain; charset=UTF-8",
            ),
            ("Text/HTML", "text/html", "text/html; charset=UTF-8"),
            (
                "application/json; charset=utf-8",
                "application/json",
                "application/json",
            ),
            (
                "multipart/mixed; boundary=x",
                "multipart/mixed; boundary=x",
                "multipart/mixed; boundary=x",
            ),
            ("*/*", "*/*", "*/*"),
        ] {
            assert_eq!(
                (media(text).shown().as_str(), media(text).sent().as_str()),
                (shown, sent)
            );
        }
        for text in ["", "bogus", "a/b c", "text/plain; charset", "/x"] {
            assert_eq!(Media::parse(text), None, "{text}");
        }
    }

    #[test]
    fn json_is_laid_out_as_upstream_does() {
        assert_eq!(indented("{}"), "{\n\n}");
        assert_eq!(indented("[]"), "[]");
        assert_eq!(indented("1.50"), "1.50");
        let nested = r#"{"a":1,"b":[1,{"c":null}],"d":"x,{}:\"[]"}"#;
        let expected = "{\n  \"a\": 1,\n  \"b\": [1, {\n    \"c\": null\n  }],\n  \"d\": \"x,{}:\\\"[]\"\n}";
        assert_eq!(indented(nested), expected);
    }

    #[test]
    fn bad_escapes_name_their_place() {
        assert_eq!(form_decoded("two+words%20%C3%A4").unwrap(), "two words ä");
        assert_eq!(form_decoded("a&=b&&c=%zz"), Err((10, Some('z'))));
        assert_eq!(form_decoded("ä%4"), Err((4, None)));
    }
}
