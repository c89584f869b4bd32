//! From an action's result to the answer of a web action. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wsk_entities::{Json, Object, Response, StatusCode, is_base64};

use super::media::{Media, indented};

/// What the extension of a web action asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    Http,
    Json,
    Html,
    Svg,
    Text,
}

/// Headers of an action that are left out: what our server says of itself, of the body's length and of the connection. A length
/// that is not the body's would end the connection without an answer. What has no name at all upstream sends, too, and clients
/// skip it.
const OURS: [&str; 11] = [
    "",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In order; a name may come again.
    pub headers: Vec<(String, String)>,
    pub entity: Option<Entity>,
}

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    pub content_type: String,
    /// The type as it is named when the request excludes it.
    pub offered: String,
    pub body: Vec<u8>,
}

/// Why a result is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("There was an error processing your request.")]
    Failed,
    #[error("Response does not include requested property.")]
    NoProperty,
    #[error("Response is not valid '{0}'.")]
    Invalid(&'static str),
    #[error("Response type in header did not match generated content type.")]
    Mismatch,
    #[error("Response did not specify a known content-type.")]
    UnknownType,
}

impl Extension {
    const ALL: [(&'static str, Extension); 5] = [
        (".http", Extension::Http),
        (".json", Extension::Json),
        (".html", Extension::Html),
        (".svg", Extension::Svg),
        (".text", Extension::Text),
    ];

    /// An action's name and the extension after it; a name without a known one asks for `.http`.
    pub fn split(segment: &str) -> (&str, Extension) {
        for (ending, extension) in Extension::ALL {
            if let Some(name) = segment.strip_suffix(ending) {
                return (name, extension);
            }
        }
        (segment, Extension::Http)
    }

    fn media(self) -> &'static str {
        match self {
            Extension::Http => "message/http",
            Extension::Json => "application/json",
            Extension::Html => "text/html",
            Extension::Svg => "image/svg+xml",
            Extension::Text => "text/plain",
        }
    }

    /// The field that is taken when there is no `body`.
    fn field(self) -> &'static str {
        match self {
            Extension::Http | Extension::Json => "body",
            Extension::Html => "html",
            Extension::Svg => "svg",
            Extension::Text => "text",
        }
    }
}

/// The answer that a result makes.
///
/// # Errors
/// [`Unfit`], which [`Unfit::NoProperty`] tells as not found and the others as bad requests.
pub fn answer(response: &Response, extension: Extension) -> Result<Answer, Unfit> {
    let result = match response.status_code {
        StatusCode::Success => response.result.clone(),
        StatusCode::ApplicationError => error_of(&response.result).ok_or(Unfit::NoProperty)?,
        StatusCode::DeveloperError | StatusCode::WhiskError => return Err(Unfit::Failed),
    };
    // An array as a whole result is answered as `.json` would, whatever the extension.
    let extension = if response.result.is_array() {
        Extension::Json
    } else {
        extension
    };
    match extension {
        Extension::Http => http(&result),
        Extension::Json if result.is_object() || result.is_array() => {
            Ok(plain(extension, indented(result.as_str()).into_bytes()))
        }
        Extension::Json => Err(Unfit::Invalid(extension.media())),
        Extension::Html | Extension::Svg => markup(&result, extension),
        Extension::Text => text(&result),
    }
}

fn error_of(result: &Json) -> Option<Json> {
    result.object()?.shift_remove("error")
}

fn plain(extension: Extension, body: Vec<u8>) -> Answer {
    let media = Media::parse(extension.media()).expect("the types are well formed");
    let entity = Entity {
        content_type: media.sent(),
        offered: extension.media().to_owned(),
        body,
    };
    Answer {
        status: 200,
        headers: Vec::new(),
        entity: Some(entity),
    }
}

fn markup(result: &Json, extension: Extension) -> Result<Answer, Unfit> {
    let property = match result.object() {
        Some(fields) => property(fields, extension),
        None => Some(result.clone()),
    };
    let text = property
        .and_then(|p| p.string())
        .ok_or(Unfit::Invalid(extension.media()))?;
    Ok(plain(extension, text.into_bytes()))
}

fn text(result: &Json) -> Result<Answer, Unfit> {
    let value = match result.object() {
        Some(fields) => property(fields, Extension::Text).ok_or(Unfit::NoProperty)?,
        None => result.clone(),
    };
    let text = value.string().unwrap_or_else(|| indented(value.as_str()));
    Ok(plain(Extension::Text, text.into_bytes()))
}

