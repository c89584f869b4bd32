//! One question at a time about each topic, and its answer for everybody who had the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::Error;

/// What came of a topic's last turn, and when.
type Turn = tokio::sync::Mutex<Option<(Instant, Result<(), Error>)>>;

/// Whose turn it is, by topic: messages want a topic by the hundred, and a Kafka that is slow must not be asked once for each.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<Turn>>>);

impl Turns {
    /// Does `work` on a topic, unless the same ends while this waits for its turn: then it is what came of that. Work that is
    /// dropped on the way is left to the next in turn.
    pub(super) async fn take(&self, topic: &str, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let wanted = Instant::now();
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(topic.to_owned()).or_default().clone()
        };
        let mut last = turn.lock().await;
        if let Some((when, outcome)) = &*last
            && *when >= wanted
        {
            return outcome.clone();
        }
        let outcome = work.await;
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    /// Work that takes a while and ends with an error that says how many were done before it.
    async fn counted(done: &AtomicUsize) -> Result<(), Error> {
        let before = done.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(20)).await;
        Err(Error::Configuration(before.to_string()))
    }

    #[tokio::test]
    async fn many_who_want_a_topic_at_once_ask_once_and_get_the_same() {
        let shared = Arc::new((Turns::default(), AtomicUsize::new(0)));
        let mut all = JoinSet::new();
        for _ in 0..100 {
            let shared = shared.clone();
            all.spawn(async move { shared.0.take("completed0", counted(&shared.1)).await });
        }
        while let Some(outcome) = all.join_next().await {
            let outcome = outcome.unwrap();
            assert!(matches!(outcome, Err(Error::Configuration(said)) if said == "0"));
        }
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_failure_is_no_answer_for_those_who_come_later_or_want_another_topic() {
        let (turns, done) = (Turns::default(), AtomicUsize::new(0));
        turns.take("completed0", counted(&done)).await.unwrap_err();
        turns.take("completed1", counted(&done)).await.unwrap_err();
        assert!(turns.take("completed0", async { Ok(()) }).await.is_ok());
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_turn_to_the_next() {
        let (turns, done) = (Turns::default(), AtomicUsize::new(0));
        let first = turns.take("completed0", std::future::pending());
        let given_up = tokio::time::timeout(Duration::from_millis(10), first);
        let (given_up, next) = tokio::join!(given_up, turns.take("completed0", counted(&done)));
        assert!(given_up.is_err());
        next.unwrap_err();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
