//! The promises of the seam as tests over any factory: public async functions that panic when one is broken.
//!
//! They talk to a program inside the container that does what `do` in the posted value says and ends each `/run`, unless
//! `"sentinel": false` stands beside it, with the sentinel on both streams:
//!
//! | `do` | with | does |
//! |---|---|---|
//! | `echo` | anything | answers the value itself |
//! | `counts` | | answers `inits`, `runs`, `ticks` so far |
//! | `env` | | answers its environment |
//! | `folder` | | writes a file to its working folder, then answers where that is |
//! | `print` | `out`, `err` | writes the two texts as they are |
//! | `flood` | `lines` | writes so many lines of 99 `x` to stdout |
//! | `sleep` | `ms` | answers later |
//! | `tick` | | starts counting `ticks`, one a millisecond |
//! | `exit` | | ends the program |
//! | `close` | | closes the connection without an answer |
//! | `eat` | `mb` | takes so much memory, then answers how much |
//! | `keep` | `mb` | takes so much memory for good |
//! | `big` | `bytes` | answers so many `a` |
//! | `chunked` | `body` | answers it chunked, without a length |
//! | `status` | `status`, `body` | answers just that |
//!
//! On `/init` it does the same without sentinels, or answers `{"ok":true}` when there is no `do`. `examples/contract_action.rs`
//! is that program.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    Answer, Call, CallError, Container, ContainerFactory, Error, LogRequest, Logs, Payload, Spec, Stream, Until,
};

/// A backend under test.
#[derive(Clone)]
pub struct Subject {
    pub factory: Arc<dyn ContainerFactory>,
    /// How to start the program described above, with 128 MB, concurrency 1, and the variable `CONTRACT` set to `kept`.
    pub spec: Spec,
    /// How to start the program `/nonexistent/program`.
    pub missing: Spec,
    /// Whether memory limits are enforced here.
    pub limits_memory: bool,
}

const LIMIT: Duration = Duration::from_secs(20);

/// Runs the whole suite. `factory` is shut down at the end.
pub async fn all(subject: &Subject) {
    subject.factory.sweep().await.expect("swept");
    answers_come_back(subject).await;
    environment_is_passed(subject).await;
    long_answers_are_cut_and_counted(subject).await;
    failures_are_told_apart(subject).await;
    time_limits_strike(subject).await;
    logs_belong_to_their_activation(subject).await;
    floods_do_not_block(subject).await;
    concurrency_is_bounded(subject).await;
    frozen_containers_stand_still(subject).await;
    memory_is_limited(subject).await;
    destroyed_is_gone(subject).await;
    missing_programs_are_named(subject).await;
    shutdown_takes_everything(subject).await;
}

/// `/init` once, then `/run` as often as wanted, all parts of a payload arriving as one.
pub async fn answers_come_back(subject: &Subject) {
    let container = started(subject).await;
    let value = json!({"do": "echo", "text": "❄ ☃", "number": 42});
    for _ in 0..3 {
        assert_eq!(parsed(&run(&*container, value.clone()).await), value);
    }
    let parts = [
        br#"{"val"#.to_vec(),
        br#"ue":{"do":"#.to_vec(),
        Vec::new(),
        br#""counts"}}"#.to_vec(),
    ];
    let body = Payload::from_parts(parts.map(Into::into));
    let answer = container
        .run(Call {
            body,
            limit: LIMIT,
            answer_limit: 1 << 20,
        })
        .await
        .expect("an answer");
    let counts = parsed(&answer);
    assert_eq!((&counts["inits"], &counts["runs"]), (&json!(1), &json!(4)));
    let large = json!({"do": "echo", "text": "a".repeat(1 << 20)});
    assert_eq!(parsed(&run(&*container, large.clone()).await), large);
    assert_eq!(
        parsed(&run(&*container, json!({"do": "chunked", "body": "[1,2]"})).await),
        json!([1, 2])
    );
    container.destroy().await.expect("destroyed");
}

/// Variables of the spec are there.
pub async fn environment_is_passed(subject: &Subject) {
    let container = started(subject).await;
    assert_eq!(
        parsed(&run(&*container, json!({"do": "env"})).await)["CONTRACT"],
        "kept"
    );
    container.destroy().await.expect("destroyed");
}

