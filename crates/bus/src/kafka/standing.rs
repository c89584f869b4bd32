//! Who reads which topic, as the brokers see it.

use std::collections::HashMap;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;

use super::Shared;
use crate::{Error, Standing};

impl Shared {
    /// Every topic of this cluster with the members of its group. Blocks.
    pub(super) fn standings(&self, client: &Client<impl ClientContext>) -> Result<Vec<Standing>, Error> {
        let failed = |error: KafkaError| self.error("tell who reads", "all topics", &error);
        let metadata = client.fetch_metadata(None, self.timeout()).map_err(failed)?;
        let groups = client.fetch_group_list(None, self.timeout()).map_err(failed)?;
        let mut readers: HashMap<&str, usize> = HashMap::new();
        for group in groups.groups() {
            let members = group.members().iter();
            let ours = &self.config.instance;
            let others = members.filter(|member| ours.is_empty() || member.client_id() != ours);
            readers.insert(group.name(), others.count());
        }
        let ours = metadata.topics().iter().filter_map(|topic| {
            Some(Standing {
                topic: topic.name().strip_prefix(&self.config.topic_prefix)?.to_owned(),
                readers: readers.get(topic.name()).copied().unwrap_or(0),
            })
        });
        Ok(ours.collect())
    }
}
