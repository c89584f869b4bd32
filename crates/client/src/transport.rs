//! Sending a call and reading its answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::call::{Call, Caller};
use crate::connector::Connector;
use crate::{Config, Error, Event, Result};

/// How many redirects are followed before the answer is taken as it is.
const MAX_REDIRECTS: usize = 10;

/// A connection pool to one platform. Cloning shares the pool.
#[derive(Clone)]
pub struct Client {
    config: Config,
    connector: Connector,
    http: legacy::Client<Connector, Full<Bytes>>,
}

/// An answer that has been read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// A request on its way, rewritten when a redirect sends it elsewhere.
struct Hop {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl Client {
    /// A client for the platform in `config`; connects on the first call.
    pub fn new(config: Config) -> Result<Self> {
        let origin = config.origin();
        origin.parse::<Uri>().map_err(|error| Error::InvalidHost {
            host: config.host.clone(),
            reason: error.to_string(),
        })?;
        let connector = Connector::new(&config)?;
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector.clone());
        Ok(Self {
            config,
            connector,
            http,
        })
    }

    /// What the client was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn call(&self, method: Method, namespace: &str, path: &str, query: &[(&str, String)]) -> Call {
        Call::new(method, self.config.version(), namespace, path, query)
    }

    /// Sends and expects a JSON document.
    pub(crate) async fn document(&self, call: Call) -> Result<Value> {
        let answer = self.succeed(call).await?;
        parse(&answer.body)
    }

    /// Sends and expects a success of any form.
    pub(crate) async fn succeed(&self, call: Call) -> Result<Answer> {
        let answer = self.send(call).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(Error::from_answer(answer.status.as_u16(), &answer.body)),
        }
    }

    /// Sends and expects a success whose body is read as it comes. Redirects are not followed.
    pub(crate) async fn open(&self, call: Call, more: HeaderMap) -> Result<Response<Incoming>> {
        let mut headers = self.headers(&call)?;
        headers.extend(more);
        let hop = Hop {
            method: call.method,
            url: format!("{}{}", self.config.origin(), call.path),
            headers,
            body: call.body,
        };
        let response = self.exchange(&hop).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| hop.failed(innermost(&error)))?.to_bytes();
        Err(Error::from_answer(status, &body))
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Answer> {
        let headers = self.headers(&call)?;
        let url = format!("{}{}", self.config.origin(), call.path);
        let mut hop = Hop {
            method: call.method,
            url,
            headers,
            body: call.body,
        };
        for _ in 0..MAX_REDIRECTS {
            let (answer, location) = self.send_once(&hop).await?;
            let next = location.map(|location| hop.redirected(answer.status, &location));
            match next.transpose()?.flatten() {
                Some(next) => hop = next,
                None => return Ok(answer),
            }
        }
        Err(hop.failed("too many redirects"))
    }

    fn headers(&self, call: &Call) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Ok(agent) = HeaderValue::from_str(&self.config.user_agent)
            && !agent.is_empty()
        {
            headers.insert(USER_AGENT, agent);
        }
        match (call.caller, &self.config.credentials) {
            (Caller::Anyone, _) => {}
            (Caller::Key, Some(credentials)) => {
                let basic = HeaderValue::from_str(&credentials.basic()).expect("base64 is a valid header value");
                headers.insert(AUTHORIZATION, basic);
            }
            (Caller::Key, None) => {
                return Err(Error::NoCredentials {
                    method: call.method.to_string(),
                    path: call.shown.clone(),
                });
            }
        }
        Ok(headers)
    }

    async fn exchange(&self, hop: &Hop) -> Result<Response<Incoming>> {
        let uri: Uri = hop.url.parse().map_err(|error| hop.failed(error))?;
        self.observe(&Event::Request {
            method: &hop.method,
            url: &hop.url,
            headers: &hop.headers,
            body: hop.body.as_ref(),
        });
        let mut request = Request::new(Full::new(hop.body.clone().unwrap_or_default()));
        *request.method_mut() = hop.method.clone();
        *request.headers_mut() = hop.headers.clone();
        if let Some(shown) = self.connector.proxy_authorization(&uri) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, shown);
        }
        *request.uri_mut() = uri;
        self.http
            .request(request)
            .await
            .map_err(|error| hop.failed(innermost(&error)))
    }

    async fn send_once(&self, hop: &Hop) -> Result<(Answer, Option<String>)> {
        let (head, body) = self.exchange(hop).await?.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| hop.failed(innermost(&error)))?
            .to_bytes();
        self.observe(&Event::Response {
            status: head.status,
            headers: &head.headers,
            body: &body,
        });
        let location = head
            .headers
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        Ok((
            Answer {
                status: head.status,
                body,
            },
            location,
        ))
    }

    fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.config.observer {
            observer(event);
        }
    }
}

