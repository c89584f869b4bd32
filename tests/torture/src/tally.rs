//! How often each activation ran: every run of an action sends its id here, in a datagram.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// The runs of one activation.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    pub count: u32,
    pub first: Instant,
    pub last: Instant,
}

/// Counts runs as long as it lives.
pub struct Tally {
    pub port: u16,
    runs: Arc<Mutex<HashMap<String, Runs>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Tally {
    /// Listens for everybody where the cluster has a network of its own, in which containers are, and else for this machine.
    pub async fn open(own_network: bool) -> Result<Tally> {
        let host = if own_network { "0.0.0.0" } else { "127.0.0.1" };
        let socket = UdpSocket::bind((host, 0)).await?;
        let port = socket.local_addr()?.port();
        let runs: Arc<Mutex<HashMap<String, Runs>>> = Arc::default();
        let kept = runs.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let (id, now) = (String::from_utf8_lossy(&buffer[..length]).into_owned(), Instant::now());
                let mut runs = kept.lock().expect("no panic under this lock");
                let once = runs.entry(id).or_insert(Runs {
                    count: 0,
                    first: now,
                    last: now,
                });
                (once.count, once.last) = (once.count + 1, now);
            }
        });
        Ok(Tally { port, runs, task })
    }

    /// What has run so far.
    pub fn runs(&self) -> HashMap<String, Runs> {
        self.runs.lock().expect("no panic under this lock").clone()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.task.abort();
    }
}
