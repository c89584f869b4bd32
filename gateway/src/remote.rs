//! Controllers on the other side of the network.
//!
//! A request goes to a controller that is ready, the least busy of them as seen from here. What reads or writes the entities of
//! a namespace goes to the same one from every gateway, so that who has changed something sees it in the next request, though
//! controllers hear of each other's changes a moment later; for that moment what runs goes there too ([`home`]).
//! Whether one is ready, its own `/ready` says every second; one that cannot be connected to is left alone until it says so again, and the request goes to
//! the next. A request that may have been begun is never sent twice, unless it only reads; what a web action does with a `GET`
//! is its own affair.

mod home;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts as Head;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use wsk_identity::{DOUBT, HEADER, Outcome, Signer};
use wsk_service::clock;
use wsk_service::http::{Body, Rejection, Response, text};
use wsk_service::program::chain;
use wsk_service::telemetry::trace;

use crate::{Controllers, Forwarded, metrics};
use home::Written;

/// The controllers of a deployment.
pub struct Remote {
    peers: Arc<[Peer]>,
    client: Client<HttpConnector, Whole>,
    signer: Signer,
    turn: AtomicUsize,
    written: Written,
}

struct Peer {
    authority: Authority,
    ready: AtomicBool,
    /// Why it does not believe us, as far as that was logged.
    doubt: Mutex<Option<String>>,
    open: AtomicUsize,
}

/// A body that is there as a whole.
pub struct Whole(Option<Bytes>);

/// When it was last said that no controller is ready.
#[derive(Default)]
struct Silence {
    said: Option<std::time::Instant>,
}

/// Gives back a place when a request has its answer.
struct Open<'a>(&'a AtomicUsize);

const CONNECT: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(60);
/// How often to say that none is ready.
const SAY_AGAIN: Duration = Duration::from_secs(15);
/// How often each controller is asked whether it is ready, and how long its answer may take.
const LOOK: Duration = Duration::from_secs(1);
/// The header of an answer that tells what became of an activation.
const ACTIVATION: &str = "x-openwhisk-activation-id";
/// Longest wait for an answer: a blocking invocation's, and what surrounds it.
const ANSWER: Duration = Duration::from_secs(75);

impl Remote {
    /// Errors: an address that is none, or none at all.
    pub fn new(controllers: &[String], signer: Signer) -> Result<Remote, String> {
        if controllers.is_empty() {
            return Err("`controllers` is empty: name the address of at least one controller".to_owned());
        }
        let peer = |address: &String| {
            let bare = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
            let authority = bare
                .parse()
                .map_err(|_| format!("`controllers`: `{address}` is no address; write host:port"))?;
            Ok::<_, String>(Peer {
                authority,
                ready: AtomicBool::new(false),
                doubt: Mutex::default(),
                open: AtomicUsize::new(0),
            })
        };
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(tcp);
        Ok(Remote {
            peers: controllers.iter().map(peer).collect::<Result<_, _>>()?,
            client,
            signer,
            turn: AtomicUsize::new(0),
            written: Written::default(),
        })
    }

    /// Waits until a controller is ready.
    pub fn reachable(&self) -> impl Future<Output = ()> + Send + use<> {
        let peers = self.peers.clone();
        async move {
            while !peers.iter().any(|peer| peer.ready.load(Ordering::Acquire)) {
                tokio::time::sleep(LOOK / 20).await;
            }
        }
    }

