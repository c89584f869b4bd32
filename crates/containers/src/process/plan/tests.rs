use super::*;

fn targets(plan: &Plan) -> Vec<String> {
    let target = |entry: &Entry| match entry {
        Entry::Folder { target, .. }
        | Entry::Bind { target, .. }
        | Entry::File { target, .. }
        | Entry::Link { target, .. }
        | Entry::Hide { target } => target.to_str().unwrap().to_owned(),
    };
    plan.entries.iter().map(target).collect()
}

#[test]
fn parents_come_first_and_only_chosen_places_are_there() {
    let plan = Planner::new(&Config::default(), false).unwrap().plan().unwrap();
    let targets = targets(&plan);
    for (at, target) in targets.iter().enumerate() {
        if let Some(parent) = Path::new(target)
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            let first = targets.iter().position(|other| Path::new(other) == parent);
            assert!(first.is_some_and(|first| first < at), "{target} before its parent");
        }
    }
    for secret in ["root", "home", "etc/shadow", "var", "sys", "etc/ssh"] {
        assert!(!targets.iter().any(|target| target == secret), "{secret} is shown");
    }
}

#[test]
fn a_program_elsewhere_is_placed_once() {
    let mut planner = Planner::new(&Config::default(), false).unwrap();
    assert_eq!(
        planner.place(Path::new("/usr/bin/env")),
        (PathBuf::from("/usr/bin/env"), false)
    );
    let own = std::env::current_exe().unwrap();
    let (place, fresh) = planner.place(&own);
    assert!(fresh && place.starts_with("/run/programs/0"), "{place:?}");
    assert_eq!(planner.place(&own), (place.clone(), false));
    assert!(!planner.outdated());
    assert!(targets(&planner.plan().unwrap()).contains(&place.to_str().unwrap()[1..].to_owned()));
}

#[test]
fn the_actions_own_folders_cannot_be_shown() {
    let config = Config {
        shown: vec!["/tmp/tools".into()],
        ..Config::default()
    };
    assert!(matches!(
        Planner::new(&config, false),
        Err(Error::Config { setting: "shown", .. })
    ));
}

#[test]
fn a_data_folder_below_something_shown_is_covered() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let config = Config {
        shown: vec![folder.path().to_owned()],
        hidden: vec![data.clone()],
        ..Config::default()
    };
    let plan = Planner::new(&config, false).unwrap().plan().unwrap();
    let hide = Entry::Hide {
        target: relative(&fs::canonicalize(data).unwrap()).unwrap(),
    };
    assert_eq!(plan.entries.last(), Some(&hide));
}

#[test]
fn a_folder_of_a_sandboxs_own_is_there_once_it_was_asked_for() {
    let mut planner = Planner::new(&Config::default(), false).unwrap();
    assert!(planner.make_room(Path::new("/deep/er")).unwrap());
    assert!(!planner.make_room(Path::new("/deep/er")).unwrap());
    let targets = targets(&planner.plan().unwrap());
    let at = |target: &str| targets.iter().position(|other| other == target).unwrap();
    assert!(at("deep") < at("deep/er"));
    for taken in ["/usr/x", "/", "/tmp", "/dev/x", "x", "/x/../usr"] {
        assert!(planner.make_room(Path::new(taken)).is_err(), "{taken}");
    }
}
