//! Checks of [`ActivationStore::retain`](crate::ActivationStore::retain).

use wsk_entities::Activation;

use super::records::{agree, ids};
use super::samples::*;
use super::{RETAIN_COUNT, RETAIN_MS};
use crate::{ActivationFilter, Page, Stores};

const ALL: Page = Page { skip: 0, limit: 10_000 };

pub async fn old_records_go(stores: &Stores) {
    let now = 50 * RETAIN_MS;
    let edge = now - RETAIN_MS;
    let starts = [edge - 1, edge, edge + 1, now, 5];
    let records = starts
        .iter()
        .zip(1..)
        .map(|(start, id)| record(id, ["one/a", "two/b"][id as usize % 2], *start));
    stores.activations.store(arcs(records)).await.expect("stored");
    assert_eq!(stores.activations.retain(now).await.expect("retains"), 2);
    let filter = ActivationFilter::default();
    assert_eq!(ids(stores, &ns("two"), &filter, ALL).await, [3], "1 and 5 were too old");
    assert_eq!(ids(stores, &ns("one"), &filter, ALL).await, [4, 2]);
    assert_eq!(stores.activations.count(&ns("two"), &filter).await.expect("a count"), 1);
    assert_eq!(stores.activations.retain(now).await.expect("retains"), 0);
    let gone = arcs([record(1, "two/b", now)]);
    stores
        .activations
        .store(gone)
        .await
        .expect("an id that went may come back");
    assert_eq!(ids(stores, &ns("two"), &filter, ALL).await, [1, 3]);
}

pub async fn surplus_records_go_oldest_first(stores: &Stores) {
    let (mut dice, mut model) = (Dice::new(11), Vec::<Activation>::new());
    for round in 0..6 {
        let batch: Vec<_> = (0..150)
            .map(|n| {
                let id = round * 1_000 + n;
                let action = ["one/a", "one/p/a", "one/b", "two/a", "three/rare"][dice.below(5) as usize];
                // Each start once, so that it is clear who goes.
                record(
                    u128::from(id),
                    action,
                    1_000 + round * 400 + (n * 7) % 600 * 1_000 / 997,
                )
            })
            .collect();
        model.extend(batch.clone());
        stores.activations.store(arcs(batch)).await.expect("stored");
        let surplus = model.len().saturating_sub(RETAIN_COUNT as usize);
        assert_eq!(
            stores.activations.retain(RETAIN_MS / 2).await.expect("retains"),
            surplus as u64
        );
        model.sort_by_key(|r| r.start);
        let (gone, kept) = model.split_at(surplus);
        // Equal starts at the edge: any of them may go. Ask the store which, and that it is no other.
        let edge = kept.first().map_or(0, |r| r.start);
        assert!(gone.iter().all(|r| r.start <= edge));
        let mut left = Vec::new();
        for record in &model {
            let there = stores
                .activations
                .exists(&record.namespace, record.activation_id)
                .await
                .expect("an answer");
            assert!(
                there || record.start <= edge,
                "{} went though older ones stayed",
                record.start
            );
            if there {
                left.push(record.clone());
            }
        }
        assert_eq!(left.len(), model.len() - surplus);
        model = left;
        agree(stores, &model, &mut dice, 30).await;
    }
}
