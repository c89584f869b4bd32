//! The commands on a store of their own.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tempfile::TempDir;
use wsk_entities::{Entity, Json, Parameter, Parameters};

use super::run;
use crate::output::Output;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Admin(TempDir);

impl Admin {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Exit code, output and error stream of one command.
    fn says(&self, words: &[&str]) -> (u8, String, String) {
        let (out, err) = (Sink::default(), Sink::default());
        let output = Output::to(out.clone(), err.clone(), "wskadmin");
        let folder = self.0.path().display().to_string();
        let words = ["--data", &folder]
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let exit = runtime.block_on(run(words, output));
        (exit.code(), out.text(), err.text())
    }

    /// Stores a trigger with these parameters.
    fn store(&self, parameters: &Parameters) {
        let trigger = json!({"namespace": "guest", "name": "t", "version": "0.0.1", "publish": false, "updated": 1,
                             "parameters": parameters, "annotations": []});
        let config = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::in_folder(self.0.path()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let stores = wsk_store::open(&config).await.unwrap();
            let trigger = Entity::Trigger(serde_json::from_value(trigger).unwrap());
            stores
                .entities
                .put(&trigger, wsk_store::Expected::Absent)
                .await
                .unwrap();
        });
    }

    #[track_caller]
    fn expect(&self, words: &[&str], code: u8, out: &str) {
        assert_eq!(self.says(words), (code, out.to_owned(), String::new()), "{words:?}");
    }

    fn create(&self, words: &[&str]) -> String {
        let (code, out, err) = self.says(&[&["user", "create"], words].concat());
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        out.trim_end().to_owned()
    }
}

#[test]
fn a_subject_and_its_keys() {
    let admin = Admin::new();
    let key = admin.create(&["userA"]);
    assert_eq!(key.len(), 36 + 1 + 64);
    admin.expect(&["user", "get", "userA"], 0, &format!("{key}\n"));
    admin.expect(&["user", "whois", &key], 0, "subject: userA\nnamespace: userA\n");
    admin.expect(&["user", "create", "userA"], 1, "Namespace already exists\n");

    let second = admin.create(&["-ns", "space1", "userA"]);
    admin.expect(
        &["user", "get", "userA", "--all"],
        0,
        &format!("userA\t{key}\nspace1\t{second}\n"),
    );
    admin.expect(&["user", "get", "userA", "-ns", "space1"], 0, &format!("{second}\n"));
    admin.expect(
        &["user", "get", "userA", "-ns", "X"],
        1,
        "namespace \"X\" not found for \"userA\"\n",
    );

    let third = admin.create(&["userA", "-r"]);
    assert!(
        third != key && third.split(':').next() != key.split(':').next(),
        "both halves are new"
    );
    admin.expect(&["user", "whois", &key], 0, "Subject id is not recognized\n");

    admin.expect(&["user", "delete", "userA", "-ns", "space1"], 0, "Namespace deleted\n");
    admin.expect(
        &["user", "delete", "userA", "-ns", "space1"],
        1,
        "Namespace \"space1\" does not exist for \"userA\"\n",
    );
    admin.expect(&["user", "delete", "userA"], 0, "Subject deleted\n");
    let missing = r#"({"error":"not_found","reason":"missing"})"#;
    admin.expect(
        &["user", "delete", "userA"],
        1,
        &format!("Failed to delete subject {missing}\n"),
    );
    admin.expect(
        &["user", "get", "userA"],
        1,
        &format!("Failed to get subject {missing}\n"),
    );
}

#[test]
fn what_a_subject_may_not_be() {
    let admin = Admin::new();
    admin.expect(
        &["user", "create", "abcd"],
        2,
        "Subject name must be at least 5 characters\n",
    );
    admin.expect(
        &["user", "create", "abcde", "-u", "x:y"],
        2,
        "authorization id is not a valid UUID\n",
    );
    admin.expect(
        &["user", "create", "abcde", "-ns", ""],
        2,
        "Namespace must not be empty\n",
    );
    admin.create(&["abcde", "-g"]);
    assert_eq!(admin.says(&["user", "get", "abcde"]).0, 1, "-g stores nothing");
    assert_eq!(admin.create(&["abcde", "-s"]), "");
}

