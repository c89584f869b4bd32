//! The invoker-level probes of the runtime contract, and what the two calls carry.

use std::time::Duration;

use wsk_bus::messages::{Acknowledgement, Completed};
use wsk_containers::scripted::{Outcome, Reply};
use wsk_containers::{CallError, Stream};
use wsk_entities::{EntityPath, Json};

use super::world::{MANIFEST, World, config};
use crate::Config;

const SUCCESS: u8 = 0;
const APPLICATION: u8 = 1;
const DEVELOPER: u8 = 2;

const NOT_JSON: &str = "The action did not produce a valid JSON or JSON Array response";
const ABNORMAL: &str = "The action did not produce a valid response and exited unexpectedly.";

/// Invokes once with this `/run` reply: status, error (or result), containers destroyed.
async fn run(reply: Reply) -> (u8, String, usize) {
    let mut world = World::new().await;
    world.containers.next_run(reply);
    let seen = world.invoke_new().await;
    world.clean();
    (seen.status(), seen.error(), world.containers.counts().destroyed)
}

async fn init(reply: Reply) -> (u8, String) {
    let mut world = World::new().await;
    world.containers.next_init(reply);
    let seen = world.invoke_new().await;
    world.clean();
    assert_eq!(
        world.containers.counts().destroyed,
        usize::from(seen.status() != SUCCESS)
    );
    (seen.status(), seen.error())
}

#[tokio::test(start_paused = true)]
async fn a_refusing_for_two_seconds_then_serving_is_a_cold_start() {
    let mut world = World::new().await;
    (0..40).for_each(|_| world.containers.next_init(Reply::outcome(Outcome::Refused)));
    let revision = world.put("hello", |action| action.limits.timeout = 10_000).await;
    let message = world.message("hello", &revision);
    let seen = world.invoke(message).await;
    assert_eq!(seen.status(), SUCCESS);
    assert_eq!(seen.annotation("initTime").as_deref(), Some("2000"));
}

