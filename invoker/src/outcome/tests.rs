use bytes::Bytes;
use wsk_containers::{Answer, CallError};

use super::*;

const SIZES: Sizes = Sizes {
    payload: 64,
    truncation: 20,
};
const IN_TIME: Time = Time {
    elapsed: 5,
    limit: 1000,
};
const LATE: Time = Time {
    elapsed: 1000,
    limit: 1000,
};

fn answer(status: u16, body: &str) -> Result<Answer, CallError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let length = body.len() as u64;
    Ok(Answer {
        status,
        body,
        length,
        truncated: false,
        out_of_memory: false,
    })
}

fn out_of_memory(status: u16, body: &str) -> Result<Answer, CallError> {
    answer(status, body).map(|answer| Answer {
        out_of_memory: true,
        ..answer
    })
}

/// Status, result, size, whether the limit struck.
type Row = (u8, &'static str, Option<u64>, bool);

fn row(verdict: &Verdict) -> (u8, String, Option<u64>, bool) {
    match verdict {
        Verdict::Ended { response, timeout } => (
            response.status_code as u8,
            response.result.to_string(),
            response.size,
            *timeout,
        ),
        Verdict::Elsewhere => (255, "elsewhere".to_owned(), None, false),
    }
}

fn check(what: &str, verdict: &Verdict, expected: Row) {
    let (status, result, size, timeout) = expected;
    assert_eq!(row(verdict), (status, result.to_owned(), size, timeout), "{what}");
}

const ABNORMAL: &str = r#"{"error":"The action did not produce a valid response and exited unexpectedly."}"#;
const NO_JSON: &str = r#"{"error":"The action did not produce a valid JSON or JSON Array response."}"#;
const MEMORY: &str = r#"{"error":"The action exhausted its memory and was aborted."}"#;
const TIMEOUT: &str = r#"{"error":"The action exceeded its time limits of 1000 milliseconds."}"#;
const ELSEWHERE: Row = (255, "elsewhere", None, false);

#[test]
fn every_row_of_run() {
    let long = "a".repeat(65);
    let cut = r#"{"error":"The action produced a response that exceeded the allowed length: 65 > 64 bytes. The truncated response was: aaaaaaaaaaaaaaaaaaaa"}"#;
    let rows: Vec<(Result<Answer, CallError>, Time, Row)> = vec![
        (
            answer(200, r#"{"a":1.0}"#),
            IN_TIME,
            (0, r#"{"a":1.0}"#, Some(9), false),
        ),
        (answer(200, "{}\n"), IN_TIME, (0, "{}", Some(3), false)),
        (answer(200, r#"[1, 2]"#), IN_TIME, (0, "[1,2]", Some(6), false)),
        (
            answer(200, r#"{"x":"❄😀"}"#),
            IN_TIME,
            (0, r#"{"x":"❄😀"}"#, Some(11), false),
        ),
        (
            answer(200, r#"{"x":"\ud83d"}"#),
            IN_TIME,
            (0, r#"{"x":"?"}"#, Some(14), false),
        ),
        (
            answer(200, r#"{"a":{"error":1}}"#),
            IN_TIME,
            (0, r#"{"a":{"error":1}}"#, Some(17), false),
        ),
        (
            answer(200, r#"[{"error":1}]"#),
            IN_TIME,
            (0, r#"[{"error":1}]"#, Some(13), false),
        ),
        (
            answer(200, r#"{"error":"x","more":1}"#),
            IN_TIME,
            (1, r#"{"error":"x"}"#, Some(22), false),
        ),
        (
            answer(200, r#"{"error":null}"#),
            IN_TIME,
            (1, r#"{"error":null}"#, Some(14), false),
        ),
        (
            answer(200, r#"{"\u0065rror":{"a":[1]}}"#),
            IN_TIME,
            (1, r#"{"error":{"a":[1]}}"#, Some(24), false),
        ),
        (
            answer(200, r#"{"error":1,"error":2}"#),
            IN_TIME,
            (1, r#"{"error":2}"#, Some(21), false),
        ),
        (
            answer(500, r#"{"error":{"a":1},"b":2}"#),
            IN_TIME,
            (2, r#"{"error":{"a":1}}"#, Some(23), false),
        ),
        (
            answer(500, r#"{"a":1}"#),
            IN_TIME,
            (
                2,
                r#"{"error":"The action did not produce a valid JSON or JSON Array response: {\"a\":1}"}"#,
                Some(7),
                false,
            ),
        ),
        (
            answer(400, "[]"),
            IN_TIME,
            (
                2,
                r#"{"error":"The action did not produce a valid JSON or JSON Array response: []"}"#,
                Some(2),
                false,
            ),
        ),
        (
            answer(200, "null"),
            IN_TIME,
            (
                2,
                r#"{"error":"The action did not produce a valid JSON or JSON Array response: null"}"#,
                Some(4),
                false,
            ),
        ),
        (
            answer(200, "oops"),
            IN_TIME,
            (
                2,
                r#"{"error":"The action did not produce a valid JSON or JSON Array response: oops"}"#,
                Some(4),
                false,
            ),
        ),
        (answer(200, ""), IN_TIME, (2, NO_JSON, Some(0), false)),
        (answer(500, ""), IN_TIME, (2, NO_JSON, Some(0), false)),
        (answer(204, ""), IN_TIME, (2, ABNORMAL, None, false)),
        (answer(200, &long), IN_TIME, (1, cut, Some(65), false)),
        (answer(500, &long), IN_TIME, (1, cut, Some(65), false)),
        (answer(503, "x"), IN_TIME, ELSEWHERE),
        (answer(503, "x"), LATE, ELSEWHERE),
        (answer(200, "{}"), LATE, (2, TIMEOUT, None, true)),
        (answer(200, &long), LATE, (2, TIMEOUT, None, true)),
        (out_of_memory(200, "{}"), IN_TIME, (0, "{}", Some(2), false)),
        (
            out_of_memory(400, r#"{"error":"command exited"}"#),
            IN_TIME,
            (2, MEMORY, None, false),
        ),
        (Err(CallError::Timeout), IN_TIME, (2, TIMEOUT, None, true)),
        (Err(CallError::Refused), LATE, ELSEWHERE),
        (Err(CallError::Unavailable), IN_TIME, ELSEWHERE),
        (Err(CallError::ConnectionLost), IN_TIME, (2, ABNORMAL, None, false)),
        (Err(CallError::ConnectionLost), LATE, (2, TIMEOUT, None, true)),
        (Err(CallError::OutOfMemory), IN_TIME, (2, MEMORY, None, false)),
    ];
    for (result, time, expected) in rows {
        check(
            &format!("{result:?} {time:?}"),
            &of_run(result.clone(), time, SIZES),
            expected,
        );
    }
}

#[test]
fn every_row_of_init() {
    let long = "a".repeat(65);
    let cut = r#"{"error":"The action produced a response that exceeded the allowed length: 65 > 64 bytes. The truncated response was: aaaaaaaaaaaaaaaaaaaa"}"#;
    let late = r#"{"error":"The action exceeded its time limits of 1000 milliseconds during initialization."}"#;
    let gone = r#"{"error":"The action did not initialize and exited unexpectedly."}"#;
    let rows: Vec<(Result<Answer, CallError>, Time, Row)> = vec![
        (
            answer(502, r#"{"error":{"a":1}}"#),
            IN_TIME,
            (2, r#"{"error":{"a":1}}"#, Some(17), false),
        ),
        (
            answer(500, "oops"),
            IN_TIME,
            (
                2,
                r#"{"error":"The action failed during initialization: oops"}"#,
                Some(4),
                false,
            ),
        ),
        (
            answer(500, r#"{"a":1}"#),
            IN_TIME,
            (
                2,
                r#"{"error":"The action failed during initialization: {\"a\":1}"}"#,
                Some(7),
                false,
            ),
        ),
        (
            answer(500, ""),
            IN_TIME,
            (
                2,
                r#"{"error":"The action failed during initialization."}"#,
                Some(0),
                false,
            ),
        ),
        (
            answer(204, ""),
            IN_TIME,
            (
                2,
                r#"{"error":"The action failed during initialization."}"#,
                Some(0),
                false,
            ),
        ),
        (answer(200, &long), IN_TIME, (2, cut, Some(65), false)),
        (answer(200, ""), LATE, (2, late, None, true)),
        (answer(503, ""), IN_TIME, ELSEWHERE),
        (out_of_memory(502, ""), IN_TIME, (2, MEMORY, None, false)),
        (Err(CallError::Timeout), IN_TIME, (2, late, None, true)),
        (Err(CallError::ConnectionLost), IN_TIME, (2, gone, None, false)),
        (Err(CallError::OutOfMemory), IN_TIME, (2, MEMORY, None, false)),
        (Err(CallError::Unavailable), IN_TIME, ELSEWHERE),
    ];
    for (result, time, expected) in rows {
        let verdict = of_init(result.clone(), time, SIZES).expect("it failed");
        check(&format!("{result:?} {time:?}"), &verdict, expected);
    }
    for body in ["", "OK", r#"{"ok":true}"#, r#"{"error":"no"}"#] {
        assert_eq!(of_init(answer(200, body), IN_TIME, SIZES), None, "{body}");
    }
}

#[test]
fn an_over_long_answer_is_cut_at_bytes() {
    let mut cut = answer(200, &"❄".repeat(30)).unwrap();
    cut.length = 90;
    let Verdict::Ended { response, .. } = of_run(Ok(cut), IN_TIME, SIZES) else {
        panic!()
    };
    assert!(
        response.result.as_str().ends_with("was: ❄❄❄❄❄❄\u{fffd}\"}"),
        "{}",
        response.result
    );
    assert_eq!(response.size, Some(90));
}

#[test]
fn every_fault_has_its_status() {
    let image = || "i".to_owned();
    let rows = [
        (Fault::ImagePull { image: image() }, 2),
        (Fault::ProgramMissing { image: image() }, 2),
        (
            Fault::Architecture {
                text: image(),
                managed: false,
            },
            2,
        ),
        (
            Fault::Architecture {
                text: image(),
                managed: true,
            },
            3,
        ),
        (Fault::RunContainer { image: image() }, 3),
        (Fault::Provision, 3),
        (Fault::Deleted, 1),
        (Fault::Incompatible, 3),
        (Fault::Fetch, 3),
        (Fault::Limit(image()), 1),
        (Fault::Locked(image()), 3),
        (Fault::Blocked, 1),
        (Fault::Attempts { allowed: 1 }, 3),
        (Fault::GivenUp { attempts: 21 }, 3),
        (Fault::Cancelled, 2),
        (Fault::Unavailable, 2),
    ];
    for (fault, status) in rows {
        let response = fault.response();
        assert_eq!((response.status_code as u8, response.size), (status, None), "{fault:?}");
    }
}