/// An answer beyond the limit is kept up to it, and its whole length reported.
pub async fn long_answers_are_cut_and_counted(subject: &Subject) {
    let container = started(subject).await;
    let exact = run_limited(&*container, json!({"do": "big", "bytes": 70_000}), LIMIT, 70_000)
        .await
        .expect("an answer");
    assert_eq!(
        (exact.body.len(), exact.length, exact.truncated),
        (70_000, 70_000, false)
    );
    let cut = run_limited(&*container, json!({"do": "big", "bytes": 3_000_001}), LIMIT, 1_000_000).await;
    let cut = cut.expect("an answer");
    assert_eq!(
        (cut.body.len(), cut.length, cut.truncated),
        (1_000_000, 3_000_001, true)
    );
    // The connection is as good as before.
    assert_eq!(run(&*container, json!({"do": "echo"})).await.status, 200);
    container.destroy().await.expect("destroyed");
}

/// Whether the action saw the request is never in doubt.
pub async fn failures_are_told_apart(subject: &Subject) {
    let container = started(subject).await;
    let odd = run(
        &*container,
        json!({"do": "status", "status": 502, "body": "{\"error\":1}"}),
    )
    .await;
    assert_eq!(
        (odd.status, &odd.body[..], odd.out_of_memory),
        (502, &b"{\"error\":1}"[..], false)
    );
    let full = try_run(&*container, json!({"do": "status", "status": 503})).await;
    assert_eq!(full, Err(CallError::Unavailable));
    assert_eq!(
        try_run(&*container, json!({"do": "close"})).await,
        Err(CallError::ConnectionLost)
    );
    assert_eq!(
        try_run(&*container, json!({"do": "exit"})).await,
        Err(CallError::ConnectionLost)
    );
    // Soon nobody is there any more, and nothing can have been seen; while it is dying that is not certain.
    let gone = async {
        while try_run(&*container, json!({"do": "echo"})).await != Err(CallError::Refused) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("refused in the end");
    container.destroy().await.expect("destroyed");

    let container = subject.factory.create(subject.spec.clone()).await.expect("created");
    let lost = container.init(call(json!({"do": "exit"}), LIMIT, 1_000)).await;
    assert_eq!(lost, Err(CallError::ConnectionLost));
    container.destroy().await.expect("destroyed");
}

/// Neither call outlasts its limit.
pub async fn time_limits_strike(subject: &Subject) {
    let container = started(subject).await;
    let limit = Duration::from_millis(150);
    let slow = json!({"do": "sleep", "ms": 60_000});
    let started_at = tokio::time::Instant::now();
    assert_eq!(
        run_limited(&*container, slow.clone(), limit, 1_000).await,
        Err(CallError::Timeout)
    );
    assert!(started_at.elapsed() >= limit && started_at.elapsed() < Duration::from_secs(5));
    container.destroy().await.expect("destroyed");

    let container = subject.factory.create(subject.spec.clone()).await.expect("created");
    let short = Duration::from_secs(1);
    assert_eq!(container.init(call(slow, short, 1_000)).await, Err(CallError::Timeout));
    container.destroy().await.expect("destroyed");
}

/// Lines are those of one activation, in order, with their streams; sentinels never show.
pub async fn logs_belong_to_their_activation(subject: &Subject) {
    let container = started(subject).await;
    for round in 0..3 {
        run(
            &*container,
            json!({"do": "print", "out": format!("out {round}\nmore\n"), "err": format!("err {round}\n")}),
        )
        .await;
    }
    run(&*container, json!({"do": "echo"})).await;
    for round in 0..3 {
        let logs = container.logs(request(1 << 20)).await;
        assert_eq!(
            texts(&logs, Stream::Stdout),
            [format!("out {round}"), "more".to_owned()]
        );
        assert_eq!(texts(&logs, Stream::Stderr), [format!("err {round}")]);
        assert!(!logs.truncated && !logs.incomplete);
    }
    assert!(container.logs(request(1 << 20)).await.lines.is_empty());

    run(&*container, json!({"do": "print", "out": "12345\n67890\n"})).await;
    let logs = container.logs(request(9)).await;
    assert_eq!(
        (texts(&logs, Stream::Stdout), logs.truncated),
        (vec!["12345".to_owned()], true)
    );

    run(&*container, json!({"do": "print", "out": "said\n", "sentinel": false})).await;
    let missing = container
        .logs(LogRequest {
            wait: Duration::from_millis(50),
            ..request(1 << 20)
        })
        .await;
    assert_eq!(
        (texts(&missing, Stream::Stdout), missing.incomplete),
        (vec!["said".to_owned()], true)
    );

    run(
        &*container,
        json!({"do": "print", "out": "no end\n", "sentinel": false}),
    )
    .await;
    let drained = container
        .logs(LogRequest {
            until: Until::Drained,
            ..request(1 << 20)
        })
        .await;
    assert_eq!(
        (texts(&drained, Stream::Stdout), drained.incomplete),
        (vec!["no end".to_owned()], false)
    );

    assert!(
        try_run(
            &*container,
            json!({"do": "print", "out": "last words\n", "err": "half a line", "sentinel": false})
        )
        .await
        .is_ok()
    );
    container.destroy().await.expect("destroyed");
    let last = container.logs(request(1 << 20)).await;
    assert_eq!(texts(&last, Stream::Stdout), ["last words"]);
    assert_eq!(texts(&last, Stream::Stderr), ["half a line"]);
    assert!(last.incomplete);
}

/// Output beyond every bound neither blocks the action nor fills our memory.
pub async fn floods_do_not_block(subject: &Subject) {
    let container = started(subject).await;
    // 40 MB, four times the largest log there is.
    run(&*container, json!({"do": "flood", "lines": 400_000})).await;
    let logs = container.logs(request(10 << 20)).await;
    assert!(logs.truncated && !logs.incomplete);
    let kept: usize = logs.lines.iter().map(|line| line.text.len()).sum();
    assert!(kept <= 10 << 20 && kept > 1 << 20, "{kept} bytes kept");
    run(&*container, json!({"do": "print", "out": "after\n"})).await;
    assert_eq!(
        texts(&container.logs(request(1 << 20)).await, Stream::Stdout),
        ["after"]
    );
    container.destroy().await.expect("destroyed");
}

/// As many calls at once as the spec says, and no more.
pub async fn concurrency_is_bounded(subject: &Subject) {
    let nap = json!({"do": "sleep", "ms": 300});
    for (concurrency, at_least, at_most) in [(1, 600, 5_000), (4, 300, 550)] {
        let container = started(&Subject {
            spec: Spec {
                concurrency,
                ..subject.spec.clone()
            },
            ..subject.clone()
        })
        .await;
        run(&*container, json!({"do": "echo"})).await;
        let before = tokio::time::Instant::now();
        let (one, two) = tokio::join!(try_run(&*container, nap.clone()), try_run(&*container, nap.clone()));
        let took = before.elapsed().as_millis();
        assert!(one.is_ok() && two.is_ok());
        assert!(
            took >= at_least && took < at_most,
            "{took} ms with concurrency {concurrency}"
        );
        container.destroy().await.expect("destroyed");
    }
}

/// Nothing runs while frozen; everything goes on afterwards.
pub async fn frozen_containers_stand_still(subject: &Subject) {
    let container = started(subject).await;
    run(&*container, json!({"do": "tick"})).await;
    container.pause().await.expect("paused");
    container.pause().await.expect("paused twice");
    let asked = try_run_for(&*container, json!({"do": "counts"}), Duration::from_millis(100)).await;
    assert_eq!(asked, Err(CallError::Timeout), "a frozen container answered");
    container.resume().await.expect("resumed");
    container.resume().await.expect("resumed twice");
    let before = parsed(&run(&*container, json!({"do": "counts"})).await)["ticks"].as_u64();
    container.pause().await.expect("paused");
    tokio::time::sleep(Duration::from_millis(500)).await;
    container.resume().await.expect("resumed");
    let after = parsed(&run(&*container, json!({"do": "counts"})).await)["ticks"].as_u64();
    let ticked = after
        .zip(before)
        .map(|(after, before)| after - before)
        .expect("two counts");
    assert!(ticked < 250, "{ticked} ticks in half a second of standing still");
    container.pause().await.expect("paused");
    container.destroy().await.expect("destroyed while frozen");
}

/// More than the memory of the spec is a certain verdict, not a guess.
pub async fn memory_is_limited(subject: &Subject) {
    let container = started(subject).await;
    assert_eq!(
        parsed(&run(&*container, json!({"do": "eat", "mb": 64})).await)["eaten"],
        64 << 20
    );
    if subject.limits_memory {
        assert_eq!(
            try_run(&*container, json!({"do": "eat", "mb": 512})).await,
            Err(CallError::OutOfMemory)
        );
    } else {
        println!("skipped: memory limits are not enforced here");
    }
    container.destroy().await.expect("destroyed");
}

/// After `destroy` nothing answers, and what is under way is lost at once.
pub async fn destroyed_is_gone(subject: &Subject) {
    let container = started(subject).await;
    let slow = try_run(&*container, json!({"do": "sleep", "ms": 60_000}));
    let destroy = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        container.destroy().await.expect("destroyed");
    };
    assert_eq!(tokio::join!(slow, destroy).0, Err(CallError::ConnectionLost));
    container.destroy().await.expect("destroyed twice");
    assert_eq!(
        try_run(&*container, json!({"do": "echo"})).await,
        Err(CallError::Refused)
    );
    assert!(matches!(container.pause().await, Err(Error::Gone { .. })));
    assert!(matches!(container.resume().await, Err(Error::Gone { .. })));
}

