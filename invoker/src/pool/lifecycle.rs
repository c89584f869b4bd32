//! The life of one container as a pure function: [`Machine::step`] maps a state and an event to the next state and to
//! [`Effects`] for others to carry out. Nothing here waits, reads a clock or touches a container.
//!
//! **Left to others.** Which activation goes to which container, and how much memory there is, is the pool's; carrying
//! effects out is the worker's. The machine counts activations, it does not know them.
//!
//! **Invariants**, each proved by a property test below:
//! * [`Effect::Run`] is given only to a container that is initialised, not frozen and not condemned.
//! * [`Effect::Release`] comes exactly once in a life, and last: when it comes the memory is free.
//! * A timer that was overtaken by anything changes nothing: a state accepts only the token it asked for.
//! * Every activation taken is run or given back.
//!
//! **Upstream behaviour honoured.** Initialised once, for one action and namespace; frozen after a grace time; removed after
//! a developer or platform error, in a shared container only once the others have drained.

use std::array;
use std::iter::{Flatten, Take};

/// Names one setting of a timer of one container; never used twice in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(u64);

/// A container's state, with what holds only in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Memory is set aside, nothing was asked for yet.
    Cold,
    /// Being made. With nobody waiting it becomes a stem cell.
    Starting { waiting: u32 },
    /// Being made, and to be removed as soon as it is.
    Unwanted,
    /// Runs, knows no action.
    Prewarmed,
    /// `/init` is under way for the first of those who wait.
    Initialising { waiting: u32 },
    /// Initialised and without work.
    Idle { timer: Token },
    /// At work.
    Running { active: u32 },
    /// At work for the last time.
    Draining { active: u32 },
    /// Being frozen.
    Pausing { waiting: u32 },
    /// Frozen.
    Paused { timer: Token },
    /// Being thawed.
    Resuming { waiting: u32 },
    /// Being destroyed.
    Removing,
    /// Gone.
    Removed,
}

/// What may happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Make it, for nobody in particular.
    Start,
    /// An activation was put into its queue.
    Assign,
    Created,
    CreateFailed,
    Initialised,
    /// `/init` failed, and whoever it was for has been taken care of.
    InitFailed,
    /// An activation ended, and what that means for the container.
    Finished(After),
    /// Something showed that it must not be used again.
    Condemn,
    Timer(Token),
    PauseDone,
    PauseFailed,
    ResumeDone,
    ResumeFailed,
    /// Its memory is wanted; only a container without work follows.
    Evict,
    Destroyed,
}

/// Whether a container may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Keep,
    Destroy,
}

/// What is to be done for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Create,
    /// Initialise it for the first activation of its queue, which stays there.
    Init,
    /// Run this many activations from its queue.
    Run(u32),
    Pause,
    Resume,
    Destroy,
    /// Send [`Event::Timer`] with this token after the time that the kind stands for.
    Timer(Token, Span),
    /// The activation put into its queue last needs another container.
    Refuse,
    /// Everything in its queue needs another container.
    GiveBack,
    /// Its memory is free.
    Release,
}

/// The two times a container without work waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From the last activation to the freeze.
    Grace,
    /// From the freeze (or the last activation, where nothing is frozen) to the removal.
    Idle,
}

/// At most two effects, in order, without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    list: [Option<Effect>; 2],
    len: usize,
}

/// One container's life so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    state: State,
    /// The last token handed out.
    token: u64,
    concurrency: u32,
    freezes: bool,
}

type Next = (State, Effects);

const NOTHING: Effects = Effects {
    list: [None, None],
    len: 0,
};

fn one(effect: Effect) -> Effects {
    Effects {
        list: [Some(effect), None],
        len: 1,
    }
}

fn two(first: Effect, second: Effect) -> Effects {
    Effects {
        list: [Some(first), Some(second)],
        len: 2,
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = Flatten<Take<array::IntoIter<Option<Effect>, 2>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().take(self.len).flatten()
    }
}