impl Hop {
    /// The next request when `status` and `location` ask for one: 307 and 308 repeat it, the others fetch. Errors: it would
    /// leave encryption, and with it the knowledge of whose answer it is.
    fn redirected(&self, status: StatusCode, location: &str) -> Result<Option<Self>> {
        let keeps_body = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let fetches = matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER
        );
        if !keeps_body && !fetches {
            return Ok(None);
        }
        let Some(url) = self.resolve(location) else {
            return Ok(None);
        };
        if is_encrypted(&self.url) && !is_encrypted(&url) {
            let reason =
                format!("it redirects to {url}, which is not encrypted; give an address that stays with https");
            return Err(self.failed(reason));
        }
        let mut headers = self.headers.clone();
        // A key never follows a redirect to another host.
        if authority(&url) != authority(&self.url) {
            headers.remove(AUTHORIZATION);
        }
        let (method, body) = match keeps_body || self.method == Method::GET {
            true => (self.method.clone(), self.body.clone()),
            false => (Method::GET, None),
        };
        Ok(Some(Self {
            method,
            url,
            headers,
            body,
        }))
    }

    fn resolve(&self, location: &str) -> Option<String> {
        if location.contains("://") {
            return Some(location.to_owned());
        }
        let start = self.url.find("://")? + 3;
        let end = self.url[start..]
            .find('/')
            .map_or(self.url.len(), |slash| start + slash);
        location
            .starts_with('/')
            .then(|| format!("{}{location}", &self.url[..end]))
    }

    fn failed(&self, reason: impl ToString) -> Error {
        Error::Connection {
            method: self.method.to_string(),
            url: self.url.clone(),
            reason: reason.to_string(),
        }
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| Error::Malformed {
        reason: error.to_string(),
    })
}

fn is_encrypted(url: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}

fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next()
}

/// The cause at the bottom, which is the only one that tells a person something ("connection refused").
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(method: Method) -> Hop {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        Hop {
            method,
            url: "http://h:1/a/b?c".into(),
            headers,
            body: Some(Bytes::from_static(b"{}")),
        }
    }

    #[test]
    fn permanent_redirects_repeat_the_request() {
        let next = hop(Method::POST)
            .redirected(StatusCode::PERMANENT_REDIRECT, "/x")
            .unwrap()
            .unwrap();
        assert_eq!((next.method, next.url.as_str()), (Method::POST, "http://h:1/x"));
        assert!(next.body.is_some() && next.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn found_turns_a_post_into_a_fetch() {
        let next = hop(Method::POST)
            .redirected(StatusCode::FOUND, "http://h:1/x")
            .unwrap()
            .unwrap();
        assert_eq!((next.method, next.body), (Method::GET, None));
    }

    #[test]
    fn the_key_stays_with_its_host() {
        let next = hop(Method::GET)
            .redirected(StatusCode::FOUND, "http://elsewhere/x")
            .unwrap()
            .unwrap();
        assert!(!next.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn other_answers_are_final() {
        for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
            assert!(hop(Method::GET).redirected(status, "/x").unwrap().is_none());
        }
    }

    #[test]
    fn a_redirect_does_not_leave_encryption() {
        let from = |url: &str| Hop {
            url: url.to_owned(),
            ..hop(Method::GET)
        };
        for status in [StatusCode::FOUND, StatusCode::PERMANENT_REDIRECT] {
            for location in ["http://h/a.js", "HTTP://other/a.js", "ftp://h/a.js"] {
                let refused = from("https://h/a.js").redirected(status, location);
                let text = refused.err().expect("not followed").to_string();
                let told = format!("GET https://h/a.js: it redirects to {location}, which is not encrypted; ");
                assert!(text.starts_with(&told), "{text}");
            }
            for (url, location) in [
                ("https://h/a.js", "https://other/b.js"),
                ("https://h/a.js", "HTTPS://h/b.js"),
                ("https://h/a.js", "/b.js"),
                ("http://h/a.js", "http://h/b.js"),
                ("http://h/a.js", "https://h/b.js"),
            ] {
                assert!(
                    from(url).redirected(status, location).unwrap().is_some(),
                    "{url} {location}"
                );
            }
        }
        assert!(
            from("https://h/a.js")
                .redirected(StatusCode::OK, "http://h/")
                .unwrap()
                .is_none()
        );
    }
}
