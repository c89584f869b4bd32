//! A request as the steps of a mapping see it.

use std::collections::HashSet;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Location, Part, header_value, is_fixed, plain};
use crate::apis::target::Target;

/// A request as steps see it.
pub struct Message<'a> {
    pub headers: &'a mut HeaderMap,
    /// Still encoded.
    pub query: String,
    pub body: Map<String, Value>,
    /// Parameters of the path, decoded.
    pub parameters: Vec<(String, String)>,
    pub target: &'a mut Target,
}

impl Message<'_> {
    pub(super) fn get(&self, part: &Part) -> Option<Value> {
        match part.location {
            Location::Header => {
                let values = self
                    .headers
                    .get_all(&*part.name)
                    .iter()
                    .map(|value| value.to_str().ok());
                let values: Vec<&str> = values.collect::<Option<_>>()?;
                (!values.is_empty()).then(|| values.join(", ").into())
            }
            Location::Query => form_urlencoded::parse(self.query.as_bytes())
                .find(|(name, _)| *name == part.name)
                .map(|(_, value)| value.into_owned().into()),
            Location::Body => self.body.get(&part.name).cloned(),
            Location::Path => {
                let mut parameters = self.parameters.iter();
                parameters
                    .find(|(name, _)| *name == part.name)
                    .map(|(_, value)| value.clone().into())
            }
        }
    }

    pub(super) fn set(&mut self, part: &Part, value: Value) -> Result<(), String> {
        match part.location {
            Location::Header => {
                let name = HeaderName::from_bytes(part.name.as_bytes())
                    .map_err(|_| format!("'{}' cannot name a header", part.name))?;
                if !is_fixed(&name) {
                    self.headers.insert(name, header_value(&part.name, &value)?);
                }
            }
            Location::Query => {
                self.remove(part);
                let mut pair = form_urlencoded::Serializer::new(String::new());
                let pair = pair.append_pair(&part.name, &plain(&value)).finish();
                let separator = if self.query.is_empty() { "" } else { "&" };
                self.query = format!("{}{separator}{pair}", self.query);
            }
            Location::Body => {
                self.body.insert(part.name.clone(), value);
            }
            Location::Path => self.target.fill(&part.name, &plain(&value)),
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, part: &Part) {
        match part.location {
            Location::Header => {
                self.headers.remove(&*part.name);
            }
            // The rest stays as its sender wrote it.
            Location::Query => {
                let others = self.query.split('&').filter(|pair| name_of(pair) != part.name);
                self.query = others.collect::<Vec<_>>().join("&");
            }
            Location::Body => {
                self.body.shift_remove(&part.name);
            }
            Location::Path => self.parameters.retain(|(name, _)| *name != part.name),
        }
    }

    pub(super) fn relocate(&mut self, from: &Part, to: &Part) -> Result<(), String> {
        let Some(value) = self.get(from) else { return Ok(()) };
        self.remove(from);
        self.set(to, value)
    }

    pub(super) fn names(&self, location: Location) -> Vec<String> {
        let mut names: Vec<String> = match location {
            Location::Header => {
                let movable = self.headers.keys().filter(|name| !is_fixed(name));
                movable.map(|name| name.as_str().to_owned()).collect()
            }
            Location::Query => form_urlencoded::parse(self.query.as_bytes())
                .map(|(name, _)| name.into_owned())
                .collect(),
            Location::Body => self.body.keys().cloned().collect(),
            Location::Path => self.parameters.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }
}

/// The decoded name of a pair of a query.
fn name_of(pair: &str) -> String {
    let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
    percent_decode_str(&name).decode_utf8_lossy().into_owned()
}
