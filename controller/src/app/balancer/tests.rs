use super::invoker::megabytes;
use super::pool::coprime_steps;
use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

fn instance(number: u32, memory: u32) -> InvokerInstance {
    InvokerInstance::new(number, memory)
}

fn balancer(invokers: u32, memory: u32) -> Balancer {
    let mut balancer = Balancer::new(1);
    for number in 0..invokers {
        balancer.ping(&instance(number, memory), true, 0);
    }
    balancer
}

fn name(text: &str) -> FullName {
    text.parse().unwrap()
}

static ANYTHING: LazyLock<Wants> = LazyLock::new(Wants::default);

fn demand<'a>(namespace: &'a Namespace, action: &'a FullName, memory: u32, concurrency: u32) -> Demand<'a> {
    Demand {
        namespace,
        action,
        memory,
        concurrency,
        wants: &ANYTHING,
        refused: &[],
    }
}

#[test]
fn hashes_like_the_original() {
    // "guest".hashCode() = 98708952 and "guest/echo".hashCode() = -384043690 on a Java virtual machine.
    let java = |text: &str| {
        text.bytes()
            .fold(0i32, |h, b| h.wrapping_mul(31).wrapping_add(i32::from(b)))
    };
    assert_eq!(java("guest"), 98_708_952);
    let expected = (java("guest") ^ java("guest/pkg/echo")).unsigned_abs();
    assert_eq!(
        hash(&Namespace::new("guest").unwrap(), &name("guest/pkg/echo")),
        expected
    );
}

#[test]
fn steps_are_coprime_with_the_pool_and_each_other() {
    assert_eq!(coprime_steps(1), [1]);
    assert_eq!(coprime_steps(6), [1, 5]);
    assert_eq!(coprime_steps(10), [1, 3, 7]);
}

#[test]
fn pools_follow_the_number_of_invokers() {
    for (n, managed, first, blackbox) in [(1, 1, 0, 1), (2, 2, 1, 1), (10, 9, 9, 1), (20, 18, 18, 2)] {
        let balancer = balancer(n, 512);
        assert_eq!((balancer.managed.first, balancer.managed.size), (0, managed));
        assert_eq!((balancer.blackbox.first, balancer.blackbox.size), (first, blackbox));
    }
}

#[test]
fn an_action_stays_at_home_until_home_is_full() {
    let mut balancer = balancer(10, 512);
    let (ns, action) = (Namespace::new("guest").unwrap(), name("guest/a"));
    let mut place = || balancer.place(&demand(&ns, &action, 256, 1), 1, 0).unwrap();
    let (a, b, c) = (place(), place(), place());
    assert_eq!(a.topic, b.topic);
    assert_ne!(a.topic, c.topic);
    assert!(!c.overcommitted);
    for placement in [a, b, c] {
        balancer.release(placement.slot, Outcome::Fine);
    }
}

#[test]
fn a_full_cluster_is_overcommitted_and_says_so() {
    let mut balancer = balancer(1, 256);
    let (ns, action) = (Namespace::new("guest").unwrap(), name("guest/a"));
    let first = balancer.place(&demand(&ns, &action, 256, 1), 1, 0).unwrap();
    let second = balancer.place(&demand(&ns, &action, 256, 1), 1, 7).unwrap();
    assert!(!first.overcommitted && second.overcommitted);
    assert_eq!(balancer.memory(false), (512, 256));
    balancer.release(second.slot, Outcome::Fine);
    balancer.release(first.slot, Outcome::Fine);
    assert_eq!(balancer.memory(false).0, 0);
}

#[test]
fn a_container_that_takes_several_costs_its_memory_once() {
    let mut balancer = balancer(1, 1024);
    let (ns, action) = (Namespace::new("guest").unwrap(), name("guest/a"));
    let slots: Vec<Slot> = (0..4)
        .map(|_| balancer.place(&demand(&ns, &action, 256, 3), 1, 0).unwrap().slot)
        .collect();
    assert_eq!(balancer.memory(false).0, 512);
    for slot in slots {
        balancer.release(slot, Outcome::Fine);
    }
    assert_eq!(balancer.memory(false).0, 0);
}

