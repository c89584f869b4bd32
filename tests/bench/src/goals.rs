//! The goals, and what was measured against them.

/// One goal: which way is better follows from `better`.
pub struct Goal {
    pub id: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub gate: f64,
    pub goal: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Lower,
    Higher,
}

use Better::{Higher, Lower};

const fn goal(id: &'static str, what: &'static str, unit: &'static str, better: Better, gate: f64, goal: f64) -> Goal {
    Goal {
        id,
        what,
        unit,
        better,
        gate,
        goal,
    }
}

pub const GOALS: &[Goal] = &[
    goal(
        "A1",
        "warm blocking call ÷ direct /run, node runtime, p50",
        "",
        Lower,
        1.45,
        1.30,
    ),
    goal(
        "A2",
        "warm blocking call ÷ one hop, node runtime, p50",
        "",
        Lower,
        1.10,
        0.95,
    ),
    goal(
        "A3",
        "added p50 in front of a native echo runtime",
        "µs",
        Lower,
        35.0,
        25.0,
    ),
    goal("A5", "CPU per warm call ÷ CPU of one hop", "", Lower, 1.5, 1.0),
    goal(
        "A6",
        "web action ÷ blocking invoke of the same action, node runtime, p50",
        "",
        Lower,
        1.10,
        1.05,
    ),
    goal(
        "A7",
        "CPU per web action ÷ CPU per blocking invoke of the same action",
        "",
        Lower,
        1.10,
        1.05,
    ),
    goal(
        "B1",
        "throughput, 32 connections, node runtime ÷ direct",
        "",
        Higher,
        0.75,
        0.90,
    ),
    goal(
        "B2",
        "throughput, 32 connections, native runtime ÷ one hop",
        "",
        Higher,
        0.85,
        1.1,
    ),
    goal("C1", "cold native action ÷ spawn, p50", "", Lower, 1.8, 1.4),
    goal(
        "C2",
        "prewarmed node start ÷ direct /init + /run, p50",
        "",
        Lower,
        1.15,
        1.05,
    ),
    goal("C5", "added by resuming a frozen container, p50", "ms", Lower, 2.0, 0.5),
    goal(
        "D1",
        "cold starts per second, native ÷ spawn loop",
        "",
        Higher,
        0.6,
        0.8,
    ),
    goal("E1", "idle memory of all of standalone (PSS)", "MB", Lower, 20.0, 10.0),
    goal(
        "E2",
        "memory with 10,000 actions and 100,000 activations (PSS)",
        "MB",
        Lower,
        60.0,
        30.0,
    ),
    goal(
        "E3",
        "exec to API answering, 10,000 actions stored, p50",
        "ms",
        Lower,
        100.0,
        20.0,
    ),
    goal("F1", "durable 202, 64 connections ÷ writer", "", Higher, 0.35, 0.6),
    goal(
        "F2",
        "one fire into 100 rules, durable activations/s ÷ batched append",
        "",
        Higher,
        0.4,
        0.7,
    ),
    goal(
        "G1",
        "throughput over 1,000 warm actions ÷ over 1",
        "",
        Higher,
        0.8,
        0.95,
    ),
    goal(
        "G2",
        "pool holds half of the actions called, misses/s ÷ spawn loops",
        "",
        Higher,
        0.5,
        0.8,
    ),
    goal(
        "G3",
        "placements/s, 1,000 simulated invokers ÷ 10",
        "",
        Higher,
        0.7,
        0.95,
    ),
    goal(
        "G4",
        "call latency with 100,000 deployed actions ÷ with 10, p50",
        "",
        Lower,
        1.10,
        1.02,
    ),
    goal(
        "H1",
        "cluster p50 − standalone p50, in passes through Kafka of a raw client",
        "",
        Lower,
        2.5,
        2.0,
    ),
];

/// What was measured for a goal.
pub struct Outcome {
    pub id: &'static str,
    /// The median over runs or rounds; not a number where it was not measured.
    pub value: f64,
    /// Lower and upper quartile.
    pub spread: (f64, f64),
    pub samples: usize,
    /// What stands behind the ratio: absolute medians and tails.
    pub detail: String,
}

impl Goal {
    pub fn of(id: &str) -> &'static Goal {
        GOALS
            .iter()
            .find(|g| g.id == id)
            .expect("every outcome names a goal of the table")
    }

    pub fn verdict(&self, value: f64) -> &'static str {
        let reached = |limit: f64| match self.better {
            Lower => value <= limit,
            Higher => value >= limit,
        };
        if value.is_nan() {
            return "skipped";
        }
        match (reached(self.goal), reached(self.gate)) {
            (true, _) => "goal",
            (false, true) => "gate",
            (false, false) => "MISSED",
        }
    }
}
