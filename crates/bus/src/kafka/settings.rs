//! The client library's settings, from ours; what cannot work is refused before the brokers are asked.

use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::Shared;
use super::log::{Joining, Log};
use crate::config::{Kafka, Mechanism, Sasl, Tls};
use crate::{Error, TopicKind};

/// Settings of librdkafka that have a key of ours, and which.
const OWN: &[(&str, &str)] = &[
    ("acks", "nothing: what is accepted takes `all`"),
    ("bootstrap.servers", "`bus.brokers`"),
    ("client.id", "`bus.instance`"),
    ("enable.idempotence", "nothing: what is accepted takes it"),
    ("group.instance.id", "`bus.instance`"),
    ("message.timeout.ms", "`bus.timeout_ms`"),
    ("metadata.broker.list", "`bus.brokers`"),
    ("sasl.mechanism", "`bus.sasl.mechanism`"),
    ("sasl.mechanisms", "`bus.sasl.mechanism`"),
    ("sasl.password", "`bus.sasl.password`"),
    ("sasl.username", "`bus.sasl.username`"),
    ("security.protocol", "`bus.tls.enabled` and `bus.sasl.mechanism`"),
    ("session.timeout.ms", "`bus.session_timeout_ms`"),
    ("ssl.ca.location", "`bus.tls.ca_file`"),
    ("ssl.certificate.location", "`bus.tls.certificate_file`"),
    ("ssl.endpoint.identification.algorithm", "`bus.tls.verify_host`"),
    ("ssl.key.location", "`bus.tls.key_file`"),
    ("ssl.key.password", "`bus.tls.key_password`"),
];

/// What the library sends together at most unless it is told otherwise, in bytes.
const BATCH: u64 = 1_000_000;

/// Longest name that a topic of ours has without its prefix, roughly; Kafka takes 249 characters in all.
const LONGEST_PREFIX: usize = 150;

/// What every client of ours begins with.
pub(super) fn client(config: &Kafka) -> Result<ClientConfig, Error> {
    addresses(&config.brokers)?;
    prefix(&config.topic_prefix)?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.brokers);
    // A lost connection is no error to the library, but says why a password or a certificate is not asked for.
    client.set_log_level(RDKafkaLogLevel::Info);
    // Every message is small and somebody waits for it.
    client.set("socket.nagle.disable", "true");
    if !config.instance.is_empty() {
        client.set("client.id", &config.instance);
    }
    client.set("security.protocol", protocol(config));
    tls(&mut client, &config.tls)?;
    sasl(&mut client, &config.sasl, config.tls.enabled)?;
    for (name, value) in &config.properties {
        if let Some((_, key)) = OWN.iter().find(|(own, _)| own == name) {
            return Err(wrong(format!("`bus.properties` sets `{name}`; use {key} instead")));
        }
        property(name, value)?;
        client.set(name, value);
    }
    Ok(client)
}

/// Whether the library knows a property and takes its value, which is not shown: it may be a secret.
fn property(name: &str, value: &str) -> Result<(), Error> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Err(wrong(format!(
            "`bus.properties`: librdkafka knows no property `{name}`; correct its name"
        ))),
        Err(_) => Err(wrong(format!(
            "`bus.properties`: librdkafka does not take the value of `{name}`; correct it"
        ))),
    }
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::Configuration(reason.into())
}

fn protocol(config: &Kafka) -> &'static str {
    match (config.tls.enabled, config.sasl.mechanism) {
        (false, None) => "plaintext",
        (true, None) => "ssl",
        (false, Some(_)) => "sasl_plaintext",
        (true, Some(_)) => "sasl_ssl",
    }
}

fn addresses(brokers: &str) -> Result<(), Error> {
    for address in brokers.split(',').map(str::trim) {
        let port = address
            .rsplit_once(':')
            .map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((true, Ok(1..)))) {
            return Err(wrong(format!(
                "`bus.brokers`: `{address}` is no address of a broker; write host:port, several separated by commas"
            )));
        }
    }
    Ok(())
}

fn prefix(prefix: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match prefix.chars().find(|c| !fits(*c)) {
        Some(odd) => Err(wrong(format!(
            "`bus.topic_prefix`: `{prefix}` has the character {odd:?}; names of topics have letters, digits, `.`, `_` and `-` only"
        ))),
        None if prefix.len() > LONGEST_PREFIX => Err(wrong(format!(
            "`bus.topic_prefix` has {} characters; {LONGEST_PREFIX} are possible",
            prefix.len()
        ))),
        None => Ok(()),
    }
}

