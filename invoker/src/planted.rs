//! Bugs to switch on, so that a test can show that it would find them. Never part of a program that is shipped: behind the
//! feature `planted-bugs`, and off until a thread, or the environment of a program built with it, asks for one.

use std::cell::Cell;
use std::sync::LazyLock;

use crate::records::Ticket;

thread_local! {
    static COMMITS_EARLY: Cell<bool> = const { Cell::new(false) };
}

/// `FERROWHISK_TEST_PLANTED=commits-early` switches the bug on in every thread of a program.
static EVERYWHERE: LazyLock<bool> =
    LazyLock::new(|| std::env::var("FERROWHISK_TEST_PLANTED").is_ok_and(|bug| bug == "commits-early"));

/// Whether invokers on this thread commit an activation before its record is durable, and so lose it when they die.
pub fn commits_early(on: bool) {
    COMMITS_EARLY.set(on);
}

pub(crate) fn commit_early(ticket: Ticket) -> Ticket {
    if *EVERYWHERE || COMMITS_EARLY.get() {
        ticket.committed()
    } else {
        ticket
    }
}
