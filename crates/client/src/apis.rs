//! API routes, managed through the web actions of `/whisk.system/apimgmt`.

use hyper::Method;
use serde_json::Value;

use crate::call::Call;
use crate::{Client, Page, Result};

/// Who the routes belong to, as the gateway's management actions want to be told.
#[derive(Clone, Debug)]
pub struct ApiTenant {
    /// The part of the caller's key before the colon.
    pub space: String,
    /// Token for the gateway.
    pub token: String,
}

/// Which routes a call is about; empty members are not sent.
#[derive(Clone, Debug, Default)]
pub struct ApiQuery {
    /// Base path or API name.
    pub base: String,
    pub path: String,
    /// HTTP verb.
    pub verb: String,
}

impl ApiQuery {
    fn push_to(&self, pairs: &mut Vec<(&'static str, String)>) {
        for (name, value) in [
            ("basepath", &self.base),
            ("operation", &self.verb),
            ("relpath", &self.path),
        ] {
            if !value.is_empty() {
                pairs.push((name, value.clone()));
            }
        }
    }
}

impl Client {
    /// Adds a route, or a whole description; gives the resulting API.
    pub async fn create_api(&self, tenant: &ApiTenant, response_type: Option<&str>, body: &Value) -> Result<Value> {
        let mut pairs = vec![("accesstoken", tenant.token.clone())];
        if let Some(kind) = response_type {
            pairs.push(("responsetype", kind.to_owned()));
        }
        pairs.push(("spaceguid", tenant.space.clone()));
        self.document(self.management(Method::POST, "createApi", &pairs).json(body))
            .await
    }

    /// APIs that match; `page` applies only to the list of all.
    pub async fn apis(&self, tenant: &ApiTenant, query: &ApiQuery, page: Option<Page>) -> Result<Vec<Value>> {
        let mut pairs = vec![("accesstoken", tenant.token.clone())];
        query.push_to(&mut pairs);
        if let Some(page) = page {
            pairs.push(("limit", page.limit.to_string()));
            pairs.push(("skip", page.skip.to_string()));
        }
        pairs.push(("spaceguid", tenant.space.clone()));
        let document = self.document(self.management(Method::GET, "getApi", &pairs)).await?;
        Ok(document
            .get("apis")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default())
    }

    /// Removes an API, a path of it, or an operation of that path.
    pub async fn delete_api(&self, tenant: &ApiTenant, query: &ApiQuery) -> Result<()> {
        let mut pairs = vec![("accesstoken", tenant.token.clone())];
        query.push_to(&mut pairs);
        pairs.push(("spaceguid", tenant.space.clone()));
        self.succeed(self.management(Method::DELETE, "deleteApi", &pairs))
            .await?;
        Ok(())
    }

    fn management(&self, method: Method, action: &str, query: &[(&'static str, String)]) -> Call {
        let path = format!(
            "/api/{}/web/whisk.system/apimgmt/{action}.http",
            self.config().version()
        );
        Call::absolute(method, path, query)
    }
}
