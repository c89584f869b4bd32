//! The states of a container that takes nothing any more.

use super::Next;
use super::vocabulary::{Effect, Event, NOTHING, State, one};

pub(super) fn drains(active: u32, abandoned: u32) -> State {
    State::Draining { active, abandoned }
}

pub(super) fn unwanted(event: Event) -> Next {
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
        | Event::Withdrawn
        | Event::Abandoned
        | Event::AbandonedEnded
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (State::Unwanted, NOTHING),
    }
}

pub(super) fn draining(active: u32, abandoned: u32, event: Event) -> Next {
    match event {
        Event::Assign => (drains(active, abandoned), one(Effect::Refuse)),
        Event::Finished(_) if active > abandoned + 1 => (drains(active - 1, abandoned), NOTHING),
        Event::Finished(_) => (State::Removing, one(Effect::Destroy)),
        Event::Abandoned if active > abandoned + 1 => (drains(active, abandoned + 1), NOTHING),
        Event::Abandoned => (State::Removing, one(Effect::Destroy)),
        Event::AbandonedEnded if abandoned > 0 => (drains(active - 1, abandoned - 1), NOTHING),
        Event::Start
        | Event::Created
        | Event::CreateFailed
        | Event::Initialised
        | Event::InitFailed
        | Event::Condemn
        | Event::Timer(_)
        | Event::PauseDone
        | Event::PauseFailed
        | Event::Withdrawn
        | Event::AbandonedEnded
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (drains(active, abandoned), NOTHING),
    }
}

pub(super) fn removing(event: Event) -> Next {
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
        | Event::Withdrawn
        | Event::Abandoned
        | Event::AbandonedEnded
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict => (State::Removing, NOTHING),
    }
}

pub(super) fn removed(event: Event) -> Next {
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
        | Event::Withdrawn
        | Event::Abandoned
        | Event::AbandonedEnded
        | Event::ResumeDone
        | Event::ResumeFailed
        | Event::Evict
        | Event::Destroyed => (State::Removed, NOTHING),
    }
}
