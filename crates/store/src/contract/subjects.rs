//! Checks of [`SubjectStore`](crate::SubjectStore).

use wsk_entities::{RegistryLogin, UserLimits};

use super::samples::*;
use crate::{Error, Stores};

const U1: &str = "11111111-71f6-4ed5-8c54-816aa4f8c502";
const U2: &str = "22222222-71f6-4ed5-8c54-816aa4f8c502";

async fn who(stores: &Stores, uuid: &str, letter: char) -> Option<String> {
    let identity = stores.subjects.by_key(uuid, &key(letter)).await.expect("an answer");
    identity.map(|i| format!("{} in {}", i.subject, i.namespace.name))
}

async fn owner(stores: &Stores, namespace: &str) -> Option<String> {
    stores
        .subjects
        .by_namespace(&ns(namespace))
        .await
        .expect("an answer")
        .map(|i| i.subject.to_string())
}

pub async fn keys_name_identities(stores: &Stores) {
    let alice = subject("alice", &[("alice", U1, 'a'), ("shared", U2, 'b')]);
    stores.subjects.put_subject(&alice).await.expect("stored");
    assert_eq!(who(stores, U1, 'a').await.as_deref(), Some("alice in alice"));
    assert_eq!(who(stores, U2, 'b').await.as_deref(), Some("alice in shared"));
    for (uuid, letter) in [(U1, 'b'), (U2, 'a'), ("", 'a')] {
        assert_eq!(who(stores, uuid, letter).await, None);
    }
    assert!(
        stores
            .subjects
            .by_key(U1, &key('a')[1..])
            .await
            .expect("an answer")
            .is_none()
    );
    let identity = stores
        .subjects
        .by_key(U1, &key('a'))
        .await
        .expect("an answer")
        .expect("known");
    assert_eq!(&*identity.authkey.api_key, format!("{U1}:{}", key('a')));
    assert_eq!((&*identity.namespace.uuid, identity.rights.len()), (U1, 4));
    assert_eq!(
        stores.subjects.subject("alice").await.expect("an answer"),
        Some(alice.clone())
    );
    let renewed = subject("alice", &[("alice", U2, 'c')]);
    stores.subjects.put_subject(&renewed).await.expect("replaced");
    assert_eq!(
        who(stores, U1, 'a').await,
        None,
        "a key that was replaced opens nothing"
    );
    assert_eq!(who(stores, U2, 'c').await.as_deref(), Some("alice in alice"));
    assert_eq!(stores.subjects.subjects().await.expect("an answer"), [renewed]);
    assert!(stores.subjects.delete_subject("alice").await.expect("an answer"));
    assert!(!stores.subjects.delete_subject("alice").await.expect("an answer"));
    assert_eq!((who(stores, U2, 'c').await, owner(stores, "alice").await), (None, None));
    assert_eq!(stores.subjects.subject("alice").await.expect("an answer"), None);
}

pub async fn blocked_subjects_are_nobody(stores: &Stores) {
    let mut alice = subject("alice", &[("alice", U1, 'a')]);
    for blocked in [true, false] {
        alice.blocked = blocked;
        stores.subjects.put_subject(&alice).await.expect("stored");
        assert_eq!(who(stores, U1, 'a').await.is_none(), blocked);
        assert_eq!(owner(stores, "alice").await.is_none(), blocked);
        assert_eq!(
            stores.subjects.subject("alice").await.expect("an answer").as_ref(),
            Some(&alice)
        );
    }
}

pub async fn a_key_belongs_to_one_namespace(stores: &Stores) {
    let alice = subject("alice", &[("alice", U1, 'a')]);
    stores.subjects.put_subject(&alice).await.expect("stored");
    for document in [
        subject("bob", &[("bob", U1, 'a')]),
        subject("carol", &[("one", U2, 'c'), ("two", U2, 'c')]),
    ] {
        let refused = stores.subjects.put_subject(&document).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        assert_eq!(
            stores.subjects.subject(&document.subject).await.expect("an answer"),
            None
        );
    }
    assert_eq!(who(stores, U2, 'c').await, None, "nothing of a refused document stays");
    stores
        .subjects
        .put_subject(&alice)
        .await
        .expect("its own keys are no obstacle");
    assert_eq!(who(stores, U1, 'a').await.as_deref(), Some("alice in alice"));
}

