//! The words of the lifecycle: states, what may happen, what is to be done.

use std::array;
use std::iter::{Flatten, Take};

/// Names one setting of a timer of one container; never used twice in a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token(pub(super) u64);

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
    /// At work for the last time; for some of it, nobody waits any more.
    Draining { active: u32, abandoned: u32 },
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
    /// An activation was taken out of its queue again.
    Withdrawn,
    /// One of the activations at work in it was given up: its code runs on, and nobody waits for it.
    Abandoned,
    /// The code of an activation that was given up has ended by itself.
    AbandonedEnded,
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

pub(super) const NOTHING: Effects = Effects {
    list: [None, None],
    len: 0,
};

pub(super) fn one(effect: Effect) -> Effects {
    Effects {
        list: [Some(effect), None],
        len: 1,
    }
}

pub(super) fn two(first: Effect, second: Effect) -> Effects {
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
