//! One container of the engine as a [`Container`].

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    errors::Error as ApiError,
    query_parameters::{KillContainerOptions, WaitContainerOptions},
};
use futures_util::StreamExt;
use tokio::sync::{Mutex, OnceCell, watch};

use super::{
    engine::{Engine, failed, status},
    factory::Factory,
    output::Output,
};
use crate::{
    Answer, Call, CallError, Container, Error, LogLine, LogRequest, Logs, SENTINEL,
    client::{Client, Endpoint},
};

/// A container of the engine.
pub(super) struct Contained {
    client: Client,
    output: Arc<Output>,
    remains: Arc<Remains>,
    /// That it ran out of memory was told already.
    memory_told: AtomicBool,
}

/// What must be cleared away when a container ends, even if its [`Contained`] is gone.
pub(super) struct Remains {
    name: String,
    engine: Arc<Engine>,
    output: Arc<Output>,
    ended: watch::Sender<Option<End>>,
    /// Whether it is paused; held while the engine is asked for a change.
    paused: Mutex<bool>,
    buried: OnceCell<()>,
    factory: Weak<Factory>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    out_of_memory: bool,
}

/// Tells when a container has ended.
pub(super) type Ended = watch::Receiver<Option<End>>;

/// What else a container is made from.
pub(super) struct Making {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) concurrency: u32,
    pub(super) log_capacity: usize,
    pub(super) log_quiet: Duration,
    pub(super) engine: Arc<Engine>,
    pub(super) factory: Weak<Factory>,
}

/// After a lost connection: how long the engine may take to say that the container ended, and why.
const VERDICT_WAIT: Duration = Duration::from_millis(500);
/// How long an answer may still come in from a container that has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How long the rest of a dead container's log may take.
const LOG_WAIT: Duration = Duration::from_secs(2);
/// Time before an engine that could not be asked is asked again.
const AGAIN: Duration = Duration::from_millis(250);

impl Contained {
    /// Takes a started container over and begins to watch it.
    pub(super) fn new(making: Making) -> Contained {
        let output = Output::new(SENTINEL, making.log_capacity, making.log_quiet);
        let remains = Arc::new(Remains {
            name: making.name,
            engine: making.engine,
            output: output.clone(),
            ended: watch::Sender::new(None),
            paused: Mutex::new(false),
            buried: OnceCell::new(),
            factory: making.factory,
        });
        let watched = remains.clone();
        tokio::spawn(async move {
            let follow = watched
                .output
                .follow(&watched.engine, &watched.name, watched.ended.subscribe());
            tokio::join!(watched.watch(), follow);
        });
        Contained {
            client: Client::new(Endpoint::Tcp(making.address), making.concurrency),
            output,
            remains,
            memory_told: AtomicBool::new(false),
        }
    }

    pub(super) fn remains(&self) -> &Arc<Remains> {
        &self.remains
    }

    /// Carries a call out as long as the container lives.
    async fn call(&self, call: impl Future<Output = Result<Answer, CallError>>) -> Result<Answer, CallError> {
        let mut ended = self.remains.ended.subscribe();
        if ended.borrow().is_some() {
            // Its address may be another's by now.
            return self.judge(Err(CallError::Refused)).await;
        }
        let mut call = pin!(call);
        let result = tokio::select! {
            biased;
            result = &mut call => result,
            _ = end_of(&mut ended) => {
                tokio::time::timeout(LAST_WORDS, call).await.unwrap_or(Err(CallError::ConnectionLost))
            }
        };
        self.judge(result).await
    }

