//! What it costs to recognise a caller again. `cargo run --release -p wsk-identity --example remembered`

use std::time::Instant;

use base64::Engine;
use rand::SeedableRng;
use wsk_entities::{Namespace, SubjectDocument, SubjectNamespace};
use wsk_identity::{Authenticator, Outcome};

const CALLS: u32 = 2_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let config = wsk_store::Config::Embedded(wsk_store::EmbeddedConfig::default());
    let subjects = wsk_store::open(&config).await.expect("in memory").subjects;
    let (uuid, key) = wsk_identity::new_key(&mut rand::rngs::StdRng::seed_from_u64(1));
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{uuid}:{key}"));
    let namespace = SubjectNamespace {
        name: Namespace::new("guest").expect("a name"),
        uuid,
        key,
    };
    let subject = SubjectDocument {
        subject: "guest".into(),
        namespaces: vec![namespace],
        blocked: false,
    };
    subjects.put_subject(&subject).await.expect("stored");
    let authenticator = Authenticator::new(subjects);
    let header = format!("Basic {pair}");
    let started = Instant::now();
    for _ in 0..CALLS {
        let outcome = authenticator
            .authenticate(Some(&header))
            .await
            .expect("the store answers");
        assert!(matches!(outcome, Outcome::Known(_)));
    }
    println!("{:?} per caller", started.elapsed() / CALLS);
}
