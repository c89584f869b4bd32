//! The system catalog, installed beside what the platform serves already.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;
use wsk_catalog::{Answer, Api};
use wsk_controller::App;
use wsk_entities::Namespace;
use wsk_gateway::{Controllers as _, Forwarded};
use wsk_identity::{Authenticator, Outcome};
use wsk_service::supervise::{OnCancel, OnFailure, Stage, Supervisor, Task};

use crate::serve::task;
use crate::wiring::{InProcess, Platform};

/// The API without a socket in between, called as the owner of the catalog's namespace.
struct AsSystem {
    app: Arc<App>,
    authenticator: Arc<Authenticator>,
}

/// Starts the installation; it ends when everything is current, and a shutdown does not wait for it.
pub fn supervise(supervisor: &mut Supervisor, platform: &Platform) {
    let api = Arc::new(AsSystem {
        app: platform.app.clone(),
        authenticator: platform.authenticator.clone(),
    });
    let declared = Task {
        on_cancel: OnCancel::Abort,
        on_failure: OnFailure::Report,
        ..task("catalog", Stage::Edge)
    };
    supervisor.spawn(declared, move |_| {
        let api = api.clone();
        async move {
            wsk_catalog::keep(&*api, wsk_catalog::catalog()).await;
            anyhow::Ok(())
        }
    });
}

impl AsSystem {
    async fn identity(&self) -> Result<Outcome, String> {
        let namespace = Namespace::new(wsk_catalog::NAMESPACE).map_err(|error| error.to_string())?;
        match self.authenticator.owner(&namespace).await {
            Ok(Some(identity)) => Ok(Outcome::Known(identity)),
            Ok(None) => Err(format!("there is no subject that owns {namespace}, or it is blocked")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Api for AsSystem {
    async fn call(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let caller = self.identity().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json");
        let request = request.body(()).map_err(|error| error.to_string())?;
        let forwarded = Forwarded {
            head: request.into_parts().0,
            body: body.map_or_else(Bytes::new, |body| body.to_string().into()),
            caller,
        };
        let response = InProcess(self.app.clone()).call(forwarded).await;
        let text = response.body().as_full().cloned().unwrap_or_default();
        Ok(Answer {
            status: response.status().as_u16(),
            body: serde_json::from_slice(&text).unwrap_or_default(),
        })
    }
}
