//! Bearer tokens of APIs, checked with whoever issued them.
//!
//! Google, GitHub and Facebook are asked about each token, App ID's are signed with keys that it publishes. What is known of
//! a good token is remembered for some minutes, so that its bearer is not slowed down and a withdrawn one is noticed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt as _, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, errors::ErrorKind};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::{Duration, Instant};

use super::Config;
use super::backend::{Backends, Fate, Upload};
use super::error::Error;
use super::reach::Reach;

/// Who vouches for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    Google,
    GitHub,
    Facebook,
    AppId { tenant: Box<str> },
}

/// What a caller's token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub provider: Provider,
    /// The application that the token must have been issued for; without one, tokens of all applications are good.
    pub audience: Option<Box<str>>,
}

/// What a good token says of its bearer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    subject: Option<HeaderValue>,
    email: Option<HeaderValue>,
    scope: Option<HeaderValue>,
}

/// All tokens seen lately.
pub struct Tokens {
    providers: Backends,
    urls: Urls,
    /// Bearers by the digests of what they showed.
    known: Mutex<Until<[u8; 32], Arc<Bearer>>>,
    /// Keys by tenant, with the time they were asked for.
    keys: Mutex<Until<Box<str>, Arc<JwkSet>>>,
}

/// What is remembered, with a moment that says how long.
type Until<K, V> = HashMap<K, (V, Instant)>;

struct Urls {
    google: String,
    github: String,
    facebook: String,
    app_id: String,
}

/// How long a good token is believed without asking again.
const BELIEVED: Duration = Duration::from_secs(300);
/// How long a provider's keys are used, and how soon a key that is not among them may make us ask again.
const KEYS: Duration = Duration::from_secs(3600);
const KEYS_AGAIN: Duration = Duration::from_secs(10);
/// How long a provider may take, and how much it may say.
const WAIT: Duration = Duration::from_secs(10);
const ANSWER: usize = 256 << 10;
/// Tokens remembered; beyond it all are forgotten.
const MOST: usize = 10_000;

const FACEBOOK_APP: HeaderName = HeaderName::from_static("x-facebook-app-token");
const SUBJECT: HeaderName = HeaderName::from_static("x-oidc-sub");
const EMAIL: HeaderName = HeaderName::from_static("x-oidc-email");
const SCOPE: HeaderName = HeaderName::from_static("x-oidc-scope");

const NOT_GOOD: &str = "Token didn't work or provider doesn't support OpenID connect.";

impl Guard {
    /// Reads a security definition of type `oauth2`. Errors: the text for the author of the description.
    pub fn read(name: &str, definition: &Value) -> Result<Guard, String> {
        let described = definition.get("x-provider");
        let member = |object: Option<&Value>, member: &str| -> Box<str> {
            let found = object.and_then(|object| object.get(member)?.as_str());
            found.unwrap_or_default().into()
        };
        let parameters = described.and_then(|provider| provider.get("params"));
        // Older descriptions name the provider by the definition's own name.
        let provider = match described {
            Some(_) => member(described, "name"),
            None => name.into(),
        };
        let provider = match &*provider {
            "google" => Provider::Google,
            "github" => Provider::GitHub,
            "facebook" => Provider::Facebook,
            "app-id" => Provider::AppId {
                tenant: member(parameters, "tenantId"),
            },
            other => {
                let offered = "google, github, facebook, app-id";
                return Err(format!(
                    "the security definition '{name}' names the provider '{other}'; offered are {offered}"
                ));
            }
        };
        if let Provider::AppId { tenant } = &provider
            && (tenant.is_empty() || !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
        {
            return Err(format!(
                "the security definition '{name}' has no usable x-provider.params.tenantId"
            ));
        }
        let audience = Some(member(parameters, "audience")).filter(|audience| !audience.is_empty());
        if audience.is_some() && provider == Provider::GitHub {
            return Err(format!(
                "the security definition '{name}': GitHub does not tell the audience of a token"
            ));
        }
        Ok(Guard { provider, audience })
    }
}

impl Bearer {
    fn of(claims: &Value) -> Bearer {
        let header = |names: &[&str]| {
            let found = names.iter().find_map(|name| claims.get(*name))?;
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            HeaderValue::from_str(&text).ok()
        };
        Bearer {
            subject: header(&["sub", "user_id", "id"]),
            email: header(&["email"]),
            scope: header(&["scope"]),
        }
    }