    /// Keeps looking which controllers are ready.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let (peers, client, signer) = (self.peers.clone(), self.client.clone(), self.signer.clone());
        async move {
            let mut looks = tokio::time::interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut silence = Silence::default();
            loop {
                looks.tick().await;
                let missing = look(&peers, &client, &signer).await;
                silence.heard(&missing, peers.len());
                let ready = peers.iter().filter(|peer| peer.ready.load(Ordering::Relaxed)).count();
                metrics::CONTROLLERS_READY.set(i64::try_from(ready).unwrap_or(i64::MAX));
            }
        }
    }

    /// Places of the controllers in the order in which to try them; those for the entities of `home`'s namespace.
    fn order(&self, home: Option<&str>) -> Vec<usize> {
        let (count, turn) = (self.peers.len(), self.turn.fetch_add(1, Ordering::Relaxed));
        let mut order: Vec<usize> = (0..count).map(|n| (turn + n) % count).collect();
        // Stable: among equals the turn decides. Those that are not ready come last, should all others fail.
        order.sort_by_key(|at| {
            let peer = &self.peers[*at];
            let rank = match home {
                Some(namespace) => rank(namespace, peer.authority.as_str()),
                None => peer.open.load(Ordering::Relaxed) as u64,
            };
            (!peer.ready.load(Ordering::Acquire), rank)
        });
        order
    }

    fn request(&self, peer: &Peer, head: &Head, body: &Bytes, identity: &str) -> Result<Request<Whole>, String> {
        let target = head
            .uri
            .path_and_query()
            .cloned()
            .unwrap_or(PathAndQuery::from_static("/"));
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(peer.authority.clone())
            .path_and_query(target)
            .build()
            .map_err(|error| error.to_string())?;
        let mut request = Request::new(Whole(Some(body.clone()).filter(|body| !body.is_empty())));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = end_to_end(&head.headers);
        let identity = HeaderValue::from_str(identity).map_err(|error| error.to_string())?;
        request.headers_mut().insert(HeaderName::from_static(HEADER), identity);
        if let Some(context) = trace::current() {
            context.inject(request.headers_mut());
        }
        Ok(request)
    }
}

/// Asks all controllers at once: one that does not answer must not keep from us what became of the others.
/// Tells of those that are not ready why.
async fn look(peers: &Arc<[Peer]>, client: &Client<HttpConnector, Whole>, signer: &Signer) -> Vec<String> {
    let mut looks = JoinSet::new();
    for at in 0..peers.len() {
        let (peers, client, signer) = (peers.clone(), client.clone(), signer.clone());
        looks.spawn(async move {
            let peer = &peers[at];
            let asked = peer.asked(&client, &signer).await;
            let ready = asked.is_ok();
            if peer.ready.swap(ready, Ordering::AcqRel) != ready {
                tracing::info!(controller = %peer.authority, ready, "a controller has changed");
            }
            asked.err().map(|why| format!("{}: {why}", peer.authority))
        });
    }
    let mut missing: Vec<String> = looks.join_all().await.into_iter().flatten().collect();
    missing.sort_unstable();
    missing
}

impl Silence {
    /// Says now and then that there is nobody to pass requests to.
    fn heard(&mut self, missing: &[String], all: usize) {
        if missing.len() < all {
            self.said = None;
        } else if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(std::time::Instant::now());
            let reasons = missing.join("; ");
            tracing::warn!(%reasons, "none of the `controllers` is ready; requests are answered 503 until one is");
        }
    }
}

impl Peer {
    /// Whether it is ready, and believes us: with another secret or another time it would refuse all that we pass on. If not,
    /// why.
    async fn asked(&self, client: &Client<HttpConnector, Whole>, signer: &Signer) -> Result<(), String> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query("/ready")
            .build()
            .expect("an address and a path");
        let mut request = Request::new(Whole(None));
        *request.uri_mut() = uri;
        let signed = HeaderValue::from_str(&signer.sign(&Outcome::Missing, clock::now())).expect("letters and digits");
        request.headers_mut().insert(HeaderName::from_static(HEADER), signed);
        let answer = tokio::time::timeout(LOOK, client.request(request))
            .await
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| chain(&error))?;
        let doubt = answer.headers().get(DOUBT).and_then(|doubt| doubt.to_str().ok());
        self.doubted(doubt);
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(doubt.map_or_else(|| format!("its `/ready` answers {status}"), str::to_owned)),
        }
    }

    /// Says once why a controller does not believe us.
    fn doubted(&self, doubt: Option<&str>) {
        let mut known = self.doubt.lock().expect("no panic under this lock");
        if let (Some(reason), None) = (doubt, &*known) {
            tracing::error!(controller = %self.authority, reason, "a controller does not believe this gateway, and gets no requests");
        }
        *known = doubt.map(str::to_owned);
    }
}

/// Whether a request changes nothing, however often it is carried out. Web actions run for any method; their paths are told by
/// the one segment, as a controller resolves dots and needless escapes before it looks for a route.
fn only_reads(head: &Head) -> bool {
    let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let is_web = |segment| percent_decode_str(segment).eq(*b"web");
    safe && !head.uri.path().split('/').any(is_web)
}

/// Where a controller stands for a namespace: the same in every gateway, whatever the order of its list, and most namespaces
/// stay where they are when one comes or goes.
fn rank(namespace: &str, controller: &str) -> u64 {
    let digest = Sha256::digest(format!("{namespace} {controller}"));
    digest.iter().take(8).fold(0, |rank, byte| rank << 8 | u64::from(*byte))
}

