//! `PUT …/packages/…`.

use super::{PutBody, present, text};
use crate::{Binding, EntityName, Error, Json, Namespace, Object, Parameters, Version};

/// What a request sets on a package.
#[derive(Debug, Clone, Default)]
pub struct PackagePut {
    /// Absent, too, when the request gives `{}`, as for plain packages.
    pub binding: Option<Binding>,
    pub parameters: Option<Parameters>,
    pub annotations: Option<Parameters>,
    pub version: Option<Version>,
    pub publish: Option<bool>,
}

impl PackagePut {
    /// Reads what is not sized; `_` in the binding becomes `namespace`. Errors: [`Error::Malformed`].
    pub fn read(body: PutBody, namespace: &Namespace) -> Result<PackagePut, Error> {
        let binding = present(&body.fields, "binding").map(binding).transpose()?.flatten();
        let version = body.version()?;
        let publish = body.publish()?;
        let binding = binding.map(|mut binding| {
            if binding.namespace.is_default_marker() {
                binding.namespace = namespace.clone();
            }
            binding
        });
        let PutBody {
            parameters,
            annotations,
            ..
        } = body;
        Ok(PackagePut {
            binding,
            parameters,
            annotations,
            version,
            publish,
        })
    }
}

fn binding(json: &Json) -> Result<Option<Binding>, Error> {
    let fields = json
        .object()
        .ok_or_else(|| Error::malformed("Object expected in field 'namespace'"))?;
    if fields.is_empty() {
        return Ok(None);
    }
    let namespace = member(&fields, "namespace", Namespace::new)?;
    let name = member(&fields, "name", EntityName::new)?;
    Ok(Some(Binding { namespace, name }))
}

fn member<T>(fields: &Object, name: &str, parse: impl Fn(&str) -> Result<T, Error>) -> Result<T, Error> {
    let json = fields
        .get(name)
        .ok_or_else(|| Error::Malformed(format!("Object is missing required member '{name}'")))?;
    text(json)
        .and_then(|text| parse(&text).ok())
        .ok_or_else(|| Error::malformed("entity name malformed"))
}
