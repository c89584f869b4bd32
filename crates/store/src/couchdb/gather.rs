//! Questions of many callers go together: what is asked while others are being answered is the next request.
//!
//! A server spends more on a request than on what is asked in it, and many that ask for one thing each would keep it busy with
//! requests: controllers that store a record for each fire, invokers that look for each activation they are handed anew. Who
//! asks alone waits for nobody.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::Error;

/// Most requests of one kind at once; what comes meanwhile is gathered. With few, thousands that have waited for a server to be
/// back do not overrun it.
const AT_ONCE: usize = 4;
/// Most bytes that are gathered for a request, because servers and proxies bound them; one question of more goes by itself.
const BYTES: usize = 4 << 20;

/// A kind of request that takes many questions.
#[async_trait]
pub(super) trait Requests: Send + Sync + 'static {
    type Question: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// About as many bytes as the question is in a request.
    fn size(question: &Self::Question) -> usize;

    /// Sends one. The answers in the order of the questions; or what is wrong with the server, or with the request as a whole.
    async fn send(&self, questions: &[Self::Question]) -> Result<Vec<Result<Self::Answer, Error>>, Error>;
}

/// Where questions are asked.
pub(super) struct Gatherer<R: Requests> {
    asked: mpsc::UnboundedSender<Asked<R>>,
}

struct Asked<R: Requests> {
    question: R::Question,
    reply: Reply<R>,
}

type Reply<R> = oneshot::Sender<Result<<R as Requests>::Answer, Error>>;

/// What goes into one request, and whom to tell, in the same order.
struct Group<R: Requests> {
    questions: Vec<R::Question>,
    replies: Vec<Reply<R>>,
}

/// Questions in the order they came.
struct Queue<R: Requests> {
    asked: mpsc::UnboundedReceiver<Asked<R>>,
    /// The one that was too large for the group before.
    left: Option<Asked<R>>,
    /// Most in a group.
    most: usize,
}

impl<R: Requests> Gatherer<R> {
    /// Sends requests of at most so many questions until it is dropped and all are answered. Needs a runtime.
    pub fn new(requests: R, most: usize) -> Gatherer<R> {
        let (sender, asked) = mpsc::unbounded_channel();
        let queue = Queue {
            asked,
            left: None,
            most,
        };
        tokio::spawn(queue.run(Arc::new(requests)));
        Gatherer { asked: sender }
    }

    /// The answers, once all are there.
    ///
    /// # Errors
    /// The first that there is.
    pub async fn ask(&self, questions: impl IntoIterator<Item = R::Question>) -> Result<Vec<R::Answer>, Error> {
        let given_up = || Error::Unavailable("what CouchDB was asked was given up".to_owned());
        let mut waiting = Vec::new();
        for question in questions {
            let (reply, answer) = oneshot::channel();
            let asked = self.asked.send(Asked { question, reply });
            asked.map_err(|_| given_up())?;
            waiting.push(answer);
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answer.await.unwrap_or_else(|_| Err(given_up())));
        }
        answers.into_iter().collect()
    }
}

impl<R: Requests> Queue<R> {
    async fn run(mut self, requests: Arc<R>) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let turn = turns.clone().acquire_owned().await.expect("nobody closes it");
            let Some(group) = self.group().await else {
                return;
            };
            let requests = requests.clone();
            tokio::spawn(async move {
                group.answered_by(&*requests).await;
                drop(turn);
            });
        }
    }

    /// The next question, and what is waiting behind it; none at the end.
    async fn group(&mut self) -> Option<Group<R>> {
        let first = match self.left.take() {
            Some(left) => left,
            None => self.asked.recv().await?,
        };
        let mut size = R::size(&first.question);
        let mut group = Group::default();
        group.add(first);
        while group.questions.len() < self.most
            && let Ok(next) = self.asked.try_recv()
        {
            size += R::size(&next.question);
            if size > BYTES {
                self.left = Some(next);
                break;
            }
            group.add(next);
        }
        Some(group)
    }
}

impl<R: Requests> Default for Group<R> {
    fn default() -> Group<R> {
        Group {
            questions: Vec::new(),
            replies: Vec::new(),
        }
    }
}

impl<R: Requests> Group<R> {
    fn add(&mut self, asked: Asked<R>) {
        self.questions.push(asked.question);
        self.replies.push(asked.reply);
    }

    /// The first half; the second stays.
    fn halve(&mut self) -> Group<R> {
        let half = self.questions.len() / 2;
        let (questions, replies) = (self.questions.split_off(half), self.replies.split_off(half));
        std::mem::replace(self, Group { questions, replies })
    }

    /// Gets everybody an answer. A request that is refused as a whole may be one question's fault, or too large: its halves
    /// go by themselves.
    async fn answered_by(self, requests: &R) {
        let mut groups = vec![self];
        while let Some(mut group) = groups.pop() {
            match requests.send(&group.questions).await {
                Err(error) if !error.retryable() && group.questions.len() > 1 => {
                    let first = group.halve();
                    groups.extend([group, first]);
                }
                Err(error) => group.tell(std::iter::repeat_with(|| Err(error.clone()))),
                Ok(answers) => group.tell(answers),
            }
        }
    }

    fn tell(self, answers: impl IntoIterator<Item = Result<R::Answer, Error>>) {
        for (reply, answer) in self.replies.into_iter().zip(answers) {
            // Who asked may have stopped waiting.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Says how large each text is, and remembers what came together.
    struct Sizes(Arc<Mutex<Vec<usize>>>);

    #[async_trait]
    impl Requests for Sizes {
        type Question = String;
        type Answer = usize;

        fn size(text: &String) -> usize {
            text.len()
        }

        async fn send(&self, texts: &[String]) -> Result<Vec<Result<usize, Error>>, Error> {
            self.0.lock().unwrap().push(texts.len());
            Ok(texts.iter().map(|text| Ok(text.len())).collect())
        }
    }

    #[tokio::test]
    async fn a_request_has_neither_too_many_questions_nor_too_large_ones() {
        let together = Arc::new(Mutex::new(Vec::new()));
        let gatherer = Gatherer::new(Sizes(together.clone()), 3);
        let sizes = [BYTES / 2, BYTES / 2, 1, BYTES + 1, 1, 2, 3, 4];
        let texts = sizes.map(|size| "x".repeat(size));
        assert_eq!(gatherer.ask(texts).await.unwrap(), sizes);
        assert_eq!(*together.lock().unwrap(), [2, 1, 1, 3, 1]);
    }
}