/// Headers that are meant for more than the next hop. The caller's own identity header, if it forged one, is not among them.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        kept.remove(name);
    }
    kept.remove("keep-alive");
    kept.remove("proxy-connection");
    kept.remove(HEADER);
    kept
}

fn passed_on(answer: hyper::Response<Incoming>) -> Response {
    let (mut head, body) = answer.into_parts();
    for name in [CONNECTION, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    head.headers.remove("keep-alive");
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        Body::forward(body)
    };
    Response::from_parts(head, body)
}

fn unavailable(reason: &'static str) -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, reason)
}

#[async_trait]
impl Controllers for Remote {
    async fn call(&self, request: Forwarded) -> Response {
        let Forwarded { head, body, caller } = request;
        let identity = self.signer.sign(&caller, clock::now());
        let began = std::time::Instant::now();
        let reads = only_reads(&head);
        let concern = home::concern(&head, &caller);
        for at in self.order(concern.and_then(|concern| self.written.home(concern))) {
            let peer = &self.peers[at];
            let request = match self.request(peer, &head, &body, &identity) {
                Ok(request) => request,
                Err(reason) => {
                    tracing::warn!(%reason, "a request cannot be passed on");
                    return text(
                        StatusCode::BAD_REQUEST,
                        "The request cannot be passed on to a controller.",
                    );
                }
            };
            let _open = Open::new(&peer.open);
            match tokio::time::timeout(ANSWER, self.client.request(request)).await {
                Ok(Ok(answer)) => {
                    metrics::SECONDS.observe(began.elapsed().as_secs_f64());
                    metrics::answered(answer.status(), answer.headers().contains_key(ACTIVATION));
                    // One that was refused has written nothing, and may have come from anybody.
                    if let Some(concern) = concern.filter(|_| answer.status().is_success()) {
                        self.written.answered(concern);
                    }
                    return passed_on(answer);
                }
                Ok(Err(error)) if error.is_connect() || reads => {
                    peer.ready.store(false, Ordering::Release);
                    tracing::warn!(controller = %peer.authority, %error, "a controller cannot be reached; trying the next");
                }
                Ok(Err(error)) => {
                    peer.ready.store(false, Ordering::Release);
                    metrics::lost();
                    tracing::warn!(controller = %peer.authority, %error, "a controller was lost while it had a request");
                    return unavailable(
                        "The controller that had this request was lost; whether it was carried out is not known.",
                    );
                }
                Err(_) => {
                    metrics::lost();
                    return text(StatusCode::GATEWAY_TIMEOUT, "The controller has not answered in time.");
                }
            }
        }
        metrics::lost();
        unavailable("No controller can be reached at the moment; try again.")
    }