    /// Adds the engine's word to a call that did not go well.
    async fn judge(&self, result: Result<Answer, CallError>) -> Result<Answer, CallError> {
        match result {
            Ok(answer) if answer.status == 200 => Ok(answer),
            Ok(answer) => {
                let inspected = self.remains.engine.inspect(&self.remains.name).await;
                let state = inspected.ok().flatten().and_then(|inspected| inspected.state);
                let out_of_memory = state.and_then(|state| state.oom_killed).unwrap_or(false);
                Ok(Answer {
                    out_of_memory: out_of_memory && !self.memory_told.swap(true, Ordering::Relaxed),
                    ..answer
                })
            }
            Err(error @ (CallError::ConnectionLost | CallError::Refused)) => {
                let mut ended = self.remains.ended.subscribe();
                let end = tokio::time::timeout(VERDICT_WAIT, end_of(&mut ended)).await;
                let out_of_memory = end.ok().flatten().is_some_and(|end| end.out_of_memory);
                match out_of_memory && !self.memory_told.swap(true, Ordering::Relaxed) {
                    true => Err(CallError::OutOfMemory),
                    false => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Container for Contained {
    fn id(&self) -> &str {
        &self.remains.name
    }

    async fn init(&self, call: Call) -> Result<Answer, CallError> {
        let result = self.call(self.client.init(call, || self.remains.has_ended())).await;
        // Nobody will ever listen again.
        result.map_err(|error| match error {
            CallError::Refused => CallError::ConnectionLost,
            error => error,
        })
    }

    async fn run(&self, call: Call) -> Result<Answer, CallError> {
        let result = self.call(self.client.run(call)).await;
        self.output.ran();
        result
    }

    async fn settle(&self) {
        self.output.settle().await;
    }

    async fn logs(&self, request: LogRequest) -> Logs {
        self.output.collect(request).await
    }

    fn printed(&self, from: usize, limit_bytes: u64) -> Vec<LogLine> {
        self.output.printed(from, limit_bytes)
    }

    async fn pause(&self) -> Result<(), Error> {
        self.remains.set_paused(true).await
    }

    async fn resume(&self) -> Result<(), Error> {
        self.remains.set_paused(false).await
    }

    async fn destroy(&self) -> Result<(), Error> {
        self.remains.bury().await
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        if self.remains.buried.initialized() {
            return;
        }
        let remains = self.remains.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = remains.bury().await {
                    tracing::warn!(container = remains.name, %error, "a dropped container could not be removed");
                }
            });
        }
    }
}

impl Remains {
    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn end(&self, end: End) {
        self.ended
            .send_if_modified(|ended| ended.is_none() && ended.replace(end).is_none());
    }

    /// Waits for the container to end and says so; survives an engine that is away for a while.
    async fn watch(&self) {
        loop {
            if let Ok(api) = self.engine.api().await {
                // What it answers does not matter: the inspection tells it all.
                let _ = api
                    .wait_container(&self.name, None::<WaitContainerOptions>)
                    .next()
                    .await;
            }
            match self.engine.inspect(&self.name).await {
                Ok(None) => return self.end(End { out_of_memory: false }),
                Ok(Some(inspected)) => {
                    let state = inspected.state.unwrap_or_default();
                    if state.running == Some(false) {
                        let out_of_memory = state.oom_killed.unwrap_or(false);
                        return self.end(End { out_of_memory });
                    }
                }
                Err(error) => {
                    tracing::warn!(container = self.name, %error, "the engine says nothing about a container")
                }
            }
            let mut ended = self.ended.subscribe();
            if tokio::time::timeout(AGAIN, end_of(&mut ended)).await.is_ok() {
                return;
            }
        }
    }

    async fn set_paused(&self, wanted: bool) -> Result<(), Error> {
        let mut paused = self.paused.lock().await;
        if self.has_ended() {
            return Err(self.gone());
        }
        if *paused == wanted {
            return Ok(());
        }
        let api = self.engine.api().await?;
        let changed = match wanted {
            true => {
                self.engine
                    .step(&self.name, "pause", api.pause_container(&self.name))
                    .await
            }
            false => {
                self.engine
                    .step(&self.name, "resume", api.unpause_container(&self.name))
                    .await
            }
        };
        match changed {
            Ok(Some(())) => *paused = wanted,
            Ok(None) => return Err(self.gone()),
            Err(error) => self.settle(wanted, &mut paused, error).await?,
        }
        Ok(())
    }

    /// The engine refuses what is so already, and what cannot be because the container ended.
    async fn settle(&self, wanted: bool, paused: &mut bool, error: Error) -> Result<(), Error> {
        let state = self
            .engine
            .inspect(&self.name)
            .await?
            .and_then(|inspected| inspected.state);
        match state {
            Some(state) if state.running == Some(true) => {
                *paused = state.paused.unwrap_or(*paused);
                if *paused == wanted { Ok(()) } else { Err(error) }
            }
            Some(_) | None => Err(self.gone()),
        }
    }

    /// Kills and clears away; once, whoever asks, and going on where a dropped attempt stopped.
    pub(super) async fn bury(&self) -> Result<(), Error> {
        self.buried.get_or_try_init(|| self.clear()).await.map(drop)
    }

    async fn clear(&self) -> Result<(), Error> {
        self.kill().await?;
        self.end(End { out_of_memory: false });
        // Removing it takes its log away.
        self.output.wait_for_end(LOG_WAIT).await;
        self.engine.remove(&self.name).await?;
        if let Some(factory) = self.factory.upgrade() {
            factory.forget(&self.name);
        }
        Ok(())
    }

    async fn kill(&self) -> Result<(), Error> {
        let options = KillContainerOptions {
            signal: "KILL".to_owned(),
        };
        match self.engine.api().await?.kill_container(&self.name, Some(options)).await {
            // 404, 409: it is gone, or does not run.
            Ok(()) => Ok(()),
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(ApiError::RequestTimeoutError) => Err(failed(&self.name, "kill", io::ErrorKind::TimedOut.into())),
            Err(error) => Err(failed(&self.name, "kill", io::Error::other(error))),
        }
    }

    fn gone(&self) -> Error {
        Error::Gone { id: self.name.clone() }
    }
}

/// Waits for the end of a container.
pub(super) async fn end_of(ended: &mut Ended) -> Option<End> {
    ended.wait_for(Option::is_some).await.ok().and_then(|end| *end)
}
