//! Limits as a request gives them: each may be left out, and none is judged before all could be read.

use super::number::{Number, read};
use super::present;
use crate::{ActionLimits, Bounds, Error, Json, LimitBounds};

/// The limits that a request sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitsPut {
    timeout: Option<i64>,
    memory: Option<i64>,
    logs: Option<i64>,
    concurrency: Option<i64>,
    instances: Option<u32>,
}

impl LimitsPut {
    /// Errors: [`Error::Malformed`] for what is not a whole number, and for negative `instances`.
    pub(super) fn read(json: &Json) -> Result<LimitsPut, Error> {
        let fields = json
            .object()
            .ok_or_else(|| Error::malformed("Object expected in field 'timeout'"))?;
        let field = |name: &str, whole: &str, malformed: &str| match present(&fields, name).map(|j| read(j.as_str())) {
            None => Ok(None),
            Some(Some(Number::Whole(n))) => Ok(Some(n)),
            Some(Some(Number::Fraction)) => Err(Error::Malformed(format!(
                "requirement failed: {whole} limit must be whole number"
            ))),
            Some(None) => Err(Error::Malformed(format!("{malformed} limit malformed"))),
        };
        let timeout = field("timeout", "time", "time")?;
        let memory = field("memory", "memory", "memory")?;
        let logs = field("logs", "log", "log")?;
        let concurrency = field("concurrency", "intra concurrency", "concurrency")?;
        let instances = field("instances", "instance concurrency", "instance concurrency")?;
        if instances.is_some_and(|n| n < 0) {
            let text = "requirement failed: Action container concurrency must be greater than or equal to 0.";
            return Err(Error::malformed(text));
        }
        let instances = instances.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        Ok(LimitsPut {
            timeout,
            memory,
            logs,
            concurrency,
            instances,
        })
    }

    /// Holds the given limits against ranges. Errors: [`Error::Rejected`] for the first that is outside, memory first.
    pub fn check(&self, bounds: &LimitBounds) -> Result<(), Error> {
        judge(self.memory, bounds.memory, "memory size", " MB")?;
        judge(self.timeout, bounds.timeout, "duration", " milliseconds")?;
        judge(self.logs, bounds.logs, "log size", " MB")?;
        judge(self.concurrency, bounds.concurrency, "concurrency", "")
    }

    /// Most containers that the request asks for.
    pub fn instances(&self) -> Option<u32> {
        self.instances
    }

    /// `stored` with the given limits in their places. Call after [`LimitsPut::check`].
    pub fn over(&self, stored: ActionLimits) -> ActionLimits {
        let pick = |given: Option<i64>, stored: u32| given.map_or(stored, |n| u32::try_from(n).unwrap_or(u32::MAX));
        ActionLimits {
            timeout: pick(self.timeout, stored.timeout),
            memory: pick(self.memory, stored.memory),
            logs: pick(self.logs, stored.logs),
            concurrency: pick(self.concurrency, stored.concurrency),
            instances: self.instances.or(stored.instances),
        }
    }
}

fn judge(given: Option<i64>, bounds: Bounds, what: &str, unit: &str) -> Result<(), Error> {
    let (relation, threshold) = match given {
        Some(n) if n < i64::from(bounds.min) => ("below", bounds.min),
        Some(n) if n > i64::from(bounds.max) => ("exceeds", bounds.max),
        Some(_) | None => return Ok(()),
    };
    let n = given.expect("only a given limit is outside its range");
    let threshold = format!("allowed threshold of {threshold}{unit}");
    Err(Error::Rejected(format!(
        "requirement failed: {what} {n}{unit} {relation} {threshold}"
    )))
}
