use super::*;
use wsk_entities::{EntityPath, Parameters, Version};

fn package(name: &str, bytes: usize) -> (FullName, Stored<Entity>) {
    let name: FullName = format!("guest/{name}").parse().unwrap();
    let mut parameters = Parameters::new();
    parameters.set("p", wsk_entities::Json::from("x".repeat(bytes).as_str()));
    let value = Entity::Package(Package {
        namespace: EntityPath::root(name.namespace().clone()),
        name: name.name.clone(),
        version: Version::FIRST,
        publish: false,
        updated: 1,
        annotations: Parameters::new(),
        parameters,
        binding: None,
    });
    (
        name,
        Stored {
            value,
            revision: Revision("1".into()),
        },
    )
}

fn fill(cache: &Cache, name: &str, bytes: usize) -> (FullName, Arc<Entry>) {
    let (name, stored) = package(name, bytes);
    let ticket = cache.ticket(&name);
    let entry = cache.fill(&name, stored, ticket);
    (name, entry)
}

#[test]
fn a_read_that_overlapped_with_a_write_is_not_kept() {
    let cache = Cache::new(100, 1 << 20);
    let (name, old) = package("a", 0);
    let reading = cache.ticket(&name);
    let writing = cache.ticket(&name);
    let written = cache.written(&name, package("a", 1).1, writing);
    let read = cache.fill(&name, old, reading);
    assert!(read.is_stale(), "what was made from it must be made anew");
    assert!(!written.is_stale());
    assert!(Arc::ptr_eq(&cache.get(&name).unwrap(), &written));
}

/// Which of two overlapping writes reached the store last is not known here.
#[test]
fn two_writes_that_overlapped_leave_nothing() {
    let cache = Cache::new(100, 1 << 20);
    let (name, one) = package("a", 0);
    let (first, second) = (cache.ticket(&name), cache.ticket(&name));
    let one = cache.written(&name, one, first);
    let two = cache.written(&name, package("a", 1).1, second);
    assert!(cache.get(&name).is_none());
    assert!(one.is_stale() && two.is_stale());
}

#[test]
fn what_is_forgotten_or_replaced_is_stale() {
    let cache = Cache::new(100, 1 << 20);
    let (name, first) = fill(&cache, "a", 0);
    let second = cache.written(&name, package("a", 1).1, cache.ticket(&name));
    assert!(first.is_stale() && !second.is_stale());
    cache.forget(&name);
    assert!(second.is_stale() && cache.get(&name).is_none());
    let (name, third) = fill(&cache, "a", 0);
    cache.clear();
    assert!(third.is_stale() && cache.get(&name).is_none());
}

/// Nothing that fell out of the cache may be relied on: nobody would tell it of a change.
#[test]
fn the_cache_is_bounded_and_what_falls_out_is_stale() {
    for (entries, bytes, each) in [(64, usize::MAX / 2, 0), (100_000, 256 * 1024, 4 * 1024)] {
        let cache = Cache::new(entries, bytes);
        let all: Vec<_> = (0..1000).map(|n| fill(&cache, &format!("p{n}"), each)).collect();
        let kept = all.iter().filter(|(name, _)| cache.get(name).is_some()).count();
        assert!(kept > 0 && kept <= 128, "{kept} of 1000 kept");
        for (name, entry) in &all {
            assert_eq!(cache.get(name).is_none(), entry.is_stale(), "{name}");
        }
    }
}

#[test]
fn what_is_used_stays() {
    let cache = Cache::new(64, usize::MAX / 2);
    let (used, entry) = fill(&cache, "used", 0);
    for n in 0..1000 {
        fill(&cache, &format!("p{n}"), 0);
        assert!(
            cache.get(&used).is_some_and(|found| Arc::ptr_eq(&found, &entry)),
            "after {n} others"
        );
    }
}
