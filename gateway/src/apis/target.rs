//! Where a route leads.

use hyper::Uri;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::document::REQUEST_PATH;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// A target URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    /// Host and port in lower case, without the scheme's own port.
    pub authority: String,
    path: String,
    query: Option<String>,
    /// Whether the request's path is appended.
    appends: bool,
}

/// What may not stand in a path as it is.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^');

/// What stands in a segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl Target {
    /// Errors: the text for the author of the description.
    pub fn parse(url: &str) -> Result<Target, String> {
        let bad = || format!("the target-url '{url}' is not an http or https URL");
        let (plain, appends) = match url.strip_suffix(REQUEST_PATH) {
            Some(plain) => (plain, true),
            None => (url, false),
        };
        let plain = without_added_scheme(plain);
        let escaped = utf8_percent_encode(plain, ESCAPED).to_string();
        let uri: Uri = escaped.parse().map_err(|_| bad())?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) | None => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        // A key in a URL would end up in descriptions and logs.
        let has_port = authority.as_str().len() > authority.host().len();
        let bad_port = has_port && authority.port_u16().is_none();
        if authority.as_str().contains('@') || authority.host().is_empty() || bad_port {
            return Err(bad());
        }
        Ok(Target {
            scheme,
            authority: known_as(scheme, authority.as_str()),
            path: uri.path().trim_end_matches('/').to_owned(),
            query: uri.query().map(str::to_owned),
            appends,
        })
    }

    /// Whether its path has a placeholder `{name}`.
    pub fn has(&self, name: &str) -> bool {
        self.path.contains(&placeholder(name))
    }

    /// Puts a value in the place of `{name}`; it stays one segment.
    pub fn fill(&mut self, name: &str, value: &str) {
        // A segment of dots would climb.
        let value = if value.bytes().all(|b| b == b'.') { "" } else { value };
        let value = utf8_percent_encode(value, SEGMENT).to_string();
        self.path = self.path.replace(&placeholder(name), &value);
    }

    /// The target's own query and the request's, still encoded.
    pub fn joined_query(&self, query: Option<&str>) -> String {
        let given = [self.query.as_deref(), query].into_iter().flatten();
        let parts: Vec<&str> = given.filter(|part| !part.is_empty()).collect();
        parts.join("&")
    }

    /// The path and query to ask for. `path` is the request's, below the tenant, still encoded.
    pub fn path_and_query(&self, path: &str, query: &str) -> String {
        let mut out = self.path.clone();
        if self.appends {
            out.push_str(path);
        }
        if out.is_empty() {
            out.push('/');
        }
        if !query.is_empty() {
            out.push('?');
            out.push_str(query);
        }
        out
    }

    /// The same path on another server. Errors: the text for the operator.
    pub fn moved_to(&mut self, server: &str) -> Result<(), String> {
        let other = Target::parse(server)?;
        (self.scheme, self.authority) = (other.scheme, other.authority);
        Ok(())
    }

    /// Whether the target lies below a path.
    pub fn is_below(&self, path: &str) -> bool {
        self.path.starts_with(path)
    }
}

/// wskdeploy and the Serverless Framework put `https://` before whatever their user gave as the host, which on a machine
/// without TLS begins with `http://`.
fn without_added_scheme(url: &str) -> &str {
    match url.strip_prefix("https://") {
        Some(rest) if rest.starts_with("http://") || rest.starts_with("https://") => rest,
        Some(_) | None => url,
    }
}

/// `{name}` as it stands in an escaped path.
fn placeholder(name: &str) -> String {
    utf8_percent_encode(&format!("{{{name}}}"), ESCAPED).to_string()
}

/// How an authority is written to be compared.
pub fn known_as(scheme: Scheme, authority: &str) -> String {
    let authority = authority.to_ascii_lowercase();
    let port = match scheme {
        Scheme::Http => ":80",
        Scheme::Https => ":443",
    };
    authority.strip_suffix(port).unwrap_or(&authority).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str, path: &str, query: Option<&str>) -> String {
        let target = Target::parse(url).unwrap();
        target.path_and_query(path, &target.joined_query(query))
    }

    #[test]
    fn the_requests_path_is_appended_where_the_target_says_so() {
        let url = "https://host/api/v1/web/guest/default/a.http$(request.path)";
        assert_eq!(
            asked(url, "/club/books/1%2F2", Some("q=1")),
            "/api/v1/web/guest/default/a.http/club/books/1%2F2?q=1"
        );
        assert_eq!(asked("http://host/a.json", "/x", None), "/a.json");
        assert_eq!(asked("http://host/a?k=v", "/x", Some("q=1")), "/a?k=v&q=1");
        assert_eq!(asked("http://host", "/x", None), "/");
        assert_eq!(asked("http://host$(request.path)", "/x/", None), "/x/");
    }

    #[test]
    fn placeholders_are_filled_by_one_segment() {
        let filled = |value: &str| {
            let mut target = Target::parse("http://h/a/{x}/b").unwrap();
            assert!(target.has("x") && !target.has("y"));
            target.fill("x", value);
            target.path_and_query("", "")
        };
        assert_eq!(filled("1 2"), "/a/1%202/b");
        assert_eq!(filled("../../c?d#e"), "/a/..%2F..%2Fc%3Fd%23e/b");
        assert_eq!(filled(".."), "/a//b");
    }

    #[test]
    fn authorities_compare() {
        let authority = |url: &str| Target::parse(url).unwrap().authority;
        assert_eq!(authority("https://Host.Example:443/a"), "host.example");
        assert_eq!(authority("http://host:443/a"), "host:443");
        assert_eq!(authority("http://[::1]:80/a"), "[::1]");
    }

    #[test]
    fn a_scheme_that_a_client_put_before_a_whole_url_is_dropped() {
        for (url, scheme) in [
            ("https://http://Host:3233/api/v1/web/a", Scheme::Http),
            ("https://https://host:3233/api/v1/web/a", Scheme::Https),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.scheme, target.authority.as_str()),
                (scheme, "host:3233"),
                "{url}"
            );
            assert_eq!(target.path_and_query("", ""), "/api/v1/web/a");
        }
    }

    #[test]
    fn what_is_no_target() {
        for url in [
            "",
            "/a",
            "ftp://h/a",
            "http://",
            "http://u:p@h/a",
            "mailto:a@b",
            "http://h:x/",
            "http:///a",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert!(Target::parse("http://h/a b/{c}").is_ok());
    }
}
