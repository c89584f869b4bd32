//! Topics of both kinds, and who subscribes to them.

use super::entry::{Delivery, Entry};
use super::queue::{Queue, Seat};
use crate::metrics;
use crate::{Error, Message, Standing, Subscription, TopicConfig, TopicKind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

/// A declared topic.
#[derive(Debug)]
pub(crate) enum Topic {
    Queue(Named),
    Broadcast(Arc<Broadcast>),
}

/// A queue and the group that claimed it.
#[derive(Debug)]
pub(crate) struct Named {
    pub(super) name: Arc<str>,
    owner: Mutex<Option<String>>,
    pub(super) queue: Arc<Queue>,
}

/// A queue per group.
#[derive(Debug)]
pub(crate) struct Broadcast {
    name: Arc<str>,
    audience: Mutex<Audience>,
}

#[derive(Debug)]
struct Audience {
    config: TopicConfig,
    groups: Vec<Group>,
    closed: bool,
}

#[derive(Debug)]
struct Group {
    name: String,
    members: usize,
    queue: Arc<Queue>,
}

/// One subscriber.
pub(crate) struct Member {
    seat: Arc<Seat>,
    broadcast: Option<Arc<Broadcast>>,
}

impl Topic {
    pub(super) fn new(config: &TopicConfig) -> Arc<Self> {
        let name: Arc<str> = config.name.as_str().into();
        let topic = Arc::new(match config.kind {
            TopicKind::Queue => Self::Queue(Named {
                name,
                owner: Mutex::default(),
                queue: Arc::new(Queue::new(config)),
            }),
            TopicKind::Broadcast => {
                let audience = Mutex::new(Audience {
                    config: config.clone(),
                    groups: Vec::new(),
                    closed: false,
                });
                Self::Broadcast(Arc::new(Broadcast { name, audience }))
            }
        });
        metrics::show_depth(&topic);
        topic
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Queue(named) => &named.name,
            Self::Broadcast(broadcast) => &broadcast.name,
        }
    }

    pub(super) fn reconfigure(&self, config: &TopicConfig) -> Result<(), Error> {
        match (self, config.kind) {
            (Self::Queue(named), TopicKind::Queue) => named.queue.reconfigure(config),
            (Self::Broadcast(broadcast), TopicKind::Broadcast) => {
                let mut audience = broadcast.lock();
                audience.config = config.clone();
                audience.groups.iter().for_each(|group| group.queue.reconfigure(config));
            }
            (Self::Queue(_), TopicKind::Broadcast) | (Self::Broadcast(_), TopicKind::Queue) => {
                return Err(Error::KindMismatch {
                    topic: config.name.clone(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn subscribe(&self, group: &str, max_in_flight: usize) -> Result<Member, Error> {
        let (queue, broadcast) = match self {
            Self::Queue(named) => (named.claim(group)?, None),
            Self::Broadcast(broadcast) => (broadcast.join(group)?, Some(broadcast.clone())),
        };
        Ok(Member {
            seat: Arc::new(Seat::new(queue, max_in_flight)),
            broadcast,
        })
    }

    /// What a queue looks like to others; none for a broadcast.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self {
            Self::Queue(named) => Some(Standing {
                topic: named.name.to_string(),
                readers: named.queue.seats(),
            }),
            Self::Broadcast(_) => None,
        }
    }

    pub(crate) fn depth(&self) -> u64 {
        match self {
            Self::Queue(named) => named.queue.depth(),
            Self::Broadcast(broadcast) => broadcast
                .lock()
                .groups
                .iter()
                .map(|group| group.queue.depth())
                .max()
                .unwrap_or(0),
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Queue(named) => named.queue.close(),
            Self::Broadcast(broadcast) => {
                let mut audience = broadcast.lock();
                audience.closed = true;
                audience.groups.iter().for_each(|group| group.queue.close());
            }
        }
    }
}

impl Named {
    fn claim(&self, group: &str) -> Result<Arc<Queue>, Error> {
        let mut owner = self.owner.lock().expect("no panic under this lock");
        let owner = owner.get_or_insert_with(|| group.to_owned());
        if owner == group {
            return Ok(self.queue.clone());
        }
        Err(Error::GroupTaken {
            topic: self.name.to_string(),
            group: group.to_owned(),
            owner: owner.clone(),
        })
    }
}

impl Broadcast {
    pub(super) fn publish(&self, message: &Message) -> Result<(), Error> {
        let audience = self.lock();
        if audience.closed {
            return Err(Error::Closed);
        }
        let (size, limit) = (message.size(), audience.config.max_bytes);
        if size > limit {
            return Err(Error::TooLarge {
                topic: audience.config.name.clone(),
                size,
                limit,
            });
        }
        audience
            .groups
            .iter()
            .for_each(|group| group.queue.push_dropping(Arc::new(Entry::new(message.clone(), None))));
        Ok(())
    }

    fn join(&self, name: &str) -> Result<Arc<Queue>, Error> {
        let mut audience = self.lock();
        if audience.closed {
            return Err(Error::Closed);
        }
        if let Some(group) = audience.groups.iter_mut().find(|group| group.name == name) {
            group.members += 1;
            return Ok(group.queue.clone());
        }
        let queue = Arc::new(Queue::new(&audience.config));
        audience.groups.push(Group {
            name: name.to_owned(),
            members: 1,
            queue: queue.clone(),
        });
        Ok(queue)
    }

    fn leave(&self, queue: &Arc<Queue>) {
        let mut audience = self.lock();
        audience.groups.retain_mut(|group| {
            if Arc::ptr_eq(&group.queue, queue) {
                group.members -= 1;
            }
            group.members > 0
        });
    }

    fn lock(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().expect("no panic under this lock")
    }
}

impl Subscription for Member {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<crate::Delivery>> {
        self.seat
            .poll_next(cx)
            .map(|delivery: Option<Delivery>| delivery.map(|inner| crate::Delivery { inner }))
    }

    fn poll_backlog(&mut self, cx: &mut Context<'_>) -> Poll<Option<crate::Delivery>> {
        self.seat
            .poll_backlog(cx)
            .map(|delivery: Option<Delivery>| delivery.map(|inner| crate::Delivery { inner }))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.seat.leave();
        if let Some(broadcast) = &self.broadcast {
            broadcast.leave(&self.seat.queue);
        }
    }
}
