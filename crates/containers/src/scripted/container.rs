//! The scripted factory and its containers behind the seam.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    CallKind, Factory, Reply, lock,
    stage::{Life, Stage},
    watched::Watched,
};
use crate::{Answer, Call, CallError, Container, ContainerFactory, Error, Layer, LogRequest, Logs, Spec, Until};

struct Scripted {
    id: String,
    stage: Arc<Mutex<Stage>>,
    life: Watched<Life>,
}

impl Scripted {
    async fn call(&self, kind: CallKind, call: Call) -> Result<Answer, CallError> {
        let (reply, permits) = {
            let mut stage = lock(&self.stage);
            let reply = stage.enter(&self.id, kind, call.body.to_bytes());
            (reply, stage.actors[&self.id].permits.clone())
        };
        let performed = async {
            let _permit = permits.acquire().await;
            self.perform(kind, reply, call.answer_limit).await
        };
        match tokio::time::timeout(call.limit, performed).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn perform(&self, kind: CallKind, reply: Reply, answer_limit: usize) -> Result<Answer, CallError> {
        if self.life.get().is_over() {
            return Err(CallError::Refused);
        }
        tokio::select! {
            biased;
            () = self.life.until(Life::is_over) => return Err(CallError::ConnectionLost),
            () = self.thawed_for(reply.after) => {}
        }
        let late = reply.sentinel_after;
        let finished = lock(&self.stage).finish(&self.id, kind, reply, answer_limit);
        if !late.is_zero() {
            let (stage, id) = (self.stage.clone(), self.id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                lock(&stage).close_segment(&id);
            });
        }
        match finished {
            Some(result) => result,
            None => {
                self.life.until(Life::is_over).await;
                Err(CallError::ConnectionLost)
            }
        }
    }

    /// Sleeps, and then waits until the container is not frozen.
    async fn thawed_for(&self, span: Duration) {
        if !span.is_zero() {
            tokio::time::sleep(span).await;
        }
        self.life.until(|life| life != Life::Paused).await;
    }

    async fn sentinels_or_death(&self) {
        loop {
            let written = {
                let stage = lock(&self.stage);
                let actor = &stage.actors[&self.id];
                if !actor.segments.is_empty() || !actor.alive() {
                    return;
                }
                actor.written.clone().notified_owned()
            };
            tokio::select! {
                biased;
                () = written => {}
                () = self.life.until(Life::is_over) => {}
            }
        }
    }

    /// Moves between running and paused; `Ok(false)` when it was there already.
    fn turn(&self, from: Life, to: Life) -> Result<bool, Error> {
        let stage = lock(&self.stage);
        let actor = stage.actors.get(&self.id).filter(|actor| actor.alive());
        let actor = actor.ok_or_else(|| Error::Gone { id: self.id.clone() })?;
        Ok(actor.life.turn(from, to))
    }
}

#[async_trait]
impl ContainerFactory for Factory {
    async fn create(&self, spec: Spec) -> Result<Arc<dyn Container>, Error> {
        let planned = {
            let mut stage = lock(&self.0);
            if stage.closed {
                return Err(Error::ShuttingDown);
            }
            let planned = stage.next_starts.pop_front();
            let planned = planned.unwrap_or_else(|| (stage.start.clone())(&spec));
            stage.counts.failed += usize::from(planned.is_err());
            planned?
        };
        if !planned.is_zero() {
            tokio::time::sleep(planned).await;
        }
        let (id, life) = lock(&self.0).admit(spec).ok_or(Error::ShuttingDown)?;
        Ok(Arc::new(Scripted {
            id,
            stage: self.0.clone(),
            life,
        }))
    }

    async fn sweep(&self) -> Result<usize, Error> {
        Ok(0)
    }

    async fn shutdown(&self) -> Result<(), Error> {
        let mut stage = lock(&self.0);
        stage.closed = true;
        let mut destroyed = 0;
        for actor in stage.actors.values() {
            destroyed += usize::from(actor.life.set(Life::Destroyed) != Life::Destroyed);
        }
        stage.counts.destroyed += destroyed;
        Ok(())
    }

    fn layers(&self) -> Vec<Layer> {
        Vec::new()
    }
}

#[async_trait]
impl Container for Scripted {
    fn id(&self) -> &str {
        &self.id
    }

    async fn init(&self, call: Call) -> Result<Answer, CallError> {
        // A refused `/init` is retried by contract, so a script that says "refused" asks for a retry in 50 ms.
        let retry = Duration::from_millis(50);
        let limit = call.limit;
        let attempts = async {
            let mut result = self.call(CallKind::Init, call.clone()).await;
            while result == Err(CallError::Refused) && !self.life.get().is_over() {
                tokio::time::sleep(retry).await;
                if let Some(actor) = lock(&self.stage).actors.get_mut(&self.id) {
                    actor.inits = 0;
                }
                result = self.call(CallKind::Init, call.clone()).await;
            }
            result
        };
        match tokio::time::timeout(limit, attempts).await {
            Ok(Err(CallError::Refused)) => Err(CallError::ConnectionLost),
            Ok(result) => result,
            Err(_) => Err(CallError::Timeout),
        }
    }

    async fn run(&self, call: Call) -> Result<Answer, CallError> {
        self.call(CallKind::Run, call).await
    }

    async fn logs(&self, request: LogRequest) -> Logs {
        if request.until == Until::Sentinel {
            let _ = tokio::time::timeout(request.wait, self.sentinels_or_death()).await;
        }
        let mut stage = lock(&self.stage);
        let actor = stage.actors.get_mut(&self.id).expect("an actor outlives its container");
        let mut logs = actor.segments.pop_front().unwrap_or_else(|| Logs {
            lines: std::mem::take(&mut actor.open_segment),
            truncated: false,
            incomplete: request.until == Until::Sentinel,
        });
        logs.truncate(request.limit_bytes);
        logs
    }

    async fn pause(&self) -> Result<(), Error> {
        let changed = self.turn(Life::Running, Life::Paused)?;
        lock(&self.stage).counts.paused += usize::from(changed);
        Ok(())
    }

    async fn resume(&self) -> Result<(), Error> {
        let changed = self.turn(Life::Paused, Life::Running)?;
        lock(&self.stage).counts.resumed += usize::from(changed);
        Ok(())
    }

    async fn destroy(&self) -> Result<(), Error> {
        let mut stage = lock(&self.stage);
        let Some(actor) = stage.actors.get(&self.id) else {
            return Ok(());
        };
        let first = actor.life.set(Life::Destroyed) != Life::Destroyed;
        stage.counts.destroyed += usize::from(first);
        Ok(())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let mut stage = lock(&self.stage);
        let left = stage
            .actors
            .remove(&self.id)
            .is_some_and(|actor| actor.life.get() != Life::Destroyed);
        stage.counts.dropped += usize::from(left);
    }
}
