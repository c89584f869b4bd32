//! Checks of [`ActivationStore`](crate::ActivationStore).

use std::cmp::Reverse;

use wsk_entities::{Activation, ActivationId, Json, Namespace, Response, StatusCode, Timestamp};

use super::samples::*;
use crate::{ActivationFilter, Page, Stores};

const ALL: Page = Page { skip: 0, limit: 10_000 };

fn by_name(name: &str) -> ActivationFilter {
    ActivationFilter {
        name: Some(name.to_owned()),
        ..ActivationFilter::default()
    }
}

fn between(since: Option<Timestamp>, upto: Option<Timestamp>) -> ActivationFilter {
    ActivationFilter {
        name: None,
        since,
        upto,
    }
}

async fn store(stores: &Stores, records: impl IntoIterator<Item = Activation>) {
    stores.activations.store(arcs(records)).await.expect("stored");
}

/// Ids of a list, after checking that every form of it says the same.
pub(super) async fn ids(stores: &Stores, namespace: &Namespace, filter: &ActivationFilter, page: Page) -> Vec<u128> {
    let records = stores
        .activations
        .records(namespace, filter, page)
        .await
        .expect("records");
    let summaries = stores
        .activations
        .summaries(namespace, filter, page)
        .await
        .expect("summaries");
    assert_eq!(summaries, records.iter().map(Activation::summary).collect::<Vec<_>>());
    records.iter().map(|r| r.activation_id.bits()).collect()
}

async fn count(stores: &Stores, namespace: &Namespace, filter: &ActivationFilter) -> u64 {
    stores.activations.count(namespace, filter).await.expect("a count")
}

