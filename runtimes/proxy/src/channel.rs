//! Frames to and from a launcher of ours: three little-endian 32-bit numbers (length, id, code), then the body.
//!
//! Several requests may be under way; answers are matched by id. When the launcher's end closes, everything under way
//! ends without an answer.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

/// The descriptor on which launchers find their end.
pub const LAUNCHER_FD: i32 = 10;

/// Code of the request that loads the code; the body is JSON with `main`, `env` and where the code is.
pub const INIT: u32 = 1;
/// Code of the request that calls the entry point; the body is that of `/run`.
pub const RUN: u32 = 2;
/// Added to the status of an answer after which the process must not be used again.
pub const STOPPED: u32 = 0x1_0000;

const HEADER: usize = 12;
/// An answer longer than this is no answer of a launcher of ours.
const MAX_BODY: usize = 1 << 30;

/// The proxy's end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    writer: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    waiting: Arc<Mutex<Waiting>>,
    /// The same socket once more, to close it while others read and write.
    socket: Arc<StdUnixStream>,
}

/// What the launcher said to one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub stopped: bool,
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u32,
    closed: bool,
    answers: HashMap<u32, oneshot::Sender<Answer>>,
}

impl Channel {
    /// Both ends of a new channel; the second is for the child.
    pub fn pair() -> std::io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = Arc::new(ours.try_clone()?);
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let waiting: Arc<Mutex<Waiting>> = Arc::default();
        tokio::spawn(dispatch(reader, waiting.clone()));
        Ok((
            Channel {
                writer: Arc::new(tokio::sync::Mutex::new(writer)),
                waiting,
                socket,
            },
            theirs.into(),
        ))
    }

    /// Sends a request and waits for its answer; `None` when the launcher ended first.
    pub async fn call(&self, code: u32, body: &[u8]) -> Option<Answer> {
        let (sender, receiver) = oneshot::channel();
        let id = self.waiting.lock().expect("no panic while held").register(sender)?;
        let mut header = [0; HEADER];
        header[0..4].copy_from_slice(&u32::try_from(body.len()).ok()?.to_le_bytes());
        header[4..8].copy_from_slice(&id.to_le_bytes());
        header[8..12].copy_from_slice(&code.to_le_bytes());
        let sent = {
            let mut writer = self.writer.lock().await;
            let mut frame = Buf::chain(&header[..], body);
            writer.write_all_buf(&mut frame).await
        };
        // Even when the launcher has stopped reading, an answer may be under way.
        let _ = sent;
        receiver.await.ok()
    }

    /// Ends the channel after what the launcher has said so far. For a launcher that is gone: a process it has forked may
    /// hold its end open for as long as it likes.
    pub fn hang_up(&self) {
        // An error means that it has ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl Waiting {
    fn register(&mut self, sender: oneshot::Sender<Answer>) -> Option<u32> {
        if self.closed {
            return None;
        }
        self.next = self.next.wrapping_add(1);
        self.answers.insert(self.next, sender);
        Some(self.next)
    }
}

async fn dispatch(mut reader: OwnedReadHalf, waiting: Arc<Mutex<Waiting>>) {
    let mut data = BytesMut::with_capacity(8 * 1024);
    loop {
        while let Some((id, answer)) = next_answer(&mut data) {
            let sender = waiting.lock().expect("no panic while held").answers.remove(&id);
            if let Some(sender) = sender {
                let _ = sender.send(answer);
            }
        }
        if announced(&data).is_some_and(|size| size > MAX_BODY) || !matches!(reader.read_buf(&mut data).await, Ok(1..))
        {
            break;
        }
    }
    let mut waiting = waiting.lock().expect("no panic while held");
    waiting.closed = true;
    waiting.answers.clear();
}

fn announced(data: &[u8]) -> Option<usize> {
    (data.len() >= HEADER).then(|| (&data[..4]).get_u32_le() as usize)
}

fn next_answer(data: &mut BytesMut) -> Option<(u32, Answer)> {
    let size = announced(data)?;
    if size > MAX_BODY || data.len() < HEADER + size {
        return None;
    }
    let mut frame = data.split_to(HEADER + size).freeze();
    frame.advance(4);
    let id = frame.get_u32_le();
    let code = frame.get_u32_le();
    Some((
        id,
        Answer {
            status: (code & 0xffff) as u16,
            stopped: code & STOPPED != 0,
            body: frame,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn frame(id: u32, code: u32, body: &[u8]) -> Vec<u8> {
        [
            &(body.len() as u32).to_le_bytes()[..],
            &id.to_le_bytes(),
            &code.to_le_bytes(),
            body,
        ]
        .concat()
    }

    #[tokio::test]
    async fn answers_find_their_requests_in_any_order_and_any_pieces() {
        let (channel, theirs) = Channel::pair().unwrap();
        let mut launcher = StdUnixStream::from(theirs);
        let (first, second) = (channel.call(RUN, b"one"), channel.call(RUN, b"two"));
        let play = tokio::task::spawn_blocking(move || {
            let mut request = [0; 2 * (HEADER + 3)];
            launcher.read_exact(&mut request).unwrap();
            assert_eq!(&request[HEADER..HEADER + 3], b"one");
            for byte in [
                frame(2, 200, b"to two"),
                frame(77, 200, b"nobody's"),
                frame(1, 502 | STOPPED, b""),
            ]
            .concat()
            {
                launcher.write_all(&[byte]).unwrap();
            }
            launcher
        });
        let (first, second) = tokio::join!(first, second);
        assert_eq!(
            first,
            Some(Answer {
                status: 502,
                stopped: true,
                body: Bytes::new()
            })
        );
        assert_eq!(
            second,
            Some(Answer {
                status: 200,
                stopped: false,
                body: Bytes::from_static(b"to two")
            })
        );
        drop(play.await.unwrap());
        assert_eq!(channel.call(RUN, b"x").await, None);
    }

    #[tokio::test]
    async fn hanging_up_delivers_what_was_said_and_nothing_waits_on() {
        let (channel, theirs) = Channel::pair().unwrap();
        let mut launcher = StdUnixStream::from(theirs);
        let (first, second) = (channel.call(RUN, b"one"), channel.call(RUN, b"two"));
        let end = async {
            launcher.write_all(&frame(1, 200, b"said")).unwrap();
            channel.hang_up();
        };
        let (first, second, ()) = tokio::join!(first, second, end);
        assert_eq!(first.map(|answer| answer.body), Some(Bytes::from_static(b"said")));
        assert_eq!(second, None, "the launcher's end is still open");
        assert_eq!(channel.call(RUN, b"x").await, None);
    }

    #[tokio::test]
    async fn a_frame_no_launcher_would_send_ends_the_channel() {
        let (channel, theirs) = Channel::pair().unwrap();
        let mut launcher = StdUnixStream::from(theirs);
        launcher.write_all(&u32::MAX.to_le_bytes().repeat(3)).unwrap();
        assert_eq!(channel.call(RUN, b"x").await, None);
    }
}
