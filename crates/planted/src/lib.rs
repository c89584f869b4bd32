//! Bugs to switch on, so that a test can show that it would find them.
//!
//! Each is a mistake that somebody could make, in the place where they would make it: `if planted(Bug::CommitsEarly) { .. }`.
//! Without the feature `bugs` that condition is the constant `false` and nothing of it is left in a program; with it a bug is
//! off until a thread [`plant`]s it, or the environment of the whole process names it
//! (`FERROWHISK_TEST_PLANTED=commits-early`).
//!
//! **Leaves to others** finding them: `tests/src/sim` judges promises and knows no bug by name.

macro_rules! bugs {
    ($($(#[doc = $says:literal])+ $bug:ident = $name:literal,)+) => {
        /// A mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $says])+ $bug,)+
        }

        impl Bug {
            pub const ALL: &'static [Bug] = &[$(Bug::$bug),+];

            /// What the environment calls it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => $name,)+
                }
            }
        }
    };
}

bugs! {
    /// The invoker commits an activation before its record is durable, and so loses it when it dies.
    CommitsEarly = "commits-early",
    /// The invoker runs what is redelivered without asking whether it has a record already.
    RunsAgain = "runs-again",
    /// The invoker forgets that an action annotated `max-attempts: 1` is not to be run a second time.
    ForgetsAttempts = "forgets-attempts",
    /// The log of an activation that ended in an error of its own is left in the container, for the next one to find.
    LeavesLog = "leaves-log",
    /// Memory of containers that are being removed counts as free.
    CountsLeavingMemory = "counts-leaving-memory",
    /// A frozen container is given work without being thawed.
    RunsFrozen = "runs-frozen",
    /// A container that was frozen for long enough is forgotten instead of removed.
    ForgetsContainer = "forgets-container",
    /// A drain takes the activations that wait for memory for done.
    DrainsTheWaiting = "drains-the-waiting",
    /// The controller frees no slot when the activation ended in an error of the platform.
    KeepsFailedSlot = "keeps-failed-slot",
    /// A container shared by several activations gives its memory back with each of them.
    FreesSharedMemory = "frees-shared-memory",
    /// An activation that the bus refused goes on counting against its namespace's concurrency.
    CountsTheRefused = "counts-the-refused",
    /// An invoker that went silent is still given work.
    TrustsTheSilent = "trusts-the-silent",
    /// The record of a trigger is taken for stored when it is only about to be.
    SettlesEarly = "settles-early",
    /// A composition that goes on after a restart forgets which component it was waiting for.
    ForgetsComponent = "forgets-component",
    /// A cancellation that was only ordered is answered as carried out.
    AnswersOrders = "answers-orders",
    /// What other controllers change is not dropped from the cache.
    IgnoresChanges = "ignores-changes",
    /// A rule whose action cannot be started ends the firing of the rules after it.
    StopsFiring = "stops-firing",
    /// A message that a consumer dies with is not given to the next one.
    LosesHandedBack = "loses-handed-back",
    /// A write does not look whether the entity was changed since it was read.
    OverwritesChanges = "overwrites-changes",
    /// The time that records are kept is read in seconds and taken for milliseconds.
    RetainsTooLittle = "retains-too-little",
}

/// Whether this bug is switched on.
#[cfg(not(feature = "bugs"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "bugs")]
pub use switch::{plant, planted};

#[cfg(feature = "bugs")]
mod switch {
    use std::cell::Cell;
    use std::sync::LazyLock;

    use super::Bug;

    thread_local! {
        static HERE: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    static EVERYWHERE: LazyLock<Option<Bug>> = LazyLock::new(|| {
        let asked = std::env::var("FERROWHISK_TEST_PLANTED").ok()?;
        Bug::ALL.iter().copied().find(|bug| bug.name() == asked)
    });

    /// Whether this bug is switched on, on this thread or everywhere.
    pub fn planted(bug: Bug) -> bool {
        HERE.get() == Some(bug) || *EVERYWHERE == Some(bug)
    }

    /// Switches a bug on, on this thread, and every other off.
    pub fn plant(bug: Option<Bug>) {
        HERE.set(bug);
    }
}
