use proptest::prelude::*;

use super::*;

const SMALL: &str = "AAECAwQFBgcICQoLDA0ODw==";
const LARGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn given(keys: &str) -> Vault {
    Vault::open_with(Keys::Given(Zeroizing::new(keys.to_owned()))).unwrap()
}

fn in_file(path: &Path) -> Vault {
    Vault::open_with(Keys::File(path.to_owned())).unwrap()
}

/// Made with another implementation of AES-GCM, in upstream's layout: a short iv for aes-128, a long one for aes-256.
#[test]
fn what_upstream_sealed_opens() {
    let small = "AAAADGRlZmdoaWprbG1ub2FAL4fhWYnWuUZ1TfthqwqwxFdFSP6Rkv0CZGC1";
    let large = "AAAAgAAHDhUcIyoxOD9GTVRbYmlwd36FjJOaoaivtr3Ey9LZ4Ofu9fwDChEYHyYtNDtCSVBXXmVsc3qBiI+WnaSrsrnAx87V3OPq8fj/\
                 Bg0UGyIpMDc+RUxTWmFob3Z9hIuSmaCnrrW8w8rR2N/m7fT7AgkQFx4lLDM6QUhPVl1ka3J5ySTeh2nfGG7DqtD5kSVgTIbc908u6QhP";
    let vault = given(&format!("{LARGE},{SMALL}"));
    assert_eq!(*vault.open(small, "aes-128").unwrap(), r#"{"a":[1,"x"]}"#);
    assert_eq!(*vault.open(large, "aes-256").unwrap(), r#""geheim""#);
    assert!(!vault.is_newest(large, "aes-256"), "its iv does not name our key");
    assert!(vault.open(large, "aes-128").is_err());
}

#[test]
fn the_first_key_seals_and_all_open() {
    let (old, both) = (given(SMALL), given(&format!("{LARGE} # new\n{SMALL}")));
    let sealed = old.seal("1").unwrap();
    assert_eq!(sealed.algorithm, "aes-128");
    assert_eq!(*both.open(&sealed.text, "aes-128").unwrap(), "1");
    assert!(!both.is_newest(&sealed.text, "aes-128"));
    let renewed = both.seal("1").unwrap();
    assert_eq!(renewed.algorithm, "aes-256");
    assert!(both.is_newest(&renewed.text, "aes-256"));
    assert_ne!(renewed.text, both.seal("1").unwrap().text, "an iv is used once");
}

#[test]
fn a_missing_key_is_named_and_so_is_where_it_belongs() {
    let sealed = given(LARGE).seal("\"hidden\"").unwrap();
    let id = given(LARGE).ids()[0];
    let error = given(SMALL).open(&sealed.text, sealed.algorithm).unwrap_err();
    assert_eq!(
        error.of("token").to_string(),
        format!(
            "the parameter 'token' is sealed and does not open: its key {id} is not in secrets.keys: add that key again \
             (the first key of the list seals, further ones only open)"
        )
    );
    assert_eq!(Vault::empty().seal("1"), Err(Error::NoKey));
}

#[test]
fn keys_never_print() {
    let vault = given(LARGE);
    let shown = format!("{vault:?}");
    assert!(
        shown.contains(&vault.ids()[0].to_string()) && !shown.contains(LARGE),
        "{shown}"
    );
    let error = Vault::open_with(Keys::Given(Zeroizing::new("c2hvcnQ=".into()))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "secrets.keys, key 1: it has neither 16 bytes (aes-128) nor 32 (aes-256)"
    );
}

#[test]
fn the_file_is_made_on_first_use_and_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.keys");
    let vault = in_file(&path);
    assert!(
        vault.ids().is_empty() && !path.exists(),
        "nothing is made before it is needed"
    );
    let sealed = vault.seal("1").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(*in_file(&path).open(&sealed.text, sealed.algorithm).unwrap(), "1");
    assert!(!path.with_extension("keys.new").exists());
}

/// Machines that each made a key of their own would not understand each other.
#[test]
fn a_shared_file_is_followed_but_never_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.keys");
    let vault = Vault::open_with(Keys::Shared(path.clone())).unwrap();
    let error = vault.seal("1").unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("there is no key in {}", path.display())),
        "{error}"
    );
    assert!(!path.exists());
    std::fs::write(&path, LARGE).unwrap();
    assert!(vault.seal("1").is_ok());
}

/// Two processes on one file: what one adds, the other uses.
#[test]
fn keys_that_come_while_it_runs_are_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secrets.keys");
    let (server, admin) = (in_file(&path), in_file(&path));
    let old = server.seal("1").unwrap();
    let id = admin.add_key().unwrap();
    let newer = admin.seal("2").unwrap();
    assert!(admin.is_newest(&newer.text, "aes-256"));
    assert_eq!(*server.open(&newer.text, newer.algorithm).unwrap(), "2");
    assert_eq!(*server.open(&old.text, old.algorithm).unwrap(), "1");
    assert_eq!(server.ids().first(), Some(&id));
    assert_eq!(server.key_of(&server.seal("3").unwrap().text, "aes-256"), Some(id));
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_what_was_changed_does_not(text in "\\PC{0,40}", at in any::<prop::sample::Index>(), bit in 0u8..8, small in any::<bool>()) {
        let vault = given(if small { SMALL } else { LARGE });
        let sealed = vault.seal(&text).unwrap();
        prop_assert_eq!(&*vault.open(&sealed.text, sealed.algorithm).unwrap(), &text);
        let mut bytes = STANDARD.decode(&sealed.text).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(vault.open(&STANDARD.encode(bytes), sealed.algorithm).is_err());
    }

    #[test]
    fn nothing_makes_it_panic(text in "[A-Za-z0-9+/=]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let vault = given(LARGE);
        prop_assert!(vault.open(&text, "aes-256").is_err());
        prop_assert!(vault.open(&STANDARD.encode(&bytes), "aes-256").is_err());
        prop_assert!(vault.open(&STANDARD.encode(bytes), "noop").is_err());
    }
}