fn tls(client: &mut ClientConfig, tls: &Tls) -> Result<(), Error> {
    let files = [
        ("ca_file", "ssl.ca.location", &tls.ca_file),
        ("certificate_file", "ssl.certificate.location", &tls.certificate_file),
        ("key_file", "ssl.key.location", &tls.key_file),
    ];
    for (key, setting, file) in files {
        let Some(file) = file else { continue };
        if !tls.enabled {
            return Err(wrong(format!(
                "`bus.tls.{key}` is set, but TLS is off; set `bus.tls.enabled` to true or remove it"
            )));
        }
        readable(key, file)?;
        client.set(setting, file.to_string_lossy());
    }
    match (&tls.certificate_file, &tls.key_file) {
        (Some(_), None) => {
            return Err(wrong(
                "`bus.tls.certificate_file` needs the key of that certificate as `bus.tls.key_file`",
            ));
        }
        (None, Some(_)) => {
            return Err(wrong(
                "`bus.tls.key_file` needs the certificate of that key as `bus.tls.certificate_file`",
            ));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if tls.enabled {
        let identification = if tls.verify_host { "https" } else { "none" };
        client.set("ssl.endpoint.identification.algorithm", identification);
        if !tls.key_password.reveal().is_empty() {
            client.set("ssl.key.password", tls.key_password.reveal());
        }
    }
    Ok(())
}

fn readable(key: &str, file: &Path) -> Result<(), Error> {
    match std::fs::read(file) {
        Ok(text) if text.is_empty() => Err(wrong(format!("`bus.tls.{key}`: {} is empty", file.display()))),
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(format!(
            "`bus.tls.{key}`: cannot read {}: {error}",
            file.display()
        ))),
    }
}

fn sasl(client: &mut ClientConfig, sasl: &Sasl, encrypted: bool) -> Result<(), Error> {
    let Some(mechanism) = sasl.mechanism else {
        if sasl.username.is_empty() && sasl.password.reveal().is_empty() {
            return Ok(());
        }
        return Err(wrong(
            "`bus.sasl` names a user, but no way to prove who it is; set `bus.sasl.mechanism` to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        ));
    };
    for (key, value) in [("username", &*sasl.username), ("password", sasl.password.reveal())] {
        if value.is_empty() {
            return Err(wrong(format!(
                "`bus.sasl.mechanism` is {}, which needs `bus.sasl.{key}`",
                mechanism.name()
            )));
        }
    }
    if mechanism == Mechanism::Plain && !encrypted {
        tracing::warn!("the password of `bus.sasl` is sent to Kafka unencrypted; set `bus.tls.enabled`, or use SCRAM");
    }
    client
        .set("sasl.mechanism", mechanism.name())
        .set("sasl.username", &sasl.username)
        .set("sasl.password", sasl.password.reveal());
    Ok(())
}

/// The settings of the producer.
pub(super) fn producer(client: &ClientConfig, config: &Kafka) -> ClientConfig {
    let (mut client, largest) = (client.clone(), config.topics.max_message_bytes);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("message.timeout.ms", config.timeout_ms.to_string())
        .set("message.max.bytes", largest.max(2_000_000).to_string());
    if largest < BATCH {
        // A topic's bound holds for what is sent together: several small messages would be refused for their sum.
        client.set("batch.size", largest.to_string());
    }
    client
}

/// The settings of a member of a topic's group, or of a follower of a broadcast.
pub(super) fn consumer(shared: &Shared, log: &Log, joining: Joining) -> ClientConfig {
    let mut client = shared.client.clone();
    client
        .set("group.id", &log.full)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        .set("session.timeout.ms", shared.config.session_timeout_ms.to_string())
        .set(
            "heartbeat.interval.ms",
            (shared.config.session_timeout_ms / 5).max(1).to_string(),
        );
    if joining == Joining::Owner && log.kind == TopicKind::Queue && !shared.config.instance.is_empty() {
        // A member that restarts gets its place back without waiting for the session of its former life to end.
        client.set("group.instance.id", &shared.config.instance);
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn refused(change: impl FnOnce(&mut Kafka)) -> String {
        let mut config = Kafka::default();
        change(&mut config);
        client(&config).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        type Change = fn(&mut Kafka);
        let cases: &[(&str, Change)] = &[
            ("`bus.brokers`: `kafka` is no address of a broker", |c| {
                c.brokers = "kafka".into()
            }),
            ("`bus.brokers`: `` is no address", |c| c.brokers = "a:1,".into()),
            ("`bus.topic_prefix`: `a/b_` has the character '/'", |c| {
                c.topic_prefix = "a/b_".into()
            }),
            ("`bus.tls.ca_file` is set, but TLS is off", |c| {
                c.tls.ca_file = Some("ca.pem".into())
            }),
            ("`bus.tls.ca_file`: cannot read no/ca.pem", |c| {
                c.tls.enabled = true;
                c.tls.ca_file = Some("no/ca.pem".into());
            }),
            ("`bus.sasl.mechanism` is PLAIN, which needs `bus.sasl.username`", |c| {
                c.sasl.mechanism = Some(Mechanism::Plain);
            }),
            ("set `bus.sasl.mechanism`", |c| c.sasl.password = Secret::new("hush")),
            (
                "`bus.properties` sets `sasl.password`; use `bus.sasl.password` instead",
                |c| {
                    c.properties.insert("sasl.password".into(), "hush".into());
                },
            ),
        ];
        for (text, change) in cases {
            let error = refused(change);
            assert!(error.contains(text) && !error.contains("hush"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_sent_together_is_within_what_a_topic_takes() {
        let mut config = Kafka::default();
        let batch = |config: &Kafka| {
            producer(&client(config).unwrap(), config)
                .get("batch.size")
                .map(str::to_owned)
        };
        assert_eq!(batch(&config), None);
        config.topics.max_message_bytes = 500_000;
        assert_eq!(batch(&config).as_deref(), Some("500000"));
    }

    #[test]
    fn the_protocol_follows_from_what_is_set() {
        let mut config = Kafka::default();
        config.tls.enabled = true;
        config.sasl = Sasl {
            mechanism: Some(Mechanism::ScramSha512),
            username: "whisk".to_owned(),
            password: Secret::new("hush"),
        };
        let client = client(&config).unwrap();
        assert_eq!(client.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(client.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert_eq!(client.get("ssl.endpoint.identification.algorithm"), Some("https"));
    }
}
