//! What the brokers tell of their settings: a topic's, and what they allow of a client's. The latter is asked before anything
//! depends on it: a member whose session they do not allow is refused each time it joins, and no waiting would change that.

use std::collections::HashMap;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::error::KafkaError;

use super::Bus;
use crate::Error;

impl Bus {
    /// The settings of a topic or a broker; none where this user may not see them.
    pub(super) async fn described(&self, what: ResourceSpecifier<'_>) -> Result<HashMap<String, String>, KafkaError> {
        let mut answers = self.admin.describe_configs([&what], &self.patience()).await?;
        let entries = match answers.pop() {
            Some(Ok(resource)) => resource.entries,
            Some(Err(_)) | None => Vec::new(),
        };
        let settings = entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
        Ok(settings.collect())
    }

    /// Whether the brokers take members with our session; also true where they do not tell us.
    pub(super) async fn welcome(&self, broker: Option<i32>) -> Result<(), Error> {
        let Some(broker) = broker else { return Ok(()) };
        let settings = match self.described(ResourceSpecifier::Broker(broker)).await {
            Ok(settings) => settings,
            Err(error) => {
                tracing::debug!(%error, "the brokers do not tell their bounds");
                return Ok(());
            }
        };
        let bound = |name: &str| settings.get(name)?.parse().ok();
        session(self.shared.config.session_timeout_ms, bound).map_or(Ok(()), |why| Err(Error::Configuration(why)))
    }
}

/// Why the brokers would refuse a session of so many milliseconds.
fn session(ours: u64, bound: impl Fn(&str) -> Option<u64>) -> Option<String> {
    let [least, most] = ["group.min.session.timeout.ms", "group.max.session.timeout.ms"].map(bound);
    let (least, most) = (least?, most?);
    (!(least..=most).contains(&ours)).then(|| {
        format!(
            "`bus.session_timeout_ms` is {ours}, and the brokers allow {least} to {most}; set it to one of these, or change \
             group.min.session.timeout.ms or group.max.session.timeout.ms of the brokers"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_the_brokers_do_not_allow_is_told_with_their_bounds() {
        let bound = |name: &str| Some(if name.contains(".min.") { 6_000 } else { 1_800_000 });
        assert_eq!(session(6_000, bound), None);
        assert_eq!(session(1, |_| None), None, "who is not told does not refuse");
        let why = session(5_999, bound).unwrap();
        assert!(
            why.starts_with("`bus.session_timeout_ms` is 5999, and the brokers allow 6000 to 1800000;"),
            "{why}"
        );
        assert!(session(1_800_001, bound).is_some());
    }
}
