//! What the seam itself does with what an adapter says.

use std::sync::Mutex;

use super::*;

/// A bus that says so of the queue `owed0`, one answer after the other; then that nobody reads it.
struct Told(Mutex<Vec<Result<usize, Error>>>);

#[async_trait::async_trait]
impl MessageBus for Told {
    async fn ensure_topic(&self, _: &TopicConfig) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn publish(&self, _: &str, _: Message, _: Durability) -> Result<Receipt, Error> {
        Err(Error::Closed)
    }

    async fn publish_all(&self, _: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        Err(Error::Closed)
    }

    async fn subscribe(&self, _: &str, _: &str, _: usize) -> Result<Box<dyn Subscription>, Error> {
        Err(Error::Closed)
    }

    async fn standings(&self) -> Result<Vec<Standing>, Error> {
        let answer = self.0.lock().unwrap().pop().unwrap_or(Ok(0));
        answer.map(|readers| {
            let topic = "owed0".to_owned();
            vec![Standing { topic, readers }]
        })
    }

    fn depth(&self, _: &str) -> u64 {
        0
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn silence() -> Error {
    Error::Unreachable {
        brokers: "nowhere:9092".to_owned(),
        reason: "silence".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_say_who_reads_a_topic_does_not_say_that_nobody_does() {
    let answers = vec![Ok(0), Ok(1), Err(silence()), Ok(1), Err(silence())];
    let told = Arc::new(Told(Mutex::new(answers)));
    let bus: Arc<dyn MessageBus> = told.clone();
    bus.vacated("owed0").await;
    assert!(told.0.lock().unwrap().is_empty(), "its guests were still there");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_never_says_who_reads_a_topic_keeps_nobody_for_ever() {
    let answers = (0..1_000).map(|_| Err(silence())).collect();
    let bus: Arc<dyn MessageBus> = Arc::new(Told(Mutex::new(answers)));
    let began = tokio::time::Instant::now();
    bus.vacated("owed0").await;
    assert!(began.elapsed() >= GUESTS && began.elapsed() < GUESTS + 2 * LOOK);
}
