use serde_json::json;

use super::*;
use crate::apis::oauth::Provider;

/// A description with one operation at `/p/{id}`; `change` spoils it.
fn described(change: impl FnOnce(&mut Value)) -> Result<Routes, String> {
    let mut document = document::empty("Club", "/club");
    document::add(
        &mut document,
        &document::Endpoint {
            path: "/p/{id}".into(),
            verb: "get".into(),
            parameters: json!([{"name": "id", "in": "path"}]),
            url: "https://host/api/v1/web/guest/default/a.http".into(),
            namespace: "guest".into(),
            package: String::new(),
            action: "a".into(),
            secret: Some(json!(7)),
        },
    );
    change(&mut document);
    read(&document)
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    described(change).unwrap_err()
}

/// The first case of the switch.
fn case(document: &mut Value) -> &mut Value {
    &mut document["x-ibm-configuration"]["assembly"]["execute"][0]["operation-switch"]["case"][0]
}

fn variables(actions: Value) -> Mapping {
    let mut mapping = Mapping::default();
    mapping.set_variables(&json!({ "actions": actions })).unwrap();
    mapping
}

#[test]
fn what_is_created_can_be_served() {
    let routes = described(|_| {}).unwrap();
    assert_eq!(routes.base_path, "/club");
    assert_eq!(
        (routes.cors, &routes.keys, routes.rate),
        (Cors::Answered, &Keys::None, None)
    );
    let resource = &routes.resources[0];
    assert_eq!(resource.path, "/club/p/{id}");
    let operation = &resource.operations[0];
    assert_eq!((&operation.verb, &operation.rewrite), (&Method::GET, &None));
    assert_eq!(
        operation.mapping,
        variables(json!([{"set": "message.headers.X-Require-Whisk-Auth", "value": 7}]))
    );
}

#[test]
fn both_families_of_extensions_are_read() {
    let routes = described(|document| {
        let configuration = document["x-ibm-configuration"].take();
        document["x-gateway-configuration"] = configuration;
        document.as_object_mut().unwrap().shift_remove("x-ibm-configuration");
        document["x-gateway-rate-limit"] = json!([{"unit": "hour", "units": 2, "rate": "5"}]);
    });
    let rate = routes.unwrap().rate.unwrap();
    assert_eq!((rate.calls, rate.window), (5.0, Duration::from_secs(7200)));
    let ibm =
        described(|document| document["x-ibm-rate-limit"] = json!([{"unit": "fortnight", "units": 1, "rate": 1}]));
    assert_eq!(ibm.unwrap().rate.unwrap().window, Duration::from_secs(60));
}

#[test]
fn one_invoke_may_serve_all_operations() {
    let routes = described(|document| {
        document["x-ibm-configuration"]["assembly"]["execute"] = json!([
            {"set-variable": {"actions": [{"set": "message.query.k", "value": true}]}},
            {"invoke": {"target-url": "http://backend$(request.path)", "verb": "POST"}},
        ]);
        document["paths"]["/q"] = json!({"parameters": [], "GET": {}});
    });
    let routes = routes.unwrap();
    for resource in &routes.resources {
        let operation = &resource.operations[0];
        assert_eq!(operation.target.authority, "backend");
        assert_eq!(operation.rewrite, Some(Method::POST));
        assert_eq!(
            operation.mapping,
            variables(json!([{"set": "message.query.k", "value": true}]))
        );
    }
    assert_eq!(routes.resources.len(), 2);
}

#[test]
fn an_action_alone_is_a_target() {
    let routes = described(|document| {
        document.as_object_mut().unwrap().shift_remove("x-ibm-configuration");
        let operation = document["paths"]["/p/{id}"]["get"].take();
        document["paths"] = json!({"/p": {"get": operation}});
    });
    let routes = routes.unwrap();
    assert_eq!(
        (routes.cors, routes.resources[0].operations[0].target.authority.as_str()),
        (Cors::PassedThrough, "host")
    );
}

#[test]
fn keys_and_secrets() {
    let keys = |definitions: Value| {
        described(|document| document["securityDefinitions"] = definitions).map(|routes| routes.keys)
    };
    let header = |name: &'static str| HeaderName::from_static(name);
    assert_eq!(
        keys(json!({"k": {"type": "apiKey", "in": "header", "name": "X-Key"}})),
        Ok(Keys::Id(header("x-key")))
    );
    assert_eq!(
        keys(json!({"k": {"type": "apiKey"}})),
        Ok(Keys::Id(header("x-client-id")))
    );
    let both = json!({"client_id": {"type": "apiKey"}, "client_secret": {"type": "apiKey", "name": "X-S"}});
    let expected = Keys::IdAndSecret {
        id: header("x-client-id"),
        secret: header("x-s"),
    };
    assert_eq!(keys(both), Ok(expected));
}

