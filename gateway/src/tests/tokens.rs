//! APIs that ask for bearer tokens, before providers that know some.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use wsk_service::http::{Handler, Request};

use super::*;

/// Google, GitHub, Facebook and App ID in one server; each knows the token `good`, and App ID the key `known`.
struct Providers {
    asked: AtomicUsize,
    key: rcgen::KeyPair,
}

#[async_trait]
impl Handler for Providers {
    async fn handle(self: Arc<Self>, request: Request) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let head = &request.head;
        let target = head.uri.path_and_query().unwrap().as_str();
        let claims = json!({"sub": "7", "email": "a@example.org", "scope": "read", "aud": "app", "expires_in": "100"});
        let answer = match target {
            "/google?access_token=good" => claims,
            "/github" if head.headers["authorization"] == "Bearer good" => json!({"id": 7, "email": null}),
            "/facebook?input_token=good&access_token=app" => {
                json!({"data": {"is_valid": true, "app_id": "app", "user_id": "7", "expires_at": 0}})
            }
            "/facebook?input_token=old&access_token=app" => json!({"data": {"is_valid": false}}),
            "/appid/t-1/publickeys" => json!({"keys": [self.jwk()]}),
            "/google?access_token=broken" => json!(null),
            "/google?access_token=down" => return http::text(StatusCode::BAD_GATEWAY, "down"),
            _ => json!({"error": "invalid_token", "error_description": "Invalid Value", "message": "Bad credentials"}),
        };
        Response::new(Body::full(answer.to_string()))
    }

    fn reject(&self, _: &request::Parts, rejection: Rejection) -> Response {
        rejection.response()
    }
}

