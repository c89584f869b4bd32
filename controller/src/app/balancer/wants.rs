//! What an action asks of the invoker that runs it, and which invokers have it. Pure.
//!
//! Two kinds of conditions. What an operator or an action's owner decided is *kept*: a namespace's dedicated invokers, the kinds
//! an invoker offers, labels that are asked for strictly; where nobody fulfils it the activation is refused. What follows from
//! the action's program is *known or found out*: its architecture, that of its image's variants, whether images are run at all.
//! Where no invoker has a machine for it, the activation goes to one all the same, marked as having nowhere else to go; that one runs nothing and answers.

use std::fmt;

use wsk_bus::messages::Needs;
use wsk_entities::{Action, Architecture, Json, Manifest, Namespace};

use super::Demand;
use super::invoker::Invoker;

/// The annotation that names labels; OpenWhisk's.
const LABELS: &str = "invoker-resources";
/// The annotation that says whether they are a condition; OpenWhisk's. It is one unless this is false.
const STRICT: &str = "invoker-resources-strict-policy";
/// Code up to this many characters is looked into here; an invoker looks into all of it.
const LOOKED_INTO: usize = 64 << 10;

/// What an action asks of its invoker. Made once for a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    needs: Option<Needs>,
    /// What its program was compiled for, where that is known.
    architecture: Option<Architecture>,
    labels: Box<[String]>,
    preferred: bool,
    /// Its names where invokers say what they cannot run.
    keys: Vec<String>,
}

/// How an invoker suits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Wanted,
    /// Without the labels that are preferred, and without any others.
    Plain,
    /// Without the labels that are preferred, but there for others.
    Labelled,
    /// Allowed, but its machine cannot run the program.
    Unfit,
}

/// Why nothing was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No invoker is usable.
    NoneUp,
    /// Some are, but the one that could take this is not, or there is none; the text is for the caller.
    NoneFits(String),
}

/// A demand with what is known about the invokers at the moment.
#[derive(Debug)]
pub struct Sieve<'a> {
    demand: &'a Demand<'a>,
    /// Whether the namespace has invokers of its own.
    owns: bool,
    /// Architectures that are known not to do.
    barred: Vec<Architecture>,
}

impl Wants {
    /// What an action asks for.
    pub fn of(action: &Action, revision: &str, manifest: &Manifest) -> Wants {
        let needs = Needs::of(action, manifest);
        let code = action.exec.code().filter(|_| action.exec.binary());
        let text = code
            .and_then(|code| code.inline())
            .filter(|text| text.len() <= LOOKED_INTO);
        let mut keys: Vec<String> = needs.iter().map(Needs::key).collect();
        if code.is_some() {
            keys.push(Needs::code_key(&action.full_name().to_string(), revision));
        }
        Wants {
            needs,
            architecture: text.and_then(|text| Architecture::of_code(text)),
            labels: action.annotations.get(LABELS).map(labels).unwrap_or_default(),
            preferred: !action.annotations.is_truthy(STRICT, true),
            keys,
        }
    }

    /// Whether it is a user's own image.
    pub fn is_blackbox(&self) -> bool {
        matches!(self.needs, Some(Needs::Image { .. }))
    }

    /// Its names where invokers say what they cannot run.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The ranks that will do, best first.
    pub fn ranks(&self) -> &'static [Rank] {
        match self.preferred && !self.labels.is_empty() {
            true => &[Rank::Wanted, Rank::Plain, Rank::Labelled],
            false => &[Rank::Wanted],
        }
    }

    /// Whether an invoker offers the kind.
    fn is_offered_by(&self, invoker: &Invoker) -> bool {
        match &self.needs {
            Some(Needs::Kind(kind)) => invoker.offers(kind),
            None | Some(Needs::Native { .. } | Needs::Image { .. }) => true,
        }
    }

    /// Whether an invoker runs the image, or what stands for it where there are no images.
    fn is_image_of(&self, invoker: &Invoker) -> bool {
        let images = invoker.node.as_ref().is_none_or(|node| node.images);
        match &self.needs {
            Some(Needs::Image { kind, .. }) => images || kind.as_deref().is_some_and(|kind| invoker.offers(kind)),
            None | Some(Needs::Native { .. } | Needs::Kind(_)) => true,
        }
    }

    fn is_labelled(&self, invoker: &Invoker) -> bool {
        self.labels.iter().all(|label| invoker.has_label(label))
    }
}

