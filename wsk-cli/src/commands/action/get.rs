//! `wsk action get`.

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use wsk_client::Code;

use super::annotations::WEB_EXPORT;
use super::{NAME_REQUIRED, failed, save};
use crate::args::Positionals;
use crate::commands::summary;
use crate::context::Context;
use crate::documents::{Document, Field};
use crate::failure::Failure;
use crate::json::{key_value, text};
use crate::names::QualifiedName;
use crate::output::line;

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "ACTION_NAME [FIELD_FILTER | --summary | --url]")]
    args: Vec<String>,
    /// summarize action details; parameters with prefix "*" are bound, "**" are bound and finalized
    #[arg(short, long)]
    summary: bool,
    /// get action url
    #[arg(short = 'r', long)]
    url: bool,
    /// save action code to file corresponding with action name
    #[arg(long)]
    save: bool,
    /// file to save action code to
    #[arg(long, value_name = "FILE")]
    save_as: Option<String>,
}

/// What to show.
enum View {
    Url,
    Summary,
    Saved(Option<String>),
    Field(Field, String),
    Whole,
}

/// What stays unescaped in a part of an action's URL.
const URL_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Get {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let (name, view) = self.understand()?;
        let code = match view {
            View::Saved(_) => Code::With,
            View::Url | View::Summary | View::Field(..) | View::Whole => Code::Without,
        };
        let client = cx.client()?;
        let action = client
            .action(&name.namespace, &name.entity, code)
            .await
            .map_err(|error| failed("get", &name.entity, &error))?;
        match view {
            View::Url => {
                cx.out.ok(line("got action ").bold(name.base()))?;
                let (origin, version) = (client.config().origin(), client.config().version());
                cx.out.line(action_url(&origin, version, &name, &action))
            }
            View::Summary => cx.out.text(&summary::action(&action)),
            View::Saved(file) => save::save(cx, &name, &action, file.as_deref()),
            View::Field(field, typed) => {
                cx.out.ok(line("got action ")
                    .bold(name.entity)
                    .plain(", displaying field ")
                    .bold(typed))?;
                cx.out.json(&Document::Action.field(&action, &field))
            }
            View::Whole => {
                cx.out.ok(line("got action ").bold(name.entity))?;
                cx.out.json(&Document::Action.show(&action))
            }
        }
    }

    fn understand(self) -> Result<(QualifiedName, View), Failure> {
        let (name, field) = Positionals(self.args).one_or_two(NAME_REQUIRED)?;
        let field = field.map(|typed| Ok::<_, Failure>((Document::Action.parse_field(&typed)?, typed)));
        let view = match (self.url, self.summary, self.save || self.save_as.is_some(), field) {
            (true, _, _, _) => View::Url,
            (_, true, _, _) => View::Summary,
            (_, _, true, _) => View::Saved(self.save_as),
            (_, _, _, Some(field)) => field.map(|(field, typed)| View::Field(field, typed))?,
            (_, _, _, None) => View::Whole,
        };
        Ok((QualifiedName::parse(&name)?, view))
    }
}

/// Where an action is reached: without a key when it is a web action.
fn action_url(origin: &str, version: &str, name: &QualifiedName, action: &Value) -> String {
    let part = |text: &str| utf8_percent_encode(text, URL_PART).to_string();
    let namespace = part(text(action, "namespace").split('/').next().unwrap_or_default());
    let package = name.package().map(part);
    let base = part(name.base());
    match key_value(action.get("annotations"), WEB_EXPORT) == Some(&Value::Bool(true)) {
        true => {
            let package = package.unwrap_or_else(|| "default".to_owned());
            format!("{origin}/api/{version}/web/{namespace}/{package}/{base}")
        }
        false => {
            let package = package.map(|package| format!("{package}/")).unwrap_or_default();
            format!("{origin}/api/{version}/namespaces/{namespace}/actions/{package}{base}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn urls() {
        let plain = json!({"namespace": "guest/pkg"});
        let web = json!({"namespace": "me@x", "annotations": [{"key": "web-export", "value": true}]});
        let url =
            |name: &str, action: &Value| action_url("http://h", "v1", &QualifiedName::parse(name).unwrap(), action);
        assert_eq!(
            url("pkg/a b", &plain),
            "http://h/api/v1/namespaces/guest/actions/pkg/a%20b"
        );
        assert_eq!(url("a", &web), "http://h/api/v1/web/me%40x/default/a");
        assert_eq!(url("/ns/p/a", &web), "http://h/api/v1/web/me%40x/p/a");
    }
}
