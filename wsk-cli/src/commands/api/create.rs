//! `wsk api create`.

use clap::Args;
use serde_json::{Value, json};
use wsk_client::{Client, Code};

use super::operations::{self, Filter};
use super::route::{self, Base};
use super::{failed, swagger, tenant};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::json::{key_value, object, text};
use crate::names::{OWN, QualifiedName};
use crate::output::line;

#[derive(Debug, Args)]
pub struct Create {
    #[arg(value_name = "([BASE_PATH] API_PATH API_VERB ACTION] | --config-file CFG_FILE) ")]
    args: Vec<String>,
    /// friendly name of the API; ignored when CFG_FILE is specified (default BASE_PATH)
    #[arg(short = 'n', long, value_name = "API_NAME")]
    apiname: Option<String>,
    /// CFG_FILE containing API configuration in swagger JSON format
    #[arg(short, long, value_name = "CFG_FILE")]
    config_file: Option<String>,
    /// set the web action response TYPE; possible values are html, http, json, text, svg
    #[arg(long, value_name = "TYPE", default_value = "json")]
    response_type: String,
}

/// A route as it was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    base: Base,
    name: Option<String>,
    path: String,
    verb: String,
    action: QualifiedName,
}

const REQUIRED: &str =
    "Specify a swagger file or specify an API base path with an API path, an API verb, and an action name.";
const ATTEMPTED: &str = "Unable to create API";

impl Create {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match &self.config_file {
            Some(file) if !file.is_empty() => self.described(cx, file).await,
            Some(_) | None => self.single(cx).await,
        }
    }

    async fn described(&self, cx: &mut Context, file: &str) -> Result<(), Failure> {
        Positionals(self.args.clone()).count(0, 0, REQUIRED)?;
        let body = swagger::creation(&swagger::read(file)?);
        let api = self.create(cx, &cx.client()?, &body).await?;
        for operation in operations::of(&api, &Filter::default())? {
            cx.out.ok(line("created API ").plain(operations::created(&operation)))?;
            cx.out.line(operation.url)?;
        }
        Ok(())
    }

    async fn single(&self, cx: &mut Context) -> Result<(), Failure> {
        let args = Positionals(self.args.clone()).count(3, 4, REQUIRED)?;
        let route = Route::parse(&args, self.apiname.clone(), &self.response_type)
            .map_err(|failure| failure.prefixed("Unable to parse api command arguments: "))?;
        let client = cx.client()?;
        let action = web_action(&client, &route.action).await?;
        let body = route.body(&client, cx.auth(), &action);
        let api = self.create(cx, &client, &body).await?;
        let (shown, url) = (route::joined(route.base.as_str(), &route.path), text(&api, "gwApiUrl"));
        let told = line("created API ")
            .bold(shown)
            .plain(" ")
            .bold(route.verb.as_str())
            .plain(" for action ");
        cx.out.ok(told.bold(route.action.to_string()))?;
        cx.out.line(route::joined(url, &route.path))
    }

    async fn create(&self, cx: &Context, client: &Client, body: &Value) -> Result<Value, Failure> {
        let created = client.create_api(&tenant(cx)?, Some(&self.response_type), body).await;
        let mut api = created.map_err(|error| failed(ATTEMPTED, &error))?;
        // The platform may wrap what it created the way lists do.
        Ok(api.get_mut("value").map(Value::take).unwrap_or(api))
    }
}

/// Fetches the action behind a route, which must be a web action.
async fn web_action(client: &Client, name: &QualifiedName) -> Result<Value, Failure> {
    let fetched = client.action(&name.namespace, &name.entity, Code::Without).await;
    let action = fetched.map_err(|error| failed(&format!("Unable to get action '{name}'"), &error))?;
    match key_value(action.get("annotations"), "web-export") == Some(&Value::Bool(true)) {
        true => Ok(action),
        false => Err(Failure::new(format!(
            "Action '{name}' is not a web action. Issue 'wsk action update \"{name}\" --web true' to convert the action \
             to a web action."
        ))),
    }
}

impl Route {
    /// Takes `[BASE] PATH VERB ACTION`.
    fn parse(args: &[String], name: Option<String>, response_type: &str) -> Result<Self, Failure> {
        let (base, rest) = match args {
            [base, rest @ ..] if rest.len() == 3 => (Base::parse(base)?, rest),
            rest => (Base::Path("/".to_owned()), rest),
        };
        if let (Base::Name(_), Some(_)) = (&base, &name) {
            return Err(Failure::new("An API name can only be specified once."));
        }
        let path = route::parse_path(&rest[0])?;
        let verb = route::parse_verb(&rest[1])?;
        let action = QualifiedName::parse(&rest[2]).map_err(|_| {
            let text = format!(
                "'{}' is not a valid action name: A valid qualified name must be specified.",
                rest[2]
            );
            Failure::new(text)
        })?;
        if route::parameters(&path).next().is_some() && response_type != "http" {
            return Err(Failure::new(
                "A response type of 'http' is required when using path parameters.",
            ));
        }
        Ok(Self {
            base,
            name,
            path,
            verb,
            action,
        })
    }

    fn body(&self, client: &Client, auth: &str, action: &Value) -> Value {
        let mut members = vec![("namespace", json!(OWN))];
        members.extend(self.name.as_ref().map(|name| ("apiName", json!(name))));
        members.push(("gatewayBasePath", json!(self.base.as_str())));
        members.push(("gatewayPath", json!(self.path)));
        members.push(("gatewayMethod", json!(self.verb)));
        if let Base::Path(path) = &self.base {
            members.push(("id", json!(format!("API:{OWN}:{path}"))));
        }
        members.push(("action", self.backend(client, auth, action)));
        let parameters = route::declared(&self.path);
        if !parameters.is_empty() {
            members.push(("pathParameters", parameters.into()));
        }
        json!({ "apidoc": object(members) })
    }

    fn backend(&self, client: &Client, auth: &str, action: &Value) -> Value {
        let (origin, version) = (client.config().origin(), client.config().version());
        let (namespace, package) = (&self.action.namespace, self.action.package().unwrap_or("default"));
        let url = format!(
            "{origin}/api/{version}/web/{namespace}/{package}/{}.http",
            self.action.base()
        );
        let mut members = vec![
            ("name", json!(self.action.entity)),
            ("namespace", json!(namespace)),
            ("backendMethod", json!(self.verb)),
            ("backendUrl", json!(url)),
            ("authkey", json!(auth)),
        ];
        let secret = key_value(action.get("annotations"), "require-whisk-auth");
        members.extend(secret.map(|secret| ("secureKey", secret.clone())));
        object(members)
    }
}
