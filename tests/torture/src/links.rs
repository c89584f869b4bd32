//! Ways from a service to Kafka and to CouchDB that can be cut.
//!
//! While a way is cut nothing passes and nothing is refused: a connection stalls, a new one is taken and stays silent, as
//! when a network drops packets. What was under way when the cut began arrives when it ends. Kafka tells its clients where
//! it is; on this way it tells them that it is at the link, so that they never go around it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way of one service to one component.
pub struct Link {
    /// Where the service is to connect.
    pub address: SocketAddr,
    cut: watch::Sender<bool>,
}

/// What is spoken on a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Kafka,
    Http,
}

/// Larger answers of Kafka are messages, which name no broker.
const LARGEST_METADATA: usize = 256 * 1024;
const LARGEST_FRAME: usize = 128 * 1024 * 1024;
const AGAIN: Duration = Duration::from_millis(100);

impl Link {
    /// Opens a way to where something listens on this machine.
    pub async fn open(target: SocketAddr, protocol: Protocol) -> Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let way = Way {
            target,
            address,
            protocol,
            is_cut,
        };
        tokio::spawn(way.serve(listener));
        Ok(Link { address, cut })
    }

    pub fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

#[derive(Clone)]
struct Way {
    target: SocketAddr,
    address: SocketAddr,
    protocol: Protocol,
    is_cut: watch::Receiver<bool>,
}

impl Way {
    async fn serve(self, listener: TcpListener) {
        loop {
            let near = match listener.accept().await {
                Ok((near, _)) => near,
                // Out of descriptors, mostly: that passes, and a way that was closed for good would be a fault nobody ordered.
                Err(error) => {
                    println!("torture: the way to {} takes nobody: {error}", self.target);
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            let way = self.clone();
            // A connection that breaks is its two ends' business.
            tokio::spawn(async move {
                let _ = way.carry(near).await;
            });
        }
    }

    async fn carry(mut self, near: TcpStream) -> Result<()> {
        let far = tokio::select! {
            far = self.reach() => far?,
            // Nobody waits for it any more.
            () = given_up(&near) => return Ok(()),
        };
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let there = self.clone().copy(near_in, far_out);
        // Whichever side ends first, the other one ends too.
        match self.protocol {
            Protocol::Http => {
                tokio::select! { done = there => done, done = self.clone().copy(far_in, near_out) => done }
            }
            Protocol::Kafka => {
                tokio::select! { done = there => done, done = self.clone().frames(far_in, near_out) => done }
            }
        }
    }

    async fn reach(&mut self) -> Result<TcpStream> {
        self.passable().await?;
        Ok(TcpStream::connect(self.target).await?)
    }

    async fn passable(&mut self) -> Result<()> {
        self.is_cut.wait_for(|cut| !cut).await.context("the link is gone")?;
        Ok(())
    }

    async fn copy(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.passable().await?;
            let count = from.read(&mut buffer).await?;
            self.passable().await?;
            if count == 0 {
                return Ok(to.shutdown().await?);
            }
            to.write_all(&buffer[..count]).await?;
        }
    }

    /// Kafka's answers, each a length and so many bytes.
    async fn frames(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<()> {
        let (target, address) = (place(self.target), place(self.address));
        loop {
            let length = from.read_u32().await?;
            let size = usize::try_from(length).ok().filter(|size| *size <= LARGEST_FRAME);
            let mut frame = vec![0; size.context("not an answer of Kafka")?];
            from.read_exact(&mut frame).await?;
            if frame.len() <= LARGEST_METADATA {
                replace(&mut frame, &target, &address);
            }
            self.passable().await?;
            to.write_u32(length).await?;
            to.write_all(&frame).await?;
        }
    }
}

/// Waits until the other end of a connection has closed it, whatever it sent before.
async fn given_up(stream: &TcpStream) {
    while stream
        .ready(Interest::READABLE)
        .await
        .is_ok_and(|ready| !ready.is_read_closed())
    {
        tokio::time::sleep(AGAIN).await;
    }
}

/// A broker's place as Kafka writes it: the host's text, and the port in four bytes.
fn place(address: SocketAddr) -> Vec<u8> {
    let mut bytes = address.ip().to_string().into_bytes();
    bytes.extend(u32::from(address.port()).to_be_bytes());
    bytes
}

/// Replaces bytes by as many others, wherever they are.
fn replace(frame: &mut [u8], from: &[u8], to: &[u8]) {
    debug_assert_eq!(from.len(), to.len());
    let mut at = 0;
    while at + from.len() <= frame.len() {
        if frame[at..].starts_with(from) {
            frame[at..at + from.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair(protocol: Protocol) -> (Link, TcpStream, TcpStream) {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::open(there.local_addr().unwrap(), protocol).await.unwrap();
        let near = TcpStream::connect(link.address).await.unwrap();
        let (far, _) = there.accept().await.unwrap();
        (link, near, far)
    }

    #[tokio::test]
    async fn what_is_sent_during_a_cut_arrives_after_it() {
        let (link, mut near, mut far) = pair(Protocol::Http).await;
        near.write_all(b"one").await.unwrap();
        let mut got = [0; 3];
        far.read_exact(&mut got).await.unwrap();
        link.set_cut(true);
        near.write_all(b"two").await.unwrap();
        far.write_all(b"six").await.unwrap();
        let silent = std::time::Duration::from_millis(100);
        assert!(tokio::time::timeout(silent, far.read_exact(&mut got)).await.is_err());
        assert!(tokio::time::timeout(silent, near.read_exact(&mut got)).await.is_err());
        link.set_cut(false);
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"two");
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"six");
    }

    #[tokio::test]
    async fn who_gives_up_during_a_cut_is_not_held_on_to() {
        let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::open(there.local_addr().unwrap(), Protocol::Http).await.unwrap();
        link.set_cut(true);
        let mut near = TcpStream::connect(link.address).await.unwrap();
        near.write_all(b"hello").await.unwrap();
        near.shutdown().await.unwrap();
        // The link's end is closed, too, while the way is still cut.
        assert_eq!(near.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn kafka_is_found_at_the_link() {
        let (link, mut near, mut far) = pair(Protocol::Kafka).await;
        let broker = far.local_addr().unwrap();
        let mut frame = b"before".to_vec();
        frame.extend(place(broker));
        frame.extend(b"after");
        far.write_u32(frame.len() as u32).await.unwrap();
        far.write_all(&frame).await.unwrap();
        let length = near.read_u32().await.unwrap();
        let mut got = vec![0; length as usize];
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(
            got,
            [b"before".to_vec(), place(link.address), b"after".to_vec()].concat()
        );
    }
}
