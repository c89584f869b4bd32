//! `PUT …/actions/…`.

use super::{LimitsPut, PutBody, present, text};
use crate::{Error, Exec, Json, Namespace, Parameters, Version};

/// What a request sets on an action.
#[derive(Debug, Clone, Default)]
pub struct ActionPut {
    pub exec: Option<Exec>,
    pub parameters: Option<Parameters>,
    pub annotations: Option<Parameters>,
    pub limits: Option<LimitsPut>,
    pub version: Option<Version>,
    pub publish: Option<bool>,
    /// Annotations to remove before `annotations` are merged in.
    pub del_annotations: Vec<String>,
}

impl ActionPut {
    /// Reads what is not sized. Errors: [`Error::Malformed`].
    pub fn read(body: PutBody) -> Result<ActionPut, Error> {
        let limits = present(&body.fields, "limits").map(LimitsPut::read).transpose()?;
        let version = body.version()?;
        let publish = body.publish()?;
        let del_annotations = match present(&body.fields, "delAnnotations") {
            None => Vec::new(),
            Some(json) => strings(json)?,
        };
        let PutBody {
            exec,
            parameters,
            annotations,
            ..
        } = body;
        Ok(ActionPut {
            exec,
            parameters,
            annotations,
            limits,
            version,
            publish,
            del_annotations,
        })
    }

    /// The same body with `_` in components replaced by `namespace`.
    pub fn resolved(mut self, namespace: &Namespace) -> ActionPut {
        if let Some(Exec::Sequence { components }) = &mut self.exec {
            for component in components {
                *component = component.clone().resolved(namespace);
            }
        }
        self
    }
}

fn strings(json: &Json) -> Result<Vec<String>, Error> {
    let items: Vec<Json> = serde_json::from_str(json.as_str())
        .map_err(|_| Error::Malformed(format!("Expected Array as JsArray, but got {json}")))?;
    let string = |item: &Json| text(item).ok_or_else(|| format!("Expected String as JsString, but got {item}"));
    items
        .iter()
        .map(string)
        .collect::<Result<_, _>>()
        .map_err(Error::Malformed)
}
