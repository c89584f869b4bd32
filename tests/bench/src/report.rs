//! The table, on the terminal and in the docs.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::goals::{Better, Goal, Outcome};
use crate::suites::Plan;

pub fn publish(outcomes: &[Outcome], plan: &Plan, out: &Path) -> Result<()> {
    let mut text = String::from(
        "# Benchmarks\n\nWritten by `make bench`; every figure is from one run on the machine named here.\n\
         [Where the time goes](where-the-time-goes.md) says what stands behind those that are missed, [Scaling](scaling.md) behind H1.\n\n",
    );
    writeln!(text, "{}\n", machine())?;
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

fn machine() -> String {
    let first = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores of {}, {}, node {}, {}, {}",
        cpu.unwrap_or_else(|| "an unnamed processor".into()),
        first("uname", &["-sr"]).unwrap_or_default(),
        first("node", &["--version"]).unwrap_or_else(|| "absent".into()),
        first("rustc", &["--version"]).unwrap_or_default(),
        first("date", &["-u", "+%F %H:%M UTC"]).unwrap_or_default(),
    )
}