#[test]
fn identities_of_a_namespace() {
    let admin = Admin::new();
    let (a, b) = (
        admin.create(&["userA", "-ns", "space"]),
        admin.create(&["userB", "-ns", "space"]),
    );
    admin.expect(&["user", "list", "space"], 0, &format!("{a}\tuserA\n"));
    admin.expect(
        &["user", "list", "space", "-p", "2"],
        0,
        &format!("{a}\tuserA\n{b}\tuserB\n"),
    );
    admin.expect(&["user", "list", "space", "-a", "-k"], 0, &format!("{a}\n{b}\n"));
    admin.expect(
        &["user", "list", "space", "-p", "0"],
        2,
        "pick at least 1 identity to show\n",
    );
    admin.expect(
        &["user", "list", "none"],
        0,
        "no identities found for namespace \"none\"\n",
    );
}

#[test]
fn blocking() {
    let admin = Admin::new();
    let key = admin.create(&["userA"]);
    admin.create(&["userB"]);
    let told = "\"userA\" blocked successfully\n\"userB\" blocked successfully\n";
    admin.expect(&["user", "block", "userA", "userB", "", " "], 0, told);
    admin.expect(&["user", "whois", &key], 0, "Subject id is not recognized\n");
    admin.expect(
        &["user", "list", "userA"],
        0,
        "no identities found for namespace \"userA\"\n",
    );
    admin.expect(
        &["user", "create", "userA", "-ns", "x"],
        1,
        "The subject you want to edit is blocked\n",
    );
    let told = "\"userA\" unblocked successfully\nFailed to unblock \"nobody\" ({\"error\":\"not_found\",\"reason\":\"missing\"})\n";
    admin.expect(&["user", "unblock", "userA", "nobody"], 1, told);
    admin.expect(&["user", "whois", &key], 0, "subject: userA\nnamespace: userA\n");
}

#[test]
fn limits_are_merged_and_shown_in_order() {
    let admin = Admin::new();
    admin.expect(
        &["limits", "get", "s"],
        0,
        "No limits found, default system limits apply\n",
    );
    let set = [
        "limits",
        "set",
        "s",
        "--concurrentInvocations",
        "3",
        "--invocationsPerMinute",
        "1",
    ];
    admin.expect(&set, 0, "Limits successfully set for \"s\"\n");
    let set = [
        "limits",
        "set",
        "s",
        "--firesPerMinute",
        "2",
        "--storeActivations",
        "no",
        "--maxPayloadSize",
        "2MB",
        "--allowedKinds",
        "nodejs:20",
        "blackbox",
    ];
    admin.expect(&set, 0, "Limits successfully set for \"s\"\n");
    admin.expect(
        &["limits", "get", "s"],
        0,
        "invocationsPerMinute = 1\nfiresPerMinute = 2\nconcurrentInvocations = 3\nallowedKinds = ['nodejs:20', \
         'blackbox']\nstoreActivations = False\nmaxPayloadSize = 2MB\n",
    );
    admin.expect(&["limits", "delete", "s"], 0, "Limits deleted\n");
    let (code, _, err) = admin.says(&["limits", "set", "s", "--storeActivations", "maybe"]);
    assert_eq!(
        (code, err.as_str()),
        (
            2,
            "wskadmin: error: argument --storeActivations: maybe is not a valid boolean.\n"
        )
    );
}

#[test]
fn the_database_as_it_is() {
    let admin = Admin::new();
    admin.create(&["userA"]);
    let (code, out, _) = admin.says(&["db", "get", "subjects", "--docs"]);
    assert_eq!(code, 0);
    let (first, rest) = out.split_once('\n').unwrap();
    assert_eq!(first, "getting contents for subjects (primary index)");
    let document: serde_json::Value = serde_json::from_str(rest).unwrap();
    assert_eq!(document["rows"][0]["doc"]["namespaces"][0]["name"], "userA");
    let (_, out, _) = admin.says(&["db", "get", "subjects", "-w", "subjects.v2.0.0/identities"]);
    assert!(out.starts_with("getting contents for subjects (subjects.v2.0.0/identities)\n"));
    let text = "view name \"bad\" is not formatted correctly, should be design/view\n";
    admin.expect(&["db", "get", "subjects", "-w", "bad"], 2, text);
    assert_eq!(admin.says(&["db", "get", "whisks"]).0, 0);
    assert_eq!(admin.says(&["db", "get", "activations"]).0, 0);
}

