use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_millis(70);

/// A container that has ended a run just now.
fn pace(run: Duration) -> (Pace, Instant) {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    pace.started(now, START, Crew::default());
    pace.ended(now, run, 0, crew(1));
    (pace, now)
}

fn crew(able: u32) -> Crew {
    Crew { able, arriving: 0 }
}

/// A closed loop of `callers` for a while, on containers that end one run in `gap` of the number at work. Whatever is
/// urged comes at once. Gives how many were there and at work on average in the last quarter.
fn closed_loop(run: Duration, callers: usize, gap: impl Fn(u32) -> Duration) -> (u32, f64) {
    let (mut pace, mut now) = pace(run);
    let (mut there, mut at_work, mut turns) = (1, 0.0, 0.0);
    pace.joins(now, 0);
    let end = now + Duration::from_secs(40);
    while now < end {
        let working = (1..=there).rev().find(|n| pace.admits(*n as usize - 1)).unwrap_or(1);
        let gap = gap(working);
        now += gap;
        pace.look(now, crew(there));
        pace.ended(now, gap * working, callers - working as usize, crew(there));
        pace.joins(now, callers - working as usize);
        if there < callers as u32 && pace.urge(now, callers - working as usize, crew(there), 1) != Urge::None {
            there += 1;
            pace.staffed();
            pace.started(now, START, crew(there));
        }
        if now > end - Duration::from_secs(10) {
            (at_work, turns) = (
                at_work + f64::from(working) * gap.as_secs_f64(),
                turns + gap.as_secs_f64(),
            );
        }
    }
    (there, at_work / turns)
}

proptest! {
    #[test]
    fn runs_as_long_as_a_start_never_wait_for_one_another(run in 70u64..100_000, waiting in 1usize..1000, able in 0u32..100) {
        let (pace, now) = pace(Duration::from_millis(run));
        prop_assert_eq!(pace.urge(now, waiting, crew(able), 1), Urge::Now);
        prop_assert!(pace.admits(1000));
    }

    #[test]
    fn without_a_container_one_comes(run in 0u64..1000, waiting in 1usize..1000) {
        let (pace, now) = pace(Duration::from_micros(run));
        prop_assert_eq!(pace.urge(now, waiting, crew(0), 1), Urge::Now);
    }

    #[test]
    fn nobody_waits_where_nothing_ends(run in 0u64..69, waiting in 1usize..1000, able in 1u32..100, limit in 1u32..100) {
        let (mut pace, mut now) = pace(Duration::from_millis(run));
        pace.limit = Some(limit);
        for more in 1..10 {
            now += (START * 2).max(HICCUP);
            pace.look(now, crew(able));
            let at_work = limit.min(able) + more - 1;
            if at_work < able {
                prop_assert!(pace.admits(at_work as usize));
            } else {
                prop_assert_eq!(pace.urge(now, waiting, crew(able), 1), Urge::Some);
                break;
            }
        }
    }

    #[test]
    fn nothing_is_started_for_nobody(run in 0u64..1000, able in 0u32..10, later in 0u64..1000) {
        let (pace, now) = pace(Duration::from_millis(run));
        prop_assert_eq!(pace.urge(now + Duration::from_millis(later), 0, crew(able), 1), Urge::None);
    }

    /// Whatever was measured, a single caller that finds the container busy for a moment does not cost a start.
    #[test]
    fn a_short_wait_is_waited(run in 1u64..30_000, concurrency in 1u32..10) {
        let (mut pace, now) = pace(Duration::from_micros(run));
        pace.joins(now, 0);
        let soon = now + Duration::from_micros(run);
        prop_assert_eq!(pace.urge(soon, 1, crew(1), concurrency), Urge::None);
    }

    /// There is always a number at work, whatever was measured.
    #[test]
    fn somebody_always_works(gaps in proptest::collection::vec((1u64..10_000, 1u32..20, 0usize..3), 1..2000)) {
        let (mut pace, mut now) = pace(Duration::from_millis(1));
        for (gap, there, waiting) in gaps {
            now += Duration::from_micros(gap);
            pace.joins(now, waiting);
            pace.ended(now, Duration::from_micros(gap), waiting, crew(there));
            prop_assert!(pace.admits(0));
        }
    }
}

#[test]
fn as_long_as_nothing_is_known_processors_are_used_and_then_the_first_run_is_awaited() {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    let arriving = Crew { able: 1, arriving: 1 };
    assert_eq!(pace.urge(now, 1, arriving, 1), Urge::Some);
    pace.started(now + START, START, arriving);
    assert_eq!(pace.urge(now + START, 1, crew(1), 1), Urge::None);
    assert_eq!(pace.urge(now + START * 2, 1, crew(1), 1), Urge::Now);
}

#[test]
fn where_processors_are_short_containers_take_turns() {
    let run = Duration::from_micros(100);
    let (there, at_work) = closed_loop(run, 32, |_| run);
    assert!(there <= 3 && at_work < 1.3, "{there} there, {at_work} at work");
    let two = |n: u32| run / n.min(2) + Duration::from_micros(5) * n;
    let (there, at_work) = closed_loop(run, 32, two);
    assert!(
        there <= 6 && (1.5..2.6).contains(&at_work),
        "{there} there, {at_work} at work"
    );
}

#[test]
fn runs_that_only_wait_do_so_side_by_side() {
    let run = Duration::from_millis(20);
    let (there, at_work) = closed_loop(run, 32, |n| run / n);
    assert!(there >= 30 && at_work > 28.0, "{there} there, {at_work} at work");
}

#[test]
fn a_quiet_time_ends_what_was_believed() {
    let (mut pace, now) = pace(Duration::from_micros(100));
    pace.limit = Some(1);
    pace.joins(now + START * 2, 0);
    assert!(pace.admits(10));
}

/// Code that has run often runs faster: that is no merit of the container that came meanwhile.
#[test]
fn warming_up_is_not_taken_for_a_gain() {
    let ran = std::cell::Cell::new(0u32);
    let run = Duration::from_micros(400);
    let (there, at_work) = closed_loop(run, 32, |_| {
        ran.set(ran.get() + 1);
        run / (1 + (ran.get() / 5000).min(3))
    });
    assert!(there <= 4 && at_work < 2.0, "{there} there, {at_work} at work");
}

#[test]
fn a_hiccup_of_the_machine_starts_nothing() {
    let (mut pace, mut now) = pace(Duration::from_micros(100));
    pace.joins(now, 0);
    for took in [100, 100, 400_000, 100, 700_000, 100, 100, 900_000] {
        now += Duration::from_micros(100);
        pace.ended(now, Duration::from_micros(took), 1, crew(1));
        assert_eq!(pace.urge(now, 1, crew(1), 1), Urge::None, "{took}");
    }
}

#[test]
fn the_last_runs_of_containers_that_leave_measure_nothing() {
    let (mut pace, mut now) = pace(Duration::from_millis(1));
    pace.joins(now, 0);
    for _ in 0..100 {
        now += START;
        pace.ended(now, Duration::from_millis(1), 5, Crew { able: 1, arriving: 1 });
        assert!(pace.admits(0), "somebody always works");
    }
}
