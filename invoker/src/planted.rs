//! Bugs to switch on, so that a test can show that it would find them. Never part of a program: behind the feature
//! `planted-bugs`, and off until a thread asks for one.

use std::cell::Cell;

use crate::records::Ticket;

thread_local! {
    static COMMITS_EARLY: Cell<bool> = const { Cell::new(false) };
}

/// Whether invokers on this thread commit an activation before its record is durable, and so lose it when they die.
pub fn commits_early(on: bool) {
    COMMITS_EARLY.set(on);
}

pub(crate) fn commit_early(ticket: Ticket) -> Ticket {
    if COMMITS_EARLY.get() {
        ticket.committed()
    } else {
        ticket
    }
}
