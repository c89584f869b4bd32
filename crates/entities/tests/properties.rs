//! Rules that hold for all names, versions, parameters and JSON.

#![expect(clippy::unwrap_used, reason = "a test ends where its data is wrong")]

use proptest::collection::vec;
use proptest::prelude::*;
use wsk_entities::{EntityName, EntityPath, FullName, Json, Namespace, Parameter, Parameters, Version, is_path};

/// OpenWhisk's own rule for names, as a second opinion.
fn upstream_name(text: &str) -> bool {
    regex::Regex::new(r"\A([A-Za-z0-9_]|[A-Za-z0-9_][A-Za-z0-9_@ .&-]{0,254}[A-Za-z0-9_@.&-])\z")
        .unwrap()
        .is_match(text)
}

fn parameters() -> impl Strategy<Value = Parameters> {
    let value = prop_oneof![
        Just("null"),
        Just("1"),
        Just("\"x\""),
        Just("[1,2]"),
        Just("{\"a\":1.10}")
    ];
    vec(("[a-f]", value, any::<bool>()), 0..8).prop_map(|pairs| {
        let parameter = |(key, value, init): (String, &str, bool)| Parameter {
            key,
            value: Json::parse(value).unwrap(),
            init,
            secret: None,
            encryption: None,
        };
        pairs.into_iter().map(parameter).collect()
    })
}

proptest! {
    #[test]
    fn names_follow_upstreams_rule(text in "[a-zA-Z0-9_@ .&#/ä-]{0,6}") {
        prop_assert_eq!(EntityName::new(&text).is_ok(), upstream_name(&text));
        prop_assert_eq!(Namespace::new(&text).is_ok(), upstream_name(&text));
    }

    #[test]
    fn long_names_end_at_256(length in 250usize..262) {
        prop_assert_eq!(EntityName::new(&"n".repeat(length)).is_ok(), length <= 256);
    }

    #[test]
    fn full_names_are_read_as_they_are_written(ns in "[a-z_][a-z. ]{0,3}[a-z]", pkg in proptest::option::of("[a-z][a-z]"), name in "[a-z][a-z@&]") {
        let name = FullName::new(
            Namespace::new(&ns).unwrap(),
            pkg.map(|p| EntityName::new(&p).unwrap()),
            EntityName::new(&name).unwrap(),
        );
        prop_assert_eq!(&name.to_string().parse::<FullName>().unwrap(), &name);
        prop_assert_eq!(&name.slashed().parse::<FullName>().unwrap(), &name);
        prop_assert_eq!(&name.path.to_string().parse::<EntityPath>().unwrap(), &name.path);
        prop_assert!(is_path(&name.slashed()));
        let json = serde_json::to_string(&name).unwrap();
        prop_assert_eq!(serde_json::from_str::<FullName>(&json).unwrap(), name);
    }

    /// Slashes only part: how many there are does not count. Two or three names are a full name, any number of them is a path.
    #[test]
    fn paths_follow_upstreams_rule(parts in vec("[a-zA-Z0-9_@ .&#-]{0,3}", 0..5), slashes in vec("/{1,2}", 6), (before, after) in any::<(bool, bool)>()) {
        let edge = |there: bool| if there { "/" } else { "" };
        let glued: Vec<String> = parts.iter().zip(&slashes).map(|(part, slash)| format!("{part}{slash}")).collect();
        let text = format!("{}{}{}", edge(before), glued.concat().trim_end_matches('/'), edge(after));
        let names: Vec<&String> = parts.iter().filter(|part| !part.is_empty()).collect();
        let fit = names.iter().all(|name| upstream_name(name));
        prop_assert_eq!(is_path(&text), fit && !names.is_empty());
        let full = text.parse::<FullName>();
        prop_assert_eq!(full.is_ok(), fit && (2..=3).contains(&names.len()), "{}", text);
        if let Ok(full) = full {
            let written = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("/");
            prop_assert_eq!(full.to_string(), written);
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,12}") {
        let _ = (text.parse::<FullName>(), text.parse::<EntityPath>(), text.parse::<Version>(), Json::parse(&text));
    }

    #[test]
    fn versions_are_read_as_they_are_written_and_only_rise(major in 0u32..9, minor in 0u32..9, patch in 1u32..9) {
        let version = Version { major, minor, patch };
        prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        prop_assert_eq!(format!("0{version}.7").parse::<Version>().unwrap(), version);
        prop_assert!(version.next() > version);
        prop_assert_eq!((version.next().major, version.next().minor), (major, minor));
    }

    /// Package, binding, action, payload: each wins over what came before it, in whatever grouping they are merged.
    #[test]
    fn merging_parameters_is_associative_and_the_later_wins(a in parameters(), b in parameters(), c in parameters()) {
        let merged = a.merged(&b).merged(&c);
        prop_assert_eq!(&merged, &a.merged(&b.merged(&c)));
        for key in ["a", "b", "c", "d", "e", "f"] {
            let expected = c.get(key).or_else(|| b.get(key)).or_else(|| a.get(key));
            prop_assert_eq!(merged.get(key), expected);
        }
        let mut keys: Vec<&str> = merged.iter().map(|p| p.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        prop_assert_eq!(keys.len(), merged.len(), "keys are unique");
        prop_assert_eq!(a.merged(&Parameters::new()), a);
    }

    /// `final` protects what is bound: null declares a parameter without binding it.
    #[test]
    fn bound_parameters_are_those_with_a_value(a in parameters()) {
        let bound: Vec<&str> = a.bound().collect();
        for parameter in a.iter() {
            prop_assert_eq!(bound.contains(&parameter.key.as_str()), !parameter.value.is_null());
        }
    }

    #[test]
    fn parameters_are_read_as_they_are_written(a in parameters()) {
        let json = Json::of(&a);
        prop_assert_eq!(Parameters::from_json(&json).unwrap(), a);
    }

    #[test]
    fn json_is_kept_to_the_letter_but_for_blanks(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", text in ".{0,8}") {
        let string = serde_json::to_string(&text).unwrap();
        let compact = format!("{{\"n\":{number},\"s\":[{string},null]}}");
        let spaced = format!(" {{ \"n\" :\t{number} ,\n\"s\": [ {string} , null ] }} ");
        let parsed = Json::parse(&spaced).unwrap();
        prop_assert_eq!(parsed.as_str(), compact.as_str());
    }
}
