use proptest::prelude::*;

use super::*;

/// What a real container would have gone through, told by effects and answers alone.
#[derive(Debug, Default)]
struct Body {
    initialised: bool,
    frozen: bool,
    destroyed: bool,
    released: u32,
    queued: u32,
    active: u32,
    /// Of those at work, whom nobody waits for.
    abandoned: u32,
    taken: u32,
    ended: u32,
}

impl Body {
    /// An answer that the machine did not ask for would not come: the pool hears only from workers it started.
    fn hears(&mut self, machine: &Machine, event: Event) -> bool {
        let possible = match event {
            Event::Created | Event::CreateFailed => {
                matches!(machine.state(), State::Starting { .. } | State::Unwanted)
            }
            Event::Initialised | Event::InitFailed => matches!(machine.state(), State::Initialising { .. }),
            Event::Finished(_) | Event::Abandoned => self.active > self.abandoned,
            Event::AbandonedEnded => self.abandoned > 0,
            // The first of those who wait for `/init` is out of the queue already.
            Event::Withdrawn => self.queued > u32::from(matches!(machine.state(), State::Initialising { .. })),
            Event::PauseDone | Event::PauseFailed => matches!(machine.state(), State::Pausing { .. }),
            Event::ResumeDone | Event::ResumeFailed => matches!(machine.state(), State::Resuming { .. }),
            Event::Destroyed => self.destroyed,
            Event::Start | Event::Assign | Event::Condemn | Event::Timer(_) | Event::Evict => true,
        };
        if !possible {
            return false;
        }
        match event {
            Event::Assign => (self.queued, self.taken) = (self.queued + 1, self.taken + 1),
            Event::Initialised => self.initialised = true,
            Event::InitFailed | Event::CreateFailed if self.queued > 0 => {
                (self.queued, self.ended) = (self.queued - 1, self.ended + 1);
            }
            Event::Finished(_) => (self.active, self.ended) = (self.active - 1, self.ended + 1),
            Event::Withdrawn => (self.queued, self.ended) = (self.queued - 1, self.ended + 1),
            // Its record is written now, whatever its code does.
            Event::Abandoned => self.abandoned += 1,
            Event::AbandonedEnded => {
                (self.active, self.abandoned, self.ended) = (self.active - 1, self.abandoned - 1, self.ended + 1);
            }
            Event::PauseDone => self.frozen = true,
            Event::ResumeDone => self.frozen = false,
            Event::InitFailed
            | Event::CreateFailed
            | Event::Start
            | Event::Created
            | Event::Condemn
            | Event::Timer(_)
            | Event::PauseFailed
            | Event::ResumeFailed
            | Event::Evict
            | Event::Destroyed => {}
        }
        true
    }

