//! Checks of [`EntityStore`](crate::EntityStore).

use wsk_entities::{Action, Code, Collection, Entity, EntityPath, FullName, Json, Parameter};

use super::samples::*;
use crate::{Error, Expected, Page, Stored, Stores, Visibility};

const ALL: Page = Page { skip: 0, limit: 1000 };

async fn create(stores: &Stores, entity: Entity) -> Stored<Entity> {
    stores
        .entities
        .put(&entity, Expected::Absent)
        .await
        .expect("the name is free")
}

async fn get(stores: &Stores, name: &str) -> Option<Stored<Entity>> {
    stores.entities.get(&full(name)).await.expect("readable")
}

async fn names(stores: &Stores, collection: Collection, path: &EntityPath, visibility: Visibility) -> Vec<String> {
    let listed = stores
        .entities
        .list(collection, path, visibility, ALL)
        .await
        .expect("a list");
    let count = stores
        .entities
        .count(collection, path, visibility)
        .await
        .expect("a count");
    assert_eq!(count, listed.len() as u64, "count and list of {path}");
    assert!(
        listed.is_sorted_by_key(|e| std::cmp::Reverse(e.updated())),
        "newest first"
    );
    listed.iter().map(|e| e.full_name().to_string()).collect()
}

/// The code reference of an action, with the rest of it left out.
fn attachment(entity: &Entity) -> wsk_entities::Attachment {
    match entity {
        Entity::Action(action) => match action.exec.code() {
            Some(Code::Attached(attachment)) => attachment.clone(),
            other => panic!("{other:?} is not a reference"),
        },
        other => panic!("{other:?} is no action"),
    }
}

pub async fn what_is_put_is_got_back(stores: &Stores) {
    assert!(get(stores, "guest/nothing").await.is_none());
    let entities = [
        trigger("guest/t", 1),
        rule("guest/r", 2),
        package("guest/p", 3, true),
        binding("guest/b", 4, "other/p"),
        action("guest/a", 5),
        action("guest/p/a", 6),
    ];
    for entity in entities {
        let name = entity.full_name().to_string();
        let put = create(stores, entity.clone()).await;
        let got = get(stores, &name).await.expect("just written");
        assert_eq!((&got.value, &got.revision), (&put.value, &put.revision));
        if !matches!(entity, Entity::Action(_)) {
            assert_eq!(got.value, entity);
        }
    }
}

pub async fn code_is_kept_apart(stores: &Stores) {
    let texts = [
        String::new(),
        "function main() {}".to_owned(),
        "ü\u{1F600}".repeat(30_000),
    ];
    for (n, text) in texts.iter().enumerate() {
        let name = format!("guest/a{n}");
        let put = create(stores, action_with(&name, 1, text)).await;
        let reference = attachment(&put.value);
        assert_eq!(reference.length, Some(text.len() as u64));
        assert_eq!(
            &*stores.entities.code(&full(&name), &reference).await.expect("stored"),
            text
        );
        let Entity::Action(mut got) = put.value else {
            panic!("an action")
        };
        *got.exec.code_mut().expect("code") = Code::Inline(text.as_str().into());
        assert_eq!(Entity::Action(got), action_with(&name, 1, text), "nothing else differs");
    }
    let listed = stores
        .entities
        .list(Collection::Actions, &path("guest"), Visibility::All, ALL)
        .await
        .expect("a list");
    listed.iter().for_each(|entity| drop(attachment(entity)));
}

pub async fn code_lives_as_long_as_it_is_referred_to(stores: &Stores) {
    let first = create(stores, action_with("guest/a", 1, "one")).await;
    let twin = create(stores, action_with("guest/twin", 1, "one")).await;
    // An update of anything else refers to the code it read.
    let kept = stores
        .entities
        .put(&first.value, Expected::Revision(first.revision))
        .await
        .expect("its own code");
    let code = |entity: &Stored<Entity>| (entity.value.full_name(), attachment(&entity.value));
    let (name, old) = code(&kept);
    assert_eq!(&*stores.entities.code(&name, &old).await.expect("kept"), "one");
    let changed = action_with("guest/a", 2, "two");
    let changed = stores
        .entities
        .put(&changed, Expected::Revision(kept.revision))
        .await
        .expect("new code");
    let (twins_name, twins) = code(&twin);
    assert_eq!(
        &*stores
            .entities
            .code(&twins_name, &twins)
            .await
            .expect("the twin still has it"),
        "one"
    );
    stores
        .entities
        .delete(&twins_name, &twin.revision)
        .await
        .expect("deletes");
    let gone = stores.entities.code(&name, &old).await;
    assert!(matches!(gone, Err(Error::Missing(_))), "{gone:?}");
    // Code of another revision cannot be claimed.
    let claimed = stores
        .entities
        .put(&kept.value, Expected::Revision(changed.revision.clone()))
        .await;
    assert!(matches!(claimed, Err(Error::Missing(_))), "{claimed:?}");
    let (name, new) = code(&changed);
    assert_eq!(
        &*stores
            .entities
            .code(&name, &new)
            .await
            .expect("untouched by the refusal"),
        "two"
    );
}

