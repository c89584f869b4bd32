//! Checks of [`ApiStore`].

use crate::{Api, ApiStore, Error, Expected, Stored, Subscription};

const TENANT: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";

/// An API with a document that tells versions apart.
pub fn api(base: &str, version: u32) -> Api {
    Api {
        tenant: TENANT.into(),
        base_path: base.into(),
        id: format!("id of {base}").into(),
        hosts: vec!["localhost:3233".to_owned()],
        document: format!(r#"{{"version":{version},"text":"ü"}}"#).into(),
    }
}

async fn put(store: &dyn ApiStore, api: &Api, expected: Expected) -> Stored<Api> {
    let revision = store.put_api(api, expected).await.expect("stored");
    Stored {
        value: api.clone(),
        revision,
    }
}

async fn bases(store: &dyn ApiStore, tenant: &str) -> Vec<String> {
    let apis = store.apis(tenant).await.expect("a list");
    apis.iter().map(|api| api.value.base_path.to_string()).collect()
}

pub async fn apis_come_back_by_base_path(store: &dyn ApiStore) {
    for base in ["/b", "/", "/a"] {
        put(store, &api(base, 1), Expected::Absent).await;
    }
    assert_eq!(bases(store, TENANT).await, ["/", "/a", "/b"]);
    assert_eq!(store.apis(TENANT).await.expect("a list")[1].value, api("/a", 1));
    assert_eq!(bases(store, "other").await, [""; 0]);
}

pub async fn a_write_of_an_api_states_what_it_expects(store: &dyn ApiStore) {
    let first = put(store, &api("/a", 1), Expected::Absent).await;
    let refused = store.put_api(&api("/a", 2), Expected::Absent).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let second = put(store, &api("/a", 2), Expected::Revision(first.revision.clone())).await;
    assert_ne!(second.revision, first.revision);
    for stale in [
        store
            .put_api(&api("/a", 3), Expected::Revision(first.revision.clone()))
            .await
            .map(|_| ()),
        store.delete_api(TENANT, "/a", &first.revision).await,
        store.delete_api(TENANT, "/b", &first.revision).await,
    ] {
        assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    }
    let found = store.apis(TENANT).await.expect("a list");
    assert_eq!(
        (found[0].value.clone(), found[0].revision.clone()),
        (second.value, second.revision.clone())
    );
    store.delete_api(TENANT, "/a", &second.revision).await.expect("deleted");
    assert_eq!(bases(store, TENANT).await, [""; 0]);
    let again = put(store, &api("/a", 4), Expected::Absent).await;
    assert!(
        again.revision != first.revision && again.revision != second.revision,
        "a revision is never used again"
    );
}

pub async fn subscriptions_live_with_their_api(store: &dyn ApiStore) {
    let client = |name: &str, secret: Option<&str>| Subscription {
        client_id: name.into(),
        secret: secret.map(Into::into),
    };
    let missing = store.subscribe(TENANT, "id of /a", &client("b", None)).await;
    assert!(matches!(missing, Err(Error::Missing(_))), "{missing:?}");
    let first = put(store, &api("/a", 1), Expected::Absent).await;
    let foreign = store.subscribe("other", "id of /a", &client("b", None)).await;
    assert!(matches!(foreign, Err(Error::Missing(_))), "{foreign:?}");
    for subscription in [client("b", None), client("a", None), client("a", Some("5e"))] {
        store
            .subscribe(TENANT, "id of /a", &subscription)
            .await
            .expect("subscribed");
    }
    let second = put(store, &api("/a", 2), Expected::Revision(first.revision)).await;
    let listed = async || store.subscriptions(TENANT, "id of /a").await.expect("a list");
    assert_eq!(
        listed().await,
        [client("a", Some("5e")), client("b", None)],
        "a new document keeps them"
    );
    assert!(!store.unsubscribe("other", "id of /a", "b").await.expect("an answer"));
    assert!(store.unsubscribe(TENANT, "id of /a", "b").await.expect("an answer"));
    assert!(!store.unsubscribe(TENANT, "id of /a", "b").await.expect("an answer"));
    store.delete_api(TENANT, "/a", &second.revision).await.expect("deleted");
    put(store, &api("/a", 3), Expected::Absent).await;
    assert_eq!(listed().await, [], "a deleted API takes them along");
}

pub async fn the_generation_of_apis_tells_of_changes(store: &dyn ApiStore) {
    let mut seen = vec![store.generation().await.expect("a number")];
    let mut changed = async |what: &str| {
        let now = store.generation().await.expect("a number");
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    let stored = put(store, &api("/a", 1), Expected::Absent).await;
    changed("a new API").await;
    let subscription = Subscription {
        client_id: "c".into(),
        secret: None,
    };
    store
        .subscribe(TENANT, "id of /a", &subscription)
        .await
        .expect("subscribed");
    changed("a subscription").await;
    store.unsubscribe(TENANT, "id of /a", "c").await.expect("an answer");
    changed("no subscription").await;
    store.delete_api(TENANT, "/a", &stored.revision).await.expect("deleted");
    changed("no API").await;
}

/// One test per check of APIs, each on the store that `$fresh().await` opens: a pair of `Arc<dyn ApiStore>` and a guard.
#[macro_export]
macro_rules! api_contract_suite {
    ($fresh:path) => {
        $crate::api_contract_suite! { $fresh;
            apis_come_back_by_base_path
            a_write_of_an_api_states_what_it_expects
            subscriptions_live_with_their_api
            the_generation_of_apis_tells_of_changes
        }
    };
    ($fresh:path; $($check:ident)+) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (store, _kept) = $fresh().await;
                $crate::contract::apis::$check(&*store).await;
            }
        )+
    };
}