#[test]
fn misuse_is_exit_2_on_the_error_stream() {
    let admin = Admin::new();
    for words in [
        &["bogus"][..],
        &["user", "bogus"],
        &["user", "create"],
        &["limits", "set", "s", "--firesPerMinute", "x"],
    ] {
        let (code, out, err) = admin.says(words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}");
        assert!(err.starts_with("wskadmin: error: "), "{err}");
    }
}

#[test]
fn keys_are_changed_under_what_they_encrypt() {
    let admin = Admin::new();
    let file = admin.0.path().join("secrets.keys");
    let place = format!("there is no key in {} (secrets.key_file) yet\n", file.display());
    admin.expect(&["secrets", "keys"], 0, &place);
    let vault = || wsk_secrets::Vault::open_with(wsk_secrets::Keys::File(file.clone())).unwrap();
    let plain = [Parameter {
        secret: Some(true),
        ..Parameter::new("token", Json::from("hidden"))
    }];
    let stored = wsk_secrets::seal(plain.into_iter().collect(), wsk_secrets::Scope::Marked, &vault()).unwrap();
    let old = vault().ids()[0].to_string();
    admin.store(&stored);
    admin.expect(&["secrets", "keys"], 0, &format!("{old} encrypts 1\n"));
    let (code, out, err) = admin.says(&["secrets", "rotate"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let new = vault().ids()[0].to_string();
    assert!(out.starts_with(&format!(
        "new key {new} encrypts from now on\nencrypted the parameters of 1 entities anew"
    )));
    admin.expect(
        &["secrets", "keys"],
        0,
        &format!("{new} encrypts 1\n{old} decrypts 0\n"),
    );
    let (code, out, _) = admin.says(&["secrets", "reencrypt"]);
    assert!(
        code == 0 && out.starts_with("encrypted the parameters of 0 entities anew"),
        "{out}"
    );
    // The key is lost: said, not hidden.
    std::fs::remove_file(&file).unwrap();
    let (code, out, _) = admin.says(&["secrets", "rotate"]);
    let expected = format!("/guest/t: the parameter 'token' is sealed and does not open: its key {new} is not in ");
    assert!(code == 1 && out.contains(&expected), "{out}");
    let (_, out, _) = admin.says(&["secrets", "keys"]);
    assert!(out.ends_with(&format!("\n{new} missing 1\n")), "{out}");
}

#[test]
fn registries_are_sealed_and_follow_a_change_of_keys() {
    let admin = Admin::new();
    admin.create(&["alice"]);
    let file = admin.0.path().join("password");
    std::fs::write(&file, "letmein\n").unwrap();
    let file = file.to_str().unwrap();
    admin.expect(
        &["registry", "list", "alice"],
        0,
        "No registries found, those of the nodes apply\n",
    );
    let set = |host: &str| {
        admin.says(&[
            "registry",
            "set",
            "alice",
            host,
            "--username",
            "me",
            "--password-file",
            file,
        ])
    };
    assert_eq!(set("ghcr.io").1, "Registry ghcr.io successfully set for \"alice\"\n");
    assert_eq!(set("https://ghcr.io").0, 2);
    admin.expect(&["registry", "list", "alice"], 0, "ghcr.io me\n");
    admin.expect(
        &["limits", "set", "alice", "--firesPerMinute", "3"],
        0,
        "Limits successfully set for \"alice\"\n",
    );
    admin.expect(&["limits", "delete", "alice"], 0, "Limits deleted\n");
    admin.expect(&["registry", "list", "alice"], 0, "ghcr.io me\n");

    let (_, before, _) = admin.says(&["secrets", "keys"]);
    assert!(before.ends_with(" encrypts 1\n"), "{before}");
    assert_eq!(admin.says(&["secrets", "rotate"]).0, 0);
    let (_, after, _) = admin.says(&["secrets", "keys"]);
    let lines: Vec<&str> = after.lines().collect();
    assert!(
        lines[0].ends_with(" encrypts 1") && lines[1].ends_with(" decrypts 0"),
        "{after}"
    );

    admin.expect(&["registry", "delete", "alice", "ghcr.io"], 0, "Registry deleted\n");
    assert_eq!(admin.says(&["registry", "delete", "alice", "ghcr.io"]).0, 1);
    admin.expect(
        &["limits", "get", "alice"],
        0,
        "No limits found, default system limits apply\n",
    );
}