/// The labels an annotation names; as in OpenWhisk, anything but a list of texts names none.
fn labels(value: &Json) -> Box<[String]> {
    serde_json::from_str::<Vec<String>>(value.as_str())
        .unwrap_or_default()
        .into()
}

impl<'a> Sieve<'a> {
    pub fn new(demand: &'a Demand<'a>, owns: bool, barred: Vec<Architecture>) -> Sieve<'a> {
        Sieve { demand, owns, barred }
    }

    /// How an invoker suits; none where it is not allowed.
    pub fn rank(&self, invoker: &Invoker) -> Option<Rank> {
        let wants = self.demand.wants;
        if !self.is_open(invoker) || !wants.is_offered_by(invoker) {
            return None;
        }
        let labelled = wants.is_labelled(invoker);
        if !labelled && !wants.preferred {
            return None;
        }
        Some(if !self.is_fit(invoker) {
            Rank::Unfit
        } else if labelled {
            Rank::Wanted
        } else if invoker.instance.tags.is_empty() {
            Rank::Plain
        } else {
            Rank::Labelled
        })
    }

    /// Whether an invoker takes activations of the namespace: one dedicated to it if there is such, else one that is
    /// dedicated to none.
    fn is_open(&self, invoker: &Invoker) -> bool {
        match self.owns {
            true => invoker.is_dedicated_to(self.demand.namespace),
            false => invoker.instance.dedicated_namespaces.is_empty(),
        }
    }

    /// Whether its machine can run the program, as far as is known.
    fn is_fit(&self, invoker: &Invoker) -> bool {
        if self.demand.refused.contains(&invoker.instance.instance) {
            return false;
        }
        let Some(node) = &invoker.node else { return true };
        let wanted = self.demand.wants.architecture.as_ref();
        wanted.is_none_or(|wanted| *wanted == node.architecture)
            && !self.barred.contains(&node.architecture)
            && self.demand.wants.is_image_of(invoker)
    }

    /// Why none of the invokers took it.
    pub fn explain<'i>(&self, invokers: impl Iterator<Item = &'i Invoker> + Clone) -> String {
        let wants = self.demand.wants;
        let open = invokers.filter(|invoker| self.is_open(invoker));
        let able = open.clone().filter(|invoker| wants.is_offered_by(invoker));
        let labelled = able
            .clone()
            .filter(|invoker| wants.preferred || wants.is_labelled(invoker));
        let among = match self.owns {
            true => format!(" among those dedicated to the namespace '{}'", self.demand.namespace),
            false => String::new(),
        };
        if open.clone().next().is_none() {
            "Every invoker is dedicated to other namespaces.".to_owned()
        } else if able.clone().next().is_none() {
            match &wants.needs {
                Some(Needs::Kind(kind)) => format!("There is no invoker{among} that runs the kind '{kind}'."),
                Some(Needs::Image { .. } | Needs::Native { .. }) | None => format!("There is no invoker{among}."),
            }
        } else if labelled.clone().next().is_none() {
            format!(
                "There is no invoker{among} with the label{} {}, which the annotation '{LABELS}' asks for.",
                if wants.labels.len() == 1 { "" } else { "s" },
                Listed(&wants.labels)
            )
        } else {
            format!("No invoker{among} that can run the action is up at the moment.")
        }
    }
}

impl Invoker {
    fn offers(&self, kind: &str) -> bool {
        let node = self.node.as_ref();
        node.is_none_or(|node| node.kinds.iter().any(|offered| offered == kind))
    }

    fn is_dedicated_to(&self, namespace: &Namespace) -> bool {
        let dedicated = &self.instance.dedicated_namespaces;
        dedicated.iter().any(|name| name == namespace.as_str())
    }

    /// Whether its operator gave it this label. Its architecture's name is one.
    fn has_label(&self, label: &str) -> bool {
        let architecture = self.node.as_ref().map(|node| node.architecture.as_str());
        architecture == Some(label) || self.instance.tags.iter().any(|tag| tag == label)
    }
}

struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}'{name}'")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