pub async fn a_write_states_what_it_expects(stores: &Stores) {
    let first = create(stores, trigger("guest/t", 1)).await;
    let conflict = |result: Result<Stored<Entity>, Error>| match result {
        Err(Error::Conflict(name)) => assert!(name.contains("guest/t"), "{name}"),
        other => panic!("{other:?}"),
    };
    conflict(stores.entities.put(&trigger("guest/t", 2), Expected::Absent).await);
    let second = stores
        .entities
        .put(&trigger("guest/t", 2), Expected::Revision(first.revision.clone()))
        .await;
    let second = second.expect("the revision is current");
    assert_ne!(second.revision, first.revision);
    conflict(
        stores
            .entities
            .put(&trigger("guest/t", 3), Expected::Revision(first.revision.clone()))
            .await,
    );
    assert_eq!(
        get(stores, "guest/t").await.expect("there").value.updated(),
        2,
        "refused writes change nothing"
    );
    let stale = stores.entities.delete(&full("guest/t"), &first.revision).await;
    assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
    stores
        .entities
        .delete(&full("guest/t"), &second.revision)
        .await
        .expect("deletes");
    assert!(get(stores, "guest/t").await.is_none());
    let again = stores.entities.delete(&full("guest/t"), &second.revision).await;
    assert!(matches!(again, Err(Error::Missing(_))), "{again:?}");
    conflict(
        stores
            .entities
            .put(&trigger("guest/t", 3), Expected::Revision(second.revision))
            .await,
    );
}