    fn carries_out(&mut self, effects: Effects) {
        for effect in effects {
            let over = self.released > 0 && effect != Effect::Refuse;
            assert!(!over, "{effect:?} after the memory was given back");
            match effect {
                Effect::Run(count) => {
                    assert!(self.initialised && !self.frozen && !self.destroyed, "run in {self:?}");
                    assert!(count > 0 && count <= self.queued, "{count} of {self:?}");
                    (self.queued, self.active) = (self.queued - count, self.active + count);
                }
                Effect::Refuse => (self.queued, self.ended) = (self.queued - 1, self.ended + 1),
                Effect::GiveBack => (self.queued, self.ended) = (0, self.ended + self.queued),
                Effect::Destroy => {
                    assert!(
                        !self.destroyed && self.active == self.abandoned,
                        "destroyed in {self:?}"
                    );
                    self.destroyed = true;
                }
                Effect::Release => self.released += 1,
                Effect::Create | Effect::Init | Effect::Pause | Effect::Resume | Effect::Timer(..) => {}
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Assign),
        1 => Just(Event::Start),
        3 => Just(Event::Created),
        1 => Just(Event::CreateFailed),
        3 => Just(Event::Initialised),
        1 => Just(Event::InitFailed),
        6 => Just(Event::Finished(After::Keep)),
        1 => Just(Event::Finished(After::Destroy)),
        1 => Just(Event::Condemn),
        2 => Just(Event::Withdrawn),
        2 => Just(Event::Abandoned),
        1 => Just(Event::AbandonedEnded),
        4 => (0u64..6).prop_map(|token| Event::Timer(Token(token))),
        2 => Just(Event::PauseDone),
        1 => Just(Event::PauseFailed),
        2 => Just(Event::ResumeDone),
        1 => Just(Event::ResumeFailed),
        1 => Just(Event::Evict),
        1 => Just(Event::Destroyed),
    ]
}

fn live(machine: &mut Machine, body: &mut Body, event: Event) {
    // A refused activation finds another container before anything else happens, so that no queue is over-full.
    if (event == Event::Assign && !machine.has_room() && body.queued > 0) || !body.hears(machine, event) {
        return;
    }
    body.carries_out(machine.step(event));
    assert_eq!(
        body.taken,
        body.ended + body.queued + body.active,
        "an activation was lost in {machine:?}"
    );
}

/// Answers whatever is under way, as workers do, until the container is gone.
fn ends(machine: &mut Machine, body: &mut Body) {
    for _ in 0..100 {
        let answer = match machine.state() {
            State::Cold | State::Prewarmed | State::Idle { .. } | State::Paused { .. } => Event::Condemn,
            State::Starting { .. } | State::Unwanted => Event::Created,
            State::Initialising { .. } => Event::Initialised,
            State::Draining { abandoned, .. } if abandoned > 0 && body.active == body.abandoned => {
                Event::AbandonedEnded
            }
            State::Running { .. } | State::Draining { .. } => Event::Finished(After::Keep),
            State::Pausing { .. } => Event::PauseDone,
            State::Resuming { .. } => Event::ResumeDone,
            State::Removing => Event::Destroyed,
            State::Removed => break,
        };
        live(machine, body, answer);
    }
    assert_eq!(machine.state(), State::Removed, "never removed");
    // What was given up ends with its container.
    while body.abandoned > 0 {
        live(machine, body, Event::AbandonedEnded);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_life_keeps_the_promises(
        concurrency in 1u32..4, freezes: bool, events in prop::collection::vec(event(), 0..60),
    ) {
        let (mut machine, mut body) = (Machine::new(concurrency, freezes), Body::default());
        for event in events {
            live(&mut machine, &mut body, event);
        }
        ends(&mut machine, &mut body);
        prop_assert_eq!(body.released, 1);
        prop_assert_eq!(body.taken, body.ended);
    }

    #[test]
    fn a_stale_timer_changes_nothing(
        concurrency in 1u32..4, freezes: bool, events in prop::collection::vec(event(), 0..60), stale in 0u64..8,
    ) {
        let (mut machine, mut body) = (Machine::new(concurrency, freezes), Body::default());
        for event in events {
            live(&mut machine, &mut body, event);
            let current = match machine.state() {
                State::Idle { timer } | State::Paused { timer } => Some(timer),
                _ => None,
            };
            if current != Some(Token(stale)) {
                let before = machine;
                prop_assert_eq!(machine.step(Event::Timer(Token(stale))), NOTHING);
                prop_assert_eq!(machine, before);
            }
        }
    }
}

fn after(machine: &mut Machine, events: &[Event]) -> Vec<Effect> {
    events.iter().flat_map(|event| machine.step(*event)).collect()
}

#[test]
fn a_cold_start_then_idle_then_frozen_then_thawed_for_work() {
    let mut machine = Machine::new(1, true);
    let effects = after(&mut machine, &[Event::Assign, Event::Created, Event::Initialised]);
    assert_eq!(effects, [Effect::Create, Effect::Init, Effect::Run(1)]);
    let effects = after(&mut machine, &[Event::Finished(After::Keep)]);
    let [Effect::Timer(grace, Span::Grace)] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(after(&mut machine, &[Event::Timer(grace)]), [Effect::Pause]);
    let effects = after(&mut machine, &[Event::PauseDone]);
    let [Effect::Timer(idle, Span::Idle)] = effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(
        after(&mut machine, &[Event::Assign, Event::ResumeDone]),
        [Effect::Resume, Effect::Run(1)]
    );
    assert_eq!(after(&mut machine, &[Event::Timer(idle), Event::Timer(grace)]), []);
    assert_eq!(machine.state(), State::Running { active: 1 });
}

#[test]
fn a_failure_in_a_shared_container_lets_the_others_finish() {
    let mut machine = Machine::new(3, true);
    after(
        &mut machine,
        &[Event::Assign, Event::Assign, Event::Created, Event::Initialised],
    );
    assert_eq!(machine.state(), State::Running { active: 2 });
    assert_eq!(after(&mut machine, &[Event::Finished(After::Destroy)]), []);
    assert!(!machine.has_room());
    assert_eq!(after(&mut machine, &[Event::Finished(After::Keep)]), [Effect::Destroy]);
}

#[test]
fn work_is_never_evicted() {
    let mut machine = Machine::new(1, true);
    after(&mut machine, &[Event::Assign, Event::Created, Event::Initialised]);
    assert!(!machine.evictable());
    assert_eq!(after(&mut machine, &[Event::Evict]), []);
    assert_eq!(machine.state(), State::Running { active: 1 });
}

#[test]
fn giving_up_the_only_work_kills_the_container() {
    let mut machine = Machine::new(1, true);
    after(&mut machine, &[Event::Assign, Event::Created, Event::Initialised]);
    assert_eq!(after(&mut machine, &[Event::Abandoned]), [Effect::Destroy]);
    assert_eq!(
        after(&mut machine, &[Event::AbandonedEnded, Event::Destroyed]),
        [Effect::Release]
    );
}

#[test]
fn giving_up_one_of_several_waits_for_the_others_only() {
    let mut machine = Machine::new(3, true);
    let begun = [
        Event::Assign,
        Event::Assign,
        Event::Assign,
        Event::Created,
        Event::Initialised,
    ];
    after(&mut machine, &begun);
    assert_eq!(after(&mut machine, &[Event::Abandoned]), []);
    assert!(!machine.has_room());
    assert_eq!(after(&mut machine, &[Event::Finished(After::Keep)]), []);
    assert_eq!(after(&mut machine, &[Event::Finished(After::Keep)]), [Effect::Destroy]);
}

#[test]
fn whoever_is_withdrawn_leaves_room_and_the_last_one_the_container() {
    let mut machine = Machine::new(2, true);
    after(&mut machine, &[Event::Assign, Event::Assign]);
    assert_eq!(after(&mut machine, &[Event::Withdrawn]), []);
    assert!(machine.has_room());
    assert_eq!(after(&mut machine, &[Event::Withdrawn]), []);
    assert_eq!(
        after(&mut machine, &[Event::Created, Event::Destroyed]),
        [Effect::Destroy, Effect::Release]
    );
}
