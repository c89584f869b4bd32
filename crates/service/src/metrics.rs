//! What every process tells about itself: its phase, its clock, its version, when it began.

use crate::phase::{Phase, Phases};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGaugeVec, Opts};
use std::time::SystemTime;

/// Told when the page is made.
struct Process {
    phases: Phases,
    phase: IntGaugeVec,
    clock: Gauge,
}

/// Shows the process whose phases these are; once per process, further calls change nothing.
pub fn show(phases: &Phases) {
    let phase = Opts::new(
        "ferrowhisk_phase",
        "1 for the phase that the process is in: starting, ready or draining.",
    );
    let clock = "Seconds since the epoch by the clock of this machine, at the moment of the answer.";
    let process = Process {
        phases: phases.clone(),
        phase: IntGaugeVec::new(phase, &["phase"]).expect("the description is well formed"),
        clock: Gauge::new("ferrowhisk_clock_seconds", clock).expect("the description is well formed"),
    };
    if prometheus::register(Box::new(process)).is_err() {
        return;
    }
    let started = Gauge::new(
        "process_start_time_seconds",
        "When the process began, in seconds since the epoch.",
    );
    let started = started.expect("the description is well formed");
    started.set(now());
    let build = Opts::new("ferrowhisk_build_info", "1, with the version of the program.");
    let build = IntGaugeVec::new(build, &["version"]).expect("the description is well formed");
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    // Another one of a process's own, from a library, would tell the same.
    let _told = prometheus::register(Box::new(started));
    let _told = prometheus::register(Box::new(build));
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0.0, |since| since.as_secs_f64())
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.phase.desc();
        all.extend(self.clock.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let current = self.phases.current();
        for phase in [Phase::Starting, Phase::Ready, Phase::Draining] {
            self.phase
                .with_label_values(&[phase.name()])
                .set(i64::from(phase == current));
        }
        self.clock.set(now());
        let mut all = self.phase.collect();
        all.extend(self.clock.collect());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_tells_its_phase_and_its_clock() {
        let phases = Phases::starting();
        show(&phases);
        show(&Phases::starting());
        phases.advance(Phase::Ready);
        let page = prometheus::TextEncoder::new()
            .encode_to_string(&prometheus::gather())
            .unwrap();
        for line in [
            r#"ferrowhisk_phase{phase="ready"} 1"#,
            r#"ferrowhisk_phase{phase="starting"} 0"#,
            concat!(
                r#"ferrowhisk_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        let clock = page
            .lines()
            .find_map(|line| line.strip_prefix("ferrowhisk_clock_seconds "));
        assert!((clock.unwrap().parse::<f64>().unwrap() - now()).abs() < 60.0);
    }
}