    /// Tells a backend; what the caller said of itself under these names is gone.
    pub fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in [(SUBJECT, &self.subject), (EMAIL, &self.email), (SCOPE, &self.scope)] {
            headers.remove(&name);
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}

impl Tokens {
    pub fn new(config: &Config) -> Tokens {
        Tokens {
            // Where providers are is the operator's word.
            providers: Backends::new(Reach::Everywhere),
            urls: Urls {
                google: config.google_tokens.clone(),
                github: config.github_tokens.clone(),
                facebook: config.facebook_tokens.clone(),
                app_id: config.app_id_keys.clone(),
            },
            known: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// The bearer of the token in a request. Errors: [`Error::Key`] with what is wrong, or [`Error::Provider`].
    pub async fn check(&self, guard: &Guard, headers: &HeaderMap) -> Result<Arc<Bearer>, Error> {
        let token = bearer(headers).ok_or_else(|| refused("No Authorization header provided"))?;
        let app = match guard.provider {
            Provider::Facebook => headers.get(FACEBOOK_APP).and_then(|value| value.to_str().ok()).ok_or_else(|| {
                refused("Facebook requires you provide an app token to validate user tokens. Provide a X-Facebook-App-Token header")
            })?,
            Provider::Google | Provider::GitHub | Provider::AppId { .. } => "",
        };
        let key = Sha256::digest(format!("{guard:?}\0{token}\0{app}")).into();
        let now = Instant::now();
        if let Some((bearer, until)) = lock(&self.known).get(&key)
            && *until > now
        {
            return Ok(bearer.clone());
        }
        let claims = match &guard.provider {
            Provider::AppId { tenant } => self.signed(guard, tenant, token).await?,
            Provider::Google => self.google(guard, token).await?,
            Provider::GitHub => self.github(token).await?,
            Provider::Facebook => self.facebook(guard, token, app).await?,
        };
        let bearer = Arc::new(Bearer::of(&claims));
        let mut known = lock(&self.known);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (bearer.clone(), now + BELIEVED.min(left(&claims))));
        Ok(bearer)
    }

    async fn google(&self, guard: &Guard, token: &str) -> Result<Value, Error> {
        let url = with_query(&self.urls.google, &[("access_token", token)])?;
        let claims = self.ask(&url, None).await?;
        let is_good = claims.get("error").is_none() && claims.get("error_description").is_none();
        good(is_good && meant_for(guard, claims.get("aud")), claims)
    }

    async fn github(&self, token: &str) -> Result<Value, Error> {
        let claims = self.ask(&self.urls.github, Some(token)).await?;
        good(claims.get("id").is_some_and(|id| !id.is_null()), claims)
    }

    async fn facebook(&self, guard: &Guard, token: &str, app: &str) -> Result<Value, Error> {
        let url = with_query(&self.urls.facebook, &[("input_token", token), ("access_token", app)])?;
        let mut answer = self.ask(&url, None).await?;
        let claims = answer.get_mut("data").map(Value::take).unwrap_or_default();
        let is_good = claims.get("is_valid").and_then(Value::as_bool) == Some(true);
        good(is_good && meant_for(guard, claims.get("app_id")), claims)
    }

    /// The claims of a token that App ID signed.
    async fn signed(&self, guard: &Guard, tenant: &str, token: &str) -> Result<Value, Error> {
        let no_match = || refused("The token signature did not match any known JWK.");
        let header = jsonwebtoken::decode_header(token).map_err(|_| no_match())?;
        let named = header.kid.as_deref();
        let keys = self.keys(tenant, named).await?;
        let mut validation = Validation::new(header.alg);
        validation.validate_nbf = true;
        match &guard.audience {
            Some(audience) => validation.set_audience(&[audience]),
            None => validation.validate_aud = false,
        }
        let candidates = keys
            .keys
            .iter()
            .filter(|key| named.is_none() || key.common.key_id.as_deref() == named);
        let mut failure = no_match();
        for key in candidates.filter_map(|key| DecodingKey::from_jwk(key).ok()) {
            match jsonwebtoken::decode::<Value>(token, &key, &validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => match error.kind() {
                    ErrorKind::ExpiredSignature => failure = refused("The access token has expired."),
                    ErrorKind::InvalidAudience | ErrorKind::ImmatureSignature => failure = refused(NOT_GOOD),
                    _ => {}
                },
            }
        }
        Err(failure)
    }

    /// The keys of a tenant of App ID; asked for again when one that is `named` is not among them.
    async fn keys(&self, tenant: &str, named: Option<&str>) -> Result<Arc<JwkSet>, Error> {
        let now = Instant::now();
        if let Some((keys, at)) = lock(&self.keys).get(tenant).cloned() {
            let is_there = named.is_none_or(|name| keys.find(name).is_some());
            let fresh = if is_there { KEYS } else { KEYS_AGAIN };
            if now.duration_since(at) < fresh {
                return Ok(keys);
            }
        }
        let url = format!("{}/{tenant}/publickeys", self.urls.app_id.trim_end_matches('/'));
        let answer = self.ask(&url, None).await?;
        let keys: JwkSet = serde_json::from_value(answer).map_err(|error| unusable(&url, &error))?;
        let keys = Arc::new(keys);
        let mut known = lock(&self.keys);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(tenant.into(), (keys.clone(), now));
        Ok(keys)
    }

    /// What a provider answers, as JSON, also when it refuses.
    async fn ask(&self, url: &str, token: Option<&str>) -> Result<Value, Error> {
        let mut request = Request::get(url)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("ferrowhisk/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let server = url.split('?').next().unwrap_or_default();
        // A token that cannot stand in a header is none.
        let request = request.body(Upload::empty()).map_err(|_| refused(NOT_GOOD))?;
        let answered = self.providers.call(request, &Fate::default(), WAIT).await;
        let (head, body) = answered
            .map_err(|_| unusable(server, &"it cannot be reached"))?
            .into_parts();
        if head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS {
            return Err(unusable(server, &head.status));
        }
        let body = tokio::time::timeout(WAIT, Limited::new(body, ANSWER).collect()).await;
        let body = body.map_err(|_| unusable(server, &"its answer took too long"))?;
        let body = body.map_err(|error| unusable(server, &error))?.to_bytes();
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok(answer),
            Err(_) if head.status.is_client_error() => Err(refused(NOT_GOOD)),
            Err(error) => Err(unusable(server, &error)),
        }
    }
}

/// The token of a request, with or without the word `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        Some(_) | None => value,
    };
    (!token.is_empty()).then_some(token)
}

fn meant_for(guard: &Guard, audience: Option<&Value>) -> bool {
    guard
        .audience
        .as_deref()
        .is_none_or(|wanted| audience.and_then(Value::as_str) == Some(wanted))
}

fn good(is_good: bool, claims: Value) -> Result<Value, Error> {
    if is_good { Ok(claims) } else { Err(refused(NOT_GOOD)) }
}

/// How long a token is good for; a provider that does not say leaves that to us.
fn left(claims: &Value) -> Duration {
    let number = |name: &str| {
        let value = claims.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let now = wsk_service::clock::now() / 1000;
    let at = number("exp").or_else(|| number("expires_at").filter(|at| *at > 0));
    let seconds = number("expires_in").or(at.map(|at| at.saturating_sub(now)));
    seconds.map_or(BELIEVED, Duration::from_secs)
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> Result<String, Error> {
    let parsed: Uri = url.parse().map_err(|error| unusable(url, &error))?;
    if parsed.scheme().is_none() {
        return Err(unusable(url, &"it does not begin with https:// or http://"));
    }
    let address = url.split('#').next().unwrap_or(url);
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    Ok(
        form_urlencoded::Serializer::for_suffix(format!("{place}?{query}"), place.len() + 1)
            .extend_pairs(pairs)
            .finish(),
    )
}

fn refused(text: &str) -> Error {
    Error::Key(text.to_owned())
}

fn unusable(server: &str, reason: &dyn std::fmt::Display) -> Error {
    tracing::warn!(server, %reason, "a provider of tokens cannot be asked");
    Error::Provider
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
