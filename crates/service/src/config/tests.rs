use super::*;
use crate::config::{Duration, Secret, Size, print, reference, undocumented};

crate::settings! {
    /// A pool.
    struct Pool {
        /// Memory for
        /// all containers.
        memory: Size = Size::megabytes(2048),
        /// Idle time.
        idle: Duration = Duration::from_secs(600),
        /// Containers at most.
        containers: u32 = 100,
    }
}

/// Stands for a struct of another crate.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Store {
    Memory(Nothing),
    Disk(Disk),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nothing {}

#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Disk {
    pages: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    further: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Cache {
    size: u64,
}

impl Store {
    const DOCS: &'static [(&'static str, &'static str)] = &[("type", "Which store.")];
}

crate::settings! {
    /// All of it.
    struct Whole {
        /// Name of this node | or not.
        name: Option<String> = None,
        /// Key of the signer.
        key: Secret = Secret::new("changeme"),
        /// Labels.
        labels: Vec<String> = vec!["a".to_owned()],
        /// Whether to pause.
        pause: bool = true,
        /// The pool.
        pool: Pool as section = Pool::default(),
        /// The store.
        store: Store as documented = Store::Disk(Disk::default()),
    }
}

fn file(text: &str) -> (tempfile::NamedTempFile, PathBuf) {
    let file = tempfile::Builder::new()
        .prefix("settings")
        .suffix(".toml")
        .tempfile()
        .unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_owned();
    (file, path)
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn error(pairs: &[(&str, &str)]) -> String {
    Loader::new("T")
        .environment(variables(pairs))
        .load::<Whole>()
        .unwrap_err()
        .to_string()
}

#[test]
fn later_layers_win() {
    let (_keep, path) = file("name = 'file'\n[pool]\nmemory = '1 GB'\nidle = '1s'\ncontainers = 7\n");
    let loaded: Whole = Loader::new("T")
        .file(&path)
        .unwrap()
        .environment(variables(&[
            ("T_POOL__IDLE", "2s"),
            ("T_POOL__CONTAINERS", "8"),
            ("OTHER", "x"),
            ("TX", "y"),
        ]))
        .set("pool.containers", "9")
        .load()
        .unwrap();
    let pool = Pool {
        memory: Size::megabytes(1024),
        idle: Duration::from_secs(2),
        containers: 9,
    };
    assert_eq!(
        loaded,
        Whole {
            name: Some("file".to_owned()),
            pool,
            ..Whole::default()
        }
    );
}

#[test]
fn the_order_of_the_layers_is_the_order_of_the_calls() {
    let (_keep, path) = file("name = 'file'");
    let loaded: Whole = Loader::new("T")
        .set("name", "flag")
        .file(&path)
        .unwrap()
        .load()
        .unwrap();
    assert_eq!(loaded.name.as_deref(), Some("file"));
}

#[test]
fn texts_become_what_the_field_is() {
    let set = [
        ("T_NAME", "123"),
        ("T_LABELS", "['x', 'y']"),
        ("T_PAUSE", "false"),
        ("T_KEY", "42"),
    ];
    let loaded: Whole = Loader::new("T").environment(variables(&set)).load().unwrap();
    assert_eq!(loaded.name.as_deref(), Some("123"));
    assert_eq!(loaded.labels, ["x", "y"]);
    assert!(!loaded.pause);
    assert_eq!(loaded.key.reveal(), "42");
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_and_its_origin() {
    assert_eq!(
        error(&[("T_POOL__MEMRY", "1 GB")]),
        "unknown configuration key `pool.memry` in the environment (T_POOL__MEMRY); did you mean `pool.memory`?"
    );
    let (_keep, path) = file("nmae = 'x'\n");
    let error = Loader::new("T")
        .file(&path)
        .unwrap()
        .load::<Whole>()
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "unknown configuration key `nmae` in {}; did you mean `name`?",
            path.display()
        )
    );
}

#[test]
fn an_unknown_key_of_another_crate_is_named_too() {
    let error = error(&[("T_STORE__TYPE", "disk"), ("T_STORE__PAGE", "4")]);
    assert!(
        error.starts_with("unknown configuration key `store.page` in "),
        "{error}"
    );
    assert!(error.ends_with("did you mean `store.pages`?"), "{error}");
}

#[test]
fn a_section_without_its_type_is_of_the_default_one() {
    let loaded: Whole = Loader::new("T")
        .environment(variables(&[("T_STORE__PAGES", "4")]))
        .load()
        .unwrap();
    assert_eq!(
        loaded.store,
        Store::Disk(Disk {
            pages: 4,
            ..Disk::default()
        })
    );
    let error = error(&[("T_STORE__PAGE", "4")]);
    assert!(error.ends_with("did you mean `store.pages`?"), "{error}");
}