#[test]
fn a_protection_that_is_not_offered_is_never_left_out() {
    for definitions in [
        json!({"o": {"type": "oauth2", "x-provider": {"name": "somebody"}}}),
        json!({"o": {"type": "oauth2"}}),
        json!({"o": {"type": "oauth2", "x-provider": {"name": "app-id", "params": {"tenantId": "../x"}}}}),
        json!({"o": {"type": "oauth2", "x-provider": {"name": "github", "params": {"audience": "a"}}}}),
        json!({"google": {"type": "oauth2"}, "o": {"type": "oauth2", "x-provider": {"name": "github"}}}),
        json!({"b": {"type": "basic"}}),
        json!({"k": {"type": "apiKey", "in": "query", "name": "key"}}),
        json!({"a": {"type": "apiKey"}, "b": {"type": "apiKey"}}),
        json!({"k": {}}),
    ] {
        let text = refused(|document| document["securityDefinitions"] = definitions.clone());
        assert!(text.contains("security"), "{definitions}: {text}");
    }
}

#[test]
fn tokens_and_keys_go_together() {
    let routes = described(|document| {
        document["securityDefinitions"] = json!({
            "client_id": {"type": "apiKey"},
            "o": {"type": "oauth2", "x-provider": {"name": "google", "params": {"audience": "app"}}},
        });
    });
    let routes = routes.unwrap();
    assert!(matches!(routes.keys, Keys::Id(_)));
    let guard = Guard {
        provider: Provider::Google,
        audience: Some("app".into()),
    };
    assert_eq!(routes.guard, Some(guard));
    let older = described(|document| document["securityDefinitions"] = json!({"facebook": {"type": "oauth2"}}));
    assert_eq!(older.unwrap().guard.unwrap().provider, Provider::Facebook);
}

#[test]
fn rules_of_path_parameters() {
    let id = |document: &mut Value| document["paths"]["/p/{id}"]["get"].take();
    assert_eq!(
        refused(|document| document["basePath"] = json!("/h/{x}")),
        "The base path (/h/{x}) cannot have parameters. Only the relative path supports path parameters."
    );
    assert_eq!(
        refused(|document| document["paths"]["/p/{id}"]["get"]["x-openwhisk"]["url"] = json!("http://h/a.json")),
        "The action must use a response type of '.http' in order to receive the path parameters."
    );
    assert_eq!(
        refused(|document| case(document)["execute"][0]["invoke"]["target-url"] = json!("http://h/a.http")),
        "The target-url for operationId 'getPId' must end in '$(request.path)' in order for actions to receive the path parameters."
    );
    assert_eq!(
        refused(|document| {
            let operation = id(document);
            document["paths"] = json!({"/p/{other}": {"get": operation}});
        }),
        "The parameter 'other' defined in path '/p/{other}' does not match any of the parameters defined for the path in the swagger file."
    );
}

#[test]
fn what_cannot_be_served() {
    let texts = [
        refused(|document| document["basePath"] = json!("club")),
        refused(|document| document["paths"]["x"] = json!({"get": {}})),
        refused(|document| document["paths"]["/x"] = json!({"get": {}})),
        refused(|document| case(document)["execute"][0]["invoke"]["verb"] = json!("FETCH")),
        refused(|document| {
            case(document)["execute"][1]["set-variable"]["actions"][0]["set"] = json!("message.cookies.x")
        }),
        refused(|document| {
            case(document)["execute"][1]["set-variable"]["actions"][0]["set"] = json!("message.headers.Via")
        }),
        refused(|document| case(document)["execute"][1]["set-variable"]["actions"][0]["set"] = json!("message.path.x")),
        refused(|document| case(document)["execute"][1] = json!({"validate-jwt": {}})),
        refused(|document| case(document)["execute"][1]["set-variable"]["actions"][0]["value"] = json!("a\nb")),
        refused(|document| document["x-ibm-rate-limit"] = json!([{"unit": "day", "units": 1, "rate": 0}])),
        refused(|document| document["x-ibm-rate-limit"] = json!([{"unit": "day", "units": -1, "rate": 5}])),
    ];
    let expected = [
        "the basePath must begin with '/'",
        "the path 'x' must begin with '/'",
        "the operation 'get' of the path '/x' has no target-url",
        "'FETCH' is not a verb",
        "the variable 'message.cookies.x' cannot be set",
        "the header 'Via' cannot be changed by an API",
        "the target-url of 'get' of the path '/p/{id}' has no '{x}'",
        "the step 'validate-jwt' of the assembly is not offered",
        "the value of 'X-Require-Whisk-Auth' cannot be a header's",
        "a rate limit needs a positive number of units and a rate of at least 1",
        "a rate limit needs a positive number of units and a rate of at least 1",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_route_at_the_root() {
    let routes = described(|document| document["basePath"] = json!("/")).unwrap();
    assert_eq!(
        (routes.base_path.as_str(), routes.resources[0].path.as_str()),
        ("/", "/p/{id}")
    );
    assert_eq!(
        described(|document| document["basePath"] = json!("/a/"))
            .unwrap()
            .base_path,
        "/a"
    );
}
