//! Checks that span two lives of a store: [`write`] in the first, [`find`] in the second.

use wsk_entities::{Collection, UserLimits};

use super::samples::*;
use crate::{ActivationFilter, Expected, Page, Revision, Stores, Visibility};

const UUID: &str = "33333333-71f6-4ed5-8c54-816aa4f8c502";

/// What [`find`] must see again.
#[derive(Debug)]
pub struct Written {
    revision: Revision,
    generation: u64,
}

/// Writes something of everything.
pub async fn write(stores: &Stores) -> Written {
    let put = stores
        .entities
        .put(&action("durable/a", 1), Expected::Absent)
        .await
        .expect("stored");
    let put = stores
        .entities
        .put(&put.value, Expected::Revision(put.revision))
        .await
        .expect("stored");
    stores
        .entities
        .put(&package("durable/p", 1, true), Expected::Absent)
        .await
        .expect("stored");
    stores
        .subjects
        .put_subject(&subject("durable", &[("durable", UUID, 'd')]))
        .await
        .expect("stored");
    let limits = UserLimits {
        fires_per_minute: Some(3),
        ..UserLimits::default()
    };
    stores
        .subjects
        .put_limits(&ns("durable"), &limits)
        .await
        .expect("stored");
    let records = (0..100).map(|n| record(n, "durable/a", 1_000 + n as u64));
    stores.activations.store(arcs(records)).await.expect("stored");
    Written {
        revision: put.revision,
        generation: stores.subjects.generation().await.expect("a number"),
    }
}

/// Finds it all, in the state it was acknowledged in, and can go on.
pub async fn find(stores: &Stores, written: &Written) {
    let found = stores
        .entities
        .get(&full("durable/a"))
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(found.revision, written.revision);
    let packages = stores
        .entities
        .count(Collection::Packages, &path("durable"), Visibility::Public)
        .await;
    assert_eq!(packages.expect("a count"), 1);
    let identity = stores
        .subjects
        .by_key(UUID, &key('d'))
        .await
        .expect("an answer")
        .expect("known");
    assert_eq!(identity.limits.fires_per_minute, Some(3));
    assert_eq!(
        stores.subjects.generation().await.expect("a number"),
        written.generation
    );
    let (filter, page) = (ActivationFilter::default(), Page { skip: 99, limit: 5 });
    assert_eq!(
        stores
            .activations
            .count(&ns("durable"), &filter)
            .await
            .expect("a count"),
        100
    );
    let oldest = stores
        .activations
        .records(&ns("durable"), &filter, page)
        .await
        .expect("records");
    assert_eq!(oldest, [record(0, "durable/a", 1_000)]);
    let next = stores
        .entities
        .put(&found.value, Expected::Revision(found.revision))
        .await
        .expect("stored");
    assert_ne!(next.revision, written.revision);
    stores
        .entities
        .delete(&full("durable/a"), &next.revision)
        .await
        .expect("deletes");
    stores
        .activations
        .store(arcs([record(100, "durable/a", 5)]))
        .await
        .expect("stored");
    assert_eq!(
        stores
            .activations
            .count(&ns("durable"), &filter)
            .await
            .expect("a count"),
        101
    );
}
