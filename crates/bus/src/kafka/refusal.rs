//! What the brokers, or the library on the way to them, have against this process.
//!
//! A refused password or certificate shows to the caller of an operation as a time-out; the library tells the reason on the
//! side, here. What no waiting mends is told apart from what may pass.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use crate::config::Kafka;

/// How long it may take to find out what of a certificate is not believed.
const LOOK_CLOSER: Duration = Duration::from_secs(3);

/// The library's last words.
#[derive(Debug, Default)]
pub(super) struct Words(Mutex<Option<String>>);

/// A client that only listens to what the library says.
#[derive(Default)]
struct Listener(Words);

/// What is wrong, as far as the library's words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Credentials,
    Mechanism,
    /// The brokers' certificate: its authority or its name.
    Certificate,
    /// Ours is missing, or the brokers do not take it.
    OurCertificate,
    /// The other end does not speak as we do; also what a broker that is going down looks like.
    Protocol,
    Other,
}

impl Words {
    pub(super) fn heard(&self, error: &KafkaError, reason: &str) {
        // That all are down follows from what was said of each.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.last() = Some(plain(reason));
        }
    }

    /// Takes what the library logs about a connection it lost; not all of it is also an error.
    pub(super) fn logged(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(?level, facility, line, "librdkafka");
        if facility == "FAIL" {
            let line = line.split_once("]: ").map_or(line, |(_, line)| line);
            *self.last() = Some(plain(line));
        }
    }

    pub(super) fn forget(&self) {
        *self.last() = None;
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.last().clone()
    }

    fn last(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl ClientContext for Listener {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.heard(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.logged(level, facility, line);
    }
}

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}

/// Without what the library says about itself at the end.
fn plain(reason: &str) -> String {
    let reason = reason.split(" (after ").next().unwrap_or(reason);
    reason.trim().to_owned()
}

fn cause(reason: &str) -> Cause {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["mechanism handshake failed"]) {
        Cause::Mechanism
    } else if has(&["SASL authentication error", "Failed to initialize SASL"]) {
        Cause::Credentials
    } else if has(&[
        "certificate verify failed",
        "Failed to verify broker certificate",
        "certificate could not be verified",
    ]) {
        Cause::Certificate
    } else if has(&[
        "alert certificate required",
        "alert bad certificate",
        "alert unknown ca",
        "alert certificate unknown",
        "alert handshake failure",
        "client SSL authentication might be required",
    ]) {
        Cause::OurCertificate
    } else if has(&[
        "security.protocol",
        "PLAINTEXT broker listener",
        "Disconnected",
        // The broker has hung up before the library had sent all of its greeting.
        "Send failed",
        "wrong version number",
    ]) {
        Cause::Protocol
    } else {
        Cause::Other
    }
}

/// What an operator must change, when the library's words say that waiting mends nothing. Blocks.
pub(super) fn refusal(config: &Kafka, client: &ClientConfig, reason: &str) -> Option<String> {
    let brokers = &config.brokers;
    match cause(reason) {
        Cause::Credentials => Some(format!(
            "Kafka at {brokers} refuses the user `{}`; check `bus.sasl.username`, `bus.sasl.password` and `bus.sasl.mechanism` ({reason})",
            config.sasl.username
        )),
        Cause::Mechanism => {
            let offered = reason
                .rsplit_once("supported mechanisms: ")
                .map_or("another", |(_, offered)| offered);
            Some(format!(
                "Kafka at {brokers} does not take {}; set `bus.sasl.mechanism` to {offered}",
                config
                    .sasl
                    .mechanism
                    .map_or("no mechanism", |mechanism| mechanism.name()),
            ))
        }
        Cause::Certificate => Some(certificate(config, client)),
        Cause::OurCertificate if config.tls.certificate_file.is_none() => Some(format!(
            "Kafka at {brokers} wants to see a certificate of this process; set `bus.tls.certificate_file` and `bus.tls.key_file`"
        )),
        Cause::OurCertificate => Some(format!(
            "Kafka at {brokers} does not take the certificate of this process; `bus.tls.certificate_file` must be signed by an authority that the brokers trust ({reason})"
        )),
        Cause::Protocol | Cause::Other => None,
    }
}

