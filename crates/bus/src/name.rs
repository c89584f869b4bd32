//! One process to a name.
//!
//! Two controllers or two invokers of one name take each other's topics away. Who starts asks on a broadcast whether its name is
//! taken, and stops if it is: the one that was there goes on. Nobody answers for a process that died, so a restart waits for
//! no more than [`SILENCE`]. Two that start at once hear each other, and the lesser life gives way. What escapes this, such as a process that was frozen
//! while it was asked, the group on the topic finds out.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::messages::{INSTANCES, Instance, read};
use crate::{Durability, Error, Key, Message, MessageBus, Subscription, TopicConfig};

/// How long after its own question has come back to it a process waits for an answer.
const SILENCE: Duration = Duration::from_secs(1);
/// How long the question may take to come back; without a word from the bus there is nothing to learn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name that nobody else has.
pub struct Name {
    bus: Arc<dyn MessageBus>,
    own: Instance,
    heard: Box<dyn Subscription>,
}

impl Name {
    /// Takes a name. `alike` are keys that all processes of this sort must have set alike, with their values; who has them
    /// otherwise is told of in the log.
    ///
    /// # Errors
    /// [`Error::NameTaken`], and those of the bus.
    pub async fn take(bus: Arc<dyn MessageBus>, name: &str, alike: &[(&str, String)]) -> Result<Name, Error> {
        bus.ensure_topic(&TopicConfig::broadcast(INSTANCES)).await?;
        let own = Instance {
            name: name.to_owned(),
            life: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            place: place(),
            to: None,
            alike: alike
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        };
        let heard = bus.subscribe(INSTANCES, &format!("{name}-{}", own.life), 64).await?;
        say(bus.clone(), own.clone()).await?;
        let mut name = Name { bus, own, heard };
        name.listen().await?;
        Ok(name)
    }

    async fn listen(&mut self) -> Result<(), Error> {
        let mut deadline = Instant::now() + PATIENCE;
        while let Ok(Some(delivery)) = timeout_at(deadline, self.heard.next()).await {
            let other = read::<Instance>(&delivery);
            delivery.commit();
            let Ok(other) = other else { continue };
            if other.life == self.own.life {
                deadline = Instant::now() + SILENCE;
            } else if self.concedes(&other) {
                return Err(Error::NameTaken {
                    name: self.own.name.clone(),
                    place: other.place.clone(),
                });
            } else if other.name == self.own.name && other.to.is_none() {
                self.answer(&other).await?;
            }
        }
        Ok(())
    }

    /// Whether a process that is still starting must give its name up to another: to one that answers it, and of two that
    /// ask to the greater.
    fn concedes(&self, other: &Instance) -> bool {
        let asks = other.to.is_none() && other.life > self.own.life;
        other.name == self.own.name && (asks || other.to.as_ref() == Some(&self.own.life))
    }

    /// Answers whoever asks for the name, until the bus is closed.
    pub async fn keep(mut self) {
        while let Some(delivery) = self.heard.next().await {
            let other = read::<Instance>(&delivery);
            delivery.commit();
            let Ok(other) = other else { continue };
            if other.to.is_some() || other.life == self.own.life {
                continue;
            }
            self.compare(&other);
            if other.name == self.own.name {
                tracing::warn!(
                    name = other.name,
                    place = other.place,
                    "another process with this name has started; it is told to stop"
                );
                if let Err(error) = self.answer(&other).await {
                    tracing::warn!(%error, "another process of this name could not be told to stop");
                }
            }
        }
    }

    /// Tells another process that its name is taken. A future that does not borrow this, which only one thread may use.
    fn answer(&self, other: &Instance) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let answer = Instance {
            to: Some(other.life.clone()),
            ..self.own.clone()
        };
        say(self.bus.clone(), answer)
    }

    /// Says what another process has set otherwise.
    fn compare(&self, other: &Instance) {
        for (key, ours) in &self.own.alike {
            let theirs = other.alike.iter().find(|(theirs, _)| theirs == key);
            if let Some((_, theirs)) = theirs.filter(|(_, theirs)| theirs != ours) {
                tracing::error!(
                    key,
                    ours,
                    theirs,
                    other = other.name,
                    place = other.place,
                    "this key must be the same everywhere, and is not"
                );
            }
        }
    }
}

async fn say(bus: Arc<dyn MessageBus>, instance: Instance) -> Result<(), Error> {
    let message = Message::local(Key::None, Arc::new(instance));
    bus.publish(INSTANCES, message, Durability::Volatile).await.map(drop)
}

/// Where this process runs.
fn place() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, open};

    fn bus() -> Arc<dyn MessageBus> {
        open(&Config::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_is_taken_is_not_given_again() {
        let bus = bus();
        let first = Name::take(bus.clone(), "controller0", &[]).await.unwrap();
        let kept = tokio::spawn(first.keep());
        let second = Name::take(bus.clone(), "controller0", &[]).await.err().unwrap();
        assert!(
            matches!(&second, Error::NameTaken { name, .. } if name == "controller0"),
            "{second}"
        );
        Name::take(bus.clone(), "controller1", &[]).await.unwrap();
        kept.abort();
        let _ended = kept.await;
        Name::take(bus, "controller0", &[]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_start_at_once_or_nearly_so_one_gives_way() {
        for apart_ms in [0, 1, 300, 900] {
            // Which of them is the greater is chance.
            for _ in 0..8 {
                let bus = bus();
                let take = || Name::take(bus.clone(), "invoker0", &[]);
                let later = async {
                    tokio::time::sleep(Duration::from_millis(apart_ms)).await;
                    take().await
                };
                let first = async { tokio::spawn(take().await?.keep()).await.map_err(|_| Error::Closed) };
                let (one, other) = tokio::join!(tokio::time::timeout(SILENCE * 3, first), later);
                let first_goes_on = one.is_err();
                assert!(first_goes_on != other.is_ok(), "{apart_ms} ms apart");
            }
        }
    }
}