#[test]
fn names_may_have_dots() {
    let (_keep, path) = file("[store]\ntype = 'disk'\n[store.further]\n'socket.keepalive' = 'true'\n");
    let loaded: Whole = Loader::new("T").file(&path).unwrap().load().unwrap();
    let Store::Disk(disk) = loaded.store else {
        panic!("{:?}", loaded.store)
    };
    assert_eq!(disk.further.get("socket.keepalive").map(String::as_str), Some("true"));
    let (_keep, path) = file("[store]\ntype = 'disk'\n[store.further]\n'socket.keepalive' = true\n");
    let error = Loader::new("T")
        .file(&path)
        .unwrap()
        .load::<Whole>()
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("configuration key `store.further.socket.keepalive` in /"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_inside_a_choice_of_another_crate_is_named() {
    let error = error(&[("T_STORE__TYPE", "disk"), ("T_STORE__PAGES", "many")]);
    assert!(
        error.starts_with("configuration key `store.pages` in the environment (T_STORE__PAGES): invalid type"),
        "{error}"
    );
    let (_keep, path) = file("[store]\ntype = 'disk'\npages = 4\n[store.cache]\nsise = 3\n");
    let error = Loader::new("T")
        .file(&path)
        .unwrap()
        .load::<Whole>()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`store.cache.sise`") && error.ends_with("did you mean `store.cache.size`?"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_is_named_with_what_is_expected() {
    assert_eq!(
        error(&[("T_POOL__IDLE", "soon")]),
        "configuration key `pool.idle` in the environment (T_POOL__IDLE): invalid value: string \"soon\", expected a duration \
         such as \"10s\" or \"1h 30m\""
    );
    assert_eq!(
        error(&[("T_POOL__CONTAINERS", "many")]),
        "configuration key `pool.containers` in the environment (T_POOL__CONTAINERS): invalid type: string \"many\", expected \
         u32"
    );
    let (_keep, path) = file("[pool]\nmemory = 5\n");
    let error = Loader::new("T")
        .file(&path)
        .unwrap()
        .load::<Whole>()
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(": invalid type: integer `5`, expected a size such as \"48 MB\""),
        "{error}"
    );
}

#[test]
fn a_broken_file_is_named_with_the_line() {
    let (_keep, path) = file("name = \n");
    let error = Loader::new("T").file(&path).unwrap_err().to_string();
    assert!(error.contains("is not TOML") && error.contains("line 1"), "{error}");
    let missing = Loader::new("T")
        .file("no/such/file.toml".as_ref())
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read the configuration file no/such/file.toml: "),
        "{missing}"
    );
}

#[test]
fn what_is_printed_loads_again_but_for_secrets() {
    let printed = print(&Whole::default());
    assert!(
        printed.contains("memory = \"2 GB\"") && !printed.contains("changeme"),
        "{printed}"
    );
    let (_keep, path) = file(&printed);
    let again: Whole = Loader::new("T").file(&path).unwrap().load().unwrap();
    assert_eq!(
        again,
        Whole {
            key: Secret::new("(secret)"),
            ..Whole::default()
        }
    );
}

#[test]
fn the_reference_has_a_row_per_key() {
    let page = reference::<Whole>();
    assert!(
        page.contains("| `name` | text | not set | Name of this node \\| or not. |\n"),
        "{page}"
    );
    assert!(
        page.contains("| `key` | secret | `\"(secret)\"` | Key of the signer. |\n"),
        "{page}"
    );
    assert!(
        page.contains("| `pool.memory` | size | `\"2 GB\"` | Memory for all containers. |\n"),
        "{page}"
    );
    assert!(
        page.contains("| `store.type` | text | `\"disk\"` | Which store. |\n"),
        "{page}"
    );
    assert_eq!(undocumented::<Whole>(), ["store.pages"]);
}

#[test]
fn a_named_file_is_read_or_it_is_said_which_key_names_it() {
    let read = |file: &str| super::named_file("number", file, || 7, |text: &str| text.trim().parse::<u32>());
    assert_eq!(read(""), Ok(7));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("n");
    let name = file.to_str().unwrap();
    let error = read(name).unwrap_err();
    assert!(error.starts_with(&format!("`number`: cannot read {name}: ")), "{error}");
    std::fs::write(&file, "8\n").unwrap();
    assert_eq!(read(name), Ok(8));
    std::fs::write(&file, "x").unwrap();
    assert_eq!(
        read(name),
        Err(format!("`number`: {name}: invalid digit found in string"))
    );
}