#[test]
fn silent_and_failing_invokers_get_nothing_until_they_recover() {
    let mut balancer = balancer(1, 1024);
    let (ns, action) = (Namespace::new("guest").unwrap(), name("guest/a"));
    let state = |balancer: &Balancer, now| balancer.states(now)[0].1;
    assert_eq!(state(&balancer, 9_999), Health::Up);
    assert_eq!(state(&balancer, 10_000), Health::Down);
    assert!(balancer.place(&demand(&ns, &action, 128, 1), 10_000, 0).is_err());
    balancer.ping(&instance(0, 1024), true, 100_000);
    for _ in 0..4 {
        let placed = balancer.place(&demand(&ns, &action, 128, 1), 100_000, 0).unwrap();
        balancer.release(placed.slot, Outcome::SystemError);
    }
    assert_eq!(state(&balancer, 100_000), Health::Unhealthy);
    let trial = balancer.place(&demand(&ns, &action, 128, 1), 100_000, 0).unwrap();
    assert!(
        balancer.place(&demand(&ns, &action, 128, 1), 100_001, 0).is_err(),
        "one trial at a time"
    );
    balancer.release(trial.slot, Outcome::Fine);
    for _ in 0..6 {
        let placed = balancer.place(&demand(&ns, &action, 128, 1), 100_002, 0).unwrap();
        balancer.release(placed.slot, Outcome::Fine);
    }
    assert_eq!(state(&balancer, 100_002), Health::Up);
}

#[test]
fn forced_completions_make_an_invoker_unresponsive() {
    let mut balancer = balancer(1, 1024);
    let (ns, action) = (Namespace::new("guest").unwrap(), name("guest/a"));
    for _ in 0..4 {
        let placed = balancer.place(&demand(&ns, &action, 128, 1), 1, 0).unwrap();
        balancer.release(placed.slot, Outcome::Forced);
    }
    assert_eq!(balancer.states(1)[0], ("invoker0".to_owned(), Health::Unresponsive));
}

#[test]
fn sizes_are_read_in_any_unit() {
    for (text, mb) in [
        ("2048 MB", 2048),
        ("2 GB", 2048),
        ("2097152 B", 2),
        ("512m", 512),
        ("x", 0),
    ] {
        assert_eq!(megabytes(text), mb, "{text}");
    }
}

proptest! {
    /// However activations come and go, all capacity is back once all have gone.
    #[test]
    fn capacity_is_returned_exactly_once(
        invokers in 1u32..12,
        steps in proptest::collection::vec((0usize..6, 0u32..3, any::<u64>(), any::<bool>()), 1..200),
    ) {
        let mut balancer = balancer(invokers, 1024);
        let ns = Namespace::new("guest").unwrap();
        let actions: Vec<FullName> = (0..6).map(|i| name(&format!("guest/a{i}"))).collect();
        let mut held = Vec::new();
        for (action, size, chance, release) in steps {
            if release && !held.is_empty() {
                let slot: Slot = held.swap_remove(chance as usize % held.len());
                balancer.release(slot, Outcome::Fine);
                continue;
            }
            let concurrency = (action % 3 + 1) as u32;
            let demand = demand(&ns, &actions[action], 128 << size, concurrency);
            let placed = balancer.place(&demand, 1, chance).unwrap();
            let free = balancer.invokers[placed.slot.at].free;
            prop_assert!(placed.overcommitted || free >= 0 || concurrency > 1, "{free} MB left without saying so");
            held.push(placed.slot);
        }
        for slot in held {
            balancer.release(slot, Outcome::Fine);
        }
        prop_assert_eq!(balancer.memory(false).0, 0);
        prop_assert!(balancer.invokers.iter().all(|i| i.shared.is_empty() && i.free == i.capacity));
        prop_assert!(balancer.invokers.iter().map(|i| i.free).eq(balancer.room.iter().copied()));
    }
}