pub async fn concurrent_writes_have_one_winner(stores: &Stores) {
    let first = create(stores, trigger("guest/t", 0)).await;
    for expected in [Expected::Absent, Expected::Revision(first.revision)] {
        let name = if expected == Expected::Absent {
            "guest/new"
        } else {
            "guest/t"
        };
        let mut writers = Vec::new();
        for updated in 1..=20 {
            let (store, expected) = (stores.entities.clone(), expected.clone());
            writers.push(tokio::spawn(async move {
                store.put(&trigger(name, updated), expected).await
            }));
        }
        let mut winners = Vec::new();
        for writer in writers {
            match writer.await.expect("no panic") {
                Ok(stored) => winners.push(stored),
                Err(Error::Conflict(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let stored = get(stores, name).await.expect("there");
        assert_eq!(winners.len(), 1);
        assert_eq!(
            (&stored.value, &stored.revision),
            (&winners[0].value, &winners[0].revision)
        );
    }
}

pub async fn a_revision_is_never_used_again(stores: &Stores) {
    let first = create(stores, trigger("guest/t", 1)).await;
    stores
        .entities
        .delete(&full("guest/t"), &first.revision)
        .await
        .expect("deletes");
    let second = create(stores, trigger("guest/t", 1)).await;
    assert_ne!(
        first.revision, second.revision,
        "or who read the first could overwrite the second"
    );
}

pub async fn collections_share_one_name_space(stores: &Stores) {
    create(stores, package("guest/x", 1, false)).await;
    for other in [action("guest/x", 2), trigger("guest/x", 2), rule("guest/x", 2)] {
        let refused = stores.entities.put(&other, Expected::Absent).await;
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    }
    create(stores, action("guest/x/x", 2)).await;
    create(stores, action("other/x", 2)).await;
    for collection in [Collection::Triggers, Collection::Rules] {
        assert!(
            names(stores, collection, &path("guest"), Visibility::All)
                .await
                .is_empty()
        );
    }
}

pub async fn lists_run_newest_first_in_stable_pages(stores: &Stores) {
    // Few times for many triggers: ties everywhere.
    for n in 0..25 {
        create(stores, trigger(&format!("guest/t{}", n * 7 % 25), n % 4)).await;
    }
    let everything = names(stores, Collection::Triggers, &path("guest"), Visibility::All).await;
    assert_eq!(everything.len(), 25);
    let mut pages = Vec::new();
    for skip in (0..30).step_by(4) {
        let page = Page { skip, limit: 4 };
        let page = stores
            .entities
            .list(Collection::Triggers, &path("guest"), Visibility::All, page)
            .await;
        pages.extend(page.expect("a page").iter().map(|e| e.full_name().to_string()));
    }
    assert_eq!(pages, everything);
}

pub async fn a_namespace_lists_its_packages_actions(stores: &Stores) {
    for (n, name) in [
        "guest/a",
        "guest/p/b",
        "guest/q/b",
        "guest/p/c",
        "guest2/d",
        "guest2/p/e",
    ]
    .iter()
    .enumerate()
    {
        create(stores, action(name, n as u64)).await;
    }
    let list = async |of: &str| names(stores, Collection::Actions, &path(of), Visibility::All).await;
    assert_eq!(list("guest").await, ["guest/p/c", "guest/q/b", "guest/p/b", "guest/a"]);
    assert_eq!(list("guest/p").await, ["guest/p/c", "guest/p/b"]);
    assert_eq!(list("guest/none").await, [""; 0]);
    assert_eq!(list("gue").await, [""; 0]);
}

pub async fn foreigners_see_public_packages(stores: &Stores) {
    create(stores, package("guest/public", 1, true)).await;
    create(stores, package("guest/private", 2, false)).await;
    create(stores, binding("guest/bound", 3, "other/p")).await;
    create(stores, action("guest/a", 4)).await;
    let of = path("guest");
    let list = async |visibility| names(stores, Collection::Packages, &of, visibility).await;
    assert_eq!(
        list(Visibility::All).await,
        ["guest/bound", "guest/private", "guest/public"]
    );
    assert_eq!(list(Visibility::Public).await, ["guest/public"]);
    let seen = get(stores, "guest/public").await.expect("there");
    stores
        .entities
        .put(&package("guest/public", 5, false), Expected::Revision(seen.revision))
        .await
        .expect("updates");
    assert_eq!(list(Visibility::Public).await, [""; 0]);
}

pub async fn bindings_are_found_from_every_namespace(stores: &Stores) {
    create(stores, package("guest/p", 1, true)).await;
    create(stores, binding("guest/b", 2, "guest/p")).await;
    create(stores, binding("other/b", 3, "guest/p")).await;
    let away = create(stores, binding("other/c", 4, "guest/q")).await;
    let target = FullName {
        path: path("guest"),
        name: name("p"),
    };
    let target = wsk_entities::Binding {
        namespace: target.path.namespace,
        name: target.name,
    };
    let found = async || {
        let mut found = stores.entities.bindings_to(&target).await.expect("an answer");
        found.sort();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found().await, ["guest/b", "other/b"]);
    let moved = binding("other/c", 5, "guest/p");
    let moved = stores
        .entities
        .put(&moved, Expected::Revision(away.revision))
        .await
        .expect("updates");
    assert_eq!(found().await, ["guest/b", "other/b", "other/c"]);
    stores
        .entities
        .delete(&full("other/c"), &moved.revision)
        .await
        .expect("deletes");
    assert_eq!(found().await, ["guest/b", "other/b"]);
}

/// A change of keys is nothing that anybody else notices.
pub async fn what_is_encrypted_is_found_and_encrypted_anew(stores: &Stores) {
    let sealed = |name: &str, value: &str| {
        let mut entity = action(name, 1);
        let Entity::Action(action) = &mut entity else {
            panic!("an action")
        };
        action.parameters.insert(Parameter {
            encryption: Some("aes-256".to_owned()),
            ..Parameter::new("k", Json::from(value))
        });
        entity
    };
    create(stores, action("guest/plain", 1)).await;
    for name in ["guest/b", "other/p/a", "guest/a"] {
        create(stores, sealed(name, "old")).await;
    }
    let page = |after: Option<&'static str>| async move {
        let after = after.map(full);
        let found = stores.entities.sealed(after.as_ref(), 2).await.expect("a page");
        let names: Vec<String> = found.iter().map(|e| e.value.full_name().to_string()).collect();
        (names, found)
    };
    let (names, found) = page(None).await;
    assert_eq!(names, ["guest/a", "guest/b"]);
    assert_eq!(page(Some("guest/b")).await.0, ["other/p/a"]);
    let (Entity::Action(stored), Entity::Action(renewed)) = (&found[0].value, sealed("guest/a", "new")) else {
        panic!("actions")
    };
    let renewed = Entity::Action(Action {
        parameters: renewed.parameters,
        ..stored.clone()
    });
    let revision = &found[0].revision;
    assert!(stores.entities.reseal(&renewed, revision).await.expect("written"));
    let got = get(stores, "guest/a").await.expect("there");
    assert_eq!(got.value, renewed);
    let text = stores.entities.code(&full("guest/a"), &attachment(&got.value)).await;
    assert_eq!(&*text.expect("its code"), "// code of guest/a");
    // Whoever wrote meanwhile is not overwritten.
    let put = stores.entities.put(&renewed, Expected::Revision(got.revision)).await;
    let put = put.expect("the revision is current");
    assert!(!stores.entities.reseal(&renewed, revision).await.expect("answered"));
    assert_eq!(get(stores, "guest/a").await.expect("there").revision, put.revision);
    assert!(
        !stores
            .entities
            .reseal(&sealed("guest/gone", "new"), revision)
            .await
            .expect("answered")
    );
}
