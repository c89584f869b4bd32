//! The table, on the terminal and in the docs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::goals::{Better, Goal, Outcome};
use crate::machine;
use crate::suites::Plan;

pub fn publish(outcomes: &[Outcome], plan: &Plan, out: &Path) -> Result<()> {
    let mut text = String::from(
        "# Benchmarks\n\nWritten by `make bench`; every figure is from one run on the machine named here.\n\
         [Where the time goes](where-the-time-goes.md) says what stands behind those that are missed, [Scaling](scaling.md) behind H1.\n\n",
    );
    writeln!(text, "{}\n{}\n", machine::described(), machine::memory())?;
    if plan.quick {
        writeln!(
            text,
            "A quick run: few rounds, wide spread, and fewer actions and activations than E2, E3, G1 and G4 name; below the table is\n\
             said how many."
        )?;
        writeln!(text)?;
    }
    writeln!(
        text,
        "| # | What | Gate | Goal | Measured | Quartiles | Samples | Verdict |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for outcome in outcomes {
        let goal = Goal::of(outcome.id);
        let sign = if goal.better == Better::Lower { "≤" } else { "≥" };
        let unit = if goal.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", goal.unit)
        };
        writeln!(
            text,
            "| {} | {} | {sign} {}{unit} | {sign} {}{unit} | {} | {} | {} |",
            goal.id,
            goal.what,
            goal.gate,
            goal.goal,
            found(outcome, &unit),
            outcome.samples,
            goal.verdict(outcome.value)
        )?;
    }
    writeln!(text, "\nBehind the ratios:\n")?;
    for outcome in outcomes {
        writeln!(text, "* {}: {}", outcome.id, outcome.detail)?;
    }
    println!("{text}");
    if plan.only.is_empty() {
        std::fs::write(out, text)?;
    }
    Ok(())
}

/// The value and its quartiles.
fn found(outcome: &Outcome, unit: &str) -> String {
    if outcome.value.is_nan() {
        return "— | —".to_owned();
    }
    let (low, high) = outcome.spread;
    format!("**{:.2}{unit}** | {low:.2} … {high:.2}", outcome.value)
}
