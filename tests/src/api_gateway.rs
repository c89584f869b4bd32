//! APIs from the command line to the action and back, over HTTP and HTTPS, across restarts and kills.

use std::process::Output;

use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Answer, Folder, LONG, Platform, program, python};
use crate::wait;

/// Answers with its arguments.
const ECHO: &str = "def main(args):\n  return {'body': args}\n";

struct Cli {
    host: String,
    key: String,
    props: std::path::PathBuf,
    folder: std::path::PathBuf,
    variables: Vec<(String, String)>,
}

impl Cli {
    fn of(platform: &Platform) -> Cli {
        Cli {
            host: format!("http://{}", platform.address),
            key: platform.key(),
            props: platform.folder.file("wskprops"),
            folder: platform.folder.path(),
            variables: Vec::new(),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("wsk"));
        command
            .env("WSK_CONFIG_FILE", &self.props)
            .envs(self.variables.iter().cloned())
            .current_dir(&self.folder)
            .args(["--apihost", &self.host, "--auth", &self.key])
            .args(arguments);
        command.output().await.expect("wsk runs")
    }

    async fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Exit code and what was said on standard error.
    async fn fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments).await;
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("a file");
    }
}

fn tenant(p: &Platform) -> String {
    p.key().split(':').next().expect("a uuid").to_owned()
}

