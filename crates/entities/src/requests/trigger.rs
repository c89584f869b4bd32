//! `PUT …/triggers/…`.

use super::{PutBody, present};
use crate::{Error, Parameters, Version};

/// What a request sets on a trigger.
#[derive(Debug, Clone, Default)]
pub struct TriggerPut {
    pub parameters: Option<Parameters>,
    pub annotations: Option<Parameters>,
    pub version: Option<Version>,
    pub publish: Option<bool>,
}

impl TriggerPut {
    /// Reads what is not sized. Limits of triggers are an object of no meaning. Errors: [`Error::Malformed`].
    pub fn read(body: PutBody) -> Result<TriggerPut, Error> {
        if present(&body.fields, "limits").is_some_and(|limits| !limits.is_object()) {
            return Err(Error::malformed("Object expected"));
        }
        let version = body.version()?;
        let publish = body.publish()?;
        let PutBody {
            parameters,
            annotations,
            ..
        } = body;
        Ok(TriggerPut {
            parameters,
            annotations,
            version,
            publish,
        })
    }
}
