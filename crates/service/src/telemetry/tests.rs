use super::*;
use crate::telemetry::{Transaction, record, targets};
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn logged(level: &str, format: Format, work: impl FnOnce()) -> String {
    let page = Page::default();
    let writer = page.clone();
    let output = Output::new(targets(level).unwrap(), format, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(output), work);
    page.text()
}

fn block_on(future: impl Future) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future);
}

#[test]
fn a_line_carries_its_transaction_and_what_was_found_out_later() {
    let page = logged("info", Format::Human, || {
        block_on(Transaction::new("abc").run(async {
            record("activation_id", "0123");
            tokio::task::yield_now().await;
            tracing::info!(target: "wsk_test", bytes = 5, text = "a\nb", "activation stored");
        }));
        tracing::info!(target: "wsk_test", "outside");
    });
    let lines: Vec<_> = page.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines[0],
        r#"INFO  [#tid_abc] wsk_test: activation stored bytes=5 text="a\nb" activation_id=0123"#
    );
    assert_eq!(lines[1], "INFO  wsk_test: outside");
}

#[test]
fn a_json_line_is_one_object() {
    let page = logged("info", Format::Json, || {
        block_on(Transaction::new("a\"b").run(async {
            tracing::warn!(target: "wsk_test", bytes = 5_u64, error = %"no\nspace", "store is slow");
        }));
    });
    let line: serde_json::Value = serde_json::from_str(page.trim_end()).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["transid"], "a\"b");
    assert_eq!(line["message"], "store is slow");
    assert_eq!(line["error"], "no\nspace");
    assert_eq!(line["bytes"].to_string(), "5");
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the root failed")]
    Silent(#[source] io::Error),
    #[error("the root failed: {0}")]
    Telling(#[source] io::Error),
}

#[test]
fn an_error_is_written_with_its_cause_once() {
    for format in [Format::Human, Format::Json] {
        for of in [Failure::Silent, Failure::Telling] {
            let page = logged("info", format, || {
                let error = of(io::Error::other("no such\nfolder"));
                tracing::warn!(target: "wsk_test", error = &error as &dyn Error, "again");
            });
            assert!(page.contains(r"the root failed: no such\nfolder"), "{page}");
            assert_eq!(page.matches("no such").count(), 1, "{page}");
        }
    }
}

#[test]
fn extra_logging_shows_debug_lines_of_one_transaction_only() {
    let page = logged("info", Format::Human, || {
        let say = |who: &'static str| async move { tracing::debug!(target: "wsk_test", who, "looked up") };
        block_on(Transaction::with_extra_logging("loud").run(say("loud")));
        let _alive = Transaction::with_extra_logging("elsewhere");
        block_on(Transaction::new("quiet").run(say("quiet")));
    });
    assert_eq!(page.lines().count(), 1, "{page}");
    assert!(page.contains("who=\"loud\""), "{page}");
}

#[test]
fn levels_differ_by_target() {
    let page = logged("warn,wsk_invoker=debug", Format::Human, || {
        tracing::info!(target: "wsk_store", "hidden");
        tracing::debug!(target: "wsk_invoker::pool", "shown");
    });
    assert!(page.contains("shown") && !page.contains("hidden"), "{page}");
    assert!(
        targets("info,wsk=loud")
            .unwrap_err()
            .to_string()
            .starts_with("log level `info,wsk=loud` is not understood")
    );
}

#[test]
fn a_nested_transaction_gives_way_when_it_ends() {
    block_on(Transaction::new("outer").run(async {
        Transaction::new("inner")
            .run(async { assert_eq!(Transaction::current().unwrap().id(), "inner") })
            .await;
        assert_eq!(Transaction::current().unwrap().id(), "outer");
    }));
    assert!(Transaction::current().is_none());
}

/// Not a promise to the nanosecond: it fails when somebody opens a span or allocates per request.
#[test]
fn a_request_that_logs_nothing_pays_little() {
    let id: Arc<str> = "0123456789abcdef0123456789abcdef".into();
    let mut best = std::time::Duration::MAX;
    logged("info", Format::Human, || {
        for _ in 0..20 {
            let start = std::time::Instant::now();
            for _ in 0..1_000 {
                block_ready(Transaction::new(id.clone()).run(async { tracing::debug!(target: "wsk_test", "unseen") }));
            }
            best = best.min(start.elapsed() / 1_000);
        }
    });
    println!("{best:?} per request");
    assert!(
        best < std::time::Duration::from_micros(if cfg!(debug_assertions) { 5 } else { 1 }),
        "{best:?}"
    );
}

fn block_ready(future: impl Future<Output = ()>) {
    let future = std::pin::pin!(future);
    assert!(
        future
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    );
}
