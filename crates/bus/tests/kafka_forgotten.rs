//! A broker that has just started, or has lost its controller, answers that there are no brokers; the clients must find it again
//! when it knows better. At `FERROWHISK_TEST_KAFKA` (`host:port`), with something in between that gives such answers.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsk_bus::{Config, Durability, Kafka, Key, Message, MessageBus, TopicConfig, open};

const PATIENCE: Duration = Duration::from_secs(120);
const QUEUE: &str = "invoker0";
const BROADCAST: &str = "control";

/// Number of the request for metadata in Kafka's protocol, and the first version whose answer is written compactly.
const METADATA: [u8; 2] = 3_u16.to_be_bytes();
const COMPACT: u16 = 9;

/// A way to a broker that can be told to hide that there are any.
struct Way {
    broker: SocketAddr,
    here: SocketAddr,
    hides: AtomicBool,
    /// Whether a client that asked about a topic was told that there is none.
    has_hidden: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Way {
    fn to(broker: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Arc::new(Self {
            broker,
            here: listener.local_addr().unwrap(),
            hides: AtomicBool::new(false),
            has_hidden: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let serving = way.clone();
        std::thread::spawn(move || {
            loop {
                let (near, _) = listener.accept().unwrap();
                serving.carry(near);
            }
        });
        way
    }

    fn carry(self: &Arc<Self>, near: TcpStream) {
        let Ok(far) = TcpStream::connect(self.broker) else {
            return;
        };
        let ends = [near.try_clone().unwrap(), far.try_clone().unwrap()];
        self.open.lock().unwrap().extend(ends);
        // The requests for metadata that are not answered yet, with their versions.
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let (there, back) = ((near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near));
        let asking = asked.clone();
        std::thread::spawn(move || {
            frames(there, |frame| {
                if frame.starts_with(&METADATA) {
                    let version = u16::from_be_bytes([frame[2], frame[3]]);
                    asking.lock().unwrap().insert(frame[4..8].to_vec(), version);
                }
            })
        });
        let way = self.clone();
        std::thread::spawn(move || {
            frames(back, |frame| {
                replace(frame, &place(way.broker), &place(way.here));
                if let Some(version) = asked.lock().unwrap().remove(&frame[..4]) {
                    assert!(version >= COMPACT, "metadata of version {version}");
                    way.hide(frame);
                }
            })
        });
    }

    /// Makes an answer name no broker.
    fn hide(&self, frame: &mut Vec<u8>) {
        if !self.hides.load(Ordering::Acquire) {
            return;
        }
        // The request's number, no tags, and the time of a throttle.
        let start = 4 + 1 + 4;
        let mut at = start + 1;
        for _ in 1..frame[start] {
            at += 4;
            at += usize::from(frame[at]).max(1);
            at += 4;
            at += usize::from(frame[at]).max(1);
            at += 1;
        }
        // Then the cluster's name, the number of its controller, and so many topics, plus one.
        let topics = at + usize::from(frame[at]).max(1) + 4;
        if frame[topics] > 1 {
            self.has_hidden.store(true, Ordering::Release);
        }
        frame.splice(start..at, [1]);
    }

    /// Ends all connections.
    fn cut(&self) {
        for end in self.open.lock().unwrap().drain(..) {
            // One that has ended by itself is as good.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// Carries what is framed by its length, each frame as `look` leaves it, until either side ends.
fn frames((mut from, mut to): (TcpStream, TcpStream), mut look: impl FnMut(&mut Vec<u8>)) {
    let mut carry = || -> io::Result<()> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        from.read_exact(&mut frame)?;
        look(&mut frame);
        to.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes())?;
        to.write_all(&frame)
    };
    while carry().is_ok() {}
    // The other direction ends with this one.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A broker's place as Kafka writes it: the host's text, and the port in four bytes.
fn place(address: SocketAddr) -> Vec<u8> {
    let mut bytes = address.ip().to_string().into_bytes();
    bytes.extend(u32::from(address.port()).to_be_bytes());
    bytes
}

fn replace(frame: &mut [u8], from: &[u8], to: &[u8]) {
    while let Some(at) = frame.windows(from.len()).position(|bytes| bytes == from) {
        frame[at..at + from.len()].copy_from_slice(to);
    }
}

fn kafka() -> Option<SocketAddr> {
    let brokers = std::env::var("FERROWHISK_TEST_KAFKA").ok();
    if brokers.is_none() {
        let ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!ci, "FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka");
        eprintln!("skipped: FERROWHISK_TEST_KAFKA names no Kafka; run .ci/test-kafka");
    }
    brokers.map(|address| address.parse().unwrap())
}

/// Publishes until it succeeds; what did not may come as well.
async fn publish(bus: &Arc<dyn MessageBus>, topic: &str, id: u128) {
    let sent = async {
        loop {
            let message = Message::bytes(Key::Id(id), "x");
            match bus.publish(topic, message, Durability::Durable).await {
                Ok(_) => return,
                Err(error) => eprintln!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.expect("it is taken in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_were_told_of_no_broker_find_it_again() {
    let Some(broker) = kafka() else { return };
    let way = Way::to(broker);
    let prefix = format!("forgotten-{:016x}-", RandomState::new().hash_one(0));
    let bus = open(&Config::Kafka(Kafka {
        brokers: way.here.to_string(),
        instance: "forgets".to_owned(),
        topic_prefix: prefix,
        session_timeout_ms: 6_000,
        timeout_ms: 10_000,
        ..Kafka::default()
    }))
    .unwrap();
    bus.ensure_topic(&TopicConfig::queue(QUEUE)).await.unwrap();
    bus.ensure_topic(&TopicConfig::broadcast(BROADCAST)).await.unwrap();
    let mut readers = [
        (QUEUE, bus.subscribe(QUEUE, QUEUE, 10).await.unwrap()),
        (BROADCAST, bus.subscribe(BROADCAST, "forgets", 10).await.unwrap()),
    ];
    let mut told = 0;
    for hides in [false, true] {
        way.hides.store(hides, Ordering::Release);
        if hides {
            // Who loses a connection to a topic asks who is there.
            way.cut();
            let told = async {
                while !way.has_hidden.load(Ordering::Acquire) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, told)
                .await
                .expect("somebody asks in time");
            // A broker that starts needs a while; who was told once asks again meanwhile.
            tokio::time::sleep(Duration::from_secs(5)).await;
            way.hides.store(false, Ordering::Release);
        }
        for (topic, reader) in &mut readers {
            told += 1;
            publish(&bus, topic, told).await;
            let found = async {
                loop {
                    let delivery = reader.next().await.expect("an open bus");
                    let found = *delivery.key() == Key::Id(told);
                    delivery.commit();
                    if found {
                        return;
                    }
                }
            };
            tokio::time::timeout(PATIENCE, found)
                .await
                .unwrap_or_else(|_| panic!("nothing comes from {topic}"));
        }
    }
    bus.close().await.unwrap();
}