impl Machine {
    /// A container that runs up to `concurrency` activations at a time and, if it `freezes`, is frozen when idle.
    pub fn new(concurrency: u32, freezes: bool) -> Machine {
        Machine {
            state: State::Cold,
            token: 0,
            concurrency: concurrency.max(1),
            freezes,
        }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Whether an activation assigned now would be taken.
    pub fn has_room(&self) -> bool {
        match self.state {
            State::Cold | State::Prewarmed | State::Idle { .. } | State::Paused { .. } => true,
            State::Starting { waiting }
            | State::Initialising { waiting }
            | State::Pausing { waiting }
            | State::Resuming { waiting } => waiting < self.concurrency,
            State::Running { active } => active < self.concurrency,
            State::Unwanted | State::Draining { .. } | State::Removing | State::Removed => false,
        }
    }

    /// Whether [`Event::Evict`] would remove it although it was used for an action.
    pub fn evictable(&self) -> bool {
        match self.state {
            State::Idle { .. } | State::Paused { .. } | State::Pausing { waiting: 0 } => true,
            State::Cold
            | State::Starting { .. }
            | State::Unwanted
            | State::Prewarmed
            | State::Initialising { .. }
            | State::Running { .. }
            | State::Draining { .. }
            | State::Pausing { .. }
            | State::Resuming { .. }
            | State::Removing
            | State::Removed => false,
        }
    }

    /// Goes on to the next state. An event that makes no sense in the present one changes nothing.
    pub fn step(&mut self, event: Event) -> Effects {
        let (next, effects) = match self.state {
            State::Cold => self.cold(event),
            State::Starting { waiting } => self.starting(waiting, event),
            State::Unwanted => unwanted(event),
            State::Prewarmed => prewarmed(event),
            State::Initialising { waiting } => self.initialising(waiting, event),
            State::Idle { timer } => self.idle(timer, event),
            State::Running { active } => self.running(active, event),
            State::Draining { active } => draining(active, event),
            State::Pausing { waiting } => self.pausing(waiting, event),
            State::Paused { timer } => self.paused(timer, event),
            State::Resuming { waiting } => self.resuming(waiting, event),
            State::Removing => removing(event),
            State::Removed => removed(event),
        };
        self.state = next;
        effects
    }

    fn timer(&mut self) -> Token {
        self.token += 1;
        Token(self.token)
    }

    fn rest(&mut self) -> Next {
        let timer = self.timer();
        let span = if self.freezes { Span::Grace } else { Span::Idle };
        (State::Idle { timer }, one(Effect::Timer(timer, span)))
    }

    /// One more waits, if it may.
    fn queue(&self, waiting: u32, state: impl Fn(u32) -> State) -> Next {
        if waiting < self.concurrency {
            (state(waiting + 1), NOTHING)
        } else {
            (state(waiting), one(Effect::Refuse))
        }
    }

    fn cold(&self, event: Event) -> Next {
        match event {
            Event::Start => (State::Starting { waiting: 0 }, one(Effect::Create)),
            Event::Assign => (State::Starting { waiting: 1 }, one(Effect::Create)),
            Event::Condemn | Event::Evict => (State::Removed, one(Effect::Release)),
            Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Destroyed => (State::Cold, NOTHING),
        }
    }

    fn starting(&self, waiting: u32, event: Event) -> Next {
        let same = State::Starting { waiting };
        match event {
            Event::Assign => self.queue(waiting, |waiting| State::Starting { waiting }),
            Event::Created if waiting == 0 => (State::Prewarmed, NOTHING),
            Event::Created => (State::Initialising { waiting }, one(Effect::Init)),
            Event::CreateFailed => (State::Removed, two(Effect::GiveBack, Effect::Release)),
            Event::Condemn => (State::Unwanted, one(Effect::GiveBack)),
            Event::Evict if waiting == 0 => (State::Unwanted, NOTHING),
            Event::Evict
            | Event::Start
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Destroyed => (same, NOTHING),
        }
    }

    fn initialising(&self, waiting: u32, event: Event) -> Next {
        match event {
            Event::Assign => self.queue(waiting, |waiting| State::Initialising { waiting }),
            Event::Initialised => (State::Running { active: waiting }, one(Effect::Run(waiting))),
            Event::InitFailed | Event::Condemn => (State::Removing, two(Effect::GiveBack, Effect::Destroy)),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Evict
            | Event::Destroyed => (State::Initialising { waiting }, NOTHING),
        }
    }

    fn idle(&self, timer: Token, event: Event) -> Next {
        match event {
            Event::Assign => (State::Running { active: 1 }, one(Effect::Run(1))),
            Event::Timer(token) if token == timer && self.freezes => {
                (State::Pausing { waiting: 0 }, one(Effect::Pause))
            }
            Event::Timer(token) if token == timer => (State::Removing, one(Effect::Destroy)),
            Event::Condemn | Event::Evict => (State::Removing, one(Effect::Destroy)),
            Event::Timer(_)
            | Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Destroyed => (State::Idle { timer }, NOTHING),
        }
    }

    fn running(&mut self, active: u32, event: Event) -> Next {
        match event {
            Event::Assign if active < self.concurrency => (State::Running { active: active + 1 }, one(Effect::Run(1))),
            Event::Assign => (State::Running { active }, one(Effect::Refuse)),
            Event::Finished(After::Keep) if active > 1 => (State::Running { active: active - 1 }, NOTHING),
            Event::Finished(After::Keep) => self.rest(),
            Event::Finished(After::Destroy) if active > 1 => (State::Draining { active: active - 1 }, NOTHING),
            Event::Finished(After::Destroy) => (State::Removing, one(Effect::Destroy)),
            Event::Condemn => (State::Draining { active }, NOTHING),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Evict
            | Event::Destroyed => (State::Running { active }, NOTHING),
        }
    }

    fn pausing(&mut self, waiting: u32, event: Event) -> Next {
        match event {
            Event::Assign => self.queue(waiting, |waiting| State::Pausing { waiting }),
            Event::PauseDone if waiting > 0 => (State::Resuming { waiting }, one(Effect::Resume)),
            Event::PauseDone => {
                let timer = self.timer();
                (State::Paused { timer }, one(Effect::Timer(timer, Span::Idle)))
            }
            Event::PauseFailed | Event::Condemn => (State::Removing, two(Effect::GiveBack, Effect::Destroy)),
            Event::Evict if waiting == 0 => (State::Removing, one(Effect::Destroy)),
            Event::Evict
            | Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Destroyed => (State::Pausing { waiting }, NOTHING),
        }
    }

    fn paused(&self, timer: Token, event: Event) -> Next {
        match event {
            Event::Assign => (State::Resuming { waiting: 1 }, one(Effect::Resume)),
            Event::Timer(token) if token == timer => (State::Removing, one(Effect::Destroy)),
            Event::Condemn | Event::Evict => (State::Removing, one(Effect::Destroy)),
            Event::Timer(_)
            | Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::ResumeDone
            | Event::ResumeFailed
            | Event::Destroyed => (State::Paused { timer }, NOTHING),
        }
    }

    fn resuming(&self, waiting: u32, event: Event) -> Next {
        match event {
            Event::Assign => self.queue(waiting, |waiting| State::Resuming { waiting }),
            Event::ResumeDone => (State::Running { active: waiting }, one(Effect::Run(waiting))),
            Event::ResumeFailed | Event::Condemn => (State::Removing, two(Effect::GiveBack, Effect::Destroy)),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::Evict
            | Event::Destroyed => (State::Resuming { waiting }, NOTHING),
        }
    }
}

fn unwanted(event: Event) -> Next {
    match event {
        Event::Assign => (State::Unwanted, one(Effect::Refuse)),
        Event::Created => (State::Removing, one(Effect::Destroy)),
        Event::CreateFailed => (State::Removed, one(Effect::Release)),
        Event::Start
        | Event::Initialised
        | Event::InitFailed
        | Event::Finished(_)
        | Event::Condemn
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (State::Unwanted, NOTHING),
    }
}

fn prewarmed(event: Event) -> Next {
    match event {
        Event::Assign => (State::Initialising { waiting: 1 }, one(Effect::Init)),
        Event::Condemn | Event::Evict => (State::Removing, one(Effect::Destroy)),
        Event::Start
        | Event::Created
        | Event::CreateFailed
        | Event::Initialised
        | Event::InitFailed
        | Event::Finished(_)
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Destroyed => (State::Prewarmed, NOTHING),
    }
}

fn draining(active: u32, event: Event) -> Next {
    match event {
        Event::Assign => (State::Draining { active }, one(Effect::Refuse)),
        Event::Finished(_) if active > 1 => (State::Draining { active: active - 1 }, NOTHING),
        Event::Finished(_) => (State::Removing, one(Effect::Destroy)),
        Event::Start
        | Event::Created
        | Event::CreateFailed
        | Event::Initialised
        | Event::InitFailed
        | Event::Condemn
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (State::Draining { active }, NOTHING),
    }
}

fn removing(event: Event) -> Next {
    match event {
        Event::Assign => (State::Removing, one(Effect::Refuse)),
        Event::Destroyed => (State::Removed, one(Effect::Release)),
        Event::Start
        | Event::Created
        | Event::CreateFailed
        | Event::Initialised
        | Event::InitFailed
        | Event::Finished(_)
        | Event::Condemn
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict => (State::Removing, NOTHING),
    }
}

fn removed(event: Event) -> Next {
    match event {
        Event::Assign => (State::Removed, one(Effect::Refuse)),
        Event::Start
        | Event::Created
        | Event::CreateFailed
        | Event::Initialised
        | Event::InitFailed
        | Event::Finished(_)
        | Event::Condemn
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (State::Removed, NOTHING),
    }
}

#[cfg(test)]
mod tests {
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
                Event::Finished(_) => self.active > 0,
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
                        assert!(!self.destroyed && self.active == 0, "destroyed in {self:?}");
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
                State::Running { .. } | State::Draining { .. } => Event::Finished(After::Keep),
                State::Pausing { .. } => Event::PauseDone,
                State::Resuming { .. } => Event::ResumeDone,
                State::Removing => Event::Destroyed,
                State::Removed => return,
            };
            live(machine, body, answer);
        }
        panic!("never removed: {machine:?}");
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
}
