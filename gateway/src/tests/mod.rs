//! The gateway over real connections, before controllers that tell what they were asked.

mod backends;
mod calls;
mod fuzz;
mod managing;
mod mapping;
mod policies;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use wsk_entities::{Namespace, SubjectDocument, SubjectNamespace};
use wsk_identity::Authenticator;
use wsk_service::http::{self, Body, Limits, Rejection, Response};
use wsk_service::phase::{Phase, Phases};
use wsk_service::supervise::{Cancel, Canceller};
use wsk_store::{ApiStore, Stores};

use crate::apis::target::Scheme;
use crate::{Config, Controllers, Forwarded, Gateway, Parts, Shows, request};

pub const ALICE: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
pub const BOB: &str = "789c46b1-71f6-4ed5-8c54-816aa4f8c502";

/// Answers with what it was asked, as JSON; `/api/v1/web/guest/default/slow…` never does.
struct Telling;

#[async_trait]
impl Controllers for Telling {
    async fn call(&self, request: Forwarded) -> Response {
        let head = &request.head;
        if head.uri.path().contains("/slow") {
            return std::future::pending().await;
        }
        let headers: serde_json::Map<String, Value> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().into()))
            .collect();
        let told = json!({
            "method": head.method.as_str(),
            "target": head.uri.to_string(),
            "headers": headers,
            "body": String::from_utf8_lossy(&request.body),
            "caller": request.caller.identity().map(|identity| identity.namespace.name.to_string()),
        });
        let mut response = Response::new(Body::full(told.to_string()));
        response
            .headers_mut()
            .insert("access-control-allow-origin", "action".parse().unwrap());
        response
    }

    fn reject(&self, _: &request::Parts, rejection: Rejection) -> Response {
        rejection.response()
    }
}

/// Where data stays when a gateway goes.
#[derive(Clone)]
pub struct Data {
    stores: Stores,
    apis: Arc<dyn ApiStore>,
}

/// A running gateway.
pub struct Edge {
    pub address: SocketAddr,
    _cancel: Canceller,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Data {
    pub async fn new() -> Data {
        let config = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default());
        let (stores, apis) = wsk_store::open_all(&config).await.unwrap();
        for (name, uuid) in [("alice", ALICE), ("bob", BOB)] {
            let namespace = SubjectNamespace {
                name: Namespace::new(name).unwrap(),
                uuid: uuid.into(),
                key: "k".repeat(64),
            };
            let document = SubjectDocument {
                subject: name.into(),
                namespaces: vec![namespace],
                blocked: false,
            };
            stores.subjects.put_subject(&document).await.unwrap();
        }
        Data { stores, apis }
    }

    /// A gateway over the data.
    pub async fn serve(&self, config: Config) -> Edge {
        let phases = Phases::starting();
        phases.advance(Phase::Ready);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Gateway::new(Parts {
            config,
            authenticator: Arc::new(Authenticator::new(self.stores.subjects.clone())),
            controllers: Arc::new(Telling),
            phases,
            apis: self.apis.clone(),
            hosts: vec![address.to_string()],
        });
        let face = Arc::new(gateway.unwrap()).face(Scheme::Http, Shows::Everything);
        let (canceller, cancel) = Cancel::new();
        tokio::spawn(http::serve(listener, Limits::default(), face, cancel));
        Edge {
            address,
            _cancel: canceller,
        }
    }
}

pub async fn start() -> Edge {
    Data::new().await.serve(Config::default()).await
}

/// The `Authorization` of a tenant.
pub fn key_of(uuid: &str) -> String {
    let pair = format!("{uuid}:{}", "k".repeat(64));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

impl Edge {
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = hyper::Request::builder().method(method).uri(target);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    /// A call of one of the management actions with a tenant's key.
    pub async fn manage(&self, method: &str, action: &str, tenant: &str, body: &Value) -> Answer {
        let target = format!("/api/v1/web/whisk.system/apimgmt/{action}");
        let headers = [
            ("authorization", &*key_of(tenant)),
            ("content-type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, &target, &headers, body).await
    }

    /// Creates a route of `ALICE` to an action.
    pub async fn create(&self, base: &str, path: &str, verb: &str, action: &str, kind: &str) -> Answer {
        let body = route(&self.address.to_string(), base, path, verb, action);
        self.manage("POST", &format!("createApi.http?responsetype={kind}"), ALICE, &body)
            .await
    }

    /// Imports a description of `ALICE`.
    pub async fn import(&self, document: &Value) -> Answer {
        let body = json!({"apidoc": {"namespace": "_", "swagger": document.to_string()}});
        let answer = self.manage("POST", "createApi.http", ALICE, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
}

/// What `wsk api create` sends.
pub fn route(host: &str, base: &str, path: &str, verb: &str, action: &str) -> Value {
    let parameters: Vec<Value> = crate::apis::document::path_parameters(path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "type": "string"}))
        .collect();
    json!({"apidoc": {
        "namespace": "_", "gatewayBasePath": base, "gatewayPath": path, "gatewayMethod": verb, "id": format!("API:_:{base}"),
        "action": {"name": action, "namespace": "_", "backendMethod": verb, "authkey": "a:b",
                   "backendUrl": format!("http://{host}/api/v1/web/_/default/{action}.http")},
        "pathParameters": parameters,
    }})
}

/// A description whose only operation, `GET` and `POST` of `/`, leads to a server.
pub fn leading_to(base: &str, target: &str) -> Value {
    json!({
        "swagger": "2.0", "info": {"title": "t", "version": "1"}, "basePath": base,
        "paths": {"/p": {"get": {"operationId": "a"}, "post": {"operationId": "b"}}},
        "x-gateway-configuration": {"assembly": {"execute": [{"invoke": {"target-url": target, "verb": "keep"}}]}},
    })
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status and text of a body `{"error": …}`.
    pub fn refusal(&self) -> (u16, String) {
        (
            self.status.as_u16(),
            self.json()["error"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
