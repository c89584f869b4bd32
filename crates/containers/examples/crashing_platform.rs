//! A platform for the crash test: makes two containers in the folder given, freezes one, says their ids, and waits to be
//! killed.

use std::{path::PathBuf, time::Duration};

use wsk_containers::{Call, Config, Guards, ProcessConfig, Spec, open};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let run_dir = PathBuf::from(arguments.next().expect("a folder"));
    let program = arguments.next().expect("a program");
    let cgroup_v2 = arguments.next().is_none_or(|version_1| version_1 != "true");
    let guards = Guards {
        cgroup_v2,
        ..Guards::default()
    };
    let config = Config::Process(ProcessConfig {
        run_dir: Some(run_dir),
        guards,
        ..ProcessConfig::default()
    });
    let factory = open(&config).expect("opened");
    let mut made = Vec::new();
    for name in ["running", "frozen"] {
        let spec = Spec {
            name: name.to_owned(),
            image: String::new(),
            program: vec![program.clone()],
            folder: None,
            memory_mb: 128,
            concurrency: 1,
            env: Vec::new(),
            managed: true,
            tenant: None,
        };
        let container = factory.create(spec).await.expect("created");
        let init = Call {
            body: "{}".into(),
            limit: Duration::from_secs(10),
            answer_limit: 1_000,
        };
        container.init(init).await.expect("initialised");
        println!("{}", container.id());
        made.push(container);
    }
    made[1].pause().await.expect("frozen");
    println!("ready");
    std::future::pending::<()>().await;
}
