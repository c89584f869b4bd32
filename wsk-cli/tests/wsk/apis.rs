//! `wsk api`.

use crate::platform::{AUTH, MISSING, Platform, USAGE};

const TENANT: &str = "spaceguid=23bc46b1-71f6-4ed5-8c54-816aa4f8c502";
const TOKEN: &str = "accesstoken=DUMMY+TOKEN";
const BASE: &str = "/api/v1/web/whisk.system/apimgmt";
const WEB: &str = r#"{"name":"hello","annotations":[{"key":"web-export","value":true}]}"#;
const SECURE: &str =
    r#"{"name":"hello","annotations":[{"key":"web-export","value":true},{"key":"require-whisk-auth","value":7}]}"#;
const API: &str = r#"{"namespace":"Not Used","gwApiActivated":true,"tenantId":"Not Used",
    "gwApiUrl":"http://gw:9001/api/23bc/hello","apidoc":{"swagger":"2.0","basePath":"/hello",
    "info":{"title":"/hello","version":"1.0.0"},"paths":{"/world":{"get":{"operationId":"getWorld",
    "x-openwhisk":{"action":"hello","namespace":"guest","package":"","url":"u"},
    "responses":{"default":{"description":"Default response"}}}}}}}"#;

fn listed() -> &'static str {
    Box::leak(format!(r#"{{"apis":[{{"id":"Not Used","key":"Not Used","value":{API}}}]}}"#).into_boxed_str())
}

#[test]
fn create_a_route() {
    let platform = Platform::answering([(200, WEB), (200, API)]);
    platform
        .wsk("api create /hello /world get hello")
        .printed("ok: created API /hello/world GET for action /_/hello\nhttp://gw:9001/api/23bc/hello/world\n");
    let host = platform.address();
    assert_eq!(
        platform.requests(),
        [
            "GET /api/v1/namespaces/_/actions/hello?code=false".to_owned(),
            format!(
                "POST {BASE}/createApi.http?{TOKEN}&responsetype=json&{TENANT} \
                 {{\"apidoc\":{{\"namespace\":\"_\",\"gatewayBasePath\":\"/hello\",\"gatewayPath\":\"/world\",\
                 \"gatewayMethod\":\"GET\",\"id\":\"API:_:/hello\",\"action\":{{\"name\":\"hello\",\"namespace\":\"_\",\
                 \"backendMethod\":\"GET\",\"backendUrl\":\"{host}/api/v1/web/_/default/hello.http\",\
                 \"authkey\":\"{AUTH}\"}}}}}}"
            )
        ]
    );
}

#[test]
fn create_with_a_name_parameters_and_a_secret() {
    let platform = Platform::answering([(200, SECURE), (200, API), (200, WEB), (200, API)]);
    let words = [
        "api",
        "create",
        "Book Club",
        "/x/{id}",
        "POST",
        "pkg/hello",
        "--response-type",
        "http",
    ];
    let run = platform.wsk_words(words);
    assert!(
        run.out
            .starts_with("ok: created API Book Club/x/{id} POST for action /_/pkg/hello\n"),
        "{run:?}"
    );
    let request = platform.requests().remove(1);
    assert!(request.contains("&responsetype=http&"), "{request}");
    assert!(
        request.contains("\"gatewayBasePath\":\"Book Club\"") && !request.contains("\"id\":"),
        "{request}"
    );
    assert!(
        request.contains("/web/_/pkg/hello.http\"") && request.contains("\"secureKey\":7}"),
        "{request}"
    );
    let parameter = "\"pathParameters\":[{\"name\":\"id\",\"in\":\"path\",\"description\":\"Default description for 'id'\",\
                     \"required\":true,\"type\":\"string\"}]";
    assert!(request.contains(parameter), "{request}");

    let run = platform.wsk("api create /weather POST hello -n Weather");
    assert!(
        run.out
            .starts_with("ok: created API /weather POST for action /_/hello\n"),
        "{run:?}"
    );
    assert!(platform.requests()[1].contains("\"apiName\":\"Weather\",\"gatewayBasePath\":\"/\""));
}

#[test]
fn what_is_no_route() {
    let platform = Platform::answering([(200, r#"{"annotations":[]}"#), MISSING]);
    let cases = [
        ("/h bad get a", "'bad' must begin with '/'."),
        ("world get a", "'world' must begin with '/'."),
        (
            "/h /x bad a",
            "'bad' is not a valid API verb.  Valid values are: [GET PUT POST DELETE PATCH HEAD OPTIONS]",
        ),
        (
            "/h /x/{y} get a",
            "A response type of 'http' is required when using path parameters.",
        ),
        (
            "/h/{x} /y get a",
            "The base path '/h/{x}' cannot have parameters. Only the relative path supports path parameters.",
        ),
        ("name /y get a -n other", "An API name can only be specified once."),
    ];
    for (line, text) in cases {
        let expected = format!("error: Unable to parse api command arguments: {text}\n{USAGE}");
        platform.wsk(&format!("api create {line}")).failed(1, &expected);
    }
    let text = "Action '/_/nonweb' is not a web action. Issue 'wsk action update \"/_/nonweb\" --web true' to convert the \
                action to a web action.";
    platform
        .wsk("api create /h /x get nonweb")
        .failed(1, &format!("error: {text}\n{USAGE}"));
    let text = "error: Unable to get action '/_/nope': The requested resource does not exist. (code T)\n";
    platform.wsk("api create /h /x get nope").failed(1, text);
    let text = "Specify a swagger file or specify an API base path with an API path, an API verb, and an action name.";
    platform
        .wsk("api create /h")
        .failed(1, &format!("error: Invalid argument(s). {text}\n{USAGE}"));
    platform
        .wsk("api delete /h bad")
        .failed(1, &format!("error: 'bad' must begin with '/'.\n{USAGE}"));
}

#[test]
fn create_from_a_description() {
    let platform = Platform::answering([(200, API), (200, API)]);
    let file = r#"{"swagger":"2.0","basePath":"/hello","info":{"title":"t"},"paths":{"/world":{}}}"#;
    platform.file("f.json", file);
    platform.file(
        "f.yaml",
        "swagger: '2.0'\nbasePath: /hello\ninfo: {title: t}\npaths: {/world: {}}\n",
    );
    let told = "ok: created API /hello/world get for action /guest/hello\nhttp://gw:9001/api/23bc/hello/world\n";
    platform.wsk("api create -c f.json").printed(told);
    platform.wsk("api create --config-file f.yaml").printed(told);
    let escaped = file.replace('"', "\\\"");
    for request in platform.requests() {
        assert!(
            request.ends_with(&format!(
                " {{\"apidoc\":{{\"namespace\":\"_\",\"swagger\":\"{escaped}\"}}}}"
            )),
            "{request}"
        );
    }

    let failed = |file: &str, code: i32, text: &str| {
        let expected = format!("error: Unable to parse swagger file: {text}\n{USAGE}");
        platform.wsk(&format!("api create -c {file}")).failed(code, &expected);
    };
    failed(
        "no",
        2,
        "Error reading swagger file 'no': File 'no' is not a valid file or it does not exist",
    );
    platform.file("f.json", "{}");
    failed(
        "f.json",
        1,
        "Swagger file is invalid (missing basePath, info, paths, or swagger fields)",
    );
    platform.file("f.json", &file.replace("/hello", "hello"));
    failed("f.json", 1, "Swagger file basePath must start with a leading slash (/)");
    platform.file("f.json", "{");
    let run = platform.wsk("api create -c f.json");
    assert!(
        run.err
            .starts_with("error: Unable to parse swagger file: Error parsing swagger file 'f.json': "),
        "{run:?}"
    );
}

#[test]
fn list() {
    let empty = (200, r#"{"apis":[]}"#);
    let platform = Platform::answering([(200, listed()), empty, (200, listed()), (200, listed())]);
    platform.wsk("api list").printed(
        "ok: APIs\nAction          Verb  API Name  URL\n/guest/hello     get    /hello  http://gw:9001/api/23bc/hello/world\n",
    );
    let header = format!("ok: APIs\n{:<30} {:>7} {:>20}  URL\n", "Action", "Verb", "API Name");
    platform.wsk("api list /none").printed(&header);
    platform.wsk("api list /hello /world post").printed(&header);
    platform.wsk("api list /hello -f").printed(
        "ok: APIs\nAction: /guest/hello\n   API Name: /hello\n   Base path: /hello\n   Path: /world\n   Verb: get\n   URL: \
         http://gw:9001/api/23bc/hello/world\n",
    );
    let requests = platform.requests();
    assert_eq!(
        requests[0],
        format!("GET {BASE}/getApi.http?{TOKEN}&limit=30&skip=0&{TENANT}")
    );
    assert_eq!(
        requests[2],
        format!("GET {BASE}/getApi.http?{TOKEN}&basepath=%2Fhello&operation=POST&relpath=%2Fworld&{TENANT}")
    );
}

#[test]
fn get() {
    let replies = [
        (200, listed()),
        (200, listed()),
        (200, listed()),
        (200, r#"{"apis":[]}"#),
    ];
    let platform = Platform::answering(replies);
    let run = platform.wsk("api get /hello");
    assert!(
        run.out
            .starts_with("{\n    \"swagger\": \"2.0\",\n    \"basePath\": \"/hello\",\n"),
        "{}",
        run.out
    );
    let run = platform.wsk("api get /hello -f");
    assert!(
        run.out
            .starts_with("{\n    \"namespace\": \"Not Used\",\n    \"gwApiUrl\": "),
        "{}",
        run.out
    );
    let run = platform.wsk("api get /hello --format yaml");
    assert!(
        run.out.contains("basePath: /hello\n") && run.out.ends_with("\n\n"),
        "{}",
        run.out
    );
    platform
        .wsk("api get /none")
        .failed(1, "error: API does not exist for basepath /none\n");
    platform
        .wsk("api get /none --format xml")
        .failed(1, "error: Invalid format type: xml\n");
}

#[test]
fn delete() {
    let missing = r#"{"error":"API deletion failure: API '/not-there' does not exist."}"#;
    let platform = Platform::answering([(200, "{}"), (200, "{}"), (200, "{}"), (502, missing), (502, missing)]);
    platform.wsk("api delete /hello").printed("ok: deleted API /hello\n");
    platform
        .wsk("api delete /hello /world")
        .printed("ok: deleted /world from /hello\n");
    platform
        .wsk("api delete /hello /world get")
        .printed("ok: deleted /world GET from /hello\n");
    let text = "error: Unable to delete API: API deletion failure: API '/not-there' does not exist.\n";
    platform.wsk("api delete /not-there").failed(1, text);
    assert_eq!(platform.wsk("api list /not-there").code, 246);
    let requests = platform.requests();
    assert_eq!(
        requests[0],
        format!("DELETE {BASE}/deleteApi.http?{TOKEN}&basepath=%2Fhello&{TENANT}")
    );
}

#[test]
fn the_tenant_needs_a_key() {
    let platform = Platform::answering([]);
    platform.file("props", &format!("APIHOST={}\n", platform.address()));
    let text = format!("error: Authorization key is not configured (--auth is required)\n{USAGE}");
    platform.wsk("api list").failed(1, &text);
}
