//! The bodies of `/init` and `/run`.
//!
//! **Invariant.** What the caller sent reaches the action as its own text: nothing here parses a payload, unless init
//! parameters have to be taken out of it. Every value beside `value` is a JSON string, numbers included: launchers assign them
//! to their environment.

use bytes::Bytes;
use serde::Serializer as _;
use wsk_bus::messages::ActivationMessage;
use wsk_containers::Payload;
use wsk_entities::{Json, Object};
use wsk_secrets::{Vault, Zeroizing};

use crate::outcome::Fault;
use crate::plan::Plan;
use crate::unlock;

/// Payloads up to this size are copied into the body; one write of one piece is cheaper than three.
const COPIED: usize = 16 << 10;

const HEAD: &[u8] = b"{\"value\":";

/// A JSON text as the owner of bytes, so that a large payload is sent from where it lies.
struct Text(Json);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

/// The body of `/run`. `opened` are the arguments where some of them were locked; `deadline` is in milliseconds since the
/// epoch.
pub(crate) fn run_body(
    plan: &Plan,
    message: &ActivationMessage,
    opened: Option<Zeroizing<Vec<u8>>>,
    deadline: u64,
) -> Payload {
    if let Some(opened) = opened {
        let mut out = Vec::with_capacity(plan.context.len() + 320);
        context(&mut out, plan, message, deadline);
        return Payload::from_parts([Bytes::from_static(HEAD), Bytes::from_owner(opened), out.into()]);
    }
    let value = arguments(message);
    let text = value.as_ref().map_or("{}", Json::as_str);
    let copied = if text.len() <= COPIED { text.len() } else { 0 };
    let mut out = Vec::with_capacity(HEAD.len() + copied + plan.context.len() + 320);
    if copied > 0 {
        out.extend_from_slice(HEAD);
        out.extend_from_slice(text.as_bytes());
    }
    context(&mut out, plan, message, deadline);
    match value {
        Some(value) if copied == 0 => {
            Payload::from_parts([Bytes::from_static(HEAD), Bytes::from_owner(Text(value)), out.into()])
        }
        Some(_) | None => Payload::from(Bytes::from(out)),
    }
}

/// Everything after `value`, with the closing brace.
fn context(out: &mut Vec<u8>, plan: &Plan, message: &ActivationMessage, deadline: u64) {
    out.extend_from_slice(b",\"namespace\":");
    push_string(out, message.user.namespace.name.as_str());
    out.extend_from_slice(plan.context.as_bytes());
    out.extend_from_slice(&hex(message.activation_id.bits()));
    out.extend_from_slice(b"\",\"transaction_id\":");
    push_string(out, &message.transid.id);
    out.extend_from_slice(b",\"deadline\":\"");
    push_number(out, deadline);
    out.push(b'"');
    if plan.provide_api_key {
        out.extend_from_slice(b",\"api_key\":");
        push_string(out, &message.user.authkey.api_key);
    }
    out.push(b'}');
}

/// The arguments without the init parameters; an array passes whole.
fn arguments(message: &ActivationMessage) -> Option<Json> {
    let content = message.content.as_ref()?;
    if message.init_args.is_empty() {
        return Some(content.clone());
    }
    match content.object() {
        None => Some(content.clone()),
        Some(mut object) => {
            object.retain(|name, _| !message.init_args.contains(name));
            Some(Json::from(&object))
        }
    }
}

/// The body of `/init`. `code` is a JSON string, absent where the image carries the code.
///
/// # Errors
/// [`Fault::Locked`] for an init parameter that does not open.
pub(crate) fn init_body(
    vault: &Vault,
    plan: &Plan,
    message: &ActivationMessage,
    code: Option<Bytes>,
    deadline: u64,
) -> Result<Payload, Fault> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"{\"value\":{\"name\":");
    push_string(&mut head, plan.name.name.as_str());
    head.extend_from_slice(b",\"main\":");
    push_string(&mut head, plan.main.as_deref().unwrap_or("main"));
    if code.is_some() {
        head.extend_from_slice(b",\"code\":");
    }
    let env = environment(vault, plan, message, deadline)?;
    // Its final size from the start: growing would leave copies of secrets behind that nobody wipes.
    let size = env.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 6);
    let mut tail = Zeroizing::new(Vec::with_capacity(64 + size.sum::<usize>()));
    tail.extend_from_slice(if plan.binary {
        b",\"binary\":true,\"env\":"
    } else {
        b",\"binary\":false,\"env\":"
    });
    let variables = env.iter().map(|(name, value)| (name, value.as_str()));
    let mut writer = serde_json::Serializer::new(&mut *tail);
    writer.collect_map(variables).expect("strings serialise");
    tail.extend_from_slice(b"}}");
    let tail = Bytes::from_owner(tail);
    Ok(Payload::from_parts([head.into(), code.unwrap_or_default(), tail]))
}

/// Init parameters below the context of the activation that causes the start.
fn environment(
    vault: &Vault,
    plan: &Plan,
    message: &ActivationMessage,
    deadline: u64,
) -> Result<indexmap::IndexMap<String, Zeroizing<String>>, Fault> {
    let arguments = if message.init_args.is_empty() {
        None
    } else {
        message.content.as_ref().and_then(Json::object)
    };
    let arguments = arguments.unwrap_or_else(Object::new);
    let mut env = indexmap::IndexMap::new();
    for name in &message.init_args {
        if let Some(value) = arguments.get(name) {
            let value = unlock::value(vault, message, name, value)?;
            env.insert(name.clone(), Zeroizing::new(unlock::variable(&value).into_owned()));
        }
    }
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), Zeroizing::new(value));
    set("__OW_NAMESPACE", message.user.namespace.name.to_string());
    set("__OW_ACTION_NAME", plan.name.slashed());
    set("__OW_ACTION_VERSION", plan.version.to_string());
    set("__OW_ACTIVATION_ID", message.activation_id.to_string());
    set("__OW_TRANSACTION_ID", message.transid.id.to_string());
    set("__OW_DEADLINE", deadline.to_string());
    if plan.provide_api_key {
        set("__OW_API_KEY", message.user.authkey.api_key.to_string());
    }
    Ok(env)
}

/// A JSON string with this content.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("memory takes any text");
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn hex(bits: u128) -> [u8; 32] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0u8; 32];
    for (i, byte) in bits.to_be_bytes().iter().enumerate() {
        text[2 * i] = HEX[usize::from(byte >> 4)];
        text[2 * i + 1] = HEX[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests;
