//! Taking over what controllers and invokers that stay away have left on their topics.
//!
//! What an invoker left goes to the topic of activations that are placed anew ([`super::elsewhere`]), what a controller left to
//! this controller's own: promises, of each composition its newest state alone, and cancellations before them. A message is
//! published, durably, where it goes to before it is committed where it was; it counts there as redelivered if its owner may have
//! seen it, so that it is looked up before it is run or stored again, and an action that may be tried once only is not. It takes
//! seconds, in which an owner that comes back waits; what it finds then is what came since.
//!
//! **Left to others.** Which topics, when, and by whom: [`lookout`], purely. Running anything.
//!
//! Invariant: nothing is committed that is not durable elsewhere.

mod lookout;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wsk_bus::messages::ELSEWHERE;
use wsk_bus::{Delivery, Error, TopicConfig};

use super::App;
use super::balancer::Health;
use super::owed::Backlog;
use crate::metrics;
use lookout::{Left, Lookout, What};

/// Messages passed on in one group write.
const BATCH: usize = 100;
/// How long the bus may take for the next message before the rest is left for later.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes over what is left, for as long as the bus is open.
pub async fn watch(app: Arc<App>, after: Duration) {
    let mut lookout = Lookout::new(&app.config.id, after);
    loop {
        tokio::time::sleep(lookout.pause()).await;
        let standings = match app.bus.standings().await {
            Ok(standings) => standings,
            Err(error) => {
                tracing::debug!(%error, "who reads which topic is not known");
                lookout.lose_sight();
                continue;
            }
        };
        for left in lookout.look(&standings, Instant::now()) {
            let mut passed_on = 0;
            let result = app.take_over(&left, &mut passed_on).await;
            if passed_on > 0 {
                metrics::TAKEN_OVER.inc_by(passed_on);
                tracing::info!(topic = %left.topic, passed_on, "took over what an owner that stays away has left");
            }
            if let Err(error) = result {
                tracing::warn!(topic = %left.topic, %error, "what was left on a topic stays there for now");
            }
        }
    }
}

impl App {
    async fn take_over(&self, left: &Left, passed_on: &mut u64) -> Result<(), Error> {
        let target = match left.what {
            // Nobody could run it.
            What::Activations if !self.invokers().iter().any(|(_, health)| *health == Health::Up) => return Ok(()),
            What::Activations => ELSEWHERE.into(),
            What::Promises => self.work.ledger.topic().clone(),
            What::Cancels => self.work.cancels.topic().clone(),
        };
        self.bus.ensure_topic(&TopicConfig::queue(&*left.topic)).await?;
        if self.bus.unfinished(&left.topic).await? == 0 {
            return Ok(());
        }
        let mut guest = self.bus.stand_in(&left.topic, &left.group, BATCH).await?;
        let (mut batch, mut promises) = (Vec::new(), Backlog::default());
        loop {
            let delivery = match timeout(PATIENCE, guest.next_of_backlog()).await {
                Ok(Some(delivery)) => delivery,
                Ok(None) => break,
                // Somebody else has it; or there is more, and the newest state of a composition may be among it.
                Err(_) => return Ok(()),
            };
            match left.what {
                What::Promises => promises.add(delivery),
                What::Activations | What::Cancels => batch.push(delivery),
            }
            if batch.len() >= BATCH {
                *passed_on += self.pass_on(&mut batch, &target).await?;
            }
        }
        for (_, delivery) in promises.newest() {
            batch.push(delivery);
            if batch.len() >= BATCH {
                *passed_on += self.pass_on(&mut batch, &target).await?;
            }
        }
        *passed_on += self.pass_on(&mut batch, &target).await?;
        Ok(())
    }

    /// Moves messages to another topic; how many.
    async fn pass_on(&self, batch: &mut Vec<Delivery>, target: &Arc<str>) -> Result<u64, Error> {
        let copies = batch.iter().map(|delivery| (target.clone(), delivery.pass_on()));
        self.bus.publish_all(copies.collect()).await?;
        let count = batch.len() as u64;
        batch.drain(..).for_each(Delivery::commit);
        Ok(count)
    }
}
