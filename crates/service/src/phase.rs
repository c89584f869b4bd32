//! Readiness phases of a process, and what each listener answers in each of them.

use tokio::sync::watch;

/// Where a process is in its life. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Stores, bus and caches are being opened.
    Starting,
    /// Serving.
    Ready,
    /// Finishing what was accepted.
    Draining,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The listener of the API that users call.
    Api,
    /// The listener of probes and metrics.
    Admin,
}

/// What a listener does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answers it.
    Serve,
    /// Answers it and closes the connection, so that the client's next request finds another process.
    ServeAndClose,
    /// Answers 503; the request was not begun.
    Refuse,
}

/// Handle on the phase of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Phases(watch::Sender<Phase>);

impl Phase {
    /// The word that `/ready` shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// What `listener` does with a request in this phase. Probes and metrics are answered always: an operator needs them
    /// most while a process starts or drains.
    pub fn verdict(self, listener: Listener) -> Verdict {
        match (self, listener) {
            (Self::Starting, Listener::Api) => Verdict::Refuse,
            (Self::Ready, Listener::Api) => Verdict::Serve,
            (Self::Draining, Listener::Api) => Verdict::ServeAndClose,
            (Self::Starting | Self::Ready | Self::Draining, Listener::Admin) => Verdict::Serve,
        }
    }
}

impl Phases {
    /// A process that is starting.
    pub fn starting() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    /// The phase right now.
    pub fn current(&self) -> Phase {
        *self.0.borrow()
    }

    /// Moves forward to `phase`; a step back is ignored, so that a late "ready" cannot undo a drain.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let forward = phase > *current;
            if forward {
                *current = phase;
            }
            forward
        });
    }

    /// Waits until `phase` is reached or passed.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.subscribe();
        receiver
            .wait_for(|current| *current >= phase)
            .await
            .expect("self keeps the sender alive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_cannot_be_undone() {
        let phases = Phases::starting();
        phases.advance(Phase::Draining);
        phases.advance(Phase::Ready);
        assert_eq!(phases.current(), Phase::Draining);
    }

    #[test]
    fn every_listener_answers_in_every_phase() {
        let api = [Phase::Starting, Phase::Ready, Phase::Draining].map(|phase| phase.verdict(Listener::Api));
        assert_eq!(api, [Verdict::Refuse, Verdict::Serve, Verdict::ServeAndClose]);
        let admin = [Phase::Starting, Phase::Ready, Phase::Draining].map(|phase| phase.verdict(Listener::Admin));
        assert_eq!(admin, [Verdict::Serve; 3]);
    }

    #[tokio::test]
    async fn waiting_ends_when_a_phase_is_passed() {
        let phases = Phases::starting();
        let waiting = phases.clone();
        let waiter = tokio::spawn(async move { waiting.reached(Phase::Ready).await });
        phases.advance(Phase::Draining);
        waiter.await.unwrap();
    }
}