    fn reject(&self, _: &Head, rejection: Rejection) -> Response {
        rejection.response()
    }
}

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> Open<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Open(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn remote(controllers: &[&str]) -> Result<Remote, String> {
        let controllers: Vec<_> = controllers.iter().map(|&c| c.to_owned()).collect();
        Remote::new(&controllers, Signer::new(&[7; 32]).unwrap())
    }

    #[test]
    fn the_least_busy_of_the_ready_is_tried_first() {
        let remote = remote(&["a:1", "http://b:2/", "c:3"]).unwrap();
        for (at, ready, open) in [(0, true, 5), (1, false, 0), (2, true, 1)] {
            remote.peers[at].ready.store(ready, Ordering::Release);
            remote.peers[at].open.store(open, Ordering::Relaxed);
        }
        assert_eq!(remote.order(None), [2, 0, 1]);
        remote.peers[0].open.store(1, Ordering::Relaxed);
        let firsts: Vec<usize> = (0..3).map(|_| remote.order(None)[0]).collect();
        assert!(
            firsts.contains(&0) && firsts.contains(&2),
            "equals take turns: {firsts:?}"
        );
    }

    #[test]
    fn entities_of_a_namespace_are_at_home_with_one_controller() {
        let remote_of = |controllers: &[&str]| {
            let remote = remote(controllers).unwrap();
            remote
                .peers
                .iter()
                .for_each(|peer| peer.ready.store(true, Ordering::Release));
            remote
        };
        let (one, other) = (remote_of(&["a:1", "b:2", "c:3"]), remote_of(&["c:3", "a:1", "b:2"]));
        let first = |remote: &Remote, namespace: &str| remote.peers[remote.order(Some(namespace))[0]].authority.clone();
        let homes: Vec<_> = (0..30).map(|n| first(&one, &format!("n{n}"))).collect();
        for (n, home) in homes.iter().enumerate() {
            assert_eq!(first(&one, &format!("n{n}")), *home, "always");
            assert_eq!(first(&other, &format!("n{n}")), *home, "for every gateway");
        }
        assert_eq!(
            homes.iter().collect::<std::collections::HashSet<_>>().len(),
            3,
            "{homes:?}"
        );
        let away = one.order(Some("n0"))[0];
        one.peers[away].ready.store(false, Ordering::Release);
        assert_ne!(one.order(Some("n0"))[0], away, "another serves while it is away");
        assert_eq!(one.order(Some("n0"))[2], away);
    }

    /// A controller that loses whatever it is sent, or one that answers; with the number of its requests.
    async fn controller(answer: Option<&'static str>) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (
            listener.local_addr().unwrap().to_string(),
            Arc::new(AtomicUsize::new(0)),
        );
        let seen = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut head, mut part) = (Vec::new(), [0; 1024]);
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    let read = stream.read(&mut part).await.unwrap();
                    assert_ne!(read, 0, "the head is sent whole");
                    head.extend_from_slice(&part[..read]);
                }
                seen.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (address, requests)
    }

    #[tokio::test]
    async fn what_a_lost_controller_may_have_begun_is_sent_again_only_if_it_reads() {
        let (losing, began) = controller(None).await;
        let (other, again) = controller(Some(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ))
        .await;
        let remote = remote(&[&losing, &other]).unwrap();
        for (method, path, status, resent) in [
            ("GET", "/api/v1/namespaces/_/activations", 200, 1),
            ("HEAD", "/api/v1/namespaces/_/activations", 200, 1),
            ("POST", "/api/v1/namespaces/_/triggers/t", 503, 0),
            ("GET", "/api/v1/web/ada/default/a", 503, 0),
            ("HEAD", "/api/v1/web/ada/default/a.json", 503, 0),
            ("OPTIONS", "/api/v1/web/ada/default/a", 503, 0),
            ("GET", "/api/v1/x/../%77eb/ada/default/a", 503, 0),
        ] {
            remote.peers[0].ready.store(true, Ordering::Release);
            remote.peers[1].ready.store(false, Ordering::Release);
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let asked = Forwarded {
                head: request.into_parts().0,
                body: Bytes::new(),
                caller: Outcome::Missing,
            };
            let answer = remote.call(asked).await;
            assert_eq!(answer.status(), status, "{method} {path}");
            assert_eq!(began.swap(0, Ordering::Relaxed), 1, "{method} {path}");
            assert_eq!(again.swap(0, Ordering::Relaxed), resent, "{method} {path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn controllers_that_do_not_answer_are_waited_for_together() {
        let frozen = [0; 4].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = frozen.each_ref().map(|one| one.local_addr().unwrap().to_string());
        let remote = remote(&addresses.each_ref().map(String::as_str)).unwrap();
        remote
            .peers
            .iter()
            .for_each(|peer| peer.ready.store(true, Ordering::Release));
        let began = tokio::time::Instant::now();
        let missing = look(&remote.peers, &remote.client, &remote.signer).await;
        assert_eq!(missing.len(), 4);
        assert!(missing[0].ends_with(": no answer"), "{missing:?}");
        assert!(began.elapsed() < 2 * LOOK, "{:?}", began.elapsed());
        assert!(remote.peers.iter().all(|peer| !peer.ready.load(Ordering::Acquire)));
    }

    #[tokio::test]
    async fn who_cannot_be_reached_is_named_with_the_reason() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let remote = remote(&[&closed.to_string()]).unwrap();
        let missing = look(&remote.peers, &remote.client, &remote.signer).await;
        assert!(missing[0].starts_with(&closed.to_string()), "{missing:?}");
        assert!(missing[0].contains("refused"), "{missing:?}");
        let waits = tokio::time::timeout(Duration::from_millis(100), remote.reachable());
        assert!(waits.await.is_err(), "there is none");
        remote.peers[0].ready.store(true, Ordering::Release);
        remote.reachable().await;
    }

    #[test]
    fn addresses_are_checked() {
        assert!(remote(&[]).is_err());
        assert!(remote(&["a b"]).err().unwrap().contains("`a b` is no address"));
    }

    #[test]
    fn nobody_brings_an_identity_along() {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(HEADER), HeaderValue::from_static("forged"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let kept = end_to_end(&headers);
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
