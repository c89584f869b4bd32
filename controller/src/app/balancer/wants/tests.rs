use proptest::prelude::*;
use wsk_bus::messages::{InvokerInstance, Node, Ping};
use wsk_entities::FullName;

use super::super::{Balancer, Outcome, Placement};
use super::*;

/// An invoker as a test describes it.
#[derive(Debug, Clone)]
struct Machine {
    architecture: &'static str,
    kinds: &'static [&'static str],
    images: bool,
    labels: Vec<&'static str>,
    dedicated: Vec<&'static str>,
    unfit: Vec<String>,
}

fn machine(architecture: &'static str) -> Machine {
    Machine {
        architecture,
        kinds: &["nodejs:20", "python:3.11"],
        images: true,
        labels: vec![],
        dedicated: vec![],
        unfit: vec![],
    }
}

fn owned(texts: &[&str]) -> std::sync::Arc<[String]> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn ping(number: usize, machine: &Machine) -> Ping {
    Ping {
        name: InvokerInstance {
            tags: owned(&machine.labels),
            dedicated_namespaces: owned(&machine.dedicated),
            ..InvokerInstance::new(number as u32, 1024)
        },
        is_enabled: true,
        node: Some(Node {
            architecture: Architecture::new(machine.architecture),
            kinds: owned(machine.kinds),
            images: machine.images,
            unfit: machine.unfit.clone().into(),
        }),
    }
}

fn cluster(machines: &[Machine]) -> Balancer {
    let mut balancer = Balancer::new(1);
    for (number, machine) in machines.iter().enumerate() {
        balancer.hear(&ping(number, machine), 0);
    }
    balancer
}

