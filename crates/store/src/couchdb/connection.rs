//! How the server is reached: address, user, authority; and what of a failed connection waiting does not mend.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method, RequestBuilder, Url};
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

use super::Config;
use crate::Error;

/// Longest wait for a connection; that one is refused or lost must not take as long as an answer may.
const CONNECT: Duration = Duration::from_secs(5);

/// What every request begins with.
pub(super) struct Connection {
    client: reqwest::Client,
    /// Without a password.
    base: Url,
    ca_file: Option<std::path::PathBuf>,
}

impl Connection {
    pub fn new(config: &Config) -> Result<Connection, Error> {
        // Of several providers in one process nobody but the process could choose; there is one.
        if CryptoProvider::get_default().is_none() {
            ring::default_provider().install_default().ok();
        }
        let (base, username, password) = address(config)?;
        prefix(&config.prefix)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !username.is_empty() {
            headers.insert(AUTHORIZATION, basic(&username, &password));
        }
        let mut builder = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .gzip(true)
            .connect_timeout(CONNECT)
            .timeout(Duration::from_secs(config.timeout_s));
        if let Some(file) = &config.ca_file {
            builder = builder.tls_certs_only(authorities(file, &base)?);
        }
        let client = builder.build().map_err(|error| {
            Error::Unusable(format!("the connection to CouchDB cannot be set up: {}", chain(&error)))
        })?;
        Ok(Connection {
            client,
            base,
            ca_file: config.ca_file.clone(),
        })
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    pub fn request<'a>(
        &self,
        method: Method,
        path: &str,
        query: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        let mut pairs = query.into_iter().peekable();
        if pairs.peek().is_some() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        self.client.request(method, url)
    }

    /// A user who is not let in.
    pub fn refused(&self, body: &[u8]) -> String {
        format!(
            "CouchDB at {} refuses the user: {}; check `store.username` and `store.password`",
            self.place(),
            said(body)
        )
    }

    /// A request that got no answer.
    pub fn failed(&self, error: &reqwest::Error) -> Error {
        let place = self.place();
        let Some(refused) = refusal(error) else {
            return Error::Unavailable(format!("CouchDB at {place} (`store.url`): {}", chain(error)));
        };
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        use rustls::Error::{InvalidCertificate, InvalidMessage};
        match refused {
            InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Error::Unusable(format!(
                "the certificate of CouchDB at {place} is another host's; `store.url` must name the host as its certificate does"
            )),
            InvalidCertificate(reason) => Error::Unusable(match &self.ca_file {
                Some(file) => format!(
                    "the certificate of CouchDB at {place} is not one that an authority in {} vouches for ({reason:?}); put the right authority into `store.ca_file`",
                    file.display()
                ),
                None => format!(
                    "the certificate of CouchDB at {place} is not signed by an authority that this machine trusts ({reason:?}); name the file of the right one as `store.ca_file`"
                ),
            }),
            InvalidMessage(_) => Error::Unusable(format!(
                "what answers at {place} does not speak TLS; write `store.url` with http://, or the port that speaks TLS"
            )),
            other => Error::Unavailable(format!("CouchDB at {place} (`store.url`): {other}")),
        }
    }
}

fn address(config: &Config) -> Result<(Url, String, String), Error> {
    let shown = super::without_password(&config.url);
    let none = || {
        Error::Unusable(format!(
            "`store.url`: `{shown}` is no address of a CouchDB; write http://host:5984 or https://host:6984"
        ))
    };
    let mut base = Url::parse(&config.url).map_err(|_| none())?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
        return Err(none());
    }
    if config.ca_file.is_some() && base.scheme() == "http" {
        return Err(Error::Unusable(format!(
            "`store.ca_file` is set, but `store.url` = {shown} is not encrypted; write https://, or remove the authority"
        )));
    }
    let given = (config.username.clone(), config.password.clone());
    let of_url = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let (username, password) = match (config.username.is_empty(), base.username()) {
        (true, user) if !user.is_empty() => (of_url(user), of_url(base.password().unwrap_or_default())),
        (true | false, _) => given,
    };
    if username.is_empty() && !password.is_empty() {
        return Err(Error::Unusable(
            "`store.password` is set, but no user; set `store.username`".to_owned(),
        ));
    }
    base.set_username("").map_err(|()| none())?;
    base.set_password(None).map_err(|()| none())?;
    base.set_query(None);
    base.set_fragment(None);
    Ok((base, username, password))
}

