//! The page about a run.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use crate::judge::Evidence;
use crate::ledger::Tried;
use crate::load::{Kind, OPEN};
use crate::outage::Noticed;
use crate::plan::{Fault, Role};

/// A run, told.
pub struct Report<'a> {
    pub seed: u64,
    pub version: String,
    pub machine: String,
    pub rate: u32,
    pub unsent: u64,
    pub took: Duration,
    /// Whether some invokers used a Docker engine.
    pub docker: bool,
    /// How long parts were frozen or cut off, in seconds.
    pub frozen: u64,
    pub cut: u64,
    pub tried: BTreeMap<Kind, Tried>,
    pub noticed: BTreeMap<(Role, Fault), Noticed>,
    pub ended_by_themselves: &'a [String],
    pub evidence: &'a Evidence,
    pub findings: &'a [String],
}

impl Report<'_> {
    /// As Markdown.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = self.head(&mut page).and_then(|()| self.load(&mut page));
        let _ = self.faults(&mut page).and_then(|()| self.audit(&mut page));
        page
    }

    fn head(&self, page: &mut String) -> std::fmt::Result {
        let faults: u64 = self.noticed.values().map(|noticed| noticed.faults).sum();
        writeln!(page, "# Torture\n")?;
        writeln!(
            page,
            "<!-- Written by wsk-torture --report; run it again instead of editing. -->\n"
        )?;
        writeln!(
            page,
            "A cluster of 2 gateways, 2 controllers and 3 invokers, with Kafka and a server with CouchDB's interface, all on one\n\
             machine, under load; meanwhile {faults} faults, each part in turn and then at random. A frozen part stays so for\n\
             {} s, one that is cut off for {} s. {}\n\
             What is checked, and how to run it: [Run a cluster](how-to/run-a-cluster.md#break-it).\n",
            self.frozen,
            self.cut,
            match self.docker {
                true => "Two of the invokers run actions in a Docker engine's containers, one in sandboxed processes.",
                false => "All invokers run actions in sandboxed processes.",
            }
        )?;
        writeln!(page, "| | |\n|---|---|")?;
        writeln!(page, "| Verdict | {} |", self.verdict())?;
        writeln!(
            page,
            "| Seed | {} |\n| Version | {} |\n| Machine | {} |",
            self.seed, self.version, self.machine
        )?;
        let answered: u64 = self.tried.values().map(|tried| tried.accepted + tried.refused).sum();
        let rate = answered as f64 / self.took.as_secs_f64().max(1.0);
        writeln!(page, "| Time under load | {} s |", self.took.as_secs())?;
        writeln!(
            page,
            "| Requests | {answered}, {rate:.0} a second; {} a second were asked for |",
            self.rate
        )?;
        writeln!(
            page,
            "| Not sent | {}, because as many as are sent in {OPEN} s were under way without an answer |",
            self.unsent
        )?;
        writeln!(page, "| Ended by themselves | {} |\n", listed(self.ended_by_themselves))
    }

    fn verdict(&self) -> String {
        match self.findings.len() {
            0 => "every promise was kept".to_owned(),
            count => format!("**{count} promises were broken**"),
        }
    }

    fn load(&self, page: &mut String) -> std::fmt::Result {
        let mut recorded: HashMap<Kind, u64> = HashMap::new();
        let there = |id: &String| self.evidence.records.contains_key(id);
        for (_, kind) in self.evidence.accepted.iter().filter(|(id, _)| there(id)) {
            *recorded.entry(*kind).or_default() += 1;
        }
        writeln!(
            page,
            "## Load\n\nA request is refused when its answer was an error, or none came.\n"
        )?;
        writeln!(page, "| Kind | Accepted | Recorded | Refused |\n|---|---|---|---|")?;
        for (kind, tried) in &self.tried {
            let recorded = match kind {
                Kind::Write => "-".to_owned(),
                kind => recorded.get(kind).copied().unwrap_or_default().to_string(),
            };
            writeln!(page, "| {kind} | {} | {recorded} | {} |", tried.accepted, tried.refused)?;
        }
        let begun = self.evidence.begun.len();
        let there = self.evidence.begun.iter().filter(|id| there(id)).count();
        writeln!(page, "| begun by fires and sequences | {begun} | {there} | - |\n")
    }

    fn faults(&self, page: &mut String) -> std::fmt::Result {
        writeln!(
            page,
            "## Faults\n\nWhat clients noticed from the beginning of a fault to the beginning of the next: error answers among all,\n\
             the longest time without any good answer, the slowest good answer.\n"
        )?;
        writeln!(
            page,
            "| Part | Fault | Times | Answers | Errors | Longest silence | Slowest answer |\n|---|---|---|---|---|---|---|"
        )?;
        for ((role, fault), n) in &self.noticed {
            let (gap, slowest) = (n.gap.as_secs_f64(), n.slowest.as_secs_f64());
            writeln!(
                page,
                "| {role} | {fault} | {} | {} | {} | {gap:.1} s | {slowest:.1} s |",
                n.faults, n.answers, n.errors
            )?;
        }
        writeln!(page)
    }

    fn audit(&self, page: &mut String) -> std::fmt::Result {
        let evidence = self.evidence;
        let runs: u64 = evidence.runs.values().map(|runs| u64::from(runs.count)).sum();
        let again = evidence.runs.values().filter(|runs| runs.count > 1).count();
        let unanswered = evidence
            .records
            .len()
            .saturating_sub(evidence.accepted.len() + evidence.begun.len());
        let rewritten = evidence.records.values().filter(|writes| **writes > 1).count();
        writeln!(page, "## Audit\n")?;
        writeln!(
            page,
            "- {} records, {rewritten} written more than once; {unanswered} are of requests whose answer did not arrive.",
            evidence.records.len()
        )?;
        writeln!(
            page,
            "- {runs} runs of actions; {again} activations ran more than once, which is broken unless something had happened to an invoker, a controller or Kafka."
        )?;
        writeln!(
            page,
            "- {} activations were looked at through the API too.",
            evidence.answered.len()
        )?;
        writeln!(
            page,
            "- {} entities have the value whose write was acknowledged last, or a later one.",
            evidence.entities.len()
        )?;
        writeln!(
            page,
            "- {} counts of controllers and invokers were back at what they are when nothing is under way.",
            evidence.counts.len()
        )?;
        if !self.findings.is_empty() {
            writeln!(page, "\n## Broken\n")?;
            for finding in self.findings {
                writeln!(page, "- {finding}")?;
            }
        }
        Ok(())
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