fn action(json: &str) -> Action {
    let json = format!(
        r#"{{"namespace":"guest","name":"a","version":"0.0.1","publish":false,"parameters":[],"updated":1,
            "limits":{{"timeout":60000,"memory":256,"logs":10,"concurrency":1}},{json}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn wants(json: &str) -> Wants {
    Wants::of(&action(json), "1-a", &Manifest::bundled())
}

fn labelled(labels: &str, strict: bool) -> Wants {
    wants(&format!(
        r#""exec":{{"kind":"nodejs:20","code":"","binary":false}},"annotations":[
            {{"key":"invoker-resources","value":{labels}}},{{"key":"invoker-resources-strict-policy","value":{strict}}}]"#
    ))
}

const NODE: &str = r#""exec":{"kind":"nodejs:20","code":"","binary":false},"annotations":[]"#;

fn place(balancer: &mut Balancer, namespace: &str, wants: &Wants, refused: &[u32]) -> Result<Placement, Refusal> {
    let demand = Demand {
        namespace: &Namespace::new(namespace).unwrap(),
        action: &"guest/a".parse().unwrap(),
        memory: 256,
        concurrency: 1,
        wants,
        refused,
    };
    balancer.place(&demand, 1, 0)
}

fn at(placement: &Placement) -> &str {
    &placement.topic
}

fn refusal(result: Result<Placement, Refusal>) -> String {
    match result.unwrap_err() {
        Refusal::NoneFits(text) => text,
        Refusal::NoneUp => panic!("some are up"),
    }
}

fn elf(machine: u8) -> String {
    use base64::Engine as _;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(18, 0);
    file.extend([machine, 0, 0]);
    base64::engine::general_purpose::STANDARD.encode(file)
}

fn native(machine: u8) -> Wants {
    let code = elf(machine);
    wants(&format!(
        r#""exec":{{"kind":"blackbox","image":"openwhisk/dockerskeleton","code":"{code}","binary":true}},"annotations":[]"#
    ))
}

#[test]
fn a_program_goes_where_its_architecture_is() {
    let mut balancer = cluster(&[machine("amd64"), machine("arm64"), machine("amd64")]);
    for _ in 0..6 {
        let placed = place(&mut balancer, "guest", &native(183), &[]).unwrap();
        assert_eq!((at(&placed), placed.last), ("invoker1", false), "also when it is full");
    }
    let elsewhere = place(&mut balancer, "guest", &native(40), &[]).unwrap();
    assert!(elsewhere.last, "nobody runs arm/v7, and one is to say so");
}

#[test]
fn a_machine_that_is_down_is_not_taken_for_one_that_is_missing() {
    let mut balancer = cluster(&[machine("amd64"), machine("arm64")]);
    balancer.hear(&ping(0, &machine("amd64")), 20_000);
    let wants = native(183);
    let demand = Demand {
        namespace: &Namespace::new("guest").unwrap(),
        action: &"guest/a".parse().unwrap(),
        memory: 256,
        concurrency: 1,
        wants: &wants,
        refused: &[],
    };
    let text = refusal(balancer.place(&demand, 20_000, 0));
    assert_eq!(text, "No invoker that can run the action is up at the moment.");
}

#[test]
fn what_an_invoker_found_out_holds_for_its_architecture() {
    let image = wants(r#""exec":{"kind":"blackbox","image":"me/app:1","binary":false},"annotations":[]"#);
    let told = Machine {
        unfit: vec!["image me/app:1".to_owned()],
        ..machine("arm64")
    };
    let mut balancer = cluster(&[told.clone(), machine("arm64"), machine("amd64"), machine("arm64")]);
    let placed = place(&mut balancer, "guest", &image, &[]).unwrap();
    assert_eq!((at(&placed), placed.last), ("invoker2", false));
    // It has forgotten.
    balancer.hear(&ping(0, &machine("arm64")), 1);
    let placed = place(&mut balancer, "guest", &image, &[]).unwrap();
    assert_eq!(at(&placed), "invoker3", "the pool of images again");
    // The same of a refusal that its pings do not tell of yet.
    let placed = place(&mut balancer, "guest", &image, &[3]).unwrap();
    assert_eq!((at(&placed), placed.last), ("invoker2", false));
    let placed = place(&mut balancer, "guest", &image, &[3, 2]).unwrap();
    assert!(placed.last);
}

#[test]
fn kinds_and_images_are_taken_where_they_are_offered() {
    let bare = Machine {
        kinds: &["python:3.11"],
        images: false,
        ..machine("amd64")
    };
    let mut balancer = cluster(&[bare.clone(), machine("amd64"), bare.clone()]);
    let image = wants(r#""exec":{"kind":"blackbox","image":"me/app:1","binary":false},"annotations":[]"#);
    let known =
        wants(r#""exec":{"kind":"blackbox","image":"openwhisk/action-python-v3.11","binary":false},"annotations":[]"#);
    assert_eq!(
        at(&place(&mut balancer, "guest", &wants(NODE), &[]).unwrap()),
        "invoker1"
    );
    assert_eq!(at(&place(&mut balancer, "guest", &image, &[]).unwrap()), "invoker1");
    assert_eq!(at(&place(&mut balancer, "guest", &known, &[]).unwrap()), "invoker2");
    let mut balancer = cluster(&[bare]);
    assert_eq!(
        refusal(place(&mut balancer, "guest", &wants(NODE), &[])),
        "There is no invoker that runs the kind 'nodejs:20'."
    );
    let placed = place(&mut balancer, "guest", &image, &[]).unwrap();
    assert!(placed.last, "it answers that it does not run images");
}

#[test]
fn labels_are_a_condition_unless_they_are_a_wish() {
    let with = |labels: &[&'static str]| Machine {
        labels: labels.to_vec(),
        ..machine("amd64")
    };
    let mut balancer = cluster(&[with(&["ssd"]), with(&[]), with(&["gpu", "ssd"])]);
    let both = labelled(r#"["ssd","gpu"]"#, true);
    for _ in 0..6 {
        assert_eq!(at(&place(&mut balancer, "guest", &both, &[]).unwrap()), "invoker2");
    }
    assert_eq!(
        refusal(place(&mut balancer, "guest", &labelled(r#"["tpu","ssd"]"#, true), &[])),
        "There is no invoker with the labels 'tpu', 'ssd', which the annotation 'invoker-resources' asks for."
    );
    let wished = place(&mut balancer, "guest", &labelled(r#"["tpu"]"#, false), &[]).unwrap();
    assert_eq!(at(&wished), "invoker1", "those without labels first");
    let mut balancer = cluster(&[with(&["ssd"]), machine("arm64")]);
    assert_eq!(
        at(&place(&mut balancer, "guest", &labelled(r#"["arm64"]"#, true), &[]).unwrap()),
        "invoker1",
        "an architecture is a label"
    );
    assert_eq!(labelled(r#"{"not":"a list"}"#, true).ranks(), [Rank::Wanted]);
    assert!(place(&mut balancer, "guest", &labelled("7", true), &[]).is_ok());
}

#[test]
fn dedicated_invokers_are_for_their_namespaces_and_those_for_no_others() {
    let own = Machine {
        dedicated: vec!["acme", "beta"],
        ..machine("amd64")
    };
    let mut balancer = cluster(&[machine("amd64"), own.clone(), machine("amd64")]);
    for _ in 0..8 {
        assert_eq!(
            at(&place(&mut balancer, "acme", &wants(NODE), &[]).unwrap()),
            "invoker1"
        );
        assert_ne!(
            at(&place(&mut balancer, "guest", &wants(NODE), &[]).unwrap()),
            "invoker1"
        );
    }
    assert_eq!(
        refusal(place(&mut balancer, "acme", &labelled(r#"["gpu"]"#, true), &[])),
        "There is no invoker among those dedicated to the namespace 'acme' with the label 'gpu', which the annotation \
         'invoker-resources' asks for."
    );
    let mut balancer = cluster(&[own]);
    assert_eq!(
        refusal(place(&mut balancer, "guest", &wants(NODE), &[])),
        "Every invoker is dedicated to other namespaces."
    );
}

#[test]
fn an_older_invoker_is_taken_to_run_anything() {
    let mut balancer = Balancer::new(1);
    balancer.ping(&InvokerInstance::new(0, 1024), true, 0);
    let image = wants(r#""exec":{"kind":"blackbox","image":"me/app:1","binary":false},"annotations":[]"#);
    for wants in [wants(NODE), native(40), image] {
        assert!(!place(&mut balancer, "guest", &wants, &[]).unwrap().last);
    }
    assert!(place(&mut balancer, "guest", &native(40), &[0]).unwrap().last);
}

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    let labels = proptest::sample::subsequence(vec!["gpu", "ssd"], 0..=2);
    let dedicated = proptest::sample::subsequence(vec!["acme", "beta"], 0..=2);
    let kinds = proptest::sample::select(vec![
        &["nodejs:20"][..],
        &["python:3.11"],
        &["nodejs:20", "python:3.11"],
    ]);
    let unfit = proptest::sample::subsequence(
        vec![
            "image me/app:1".to_owned(),
            "kind nodejs:20".to_owned(),
            "action guest/a 1-a".to_owned(),
        ],
        0..=1,
    );
    let architecture = proptest::sample::select(vec!["amd64", "arm64", "arm/v7"]);
    let of = |(architecture, kinds, images, labels, dedicated, unfit)| Machine {
        architecture,
        kinds,
        images,
        labels,
        dedicated,
        unfit,
    };
    proptest::collection::vec(
        (architecture, kinds, any::<bool>(), labels, dedicated, unfit).prop_map(of),
        1..12,
    )
}

proptest! {
    /// An activation is never given to a machine that cannot run it, to a stranger's, or to one without a label that is a
    /// condition; a machine that only cannot run the program gets it when no other is allowed, and is told. When it is
    /// refused no machine would have done.
    #[test]
    fn nothing_lands_where_it_cannot_run(
        machines in machines(),
        namespace in proptest::sample::select(vec!["guest", "acme", "beta"]),
        which in 0usize..5,
        refused in proptest::collection::vec(0u32..12, 0..3),
        taken in 0usize..20,
    ) {
        let wants = match which {
            0 => wants(NODE),
            1 => native(183),
            2 => labelled(r#"["gpu"]"#, true),
            3 => labelled(r#"["gpu","ssd"]"#, false),
            _ => wants(r#""exec":{"kind":"blackbox","image":"me/app:1","binary":false},"annotations":[]"#),
        };
        let mut balancer = cluster(&machines);
        for _ in 0..taken {
            let _ = place(&mut balancer, namespace, &wants, &[]);
        }
        let owns = machines.iter().any(|m| m.dedicated.contains(&namespace));
        let allowed = |m: &Machine| {
            let open = if owns { m.dedicated.contains(&namespace) } else { m.dedicated.is_empty() };
            let offered = match which {
                0 | 2 | 3 => m.kinds.contains(&"nodejs:20"),
                _ => true,
            };
            open && offered && (which != 2 || m.labels.contains(&"gpu"))
        };
        let barred = |m: &Machine| machines.iter().enumerate().any(|(number, other)| {
            let says = other.unfit.iter().any(|key| wants.keys().contains(key));
            other.architecture == m.architecture && (says || refused.contains(&(number as u32)))
        });
        let fit = |m: &Machine| {
            !barred(m) && (which != 1 || m.architecture == "arm64") && (which != 4 || m.images)
        };
        match place(&mut balancer, namespace, &wants, &refused) {
            Ok(placed) => {
                let m = &machines[placed.slot.at];
                prop_assert!(allowed(m));
                prop_assert_eq!(placed.last, !fit(m));
                prop_assert!(!placed.last || !machines.iter().any(|m| allowed(m) && fit(m)));
            }
            Err(refusal) => {
                prop_assert!(!machines.iter().any(allowed));
                prop_assert!(refusal != Refusal::NoneUp);
            }
        }
    }

    /// Where all machines are alike nothing changes with what they say of themselves: same home, same steps.
    #[test]
    fn equal_machines_are_used_as_ever(
        count in 1usize..25,
        places in proptest::collection::vec((0usize..8, any::<u64>(), any::<bool>()), 1..120),
    ) {
        let alike = vec![machine("amd64"); count];
        let (mut told, mut plain) = (cluster(&alike), Balancer::new(1));
        for number in 0..count {
            plain.ping(&InvokerInstance::new(number as u32, 1024), true, 0);
        }
        let actions: Vec<FullName> = (0..8).map(|i| format!("guest/a{i}").parse().unwrap()).collect();
        let (asks, nothing, guest) = (wants(NODE), Wants::default(), Namespace::new("guest").unwrap());
        for (action, chance, release) in places {
            let demand = |wants| Demand {
                namespace: &guest, action: &actions[action], memory: 256, concurrency: 1, wants, refused: &[],
            };
            let one = told.place(&demand(&asks), 1, chance).unwrap();
            let other = plain.place(&demand(&nothing), 1, chance).unwrap();
            prop_assert_eq!((at(&one), one.overcommitted, one.last), (at(&other), other.overcommitted, false));
            if release {
                told.release(one.slot, Outcome::Fine);
                plain.release(other.slot, Outcome::Fine);
            }
        }
    }
}