#[tokio::test(start_paused = true)]
async fn b_an_empty_200_on_init_is_a_success() {
    assert_eq!(init(Reply::ok("")).await, (SUCCESS, "{}".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn c_the_error_of_a_failed_init_is_passed_on() {
    assert_eq!(
        init(Reply::status(502, r#"{"error":{"a":1}}"#)).await,
        (DEVELOPER, r#"{"a":1}"#.to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn d_a_failed_init_without_json_shows_its_text() {
    let text = "The action failed during initialization: oops".to_owned();
    assert_eq!(init(Reply::status(500, "oops")).await, (DEVELOPER, text));
}

#[tokio::test(start_paused = true)]
async fn e_an_application_error_drops_other_keys_and_keeps_the_container() {
    let mut world = World::new().await;
    world.containers.next_run(Reply::ok(r#"{"error":"x","more":1}"#));
    let revision = world.put("hello", |_| ()).await;
    let (first, second) = (world.message("hello", &revision), world.message("hello", &revision));
    let seen = world.invoke(first).await;
    assert_eq!(seen.status(), APPLICATION);
    assert_eq!(seen.record.response.result.as_str(), r#"{"error":"x"}"#);
    assert_eq!(seen.record.response.size, Some(22));
    let again = world.invoke(second).await;
    assert_eq!((again.status(), again.annotation("initTime")), (SUCCESS, None));
    assert_eq!(world.containers.counts().created, 1);
}

#[tokio::test(start_paused = true)]
async fn f_an_object_with_an_error_status_is_a_developer_error() {
    assert_eq!(
        run(Reply::status(500, r#"{"a":1}"#)).await,
        (DEVELOPER, format!(r#"{NOT_JSON}: {{"a":1}}"#), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn g_scalars_garbage_and_nothing_are_developer_errors() {
    for body in ["\"text\"", "null", "garbage", ""] {
        let text = if body.is_empty() {
            format!("{NOT_JSON}.")
        } else {
            format!("{NOT_JSON}: {body}")
        };
        assert_eq!(run(Reply::ok(body)).await, (DEVELOPER, text, 1), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn h_an_array_is_a_success() {
    assert_eq!(run(Reply::ok("[1,2]")).await, (SUCCESS, "[1,2]".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn i_one_byte_beyond_the_limit_is_an_application_error() {
    let body = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    let (status, _, destroyed) = run(Reply::ok(body(1_048_576))).await;
    assert_eq!((status, destroyed), (SUCCESS, 0));
    let (status, error, destroyed) = run(Reply::ok(body(1_048_577))).await;
    assert_eq!((status, destroyed), (APPLICATION, 0));
    let beginning = "The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes. \
                     The truncated response was: {\"a\":\"xxx";
    assert!(error.starts_with(beginning), "{}", &error[..200]);
}

#[tokio::test(start_paused = true)]
async fn j_an_over_long_init_answer_is_a_developer_error() {
    let (status, error) = init(Reply::ok("x".repeat(1_048_577))).await;
    assert_eq!(status, DEVELOPER);
    assert!(
        error.starts_with("The action produced a response that exceeded the allowed length: 1048577 > 1048576 bytes.")
    );
}

#[tokio::test(start_paused = true)]
async fn k_a_lost_connection_costs_the_container() {
    assert_eq!(
        run(Reply::outcome(Outcome::Die)).await,
        (DEVELOPER, ABNORMAL.to_owned(), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn l_no_answer_ends_at_the_limit() {
    let mut world = World::new().await;
    world.containers.next_run(Reply::outcome(Outcome::Hang));
    let seen = world.invoke_new().await;
    assert_eq!(seen.status(), DEVELOPER);
    assert_eq!(
        seen.error(),
        "The action exceeded its time limits of 1000 milliseconds."
    );
    assert_eq!(seen.annotation("timeout").as_deref(), Some("true"));
    assert!(seen.record.duration.unwrap() >= 1000);
    assert_eq!(seen.record.response.size, None);
    assert_eq!(world.containers.counts().destroyed, 1);
}

#[tokio::test(start_paused = true)]
async fn l_the_same_for_init() {
    let text = "The action exceeded its time limits of 1000 milliseconds during initialization.".to_owned();
    assert_eq!(init(Reply::outcome(Outcome::Hang)).await, (DEVELOPER, text));
}

#[tokio::test(start_paused = true)]
async fn m_a_container_that_shuts_down_gives_its_activation_to_another() {
    let mut world = World::new().await;
    world.containers.next_run(Reply::status(503, ""));
    let seen = world.invoke_new().await;
    assert_eq!((seen.status(), seen.acks.len()), (SUCCESS, 1));
    assert_eq!(
        (world.containers.counts().created, world.containers.counts().destroyed),
        (2, 1)
    );
    assert_eq!(world.records.written.load(std::sync::atomic::Ordering::SeqCst), 1);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn m_the_same_at_init_and_not_for_ever() {
    let mut world = World::new().await;
    world.containers.next_init(Reply::status(503, ""));
    assert_eq!(world.invoke_new().await.status(), SUCCESS);
    world.containers.behave(|_| Reply::status(503, ""));
    let seen = world.invoke_new().await;
    assert_eq!((seen.status(), seen.error()), (DEVELOPER, ABNORMAL.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn n_no_content_is_no_answer() {
    assert_eq!(run(Reply::status(204, "")).await, (DEVELOPER, ABNORMAL.to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn p_a_refused_run_after_a_resume_goes_elsewhere() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let (first, second) = (world.message("hello", &revision), world.message("hello", &revision));
    world.invoke(first).await;
    world
        .until("paused", |world| world.containers.counts().paused == 1)
        .await;
    world.containers.next_run(Reply::outcome(Outcome::Refused));
    let seen = world.invoke(second).await;
    assert_eq!((seen.status(), seen.acks.len()), (SUCCESS, 1));
    assert_eq!(
        (world.containers.counts().resumed, world.containers.counts().created),
        (1, 2)
    );
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn memory_and_a_dead_init_have_texts_of_their_own() {
    let (status, error, _) = run(Reply::outcome(Outcome::OutOfMemory)).await;
    assert_eq!(
        (status, error.as_str()),
        (DEVELOPER, "The action exhausted its memory and was aborted.")
    );
    let (status, error) = init(Reply::outcome(Outcome::Die)).await;
    assert_eq!(
        (status, error.as_str()),
        (DEVELOPER, "The action did not initialize and exited unexpectedly.")
    );
    assert!(!CallError::OutOfMemory.retryable());
}

#[tokio::test(start_paused = true)]
async fn a_record_says_what_ran() {
    let mut world = World::new().await;
    world
        .containers
        .next_init(Reply::ok("").after(Duration::from_millis(30)));
    world
        .containers
        .next_run(Reply::ok(r#"{"greeting":"hi ❄"}"#).after(Duration::from_millis(12)));
    let revision = world.put("hello", |_| ()).await;
    let mut message = world.message("hello", &revision);
    message.transid.start -= 7;
    message.cause = Some(wsk_entities::ActivationId::from_bits(99));
    message.action.binding = Some("guest/bound".parse::<EntityPath>().unwrap());
    let seen = world.invoke(message.clone()).await;
    let record = &seen.record;
    assert_eq!(
        (record.namespace.as_str(), record.name.as_str(), &*record.subject),
        ("guest", "hello", "guesty")
    );
    assert_eq!(
        (record.start, record.end - record.start, record.duration),
        (message.transid.start + 7, 42, Some(42))
    );
    assert_eq!((record.response.size, record.cause), (Some(19), message.cause));
    let annotations: Vec<_> = record
        .annotations
        .iter()
        .map(|p| (p.key.as_str(), p.value.as_str()))
        .collect();
    assert_eq!(
        annotations,
        [
            ("path", "\"guest/hello\""),
            ("kind", "\"nodejs:20\""),
            ("limits", r#"{"timeout":1000,"memory":256,"logs":10,"concurrency":1}"#),
            ("waitTime", "7"),
            ("timeout", "false"),
            ("initTime", "30"),
            ("binding", "\"guest/bound\""),
            ("causedBy", "\"sequence\""),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_calls_carry_what_the_contract_says() {
    let mut world = World::new().await;
    let bodies = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = bodies.clone();
    world.containers.behave(move |seen| {
        noted
            .lock()
            .unwrap()
            .push(String::from_utf8(seen.body.to_vec()).unwrap());
        Reply::ok("{}")
    });
    let revision = world
        .put("hello", |a| {
            a.annotations.set("provide-api-key", Json::parse("false").unwrap())
        })
        .await;
    let mut message = world.message("hello", &revision);
    message.content = Some(Json::parse(r#"{"big":12345678901234567890.0,"secret":{"a":[1]},"nothing":null}"#).unwrap());
    message.init_args = vec!["secret".to_owned(), "nothing".to_owned()];
    world.invoke(message).await;
    let bodies = bodies.lock().unwrap().clone();
    assert_eq!(
        bodies,
        [
            r#"{"value":{"name":"hello","main":"main","code":"code","binary":false,"env":{"secret":"{\"a\":[1]}","nothing":"","__OW_NAMESPACE":"guest","__OW_ACTION_NAME":"/guest/hello","__OW_ACTION_VERSION":"0.0.1","__OW_ACTIVATION_ID":"00000000000000000000000000000002","__OW_TRANSACTION_ID":"t2","__OW_DEADLINE":"1700000001000"}}}"#,
            r#"{"value":{"big":12345678901234567890.0},"namespace":"guest","action_name":"/guest/hello","action_version":"0.0.1","activation_id":"00000000000000000000000000000002","transaction_id":"t2","deadline":"1700000001000"}"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_ready_comes_with_one_acknowledgement() {
    let mut world = World::new().await;
    world
        .containers
        .next_run(Reply::ok("{}").line(Stream::Stdout, "hello").line(Stream::Stderr, "oh"));
    // The init of a scripted container ends a log of its own, which belongs to the first activation.
    world.containers.next_init(Reply::ok("").without_sentinel());
    let seen = world.invoke_new().await;
    let texts: Vec<&str> = seen.record.logs.iter().map(|line| &line[31..]).collect();
    assert_eq!(texts, ["stdout: hello", "stderr: oh"]);
    let [ack] = &seen.acks[..] else {
        panic!("{:?}", seen.acks)
    };
    let Acknowledgement::Combined {
        response: Completed::Record(record),
        is_system_error: false,
        ..
    } = &**ack
    else {
        panic!("{ack:?}")
    };
    assert_eq!(record.logs, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_a_moment_for_its_log_but_not_where_that_is_late() {
    let config = Config {
        log_grace: Duration::from_millis(5),
        ..config()
    };
    let mut world = World::with(config, MANIFEST).await;
    world.containers.next_init(Reply::ok("").without_sentinel());
    let revision = world.put("hello", |_| ()).await;
    let mut counts = Vec::new();
    for log_ends in [2, 20, 2, 2] {
        let reply = Reply::ok("{}").line(Stream::Stdout, "hello");
        world
            .containers
            .next_run(reply.sentinel_after(Duration::from_millis(log_ends)));
        let message = world.message("hello", &revision);
        let seen = world.invoke(message).await;
        assert_eq!(seen.record.logs.len(), 1, "{:?}", seen.record.logs);
        counts.push(seen.acks.len());
    }
    assert_eq!(
        counts,
        [1, 2, 2, 2],
        "after a wait in vain the next answers do not wait"
    );
}

#[tokio::test(start_paused = true)]
async fn a_developer_error_leaves_a_notice_unless_there_are_no_logs() {
    let mut world = World::new().await;
    let notice = "stderr: The action did not initialize or run as expected. Log data might be missing.";
    world
        .containers
        .next_init(Reply::status(502, r#"{"error":"no"}"#).line(Stream::Stderr, "trace"));
    let seen = world.invoke_new().await;
    let texts: Vec<&str> = seen.record.logs.iter().map(|line| &line[31..]).collect();
    assert_eq!(texts, ["stderr: trace", notice]);
    let revision = world.put("quiet", |action| action.limits.logs = 0).await;
    world
        .containers
        .next_run(Reply::status(502, r#"{"error":"no"}"#).line(Stream::Stderr, "trace"));
    let message = world.message("quiet", &revision);
    assert_eq!(world.invoke(message).await.record.logs, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_missing_sentinel_is_noted_and_costs_the_container_but_not_the_result() {
    let mut world = World::new().await;
    world.containers.next_init(Reply::ok("").without_sentinel());
    world
        .containers
        .next_run(Reply::ok("{}").line(Stream::Stdout, "x").without_sentinel());
    let seen = world.invoke_new().await;
    assert_eq!(seen.status(), SUCCESS);
    assert!(seen.record.logs[1].ends_with("There was an issue while collecting your logs. Data might be missing."));
    world
        .until("destroyed", |world| world.containers.counts().destroyed == 1)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_non_blocking_activation_is_only_completed() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let mut message = world.message("hello", &revision);
    message.blocking = false;
    let seen = world.invoke(message).await;
    assert!(
        matches!(
            &*seen.acks[0],
            Acknowledgement::Completion {
                is_system_error: false,
                ..
            }
        ),
        "{:?}",
        seen.acks
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_may_keep_no_records() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    for (insists, kept) in [(false, false), (true, true)] {
        let mut message = world.message("hello", &revision);
        let mut user = (*message.user).clone();
        user.limits.store_activations = Some(false);
        message.user = user.into();
        message.transid.extra_logging = insists;
        let id = world.send(message).await;
        super::world::settle().await;
        assert_eq!((world.has_record(id).await, world.invoker().open()), (kept, 0));
        assert!(world.gather().await.iter().any(|ack| ack.activation_id() == id));
    }
}