pub async fn a_record_comes_back_whole(stores: &Stores) {
    let plain = record(1, "guest/a", 1_700_000_000_000);
    let mut full = record(u128::MAX, "guest/p/b", 1_700_000_000_001);
    full.cause = Some(ActivationId::from_bits(1));
    full.response = Response {
        status_code: StatusCode::DeveloperError,
        result: Json::parse(r#"{"big":1e400,"digits":0.10,"lone":"\ud83d","nested":[{},[],null]}"#).expect("JSON"),
        size: None,
    };
    full.logs = vec!["quote \" and \u{0} and ü".to_owned(), String::new()];
    full.publish = true;
    let mut fired = record(2, "guest/trigger", 1_700_000_000_002);
    (fired.end, fired.duration, fired.logs) = (0, None, Vec::new());
    let records = [plain, full, fired];
    store(stores, records.clone()).await;
    for record in &records {
        let got = stores
            .activations
            .get(&ns("guest"), record.activation_id)
            .await
            .expect("readable");
        assert_eq!(got.as_ref(), Some(record));
        assert!(
            stores
                .activations
                .exists(&record.namespace, record.activation_id)
                .await
                .expect("an answer")
        );
    }
    assert!(
        !stores
            .activations
            .exists(&ns("guest"), ActivationId::from_bits(3))
            .await
            .expect("an answer")
    );
    let newest_first = ids(stores, &ns("guest"), &ActivationFilter::default(), ALL).await;
    assert_eq!(newest_first, [2, u128::MAX, 1]);
}

pub async fn a_record_is_stored_once(stores: &Stores) {
    let first = record(7, "guest/a", 100);
    store(stores, [first.clone()]).await;
    let mut late = record(7, "guest/a", 200);
    late.response = Response::failure(StatusCode::WhiskError, &"it ran twice".into(), None);
    store(stores, [late.clone(), record(8, "guest/a", 150), late.clone()]).await;
    let mut writers = Vec::new();
    for _ in 0..8 {
        let (store, again) = (
            stores.activations.clone(),
            arcs([late.clone(), record(9, "guest/a", 160)]),
        );
        writers.push(tokio::spawn(async move { store.store(again).await }));
    }
    for writer in writers {
        writer.await.expect("no panic").expect("storing again is no error");
    }
    let got = stores
        .activations
        .get(&ns("guest"), first.activation_id)
        .await
        .expect("readable");
    assert_eq!(got, Some(first), "the first one stays");
    let filter = ActivationFilter::default();
    assert_eq!(ids(stores, &ns("guest"), &filter, ALL).await, [9, 8, 7]);
    assert_eq!(count(stores, &ns("guest"), &filter).await, 3);
    assert_eq!(count(stores, &ns("guest"), &by_name("a")).await, 3);
    store(stores, []).await;
}

pub async fn records_belong_to_their_namespace(stores: &Stores) {
    store(stores, [record(1, "guest/a", 1), record(2, "other/a", 2)]).await;
    let other = ActivationId::from_bits(2);
    assert_eq!(
        stores.activations.get(&ns("guest"), other).await.expect("readable"),
        None
    );
    assert!(stores.activations.exists(&ns("other"), other).await.expect("an answer"));
    let filter = ActivationFilter::default();
    assert_eq!(ids(stores, &ns("guest"), &filter, ALL).await, [1]);
    assert_eq!(ids(stores, &ns("nobody"), &filter, ALL).await, [0; 0]);
    assert_eq!(count(stores, &ns("nobody"), &filter).await, 0);
    assert_eq!(ids(stores, &ns("other"), &by_name("a"), ALL).await, [2]);
}

pub async fn times_are_inclusive(stores: &Stores) {
    store(stores, (1..=5).map(|n| record(n, "guest/a", 100 * n as u64))).await;
    let cases: [(Option<u64>, Option<u64>, &[u128]); 7] = [
        (Some(200), Some(400), &[4, 3, 2]),
        (Some(201), Some(399), &[3]),
        (Some(300), Some(300), &[3]),
        (Some(500), None, &[5]),
        (None, Some(100), &[1]),
        (Some(400), Some(200), &[]),
        (Some(501), Some(u64::MAX), &[]),
    ];
    for (since, upto, expected) in cases {
        for name in [None, Some("a".to_owned())] {
            let filter = ActivationFilter {
                name,
                ..between(since, upto)
            };
            assert_eq!(ids(stores, &ns("guest"), &filter, ALL).await, expected, "{filter:?}");
            assert_eq!(
                count(stores, &ns("guest"), &filter).await,
                expected.len() as u64,
                "{filter:?}"
            );
        }
    }
}

pub async fn names_of_records_tell_packages_apart(stores: &Stores) {
    let mut bound = record(3, "guest/p/a", 3);
    bound.annotations.set("binding", "guest/bound".into());
    store(stores, [record(1, "guest/a", 1), record(2, "guest/p/a", 2), bound]).await;
    for (name, expected) in [
        ("a", &[1][..]),
        ("p/a", &[2]),
        ("bound/a", &[3]),
        ("q/a", &[]),
        ("", &[]),
    ] {
        assert_eq!(
            ids(stores, &ns("guest"), &by_name(name), ALL).await,
            expected,
            "{name:?}"
        );
        assert_eq!(
            count(stores, &ns("guest"), &by_name(name)).await,
            expected.len() as u64,
            "{name:?}"
        );
    }
}

const ACTIONS: [&str; 5] = ["one/a", "one/p/a", "one/b", "two/a", "three/rare"];

/// A record whose start is anywhere in some minutes, out of order and often equal to another's.
fn shuffled(dice: &mut Dice, n: u64) -> Activation {
    let action = ACTIONS[if dice.below(40) == 0 { 4 } else { dice.below(4) as usize }];
    let id = (u128::from(dice.below(u64::MAX >> 12)) << 64) | u128::from(n);
    record(id, action, 1_000 + n * 3 + dice.below(500))
}

fn expected(model: &[Activation], namespace: &str, filter: &ActivationFilter) -> Vec<u128> {
    let inside = |r: &&Activation| {
        r.namespace.as_str() == namespace
            && filter.name.as_ref().is_none_or(|name| r.filter_name() == *name)
            && filter.since.is_none_or(|since| r.start >= since)
            && filter.upto.is_none_or(|upto| r.start <= upto)
    };
    let mut found: Vec<_> = model
        .iter()
        .filter(inside)
        .map(|r| (Reverse(r.start), r.activation_id.bits()))
        .collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

/// Random questions about the records of `model`, which the store holds.
pub(super) async fn agree(stores: &Stores, model: &[Activation], dice: &mut Dice, questions: u64) {
    for _ in 0..questions {
        let namespace = ["one", "two", "three"][dice.below(3) as usize];
        let name = [None, Some("a"), Some("p/a"), Some("b"), Some("rare")][dice.below(5) as usize].map(str::to_owned);
        let mut time = || (dice.below(2) == 0).then(|| 900 + dice.below(3_000));
        let filter = ActivationFilter {
            name,
            since: time(),
            upto: time(),
        };
        let expected = expected(model, namespace, &filter);
        let page = Page {
            skip: dice.below(expected.len() as u64 + 10),
            limit: dice.below(60),
        };
        let wanted = expected
            .iter()
            .skip(page.skip as usize)
            .take(page.limit as usize)
            .copied();
        let mut wanted: Vec<_> = wanted.collect();
        let mut found = ids(stores, &ns(namespace), &filter, page).await;
        // Ties of start have some stable order; which one is the store's choice, so only whole lists are compared.
        if page.skip == 0 && wanted.len() == expected.len() {
            wanted.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, wanted, "{namespace} {filter:?} {page:?}");
        }
        assert_eq!(found.len(), wanted.len(), "{namespace} {filter:?} {page:?}");
        assert_eq!(
            count(stores, &ns(namespace), &filter).await,
            expected.len() as u64,
            "{namespace} {filter:?}"
        );
    }
}

pub async fn lists_and_counts_agree_with_a_model(stores: &Stores) {
    let (mut dice, mut model) = (Dice::new(5), Vec::<Activation>::new());
    while model.len() < 700 {
        let mut writers = Vec::new();
        for _ in 0..=dice.below(4) {
            let from = model.len() as u64;
            let mut batch: Vec<_> = (0..=dice.below(20)).map(|n| shuffled(&mut dice, from + n)).collect();
            model.extend(batch.clone());
            if dice.below(3) == 0 {
                batch.extend(model.get(dice.below(from + 1) as usize).cloned());
            }
            let store = stores.activations.clone();
            writers.push(tokio::spawn(async move { store.store(arcs(batch)).await }));
        }
        for writer in writers {
            writer.await.expect("no panic").expect("stored");
        }
        agree(stores, &model, &mut dice, 6).await;
    }
    let (namespace, filter) = (ns("one"), ActivationFilter::default());
    let everything = ids(stores, &namespace, &filter, ALL).await;
    let mut pages = Vec::new();
    while pages.len() < everything.len() {
        let page = Page {
            skip: pages.len() as u64,
            limit: 1 + dice.below(50),
        };
        pages.extend(ids(stores, &namespace, &filter, page).await);
    }
    assert_eq!(pages, everything, "pages put together are the list");
}
