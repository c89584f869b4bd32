use super::*;
use wsk_entities::{Parameters, StatusCode, UserLimits, Version};

const LIMIT: u32 = 50;

fn identity() -> Identity {
    Identity::new(
        "guest",
        Namespace::new("guest").unwrap(),
        "uuid",
        "key",
        UserLimits::default(),
    )
}

fn name(text: &str) -> FullName {
    text.parse().unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn id(n: u128) -> ActivationId {
    ActivationId::from_bits(n)
}

fn head(text: &str) -> Head {
    let name = name(text);
    Head {
        called: name.clone(),
        name,
        version: Version::FIRST,
        binding: None,
        limits: ActionLimits::default(),
    }
}

fn entry(input: &str) -> Entry {
    Entry {
        input: Some(json(input)),
        requested: 90,
        now: 100,
    }
}

fn sequence(components: &[&str]) -> Composition {
    let mut machine = Composition::new(LIMIT);
    machine.enter_sequence(
        id(1),
        head("guest/s"),
        components.iter().map(|c| name(c)).collect(),
        entry("{}"),
    );
    machine
}

fn composition() -> Composition {
    let mut machine = Composition::new(LIMIT);
    machine.enter_conductor(id(1), head("guest/c"), entry("{}"));
    machine
}

fn ran(n: u128, result: &str) -> Outcome {
    Outcome::Ran {
        id: id(n),
        response: Response::success(json(result), Some(9)),
        duration: 5,
        memory: Some(128),
    }
}

fn absorb(machine: &mut Composition, outcome: Outcome) {
    machine.absorb(outcome, &Namespace::new("guest").unwrap());
}

fn over(machine: &mut Composition) -> Activation {
    assert_eq!(machine.next(), Next::Over);
    machine.leave(&identity(), 200)
}

fn result(record: &Activation) -> String {
    record.response.result.to_string()
}

#[test]
fn a_sequence_hands_on_and_accounts() {
    let mut machine = sequence(&["guest/a", "guest/b"]);
    assert_eq!(
        machine.next(),
        Next::Component {
            name: name("guest/a"),
            input: Some(json("{}")),
            cause: id(1)
        }
    );
    absorb(&mut machine, ran(2, r#"{"x":1}"#));
    assert_eq!(
        machine.next(),
        Next::Component {
            name: name("guest/b"),
            input: Some(json(r#"{"x":1}"#)),
            cause: id(1)
        }
    );
    absorb(&mut machine, ran(3, r#"{"x":2}"#));
    let record = over(&mut machine);
    assert!(machine.is_over());
    assert_eq!(record.logs, [id(2).to_string(), id(3).to_string()]);
    assert_eq!(
        (record.duration, record.start, record.end, record.cause),
        (Some(10), 100, 200, None)
    );
    assert_eq!(record.response, Response::success(json(r#"{"x":2}"#), Some(9)));
    assert_eq!(record.annotations.get("waitTime"), Some(&json("10")));
    let limits = record.annotations.get("limits").unwrap().to_value();
    assert_eq!(
        (limits["memory"].to_string(), record.annotations.is_true("topmost")),
        ("128".into(), true)
    );
}

#[test]
fn failures_of_components_end_a_sequence() {
    for (outcome, text, logged) in [
        (Outcome::Missing, "Sequence component does not exist.", 0),
        (Outcome::Unpublished, "Sequence failed.", 0),
        (
            Outcome::Unanswered(id(2)),
            "Timeout reached when retrieving activation 00000000000000000000000000000002 for sequence component.",
            1,
        ),
    ] {
        let mut machine = sequence(&["guest/a", "guest/b"]);
        machine.next();
        absorb(&mut machine, outcome);
        let record = over(&mut machine);
        assert_eq!(
            (result(&record), record.logs.len()),
            (format!(r#"{{"error":"{text}"}}"#), logged)
        );
    }
}

#[test]
fn sequences_inside_share_the_count_of_atomic_actions() {
    let mut machine = sequence(&["guest/s2", "guest/s2"]);
    let mut ids = 10..;
    for _ in 0..2 {
        assert!(matches!(machine.next(), Next::Component { .. }));
        machine.enter_sequence(id(2), head("guest/s2"), vec![name("guest/a"); 30], entry("{}"));
        while let Next::Component { .. } = machine.next() {
            absorb(&mut machine, ran(ids.next().unwrap(), "{}"));
        }
        let inner = machine.leave(&identity(), 200);
        assert_eq!(
            (inner.cause, inner.annotations.is_true("topmost")),
            (Some(id(1)), false)
        );
        assert_eq!(inner.annotations.get("causedBy"), Some(&Json::from("sequence")));
    }
    assert_eq!(ids.next(), Some(60), "fifty ran");
    let record = over(&mut machine);
    assert_eq!(result(&record), r#"{"error":"Too many actions in the sequence."}"#);
    assert_eq!(record.response.status_code, StatusCode::ApplicationError);
}

#[test]
fn a_composition_alternates_until_the_conductor_is_content() {
    let mut machine = composition();
    assert_eq!(
        machine.next(),
        Next::Conductor {
            name: name("guest/c"),
            input: Some(json("{}")),
            cause: id(1)
        }
    );
    absorb(
        &mut machine,
        ran(2, r#"{"action":"a","params":{"p":1},"state":{"n":1}}"#),
    );
    assert_eq!(
        machine.next(),
        Next::Component {
            name: name("guest/a"),
            input: Some(json(r#"{"p":1}"#)),
            cause: id(1)
        }
    );
    absorb(&mut machine, ran(3, r#"{"error":"told to the conductor"}"#));
    let input = json(r#"{"error":"told to the conductor","n":1}"#);
    assert_eq!(
        machine.next(),
        Next::Conductor {
            name: name("guest/c"),
            input: Some(input),
            cause: id(1)
        }
    );
    absorb(&mut machine, ran(4, r#"{"params":{"done":true}}"#));
    let record = over(&mut machine);
    assert_eq!((result(&record).as_str(), record.logs.len()), (r#"{"done":true}"#, 3));
    assert!(record.annotations.is_true("conductor"));
}

#[test]
fn what_cannot_run_is_told_to_the_conductor() {
    for (outcome, text) in [
        (
            Outcome::Missing,
            "Failed to resolve action with name 'guest/a' during composition.",
        ),
        (
            Outcome::NotEntitled,
            "Failed entitlement check for action with name 'guest/a' during composition.",
        ),
        (
            ran(3, "[1]"),
            "Failed to resolve action with name 'guest/a' during composition.",
        ),
    ] {
        let mut machine = composition();
        machine.next();
        absorb(&mut machine, ran(2, r#"{"action":"a"}"#));
        machine.next();
        absorb(&mut machine, outcome);
        let Next::Conductor { input: Some(input), .. } = machine.next() else {
            panic!("the conductor's turn")
        };
        assert_eq!(input, json(&format!(r#"{{"error":"{text}"}}"#)));
    }
}

#[test]
fn budgets_are_fifty_components_and_twice_as_many_turns() {
    let mut machine = composition();
    let (mut turns, mut components) = (0, 0);
    loop {
        match machine.next() {
            Next::Conductor { .. } => {
                turns += 1;
                absorb(&mut machine, ran(2, r#"{"action":"a"}"#));
            }
            Next::Component { .. } => {
                components += 1;
                absorb(&mut machine, ran(3, "{}"));
            }
            Next::Over => break,
            Next::Pause(_) => panic!("only what is run again pauses"),
        }
    }
    assert_eq!((turns, components), (101, 50));
    let record = machine.leave(&identity(), 200);
    assert_eq!(result(&record), r#"{"error":"Too many actions in the composition."}"#);
}

#[test]
fn compositions_inside_share_the_budget_and_are_not_components() {
    let mut machine = composition();
    machine.next();
    absorb(&mut machine, ran(2, r#"{"action":"c2"}"#));
    machine.next();
    machine.enter_conductor(id(5), head("guest/c2"), entry("{}"));
    machine.next();
    absorb(&mut machine, ran(6, r#"{"action":"a"}"#));
    machine.next();
    absorb(&mut machine, ran(7, "{}"));
    machine.next();
    absorb(&mut machine, ran(8, "{}"));
    over(&mut machine);
    let Plot::Conductor {
        components, conductors, ..
    } = machine.frames[0].plot
    else {
        panic!("a conductor")
    };
    assert_eq!((components, conductors), (1, 3));
}

#[test]
fn a_machine_survives_being_written_down() {
    let mut machine = composition();
    machine.next();
    absorb(&mut machine, ran(2, r#"{"action":"s","state":{"n":1.0}}"#));
    machine.next();
    machine.enter_sequence(id(5), head("guest/s"), vec![name("guest/a")], entry(r#"{"x":1e400}"#));
    let text = serde_json::to_string(&machine).unwrap();
    assert_eq!(serde_json::from_str::<Composition>(&text).unwrap(), machine);
}

#[test]
fn an_action_that_fails_is_run_again_until_it_succeeds() {
    let mut annotations = Parameters::new();
    annotations.set("retry", json(r#"{"attempts":3,"delay":100}"#));
    let policy = Policy::of(&annotations).unwrap();
    let failed = |n: u128| Outcome::Ran {
        id: id(n),
        response: Response::failure(StatusCode::DeveloperError, &Json::from("no"), None),
        duration: 5,
        memory: Some(256),
    };
    for (succeeds, runs) in [(2, 2), (9, 3)] {
        let mut machine = Composition::new(LIMIT);
        machine.enter_retry(id(1), head("guest/a"), "nodejs:20".into(), policy, entry(r#"{"x":1}"#));
        let mut pauses = Vec::new();
        let mut ran_so_far = 0;
        loop {
            match machine.next() {
                Next::Component { input, .. } => {
                    ran_so_far += 1;
                    assert_eq!(input, Some(json(r#"{"x":1}"#)), "every run gets the same");
                    let outcome = if ran_so_far == succeeds {
                        ran(7, "{}")
                    } else {
                        failed(7)
                    };
                    absorb(&mut machine, outcome);
                }
                Next::Pause(pause) => pauses.push(pause),
                Next::Over => break,
                other @ Next::Conductor { .. } => panic!("{other:?}"),
            }
        }
        let record = machine.leave(&identity(), 200);
        assert_eq!(
            (ran_so_far, record.logs.len(), pauses.len()),
            (runs, runs as usize, runs as usize - 1)
        );
        assert_eq!(record.response.status_code == StatusCode::Success, succeeds == runs);
        assert_eq!(record.annotations.get("kind"), Some(&Json::from("nodejs:20")));
        assert_eq!(record.annotations.get("retries"), Some(&json(&(runs - 1).to_string())));
    }
}

fn is_cancelled(record: &Activation) -> bool {
    record.annotations.is_true("cancelled")
}

#[test]
fn a_cancelled_composition_starts_nothing_and_every_frame_says_so() {
    let mut machine = composition();
    machine.enter_sequence(
        id(2),
        head("guest/s"),
        vec![name("guest/a"), name("guest/b")],
        entry("{}"),
    );
    assert!(matches!(machine.next(), Next::Component { .. }));
    machine.cancel();
    // What the component under way answers is counted, and changes nothing.
    absorb(&mut machine, ran(3, r#"{"a":1}"#));
    let inner = over(&mut machine);
    assert!(is_cancelled(&inner) && inner.logs == [id(3).to_string()], "{inner:?}");
    let outer = over(&mut machine);
    assert!(is_cancelled(&outer) && machine.is_over());
    assert_eq!(outer.response.status_code, StatusCode::DeveloperError);
}

#[test]
fn what_has_ended_is_not_cancelled_any_more() {
    let mut machine = sequence(&["guest/a"]);
    machine.next();
    absorb(&mut machine, ran(2, r#"{"a":1}"#));
    machine.cancel();
    let record = over(&mut machine);
    assert!(!is_cancelled(&record) && record.response.status_code == StatusCode::Success);
}

#[test]
fn only_a_frame_that_would_run_again_forgoes_it() {
    let mut machine = sequence(&["guest/a", "guest/b"]);
    machine.next();
    absorb(&mut machine, ran(2, "{}"));
    machine.forgo_retry();
    assert!(matches!(machine.next(), Next::Component { .. }));
}
