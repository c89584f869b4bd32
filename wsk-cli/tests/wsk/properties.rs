//! `wsk property` and `wsk namespace`.

use crate::platform::{AUTH, Platform, USAGE};

#[test]
fn set_writes_the_file() {
    let platform = Platform::answering([]);
    platform.file("props", "OTHER=kept\n");
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["me".to_owned()]).unwrap();
    platform.file("c", &cert.pem());
    platform.file("k", &signing_key.serialize_pem());
    platform
        .wsk("property set --apihost aaa:123 -u a:b --apiversion v2 --cert c --key k")
        .printed(
            "ok: client cert set. Run 'wsk property get --cert' to see the new value.\n\
             ok: client key set. Run 'wsk property get --key' to see the new value.\n\
             ok: whisk auth set. Run 'wsk property get --auth' to see the new value.\n\
             ok: whisk API host set to aaa:123\n\
             ok: whisk API version set to v2\n",
        );
    let text = platform.read("props");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "APIHOST=aaa:123",
            "APIVERSION=v2",
            "AUTH=a:b",
            "CERT=c",
            "KEY=k",
            "OTHER=kept"
        ]
    );
}

#[test]
fn unset_removes() {
    let platform = Platform::answering([]);
    platform.file("props", "APIHOST=x\nAUTH=y\nAPIVERSION=v9\n");
    platform
        .wsk("property unset --apiversion --auth")
        .printed("ok: whisk auth unset.\nok: whisk API version unset; the default value of v1 will be used.\n");
    assert_eq!(platform.read("props"), "APIHOST=x\n");
    platform.wsk("property unset").printed("");
}

#[test]
fn get_everything() {
    let platform = Platform::answering([(200, r#"{"build":"2020-01-01","buildno":42}"#), (200, r#"["guest"]"#)]);
    let host = platform.address().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    platform.wsk("property get").printed(&format!(
        "whisk API host\t\t{host}\nwhisk auth\t\t{AUTH}\nwhisk namespace\t\tguest\nclient cert\t\t\nClient key\t\t\n\
         whisk API version\tv1\nwhisk CLI version\t{version}\nwhisk API build\t\t2020-01-01\nwhisk API build number\t42\n"
    ));
    assert_eq!(platform.requests(), ["GET /api/v1", "GET /api/v1/namespaces"]);
}

#[test]
fn get_one_or_some() {
    let platform = Platform::answering([]);
    platform.file("props", "APIHOST=http://h:1    # c\nAUTH=f\n");
    platform
        .wsk("property get --apihost")
        .printed("whisk API host\t\thttp://h:1\n");
    platform
        .wsk("property get --apiversion --auth --apihost")
        .printed("whisk API host\t\thttp://h:1\nwhisk auth\t\tf\nwhisk API version\tv1\n");
    platform
        .run("property get --auth -o raw".split(' '), &[("WHISK_AUTH", "e")])
        .printed("e\n");
    let specific = "error: --output|-o raw only supported with specific property type\n";
    platform.wsk("property get -o raw").failed(1, specific);
    platform
        .wsk("property get --auth -o xml")
        .failed(1, "error: Supported output format are std|raw\n");
    platform
        .wsk("property get --apihost X")
        .printed("whisk API host\t\thttp://h:1\n");
    platform
        .wsk("property get --auth -u")
        .failed(1, "unknown shorthand flag: 'u' in -u\n");
}

#[test]
fn an_unreachable_platform_has_an_unknown_build() {
    let platform = Platform::answering([]);
    platform.file("props", "APIHOST=http://127.0.0.1:1\n");
    let run = platform.wsk("property get --apibuild");
    assert_eq!((run.code, run.out.as_str()), (3, "whisk API build\t\tUnknown\n"));
    assert!(
        run.err.starts_with("error: Unable to obtain API build information: "),
        "{}",
        run.err
    );
}

#[test]
fn namespaces_and_everything_in_one() {
    let platform = Platform::answering([
        (200, r#"["guest"]"#),
        (
            200,
            r#"[{"namespace":"guest","name":"a","annotations":[{"key":"exec","value":"k"}]}]"#,
        ),
        (200, r#"[{"namespace":"guest","name":"p"}]"#),
        (200, r#"[{"namespace":"guest","name":"t"}]"#),
        (200, r#"[{"namespace":"guest","name":"r"}]"#),
        (200, r#"{"name":"r","status":"active"}"#),
    ]);
    platform.wsk("namespace list").printed("namespaces\nguest\n");
    let row = |name: &str, rest: &str| format!("{:<70} {rest}\n", format!("/guest/{name}"));
    platform.wsk("list /_").printed(&format!(
        "Entities in namespace: default\npackages\n{}actions\n{}triggers\n{}rules\n{}",
        row("p", "private"),
        row("a", "private k"),
        row("t", "private"),
        row("r", "private              active"),
    ));
    let kinds: Vec<String> = platform.requests()[1..].to_vec();
    let ns = "GET /api/v1/namespaces/_";
    assert_eq!(
        kinds,
        [
            format!("{ns}/actions?limit=0&skip=0"),
            format!("{ns}/packages?limit=0&skip=0"),
            format!("{ns}/triggers?limit=0&skip=0"),
            format!("{ns}/rules?limit=0&skip=0"),
            format!("{ns}/rules/r"),
        ]
    );
    let text = format!("error: Invalid argument(s): x. No arguments are required.\n{USAGE}");
    platform.wsk("list x").failed(1, &text);
}

#[test]
fn a_wrong_key() {
    let platform = Platform::answering([(401, r#"{"error":"The supplied authentication is invalid","code":"T"}"#)]);
    let text = "error: Unable to obtain the list of entities for namespace 'default': The supplied authentication is \
                invalid (code T)\n";
    platform.wsk("list").failed(145, text);
}

#[test]
fn an_unreadable_client_certificate() {
    let platform = Platform::answering([]);
    platform.file("bad", "nonsense");
    let starts =
        "error: Unable to initialize server connection: Unable to load the X509 key pair due to the following reason: ";
    for line in [
        "property set --apihost h --cert bad --key bad",
        "property set --apihost h --cert missing --key missing",
        "action list --cert bad --key bad",
    ] {
        let run = platform.wsk(line);
        assert!(
            run.code == 1 && run.err.starts_with(starts) && run.err.ends_with(USAGE),
            "{line}: {run:?}"
        );
    }
}

#[test]
fn proxies() {
    let platform = Platform::answering([(200, "[]"), (200, "[]")]);
    let proxy = platform.address().replace("http://", "http://user:pass@");
    let words = || "action list --apihost http://h.invalid".split(' ');
    platform.run(words(), &[("HTTP_PROXY", &proxy)]).printed("actions\n");
    let request = platform.requests().remove(0);
    assert_eq!(
        request,
        "GET http://h.invalid/api/v1/namespaces/_/actions?limit=30&skip=0"
    );
    let shown = platform
        .headers()
        .into_iter()
        .find(|line| line.starts_with("proxy-authorization: "));
    assert_eq!(shown.as_deref(), Some("proxy-authorization: Basic dXNlcjpwYXNz"));
    let run = platform.run(words(), &[("HTTP_PROXY", &proxy), ("NO_PROXY", "h.invalid")]);
    assert_eq!(run.code, 3, "{run:?}");
    let address = platform.address().to_owned();
    platform
        .run(
            ["action", "list", "--apihost", &address],
            &[("NO_PROXY", "*"), ("HTTP_PROXY", "http://127.0.0.1:1")],
        )
        .printed("actions\n");
}
