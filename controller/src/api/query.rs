//! Query parameters: decoding, Booleans, pages.

use std::borrow::Cow;

use wsk_store::Page;

use crate::app::Error;

/// Most entries of a page.
const MAX_PAGE: u64 = 200;
/// Entries of a page when the request does not say.
const DEFAULT_PAGE: u64 = 30;

/// The query part of a target. The first of a repeated parameter counts.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(Option<&'a str>);

/// What a list request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    Page(Page),
    /// The number of entries, less these.
    Count {
        skip: u64,
    },
}

impl<'a> Query<'a> {
    pub fn new(raw: Option<&'a str>) -> Query<'a> {
        Query(raw.filter(|q| !q.is_empty()))
    }

    /// Name and value of every parameter, decoded, in the request's order.
    pub fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.into_iter().flat_map(|q| q.split('&')).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decoded(name), form_decoded(value))
        })
    }

    /// The first value of a parameter.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.0?;
        self.pairs().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// A Boolean parameter; `default` when it is absent or empty.
    pub fn flag(self, name: &str, default: bool) -> Result<bool, Error> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        match value.to_ascii_lowercase().as_str() {
            "" => Ok(default),
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(malformed(name, format!("'{value}' is not a valid Boolean value"))),
        }
    }

    /// `skip`, `limit` and `count` of a list of `collection` (plural), checked in that order.
    pub fn listing(self, collection: &str) -> Result<Listing, Error> {
        let skip = match self.integer("skip", collection)? {
            None => 0,
            Some(n) => u64::try_from(n).map_err(|_| {
                malformed(
                    "skip",
                    format!("The value '{n}' is not greater than or equal to 0 for {collection}."),
                )
            })?,
        };
        let limit = match self.integer("limit", collection)? {
            None => DEFAULT_PAGE,
            Some(0) => MAX_PAGE,
            Some(n) => u64::try_from(n).ok().filter(|n| *n <= MAX_PAGE).ok_or_else(|| {
                malformed(
                    "limit",
                    format!("The value '{n}' is not in the range of 0 to {MAX_PAGE} for {collection}."),
                )
            })?,
        };
        let count = self.flag("count", false)?;
        Ok(if count {
            Listing::Count { skip }
        } else {
            Listing::Page(Page { skip, limit })
        })
    }

    fn integer(self, name: &str, collection: &str) -> Result<Option<i32>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let parsed = value.parse::<i32>();
        parsed
            .map(Some)
            .map_err(|_| malformed(name, format!("The value '{value}' is not an integer for {collection}.")))
    }
}

/// 400 for a parameter that cannot be used.
pub fn malformed(parameter: &str, reason: impl Into<String>) -> Error {
    Error::Query {
        parameter: parameter.to_owned(),
        reason: reason.into(),
    }
}

/// Decodes `%XX` and `+`; broken UTF-8 becomes U+FFFD.
pub fn form_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(query: &str) -> Result<Listing, String> {
        Query::new(Some(query)).listing("actions").map_err(|e| e.to_string())
    }

    #[test]
    fn flags_know_eight_words_and_empty_is_the_default() {
        for (query, expected) in [
            ("a=TRUE", true),
            ("a=1", true),
            ("a=off", false),
            ("a=", true),
            ("b=0", true),
            ("a", true),
        ] {
            assert_eq!(Query::new(Some(query)).flag("a", true).unwrap(), expected, "{query}");
        }
        let error = Query::new(Some("a=maybe")).flag("a", true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The query parameter 'a' was malformed:\n'maybe' is not a valid Boolean value"
        );
    }

    #[test]
    fn pages_have_bounds_and_skip_is_judged_first() {
        assert_eq!(listing(""), Ok(Listing::Page(Page { skip: 0, limit: 30 })));
        assert_eq!(
            listing("limit=0&skip=3"),
            Ok(Listing::Page(Page { skip: 3, limit: 200 }))
        );
        assert_eq!(listing("count=true&skip=2"), Ok(Listing::Count { skip: 2 }));
        for (query, text) in [
            (
                "limit=201",
                "The query parameter 'limit' was malformed:\nThe value '201' is not in the range of 0 to 200 for actions.",
            ),
            (
                "limit=-1&skip=-1",
                "The query parameter 'skip' was malformed:\nThe value '-1' is not greater than or equal to 0 for actions.",
            ),
            (
                "limit=",
                "The query parameter 'limit' was malformed:\nThe value '' is not an integer for actions.",
            ),
        ] {
            assert_eq!(listing(query), Err(text.to_owned()));
        }
    }

    #[test]
    fn the_first_of_a_repeated_parameter_counts() {
        assert_eq!(Query::new(Some("a=x%20y+z&a=2")).get("a").unwrap(), "x y z");
    }
}
