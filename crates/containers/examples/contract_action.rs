//! The action that the contract suite talks to. What it does is said by `do` in the posted value; see `contract.rs`.

mod server;

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Map, Value, json};
use server::Reply;

static INITS: AtomicU64 = AtomicU64::new(0);
static RUNS: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);

fn main() {
    server::serve(handle);
}

fn handle(path: &str, value: &Value) -> Reply {
    if path == "/init" {
        INITS.fetch_add(1, Ordering::Relaxed);
        return match value["do"].as_str() {
            Some(_) => perform(value),
            None => Reply::json(json!({"ok": true})),
        };
    }
    RUNS.fetch_add(1, Ordering::Relaxed);
    let reply = perform(value);
    if value["sentinel"] != false {
        server::sentinel();
    }
    reply
}

fn perform(value: &Value) -> Reply {
    let number = |name: &str| value[name].as_u64().unwrap_or(0);
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    match value["do"].as_str().unwrap_or_default() {
        "echo" => return Reply::json(value.clone()),
        "counts" => {
            let counts = [&INITS, &RUNS, &TICKS].map(|counter| counter.load(Ordering::Relaxed));
            return Reply::json(json!({"inits": counts[0], "runs": counts[1], "ticks": counts[2]}));
        }
        "env" => {
            return Reply::json(Value::Object(
                std::env::vars().map(|(k, v)| (k, v.into())).collect::<Map<_, _>>(),
            ));
        }
        "folder" => {
            let written = std::fs::write("written", "here").and_then(|()| std::env::current_dir());
            return server::outcome(written.map(|folder| folder.display().to_string()));
        }
        "print" => {
            print!("{}", text("out"));
            eprint!("{}", text("err"));
            let _ = std::io::stdout().flush();
        }
        "flood" => {
            let line = [vec![b'x'; 99], vec![b'\n']].concat();
            let mut out = std::io::stdout().lock();
            for _ in 0..number("lines") {
                let _ = out.write_all(&line);
            }
        }
        "sleep" => nap(number("ms")),
        "tick" => {
            thread::spawn(|| {
                loop {
                    TICKS.fetch_add(1, Ordering::Relaxed);
                    nap(1);
                }
            });
        }
        "exit" => std::process::exit(3),
        "close" => return Reply::Close,
        "eat" => {
            let eaten = vec![1_u8; (number("mb") << 20) as usize];
            return Reply::json(json!({"eaten": std::hint::black_box(eaten).len()}));
        }
        "keep" => {
            let kept = Box::leak(vec![1_u8; (number("mb") << 20) as usize].into_boxed_slice());
            return Reply::json(json!({"kept": std::hint::black_box(kept).len()}));
        }
        "big" => return Reply::Plain(200, "a".repeat(number("bytes") as usize)),
        "chunked" => return Reply::Chunked(text("body")),
        "status" => return Reply::Plain(number("status") as u16, text("body")),
        _ => {}
    }
    Reply::json(json!({}))
}

#[expect(clippy::disallowed_methods, reason = "an action that is told to sleep sleeps")]
fn nap(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}