/// A program that is not there is named.
pub async fn missing_programs_are_named(subject: &Subject) {
    let missing = subject.factory.create(subject.missing.clone()).await;
    match missing.err() {
        Some(Error::ProgramMissing { program, image }) => {
            assert_eq!(
                (program.as_str(), image),
                ("/nonexistent/program", subject.missing.image.clone())
            );
        }
        other => panic!("expected a missing program, got {other:?}"),
    }
}

/// After `shutdown` nothing is left and nothing can be made.
pub async fn shutdown_takes_everything(subject: &Subject) {
    let container = started(subject).await;
    subject.factory.shutdown().await.expect("shut down");
    subject.factory.shutdown().await.expect("shut down twice");
    assert_eq!(
        try_run(&*container, json!({"do": "echo"})).await,
        Err(CallError::Refused)
    );
    assert!(matches!(
        subject.factory.create(subject.spec.clone()).await.err(),
        Some(Error::ShuttingDown)
    ));
}

/// A container that accepted `/init`.
pub async fn started(subject: &Subject) -> Arc<dyn Container> {
    let container = subject.factory.create(subject.spec.clone()).await.expect("created");
    let answer = container
        .init(call(json!({}), LIMIT, 1_000))
        .await
        .expect("initialised");
    assert_eq!(answer.status, 200);
    container
}