/// What to look at, should it not be that the brokers are down.
pub(super) fn hint(config: &Kafka, reason: &str) -> &'static str {
    match (cause(reason), config.tls.enabled) {
        (Cause::Protocol, true) => "; if they do not speak TLS, set `bus.tls.enabled` to false",
        (Cause::Protocol, false) if config.sasl.mechanism.is_none() => {
            "; if they speak TLS, set `bus.tls.enabled`, and if they ask who is there, `bus.sasl.mechanism`"
        }
        (Cause::Protocol, false) => "; if they speak TLS, set `bus.tls.enabled`",
        (
            Cause::Credentials | Cause::Mechanism | Cause::Certificate | Cause::OurCertificate | Cause::Other,
            true | false,
        ) => "",
    }
}

/// Whether it is the authority or the name that is not believed; the library does not tell. Who is connected to without looking
/// at its name gets no password.
fn certificate(config: &Kafka, client: &ClientConfig) -> String {
    let brokers = &config.brokers;
    if config.tls.verify_host && only_the_name(client) {
        return format!(
            "the certificate of Kafka at {brokers} is another host's; `bus.brokers` must name hosts as their certificates do (`bus.tls.verify_host` = false takes any)"
        );
    }
    match &config.tls.ca_file {
        Some(file) => format!(
            "the certificate of Kafka at {brokers} is not signed by an authority in {}, or has expired; put the right one into `bus.tls.ca_file`",
            file.display()
        ),
        None => format!(
            "the certificate of Kafka at {brokers} is not signed by an authority that this machine trusts; name the file of the right one as `bus.tls.ca_file`"
        ),
    }
}

fn only_the_name(client: &ClientConfig) -> bool {
    let mut nameless = client.clone();
    nameless
        .remove("sasl.mechanism")
        .set("security.protocol", "ssl")
        .set("ssl.endpoint.identification.algorithm", "none");
    let Ok(producer) = BaseProducer::from_config_and_context(&nameless, Listener::default()) else {
        return false;
    };
    let over = Instant::now() + LOOK_CLOSER;
    while Instant::now() < over {
        let answered = producer.client().fetch_metadata(None, Duration::from_millis(300));
        producer.poll(Duration::ZERO);
        match (answered, producer.context().0.reason()) {
            (Ok(_), _) => return true,
            (Err(_), Some(reason)) => return cause(&reason) != Cause::Certificate,
            (Err(_), None) => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_words_tell_the_cause() {
        let cases = [
            (
                "sasl_ssl://a:1/1: SASL authentication error: Authentication failed",
                Cause::Credentials,
            ),
            (
                "sasl_plaintext://a:1/1: SASL PLAIN mechanism handshake failed: x: broker's supported mechanisms: SCRAM-SHA-512",
                Cause::Mechanism,
            ),
            (
                "ssl://a:1: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
                Cause::Certificate,
            ),
            (
                "ssl://a:1: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116",
                Cause::OurCertificate,
            ),
            (
                "ssl://a:1: SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?",
                Cause::Protocol,
            ),
            ("a:1/bootstrap: Send failed: Broken pipe", Cause::Protocol),
            (
                "a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
                Cause::Other,
            ),
        ];
        for (reason, expected) in cases {
            assert_eq!(cause(reason), expected, "{reason}");
        }
    }

    #[test]
    fn only_what_may_pass_is_waited_for() {
        let config = Kafka::default();
        let refused = |reason: &str| refusal(&config, &ClientConfig::new(), reason);
        assert_eq!(
            refused("a:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"),
            None
        );
        assert_eq!(
            refused("a:1: Disconnected: connecting to a PLAINTEXT broker listener?"),
            None
        );
        let text =
            refused("a:1: SASL PLAIN mechanism handshake failed: x: broker's supported mechanisms: SCRAM-SHA-512");
        assert!(text.unwrap().ends_with("set `bus.sasl.mechanism` to SCRAM-SHA-512"));
    }

    #[test]
    fn words_are_cut_to_what_they_say() {
        let words = Words::default();
        words.logged(
            RDKafkaLogLevel::Info,
            "FAIL",
            "[thrd:a:1/bootstrap]: a:1/bootstrap: Disconnected (after 3ms in state UP)",
        );
        assert_eq!(words.reason().as_deref(), Some("a:1/bootstrap: Disconnected"));
        words.heard(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert_eq!(words.reason().as_deref(), Some("a:1/bootstrap: Disconnected"));
    }
}
