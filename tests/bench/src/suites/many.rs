//! G1: a thousand warm actions instead of one.

use std::time::Duration;

use anyhow::Result;

use super::{Plan, outcome};
use crate::goals::Outcome;
use crate::load::{Request, throughput};
use crate::measure::Samples;
use crate::platform::{Platform, Settings, echo};

pub fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let data = tempfile::tempdir()?;
    let count = plan.amount(1000, 200);
    let settings = Settings {
        pool_mb: 128 * (count as u32 + 64),
        ..Settings::default()
    };
    let platform = Platform::start(&plan.bin, data.path(), settings)?;
    let mut all: Vec<Request> = Vec::new();
    for i in 0..count {
        let name = format!("many{i}");
        platform.put(&name, echo())?;
        let invoke = platform.invoke(&name, "{}");
        invoke.once()?;
        all.push(invoke);
    }
    let time = Duration::from_millis(plan.amount(3000, 1500));
    let (mut ratio, mut a, mut b, mut calls) = (Samples::default(), Samples::default(), Samples::default(), 0);
    for _ in 0..plan.amount(8, 3) {
        // One call at a time, so that each action keeps its one container.
        let (many, n) = throughput(&all, 1, time)?;
        let (one, _) = throughput(&all[..1], 1, time)?;
        ratio.push(many / one);
        a.push(many);
        b.push(one);
        calls += n;
    }
    let detail = format!(
        "{count} actions {:.0} calls/s, one action {:.0} calls/s",
        a.median(),
        b.median()
    );
    Ok(vec![outcome("G1", &ratio, calls as usize, detail)])
}