pub async fn the_first_owner_of_a_namespace_counts(stores: &Stores) {
    let mut alice = subject("alice", &[("shared", U1, 'a')]);
    stores
        .subjects
        .put_subject(&subject("bobby", &[("shared", U2, 'b')]))
        .await
        .expect("stored");
    stores.subjects.put_subject(&alice).await.expect("stored");
    assert_eq!(owner(stores, "shared").await.as_deref(), Some("alice"));
    assert_eq!(who(stores, U2, 'b').await.as_deref(), Some("bobby in shared"));
    alice.blocked = true;
    stores.subjects.put_subject(&alice).await.expect("stored");
    assert_eq!(owner(stores, "shared").await.as_deref(), Some("bobby"));
    assert_eq!(owner(stores, "nobody").await, None);
}

pub async fn limits_come_with_the_identity(stores: &Stores) {
    stores
        .subjects
        .put_subject(&subject("alice", &[("alice", U1, 'a')]))
        .await
        .expect("stored");
    let limits = UserLimits {
        invocations_per_minute: Some(0),
        allowed_kinds: Some(vec!["nodejs:20".to_owned()]),
        max_payload_size: Some("2 MB".to_owned()),
        ..UserLimits::default()
    };
    assert_eq!(stores.subjects.limits(&ns("alice")).await.expect("an answer"), None);
    stores.subjects.put_limits(&ns("alice"), &limits).await.expect("stored");
    assert_eq!(
        stores.subjects.limits(&ns("alice")).await.expect("an answer").as_ref(),
        Some(&limits)
    );
    let by_key = stores
        .subjects
        .by_key(U1, &key('a'))
        .await
        .expect("an answer")
        .expect("known");
    let by_namespace = stores
        .subjects
        .by_namespace(&ns("alice"))
        .await
        .expect("an answer")
        .expect("known");
    assert_eq!((&by_key.limits, &by_namespace.limits), (&limits, &limits));
    let login = RegistryLogin {
        username: "me".to_owned(),
        encryption: "aes-256".to_owned(),
        password: "sealed".to_owned(),
    };
    let with_registries = UserLimits {
        registries: Some([("host:5000".to_owned(), login)].into()),
        ..limits.clone()
    };
    let put = stores.subjects.put_limits(&ns("alice"), &with_registries).await;
    put.expect("stored");
    let stored = stores.subjects.limits(&ns("alice")).await.expect("an answer");
    assert_eq!(stored, Some(with_registries));
    let by_key = stores.subjects.by_key(U1, &key('a')).await.expect("an answer");
    assert_eq!(by_key.expect("known").limits, limits, "an identity has no registries");
    assert!(stores.subjects.delete_limits(&ns("alice")).await.expect("an answer"));
    assert!(!stores.subjects.delete_limits(&ns("alice")).await.expect("an answer"));
    let plain = stores
        .subjects
        .by_key(U1, &key('a'))
        .await
        .expect("an answer")
        .expect("known");
    assert_eq!(plain.limits, UserLimits::default());
}

pub async fn the_generation_tells_of_changes(stores: &Stores) {
    let mut seen = vec![stores.subjects.generation().await.expect("a number")];
    let mut changed = async |what: &str| {
        let now = stores.subjects.generation().await.expect("a number");
        assert!(!seen.contains(&now), "{what}");
        assert_eq!(
            stores.subjects.generation().await.expect("a number"),
            now,
            "asking changes nothing"
        );
        seen.push(now);
    };
    stores
        .subjects
        .put_subject(&subject("alice", &[("alice", U1, 'a')]))
        .await
        .expect("stored");
    changed("a new subject").await;
    stores
        .subjects
        .put_subject(&subject("alice", &[("alice", U1, 'b')]))
        .await
        .expect("stored");
    changed("a new key").await;
    stores
        .subjects
        .put_limits(&ns("alice"), &UserLimits::default())
        .await
        .expect("stored");
    changed("limits").await;
    stores.subjects.delete_limits(&ns("alice")).await.expect("an answer");
    changed("no limits").await;
    stores.subjects.delete_subject("alice").await.expect("an answer");
    changed("no subject").await;
}
