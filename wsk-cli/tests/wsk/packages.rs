//! `wsk package`.

use crate::platform::{Platform, USAGE};

#[test]
fn create_update_and_bind() {
    let platform = Platform::answering([(200, "{}"), (200, "{}"), (200, "{}"), (200, "{}")]);
    platform
        .wsk("package create p --shared yes -p a 1 -a b 2")
        .printed("ok: created package p\n");
    platform.wsk("package update p").printed("ok: updated package p\n");
    platform
        .wsk("package bind /whisk.system/p b -p a 1")
        .printed("ok: created binding b\n");
    platform
        .wsk("package bind p /ns/b -o")
        .printed("ok: created binding /ns/b\n");
    assert_eq!(
        platform.requests(),
        [
            concat!(
                r#"PUT /api/v1/namespaces/_/packages/p?overwrite=false {"namespace":"_","name":"p","publish":true,"#,
                r#""annotations":[{"key":"b","value":2}],"parameters":[{"key":"a","value":1}]}"#
            ),
            r#"PUT /api/v1/namespaces/_/packages/p?overwrite=true {"namespace":"_","name":"p"}"#,
            concat!(
                r#"PUT /api/v1/namespaces/_/packages/b?overwrite=false {"parameters":[{"key":"a","value":1}],"#,
                r#""binding":{"namespace":"whisk.system","name":"p"}}"#
            ),
            r#"PUT /api/v1/namespaces/ns/packages/b?overwrite=true {"binding":{"namespace":"_","name":"p"}}"#,
        ]
    );
}

#[test]
fn refusals() {
    let conformance = r#"{"error":"Resource by this name exists but is not in this collection.","code":"T"}"#;
    let platform = Platform::answering([(409, conformance), (409, conformance), (409, conformance)]);
    platform
        .wsk("package create p --shared x")
        .failed(1, &format!("error: Cannot use value 'x' for shared.\n{USAGE}"));
    let text = "Resource by this name exists but is not in this collection. (code T)\n";
    platform
        .wsk("package get a")
        .failed(153, &format!("error: Unable to get package 'a': {text}"));
    platform
        .wsk("package update a")
        .failed(153, &format!("error: Package update failed: {text}"));
    platform
        .wsk("package bind a b")
        .failed(153, &format!("error: Binding creation failed: {text}"));
    let required = format!("error: Invalid argument(s). A package name and binding name are required.\n{USAGE}");
    platform.wsk("package bind a").failed(1, &required);
}

#[test]
fn get_delete_list_refresh() {
    let package = r#"{"namespace":"guest","name":"p","publish":true,"binding":{},"annotations":[],"parameters":[],
                      "actions":[{"name":"a","version":"0.0.1","annotations":[]}],"feeds":[]}"#;
    let listed = r#"[{"namespace":"guest","name":"p","publish":true,"binding":false}]"#;
    let changes = r#"{"added":["x"],"updated":[],"deleted":["y","z"]}"#;
    let platform = Platform::answering([
        (200, package),
        (200, package),
        (200, "{}"),
        (200, listed),
        (200, changes),
    ]);
    platform.wsk("package get p").printed(
        "ok: got package p\n{\n    \"namespace\": \"guest\",\n    \"name\": \"p\",\n    \"publish\": true,\n    \
         \"binding\": {},\n    \"actions\": [\n        {\n            \"name\": \"a\",\n            \"version\": \
         \"0.0.1\"\n        }\n    ]\n}\n",
    );
    platform.wsk("package get p -s").printed(
        "package /guest/p\n   (parameters: none defined)\n action /guest/p/a\n   (parameters: none defined)\n",
    );
    platform.wsk("package delete p").printed("ok: deleted package p\n");
    platform
        .wsk("package list")
        .printed(&format!("packages\n{:<70} shared\n", "/guest/p"));
    platform
        .wsk("package refresh /guest")
        .printed("'guest' refreshed successfully\ncreated bindings:\nx\nupdated bindings:\ndeleted bindings:\ny\nz\n");
    assert_eq!(
        platform.requests().last().unwrap(),
        "POST /api/v1/namespaces/guest/packages/refresh"
    );
    let text = format!(
        "error: An entity name, 'guest', was provided instead of a namespace. Valid namespaces are of the following \
         format: /NAMESPACE.\n{USAGE}"
    );
    for line in [
        "package list guest",
        "package refresh guest",
        "trigger list guest",
        "rule list guest",
    ] {
        platform.wsk(line).failed(1, &text);
    }
}