/// `/run` with this value; it must be answered.
pub async fn run(container: &dyn Container, value: Value) -> Answer {
    try_run(container, value).await.expect("an answer")
}

/// `/run` with this value.
pub async fn try_run(container: &dyn Container, value: Value) -> Result<Answer, CallError> {
    try_run_for(container, value, LIMIT).await
}

/// The body of an answer.
pub fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("the answer is JSON")
}

async fn try_run_for(container: &dyn Container, value: Value, limit: Duration) -> Result<Answer, CallError> {
    run_limited(container, value, limit, 4 << 20).await
}

async fn run_limited(
    container: &dyn Container,
    value: Value,
    limit: Duration,
    answer_limit: usize,
) -> Result<Answer, CallError> {
    container.run(call(value, limit, answer_limit)).await
}

fn call(value: Value, limit: Duration, answer_limit: usize) -> Call {
    Call {
        body: json!({ "value": value }).to_string().into(),
        limit,
        answer_limit,
    }
}

fn request(limit_bytes: u64) -> LogRequest {
    LogRequest {
        limit_bytes,
        until: Until::Sentinel,
        wait: Duration::from_secs(10),
    }
}

fn texts(logs: &Logs, stream: Stream) -> Vec<String> {
    logs.lines
        .iter()
        .filter(|line| line.stream == stream)
        .map(|line| line.text.clone())
        .collect()
}
