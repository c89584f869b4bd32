//! **ping-pong**: a raw Kafka client's way from producing a record to consuming it, again and again, on a topic of one partition
//! with the same guarantees as the platform's (`acks=all`, idempotent) and nothing that would make it wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(30);

/// One client with a topic of its own.
pub struct PingPong {
    producer: BaseProducer,
    consumer: BaseConsumer,
    topic: String,
    payload: Vec<u8>,
    count: u64,
}

impl PingPong {
    /// Makes the topic, and passes records of `size` bytes through it.
    pub fn start(brokers: &str, size: usize) -> Result<PingPong> {
        let topic = format!("pingpong-{}", std::process::id());
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("socket.nagle.disable", "true");
        create(&config, &topic)?;
        let producer: BaseProducer = config
            .clone()
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .create()?;
        let consumer: BaseConsumer = config
            .set("group.id", &topic)
            .set("enable.auto.commit", "false")
            .create()?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        let mut made = PingPong {
            producer,
            consumer,
            topic,
            payload: vec![b'x'; size.max(8)],
            count: 0,
        };
        made.once()?;
        Ok(made)
    }

    /// From handing a record to the producer to having it from the consumer.
    pub fn once(&mut self) -> Result<Duration> {
        self.count += 1;
        let mark = self.count.to_le_bytes();
        self.payload[..8].copy_from_slice(&mark);
        let begun = Instant::now();
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic).partition(0).payload(&self.payload);
        self.producer.send(record).map_err(|(error, _)| error)?;
        loop {
            if let Some(message) = self.consumer.poll(Duration::from_millis(100)) {
                let message = message?;
                if message.payload().is_some_and(|payload| payload[..8] == mark) {
                    break;
                }
            }
            if begun.elapsed() > PATIENCE {
                bail!("Kafka did not give a record back within {PATIENCE:?}");
            }
        }
        let took = begun.elapsed();
        // The brokers' word on it, which nobody waits for here.
        self.producer.poll(Duration::ZERO);
        Ok(took)
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        // A cluster that is about to be taken down needs nothing more.
        let _ = self.producer.flush(Duration::from_secs(1));
    }
}

fn create(config: &ClientConfig, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let mut made = runtime.block_on(admin.create_topics([&wanted], &options))?;
    match made.pop().context("an answer for the topic")? {
        Ok(_) => Ok(()),
        Err((topic, code)) => bail!("the topic {topic} cannot be made: {code}"),
    }
}