impl Providers {
    async fn start() -> (Arc<Providers>, Config, Canceller) {
        let providers = Arc::new(Providers {
            asked: AtomicUsize::new(0),
            key: rcgen::KeyPair::generate().unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (canceller, cancel) = Cancel::new();
        tokio::spawn(http::serve(listener, Limits::default(), providers.clone(), cancel));
        let mut config = Config::default();
        config.apis.google_tokens = format!("http://{address}/google");
        config.apis.github_tokens = format!("http://{address}/github");
        config.apis.facebook_tokens = format!("http://{address}/facebook");
        config.apis.app_id_keys = format!("http://{address}/appid/");
        (providers, config, canceller)
    }

    fn jwk(&self) -> Value {
        let point = self.key.public_key_raw();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({"kty": "EC", "crv": "P-256", "kid": "known", "x": coordinate(1..33), "y": coordinate(33..65)})
    }

    fn sign(&self, claims: &Value) -> String {
        signed(&self.key, claims)
    }
}

fn signed(key: &rcgen::KeyPair, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("known".to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&key.serialize_der())).unwrap()
}

async fn guarded(config: Config, definitions: Value) -> Edge {
    let edge = Data::new().await.serve(config).await;
    let mut document = leading_to(
        "/a",
        &format!("http://{}/api/v1/web/alice/default/a.json", edge.address),
    );
    document["securityDefinitions"] = definitions;
    edge.import(&document).await;
    edge
}

fn provider(name: &str, params: Value) -> Value {
    json!({"o": {"type": "oauth2", "x-provider": {"name": name, "params": params}}})
}

/// Status, and the refusal's text or what the backend was told of the bearer.
async fn call(edge: &Edge, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = edge.send("GET", &format!("/api/{ALICE}/a/p"), headers, "").await;
    let body = answer.json();
    let told = |name: &str| body["headers"][name].as_str().unwrap_or("-").to_owned();
    let text = match answer.status.as_u16() {
        200 => format!(
            "{} {} {}",
            told("x-oidc-sub"),
            told("x-oidc-email"),
            told("x-oidc-scope")
        ),
        _ => body["message"].as_str().unwrap_or_default().to_owned(),
    };
    (answer.status.as_u16(), text)
}

const NOT_GOOD: &str = "Error: Token didn't work or provider doesn't support OpenID connect.";

#[tokio::test]
async fn google_is_asked_once_for_a_good_token() {
    let (providers, config, _running) = Providers::start().await;
    let edge = guarded(config, provider("google", json!({}))).await;
    assert_eq!(
        call(&edge, &[]).await,
        (401, "Error: No Authorization header provided".into())
    );
    for _ in 0..3 {
        let forged = [("authorization", "bearer good"), ("x-oidc-sub", "root")];
        assert_eq!(call(&edge, &forged).await, (200, "7 a@example.org read".into()));
    }
    assert_eq!(providers.asked.load(Ordering::Relaxed), 1);
    for token in ["Bearer bad", "Bearer", "Bearer \u{e4}"] {
        assert_eq!(call(&edge, &[("authorization", token)]).await.0, 401, "{token}");
    }
    assert_eq!(call(&edge, &[("authorization", "bad")]).await, (401, NOT_GOOD.into()));
    let failed = (502, "Error: Connection to the OAuth provider failed.".into());
    assert_eq!(call(&edge, &[("authorization", "Bearer down")]).await, failed);
}

#[tokio::test]
async fn a_token_for_another_application_is_refused() {
    let (_, config, _running) = Providers::start().await;
    for (audience, status) in [("app", 200), ("other", 401)] {
        for (name, more) in [("google", None), ("facebook", Some(("x-facebook-app-token", "app")))] {
            let edge = guarded(config.clone(), provider(name, json!({ "audience": audience }))).await;
            let mut headers = vec![("authorization", "Bearer good")];
            headers.extend(more);
            assert_eq!(call(&edge, &headers).await.0, status, "{name} {audience}");
        }
    }
}

#[tokio::test]
async fn github_and_facebook() {
    let (_, config, _running) = Providers::start().await;
    let edge = guarded(config.clone(), provider("github", json!({}))).await;
    assert_eq!(
        call(&edge, &[("authorization", "Bearer good")]).await,
        (200, "7 null -".into())
    );
    assert_eq!(
        call(&edge, &[("authorization", "Bearer bad")]).await,
        (401, NOT_GOOD.into())
    );
    // The provider's name may be the definition's.
    let edge = guarded(config, json!({"facebook": {"type": "oauth2"}})).await;
    let app = "Error: Facebook requires you provide an app token to validate user tokens. Provide a X-Facebook-App-Token header";
    assert_eq!(
        call(&edge, &[("authorization", "Bearer good")]).await,
        (401, app.into())
    );
    let with = |token| [("authorization", token), ("x-facebook-app-token", "app")];
    assert_eq!(call(&edge, &with("Bearer good")).await, (200, "7 - -".into()));
    assert_eq!(call(&edge, &with("Bearer old")).await, (401, NOT_GOOD.into()));
}

#[tokio::test]
async fn signatures_are_checked() {
    let (providers, config, _running) = Providers::start().await;
    let edge = guarded(
        config,
        provider("app-id", json!({"tenantId": "t-1", "audience": "app"})),
    )
    .await;
    let now = wsk_service::clock::now() / 1000;
    let claims = |exp: u64, aud: &str| json!({"sub": "7", "email": "a@example.org", "exp": exp, "aud": [aud]});
    let stranger = rcgen::KeyPair::generate().unwrap();
    let good = providers.sign(&claims(now + 600, "app"));
    let (head, body) = good
        .rsplit_once('.')
        .map(|(rest, _)| rest.split_once('.').unwrap())
        .unwrap();
    let none = format!("{}.{body}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"known"}"#));
    let no_match = "Error: The token signature did not match any known JWK.";
    for (token, status, text) in [
        (good.clone(), 200, "7 a@example.org -"),
        (
            providers.sign(&claims(now - 600, "app")),
            401,
            "Error: The access token has expired.",
        ),
        (providers.sign(&claims(now + 600, "other")), 401, NOT_GOOD),
        (signed(&stranger, &claims(now + 600, "app")), 401, no_match),
        (format!("{head}.{body}.AAAA"), 401, no_match),
        (none, 401, no_match),
        ("nonsense".to_owned(), 401, no_match),
    ] {
        let header = format!("Bearer {token}");
        assert_eq!(
            call(&edge, &[("authorization", &header)]).await,
            (status, text.to_owned()),
            "{token}"
        );
    }
    assert_eq!(providers.asked.load(Ordering::Relaxed), 1, "keys are kept");
}

#[tokio::test]
async fn an_app_id_that_cannot_be_asked_is_refused_at_once() {
    let edge = start().await;
    let mut document = leading_to("/a", "http://h/");
    document["securityDefinitions"] = provider("app-id", json!({"tenantId": "t-1"}));
    let body = json!({"apidoc": {"namespace": "_", "swagger": document.to_string()}});
    let answer = edge.manage("POST", "createApi.http", ALICE, &body).await;
    assert!(
        answer.text().contains("the operator has not said where its keys are"),
        "{answer:?}"
    );
}
