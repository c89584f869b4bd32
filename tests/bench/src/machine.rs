//! What the figures were taken on.

use std::process::Command;
use std::time::Instant;

/// The sizes whose loads are timed: within the second level of a cache, beyond it, and beyond what a shared third level may grant.
const PROBED_KB: [usize; 3] = [256, 2 * 1024, 16 * 1024];
const LINE: usize = 64 / size_of::<usize>();
const LOADS: usize = 1 << 20;

/// One line: processor, memory, versions, date.
pub fn described() -> String {
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

/// One line: what a load takes that the next one waits for. Tells an hour in which others take the caches from one in which
/// they are ours.
pub fn memory() -> String {
    let found = PROBED_KB.map(|kb| format!("{:.1} ns within {kb} KB", load_ns(kb * 1024)));
    format!("A load that the next one waits for: {}.", found.join(", "))
}

/// The median of nine rounds through `bytes` of memory, in nanoseconds a load.
fn load_ns(bytes: usize) -> f64 {
    let ring = ring(bytes / 64);
    let mut at = 0;
    let mut rounds: Vec<f64> = (0..9)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..LOADS {
                at = ring[at];
            }
            began.elapsed().as_secs_f64() * 1e9 / LOADS as f64
        })
        .collect();
    assert!(at < ring.len(), "the walk stays in the ring");
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Memory in which each line names the next one to visit, all of them once, in an order that no prefetcher guesses.
fn ring(lines: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lines).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..lines).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order.swap(last, (random % last as u64) as usize);
    }
    let mut ring = vec![0; lines * LINE];
    for (line, next) in order.into_iter().enumerate() {
        ring[line * LINE] = next * LINE;
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_visits_every_line_before_it_comes_back() {
        let ring = ring(1000);
        let mut at = 0;
        for step in 1..=1000 {
            at = ring[at];
            assert_eq!(at == 0, step == 1000, "step {step}");
        }
    }
}
