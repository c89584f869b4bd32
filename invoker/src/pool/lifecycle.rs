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
//! * Every activation taken is run, given back or withdrawn.
//! * A container whose work is given up dies at once if nobody else is at work in it, else with the end of the others.
//!
//! **Upstream behaviour honoured.** Initialised once, for one action and namespace; frozen after a grace time; removed after
//! a developer or platform error, in a shared container only once the others have drained.

mod leaving;
mod vocabulary;

#[cfg(test)]
mod tests;

use leaving::{draining, drains, removed, removing, unwanted};
pub use vocabulary::{After, Effect, Effects, Event, Span, State, Token};
use vocabulary::{NOTHING, one, two};
use wsk_planted::{Bug, planted};

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
            State::Draining { active, abandoned } => draining(active, abandoned, event),
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
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
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
            Event::Withdrawn if waiting > 1 => (State::Starting { waiting: waiting - 1 }, NOTHING),
            Event::Withdrawn if waiting == 1 => (State::Unwanted, NOTHING),
            Event::Evict if waiting == 0 => (State::Unwanted, NOTHING),
            Event::Evict
            | Event::Start
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
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
            // The first of them is with the worker, hence no longer in the queue.
            Event::Withdrawn if waiting > 1 => (State::Initialising { waiting: waiting - 1 }, NOTHING),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
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
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
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
            Event::Finished(After::Destroy) if active > 1 => (drains(active - 1, 0), NOTHING),
            Event::Finished(After::Destroy) => (State::Removing, one(Effect::Destroy)),
            Event::Condemn => (drains(active, 0), NOTHING),
            Event::Abandoned if active > 1 => (drains(active, 1), NOTHING),
            Event::Abandoned => (State::Removing, one(Effect::Destroy)),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::Withdrawn
            | Event::AbandonedEnded
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
            Event::Withdrawn if waiting > 0 => (State::Pausing { waiting: waiting - 1 }, NOTHING),
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
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
            | Event::ResumeFailed
            | Event::Destroyed => (State::Pausing { waiting }, NOTHING),
        }
    }

    fn paused(&self, timer: Token, event: Event) -> Next {
        match event {
            Event::Assign if planted(Bug::RunsFrozen) => (State::Running { active: 1 }, one(Effect::Run(1))),
            Event::Assign => (State::Resuming { waiting: 1 }, one(Effect::Resume)),
            Event::Timer(token) if token == timer && planted(Bug::ForgetsContainer) => {
                (State::Removed, one(Effect::Release))
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
            | Event::Withdrawn
            | Event::Abandoned
            | Event::AbandonedEnded
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
            Event::Withdrawn if waiting > 1 => (State::Resuming { waiting: waiting - 1 }, NOTHING),
            Event::Withdrawn => (State::Removing, one(Effect::Destroy)),
            Event::Start
            | Event::Created
            | Event::CreateFailed
            | Event::Initialised
            | Event::InitFailed
            | Event::Finished(_)
            | Event::Timer(_)
            | Event::PauseDone
            | Event::PauseFailed
            | Event::Abandoned
            | Event::AbandonedEnded
            | Event::Evict
            | Event::Destroyed => (State::Resuming { waiting }, NOTHING),
        }
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
        | Event::Withdrawn
        | Event::Abandoned
        | Event::AbandonedEnded
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Destroyed => (State::Prewarmed, NOTHING),
    }
}