fn property(mut fields: Object, extension: Extension) -> Option<Json> {
    fields
        .shift_remove("body")
        .or_else(|| fields.shift_remove(extension.field()))
}

/// An answer that the action describes itself: `{statusCode?, headers?, body?}`.
fn http(result: &Json) -> Result<Answer, Unfit> {
    let invalid = || Unfit::Invalid(Extension::Http.media());
    let fields = result.object().ok_or_else(invalid)?;
    let status = fields
        .get("statusCode")
        .map(|code| status(code).ok_or_else(invalid))
        .transpose()?;
    let mut headers = match fields.get("headers") {
        None => Vec::new(),
        Some(headers) => self::headers(headers).ok_or_else(invalid)?,
    };
    let content_type = take_content_type(&mut headers);
    let entity = match fields
        .get("body")
        .filter(|body| !body.is_null() && body.as_str() != "\"\"")
    {
        None => None,
        Some(body) => Some(match body.string() {
            Some(text) => text_entity(&text, content_type.as_deref())?,
            None => json_entity(body, content_type.as_deref())?,
        }),
    };
    let default = if entity.is_some() { 200 } else { 204 };
    let status = status.unwrap_or(default);
    // These statuses have no body.
    let entity = entity.filter(|_| !matches!(status, 204 | 205 | 304));
    Ok(Answer {
        status,
        headers,
        entity,
    })
}

/// A whole number, or a string that holds one, in the range of final statuses.
fn status(code: &Json) -> Option<u16> {
    let number = match code.string() {
        Some(text) => text.parse::<i32>().ok()?,
        None => whole(code.as_str())?,
    };
    u16::try_from(number).ok().filter(|status| (200..=599).contains(status))
}

/// `200`, `200.0` and `2e2` are the same whole number.
fn whole(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 1e6).then_some(number as i32)
}

fn headers(json: &Json) -> Option<Vec<(String, String)>> {
    let mut lines = Vec::new();
    for (name, value) in json.object()? {
        if !is_header_name(&name) {
            return None;
        }
        header_lines(&name, &value, &mut lines)?;
    }
    lines.retain(|(name, _)| !OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)));
    Some(lines)
}

fn header_lines(name: &str, value: &Json, lines: &mut Vec<(String, String)>) -> Option<()> {
    if value.is_array() {
        let values: Vec<Json> = serde_json::from_str(value.as_str()).ok()?;
        return values.iter().try_for_each(|value| header_lines(name, value, lines));
    }
    if value.is_object() || value.is_null() {
        return None;
    }
    let text = value.string().unwrap_or_else(|| value.to_string());
    // A line break would start another header: such a line is dropped.
    if !text.contains(['\r', '\n', '\0']) {
        lines.push((name.to_owned(), text));
    }
    Some(())
}

fn is_header_name(name: &str) -> bool {
    let special = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
    name.bytes().all(|b| b.is_ascii_alphanumeric() || special(b))
}

/// The first `Content-Type`; all of them leave the headers.
fn take_content_type(headers: &mut Vec<(String, String)>) -> Option<String> {
    let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
    let first = headers
        .iter()
        .find(|(name, _)| is_type(name))
        .map(|(_, value)| value.clone());
    headers.retain(|(name, _)| !is_type(name));
    first
}

fn text_entity(text: &str, content_type: Option<&str>) -> Result<Entity, Unfit> {
    let media = Media::parse(content_type.unwrap_or("text/html")).ok_or(Unfit::UnknownType)?;
    let decode = || STANDARD.decode(text);
    let body = if media.is_binary() {
        decode().map_err(|_| Unfit::Mismatch)?
    } else if media.is_json() && is_base64(text) {
        decode().unwrap_or_else(|_| text.as_bytes().to_vec())
    } else {
        text.as_bytes().to_vec()
    };
    Ok(entity(&media, body))
}

fn json_entity(json: &Json, content_type: Option<&str>) -> Result<Entity, Unfit> {
    let media = Media::parse(content_type.unwrap_or("application/json"))
        .filter(Media::is_json)
        .ok_or(Unfit::Mismatch)?;
    Ok(entity(&media, indented(json.as_str()).into_bytes()))
}

fn entity(media: &Media, body: Vec<u8>) -> Entity {
    let content_type = media.sent();
    Entity {
        offered: content_type.clone(),
        content_type,
        body,
    }
}

#[cfg(test)]
mod tests;
