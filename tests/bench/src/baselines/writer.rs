//! **writer**: append and fdatasync with group commit: many writers wait for one sync.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    asked: u64,
    durable: u64,
    ended: bool,
}

/// Durable records per second, with `writers` threads each appending records of `size` bytes one after the other.
pub fn rate(folder: &Path, writers: usize, size: usize, time: Duration) -> Result<f64> {
    let shared = Arc::new((Mutex::new(State::default()), Condvar::new(), Condvar::new()));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("writer.log"))?;
    let syncer = {
        let shared = shared.clone();
        std::thread::spawn(move || -> Result<()> {
            let (state, wanted, done) = &*shared;
            loop {
                let mut guard = state.lock().expect("no panic under this lock");
                while guard.pending.is_empty() && !guard.ended {
                    guard = wanted.wait(guard).expect("no panic under this lock");
                }
                if guard.pending.is_empty() {
                    return Ok(());
                }
                let (batch, upto) = (std::mem::take(&mut guard.pending), guard.asked);
                drop(guard);
                file.write_all(&batch)?;
                file.sync_data()?;
                state.lock().expect("no panic under this lock").durable = upto;
                done.notify_all();
            }
        })
    };
    let begun = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| appender(shared.clone(), size, begun + time))
        .collect();
    let total: u64 = threads
        .into_iter()
        .map(|t| t.join().expect("a writer does not panic"))
        .sum();
    let took = begun.elapsed();
    shared.0.lock().expect("no panic under this lock").ended = true;
    shared.1.notify_all();
    syncer.join().expect("the syncer does not panic")?;
    Ok(total as f64 / took.as_secs_f64())
}

type Shared = Arc<(Mutex<State>, Condvar, Condvar)>;

fn appender(shared: Shared, size: usize, until: Instant) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let (state, wanted, done) = &*shared;
        let record = vec![b'x'; size];
        let mut written = 0;
        while Instant::now() < until {
            let mut guard = state.lock().expect("no panic under this lock");
            guard.pending.extend_from_slice(&record);
            guard.asked += 1;
            let mine = guard.asked;
            wanted.notify_one();
            while guard.durable < mine {
                guard = done.wait(guard).expect("no panic under this lock");
            }
            written += 1;
        }
        written
    })
}