async fn web_action(p: &Platform, name: &str, annotations: &[(&str, Value)]) {
    let all = [("web-export", json!(true))];
    let annotations: Vec<Value> = all
        .iter()
        .chain(annotations)
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let body = json!({"exec": python(ECHO), "annotations": annotations, "limits": {"memory": 128}});
    let answer = p
        .call(Method::PUT, &format!("/actions/{name}?overwrite=true"), Some(&body))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn call(p: &Platform, method: Method, target: &str) -> Answer {
    p.send(method, target, None, None).await.expect("an answer")
}

fn header_alone() -> String {
    format!("ok: APIs\n{:<30} {:>7} {:>20}  URL\n", "Action", "Verb", "API Name")
}

#[tokio::test]
async fn every_command_in_its_turn() {
    needs_interpreters!();
    let p = Platform::start().await;
    let (wsk, tenant) = (Cli::of(&p), tenant(&p));
    let api = format!("http://{}/api/{tenant}", p.address);
    assert_eq!(wsk.says(&["api", "list"]).await, header_alone());
    web_action(&p, "hello", &[]).await;
    let created = wsk
        .says(&["api", "create", "/club", "/world", "get", "hello", "-n", "Book Club"])
        .await;
    assert_eq!(
        created,
        format!("ok: created API /club/world GET for action /_/hello\n{api}/club/world\n")
    );
    let created = wsk
        .says(&[
            "api",
            "create",
            "Book Club",
            "/x/{id}",
            "POST",
            "/_/hello",
            "--response-type",
            "http",
        ])
        .await;
    assert_eq!(
        created,
        format!("ok: created API Book Club/x/{{id}} POST for action /_/hello\n{api}/club/x/{{id}}\n")
    );
    let created = wsk.says(&["api", "create", "/openweather", "post", "hello"]).await;
    assert_eq!(
        created,
        format!("ok: created API /openweather POST for action /_/hello\n{api}/openweather\n")
    );
    assert_eq!(
        wsk.says(&["api", "list"]).await,
        format!(
            "ok: APIs\nAction          Verb   API Name  URL\n\
             /guest/hello    post          /  {api}/openweather\n\
             /guest/hello     get  Book Club  {api}/club/world\n\
             /guest/hello    post  Book Club  {api}/club/x/{{id}}\n"
        )
    );
    let long = "ok: APIs\nAction: /guest/hello\n   API Name: Book Club\n   Base path: /club\n   Path: /world\n   Verb: get\n   URL: ";
    for filter in [&["/club", "/world"][..], &["Book Club", "/world", "GET"]] {
        let listed = wsk.says(&[&["api", "list", "-f"], filter].concat()).await;
        assert_eq!(listed, format!("{long}{api}/club/world\n"));
    }
    assert_eq!(
        wsk.says(&["api", "list", "/club", "/world", "put"]).await,
        header_alone()
    );
    let got: Value = serde_json::from_str(&wsk.says(&["api", "get", "Book Club"]).await).expect("JSON");
    assert_eq!(got["paths"].as_object().map(|paths| paths.len()), Some(2));
    let full: Value = serde_json::from_str(&wsk.says(&["api", "get", "/club", "--full"]).await).expect("JSON");
    assert_eq!(
        (&full["gwApiUrl"], &full["apidoc"]),
        (&json!(format!("{api}/club")), &got)
    );
    let missing = wsk.fails(&["api", "get", "/none"]).await;
    assert_eq!(
        missing,
        (Some(1), "error: API does not exist for basepath /none\n".into())
    );

    assert_eq!(
        wsk.says(&["api", "delete", "/club", "/world", "get"]).await,
        "ok: deleted /world GET from /club\n"
    );
    assert_eq!(
        wsk.says(&["api", "delete", "/", "/openweather"]).await,
        "ok: deleted /openweather from /\n"
    );
    let text = "error: Unable to delete API: API deletion failure: path '/world' does not exist in the API\n";
    assert_eq!(
        wsk.fails(&["api", "delete", "/club", "/world"]).await,
        (Some(1), text.into())
    );
    assert_eq!(
        wsk.says(&["api", "delete", "Book Club"]).await,
        "ok: deleted API Book Club\n"
    );
    let text = "error: Unable to delete API: API deletion failure: API '/club' does not exist.\n";
    assert_eq!(wsk.fails(&["api", "delete", "/club"]).await, (Some(1), text.into()));
    assert_eq!(wsk.says(&["api", "list"]).await, header_alone());
}

#[tokio::test]
async fn a_description_goes_round_as_json_and_as_yaml() {
    needs_interpreters!();
    let p = Platform::start().await;
    let wsk = Cli::of(&p);
    web_action(&p, "hello", &[("require-whisk-auth", json!("s3cret"))]).await;
    wsk.says(&[
        "api",
        "create",
        "/club",
        "/x/{id}",
        "get",
        "hello",
        "--response-type",
        "http",
    ])
    .await;
    wsk.says(&["api", "create", "/club", "/y", "put", "hello"]).await;
    let url = format!("http://{}/api/{}/club", p.address, tenant(&p));
    let told = format!(
        "ok: created API /club/x/{{id}} get for action /guest/hello\n{url}/x/{{id}}\n\
         ok: created API /club/y put for action /guest/hello\n{url}/y\n"
    );
    let before = wsk.says(&["api", "get", "/club"]).await;
    for (name, format) in [("api.json", "json"), ("api.yaml", "yaml"), ("api.yml", "yaml")] {
        wsk.file(name, &wsk.says(&["api", "get", "/club", "--format", format]).await);
        wsk.says(&["api", "delete", "/club"]).await;
        assert_eq!(
            wsk.says(&["api", "create", "--config-file", name]).await,
            told,
            "{name}"
        );
        assert_eq!(wsk.says(&["api", "get", "/club"]).await, before, "{name}");
        // The secret went along; the action would refuse without it.
        let answer = call(&p, Method::GET, &format!("/api/{}/club/x/5?q=1", tenant(&p))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            (&answer.json()["__ow_path"], &answer.json()["q"]),
            (&json!("/club/x/5"), &json!("1"))
        );
    }
    // What upstream's files may also say, in the other family of extensions.
    let other = before.replace("x-ibm-configuration", "x-gateway-configuration");
    wsk.file("other.json", &other);
    assert_eq!(wsk.says(&["api", "create", "-c", "other.json"]).await, told);
    assert_eq!(
        call(&p, Method::GET, &format!("/api/{}/club/x/5", tenant(&p)))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn files_that_are_no_description_are_refused() {
    let p = Platform::start().await;
    let wsk = Cli::of(&p);
    wsk.file("deep.json", &"[".repeat(200_000));
    wsk.file("deep.yaml", &"[".repeat(200_000));
    wsk.file(
        "indented.yaml",
        &(0..3000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>(),
    );
    wsk.file("bomb.yaml", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n");
    for name in ["deep.json", "deep.yaml", "indented.yaml", "bomb.yaml"] {
        let (code, text) = wsk.fails(&["api", "create", "-c", name]).await;
        assert_eq!(code, Some(1), "{name}: {text}");
        assert!(
            text.starts_with("error: Unable to parse swagger file: "),
            "{name}: {text}"
        );
    }
    let huge = json!({"swagger": "2.0", "basePath": "/a", "info": {"title": "t", "x": "y".repeat(1_200_000)},
        "paths": {"/a": {"get": {"x-openwhisk": {"url": "http://h/", "namespace": "n", "action": "a"}, "operationId": "o"}}}});
    wsk.file("huge.json", &huge.to_string());
    let (code, text) = wsk.fails(&["api", "create", "-c", "huge.json"]).await;
    let expected = "error: Unable to create API: API creation failure: the description is larger than 1 MB\n";
    assert_eq!((code, text.as_str()), (Some(1), expected));
}

#[tokio::test]
async fn a_route_survives_a_kill_right_after_its_answer() {
    needs_interpreters!();
    let p = Platform::start().await;
    web_action(&p, "hello", &[]).await;
    Cli::of(&p)
        .says(&["api", "create", "/club", "/world", "get", "hello"])
        .await;
    let target = format!("/api/{}/club/world?a=b", tenant(&p));
    assert_eq!(call(&p, Method::GET, &target).await.json()["body"]["a"], "b");
    let p = p.kill().await.start().await;
    let answer = call(&p, Method::GET, &target).await;
    assert_eq!(
        (answer.status, &answer.json()["body"]["a"]),
        (200, &json!("b")),
        "on another port, too"
    );
    // The action goes, the route stays and says what is missing; an action of its name serves again.
    assert_eq!(p.call(Method::DELETE, "/actions/hello", None).await.status, 200);
    let gone = call(&p, Method::GET, &target).await;
    assert_eq!(
        (gone.status, &gone.json()["error"]),
        (404, &json!("The requested resource does not exist."))
    );
    web_action(&p, "hello", &[]).await;
    assert_eq!(call(&p, Method::GET, &target).await.status, 200);
}

#[tokio::test]
async fn what_belongs_to_one_is_nothing_to_another() {
    needs_interpreters!();
    let p = Platform::start().await;
    web_action(&p, "hello", &[]).await;
    let wsk = Cli::of(&p);
    wsk.says(&["api", "create", "/club", "/world", "get", "hello"]).await;
    let mut admin = Command::new(program("wskadmin"));
    let made = admin
        .arg("--data")
        .arg(p.folder.path())
        .args(["user", "create", "mallory"])
        .output()
        .await
        .expect("wskadmin runs");
    let mallory = Cli {
        key: String::from_utf8_lossy(&made.stdout).trim().to_owned(),
        props: p.folder.file("mallory"),
        ..Cli::of(&p)
    };
    wait::until(LONG, async || match mallory.run(&["api", "list"]).await {
        output if output.status.success() => {
            assert_eq!(String::from_utf8_lossy(&output.stdout), header_alone());
            Ok(())
        }
        output => Err(format!("{output:?}")),
    })
    .await;
    let text = "error: Unable to delete API: API deletion failure: API '/club' does not exist.\n";
    assert_eq!(mallory.fails(&["api", "delete", "/club"]).await, (Some(1), text.into()));
    let own = mallory.key.split(':').next().expect("a uuid");
    for target in [
        format!("/api/{own}/club/world"),
        "/api/23bc46b1-0000/club/world".to_owned(),
    ] {
        let answer = call(&p, Method::GET, &target).await;
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"status": 404, "message": "Error: Not found."}))
        );
    }
    // There is no package behind the three actions for anybody to see.
    for cli in [&wsk, &mallory] {
        assert!(
            !cli.says(&["package", "list", "/whisk.system"])
                .await
                .contains("apimgmt")
        );
    }
    let (uuid, _) = wsk.key.split_once(':').expect("a pair");
    let wrong = Cli {
        key: format!("{uuid}:{}", "x".repeat(64)),
        props: p.folder.file("wrong"),
        ..Cli::of(&p)
    };
    assert_eq!(wrong.fails(&["api", "list"]).await.0, Some(246));
    let (code, text) = wrong.fails(&["api", "get", "/club"]).await;
    assert_eq!(
        (code, text.as_str()),
        (Some(1), "error: Unable to get API '/club': Invalid authentication.\n")
    );
}

#[tokio::test]
async fn https_is_trusted_by_its_certificate_alone() {
    needs_interpreters!();
    let config = "[gateway.tls]\nlisten = \"127.0.0.1:0\"\n[gateway.apis]\nlisten = \"127.0.0.1:0\"\n";
    let p = Folder::with_config(config).start().await;
    let read = |name: &str| {
        std::fs::read_to_string(p.folder.path().join(name))
            .expect("a file")
            .trim()
            .to_owned()
    };
    let secure = read("tls.url");
    let mut printing = Command::new(program("ferrowhisk"));
    let printed = printing
        .arg("certificate")
        .arg("--data")
        .arg(p.folder.path())
        .output()
        .await
        .expect("ferrowhisk runs");
    assert!(printed.status.success(), "{printed:?}");
    let certificate = p.folder.file("platform.pem");
    std::fs::write(&certificate, &printed.stdout).expect("a file");
    web_action(&p, "hello", &[]).await;
    let mut wsk = Cli {
        host: secure.clone(),
        ..Cli::of(&p)
    };
    assert_eq!(
        wsk.run(&["api", "list"]).await.status.code(),
        Some(3),
        "nobody knows this certificate yet"
    );
    assert!(wsk.says(&["-i", "api", "list"]).await.starts_with("ok: APIs"));
    wsk.variables = vec![("SSL_CERT_FILE".into(), certificate.display().to_string())];
    let created = wsk.says(&["api", "create", "/club", "/world", "get", "hello"]).await;
    let url = format!("{secure}/api/{}/club/world", tenant(&p));
    assert_eq!(
        created,
        format!("ok: created API /club/world GET for action /_/hello\n{url}\n")
    );

    // The listener of APIs shows them and nothing else.
    let apis = read("apis.url");
    let apis = apis.trim_start_matches("http://");
    let target = format!("/api/{}/club/world", tenant(&p));
    let shown = crate::harness::get(apis, &target).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(crate::harness::get(apis, "/api/v1/namespaces").await.status, 404);

    // Another certificate is in use as soon as it lies there.
    for name in ["tls.crt", "tls.key"] {
        std::fs::remove_file(p.folder.path().join(name)).expect("a file");
    }
    let mut renewing = Command::new(program("ferrowhisk"));
    let renewed = renewing
        .arg("certificate")
        .arg("--data")
        .arg(p.folder.path())
        .output()
        .await
        .expect("ferrowhisk runs");
    assert_ne!(renewed.stdout, printed.stdout);
    std::fs::write(&certificate, &renewed.stdout).expect("a file");
    wait::until(LONG, async || match wsk.run(&["api", "list"]).await {
        output if output.status.success() => Ok(()),
        output => Err(format!("{output:?}")),
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_none_ends_the_start_in_one_line() {
    let folder = Folder::with_config(
        "[gateway.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"none.pem\"\nkey = \"none.key\"\n",
    );
    let output = folder.serve().output().await.expect("ferrowhisk runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("cannot read none.pem"),
        "{text}"
    );
    let folder = Folder::with_config("[gateway]\ntrusted_proxies = [\"nonsense\"]\n");
    let output = folder.serve().output().await.expect("ferrowhisk runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("`gateway.trusted_proxies`: `nonsense` is no address"),
        "{text}"
    );
}