/// CouchDB's rule for names of databases.
fn prefix(prefix: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_$()+-".contains(c);
    if let Some(odd) = prefix.chars().find(|c| !fits(*c)) {
        return Err(Error::Unusable(format!(
            "`store.prefix`: `{prefix}` has the character {odd:?}; names of databases have small letters, digits and _$()+- only"
        )));
    }
    if prefix.chars().next().is_some_and(|first| !first.is_ascii_lowercase()) {
        return Err(Error::Unusable(format!(
            "`store.prefix`: `{prefix}` must begin with a small letter"
        )));
    }
    Ok(())
}

fn basic(username: &str, password: &str) -> HeaderValue {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}")).expect("base64 in a header");
    value.set_sensitive(true);
    value
}

fn authorities(file: &std::path::Path, base: &Url) -> Result<Vec<Certificate>, Error> {
    let wrong = |reason: String| Error::Unusable(format!("`store.ca_file`: {}: {reason}", file.display()));
    let pem = std::fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(chain(&error)))?;
    if found.is_empty() {
        return Err(wrong(format!(
            "there is no certificate in it (PEM) to know the one of {base} by"
        )));
    }
    Ok(found)
}

/// What TLS has against the other end, if that is why.
fn refusal(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = inside(error) {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// The error inside an I/O error, and inside that, is not its source.
fn inside(error: &(dyn std::error::Error + 'static)) -> Option<rustls::Error> {
    if let Some(refused) = error.downcast_ref::<rustls::Error>() {
        return Some(refused.clone());
    }
    let inner = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)?;
    inside(inner)
}

/// Whether a server's greeting is that of a CouchDB, or of what has its interface.
pub(super) fn is_couchdb(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Greeting {
        couchdb: Option<serde::de::IgnoredAny>,
        #[serde(rename = "express-pouchdb")]
        pouchdb: Option<serde::de::IgnoredAny>,
    }
    let greeting: Option<Greeting> = serde_json::from_slice(body).ok();
    greeting.is_some_and(|greeting| greeting.couchdb.is_some() || greeting.pouchdb.is_some())
}

/// What CouchDB gives as its reason.
pub(super) fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Result<serde_json::Value, _> = serde_json::from_slice(body);
    let reason = json
        .ok()
        .and_then(|json| json.get("reason").and_then(|r| r.as_str().map(str::to_owned)));
    reason.unwrap_or_else(|| text.trim().chars().take(200).collect())
}

/// An error with its causes, the last of which tells most; without the address, which is said anyway.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "no answer in time (`store.timeout_s`)".to_owned(),
        Some(error) if error.is_connect() => "no connection".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => error.to_string(),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        Connection::new(&config).err().unwrap().to_string()
    }

    type Change = fn(&mut Config);

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let cases: &[(&str, Change)] = &[
            ("`store.url`: `couch:5984` is no address", |c| {
                c.url = "couch:5984".into()
            }),
            ("`store.url`: `ftp://couch` is no address", |c| {
                c.url = "ftp://couch".into()
            }),
            ("`store.ca_file` is set, but `store.url`", |c| {
                c.ca_file = Some("ca.pem".into())
            }),
            ("`store.ca_file`: no/ca.pem: cannot be read", |c| {
                c.url = "https://couch:6984".into();
                c.ca_file = Some("no/ca.pem".into());
            }),
            ("set `store.username`", |c| c.password = "hush".into()),
            ("`store.prefix`: `Whisk_` has the character 'W'", |c| {
                c.prefix = "Whisk_".into()
            }),
            ("`store.prefix`: `1_` must begin with a small letter", |c| {
                c.prefix = "1_".into()
            }),
        ];
        for (text, change) in cases {
            let error = refused(change);
            assert!(error.contains(text) && !error.contains("hush"), "{text}: {error}");
        }
    }

    #[test]
    fn a_user_in_the_address_is_taken_out_of_it() {
        let config = Config {
            url: "http://whisk:hu%20sh@couch:5984/path/".to_owned(),
            ..Config::default()
        };
        let (base, username, password) = address(&config).unwrap();
        assert_eq!(
            (base.as_str(), &*username, &*password),
            ("http://couch:5984/path/", "whisk", "hu sh")
        );
        let connection = Connection::new(&config).unwrap();
        let url = connection
            .request(Method::GET, "db/id%2F1", [])
            .build()
            .unwrap()
            .url()
            .to_string();
        assert_eq!(url, "http://couch:5984/path/db/id%2F1");
    }
}
