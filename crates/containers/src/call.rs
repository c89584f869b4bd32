//! A call into a container and its answer.

use std::{collections::VecDeque, io::IoSlice, time::Duration};

use bytes::{Buf, Bytes};

/// One `/init` or `/run`.
#[derive(Debug, Clone)]
pub struct Call {
    /// The JSON to post.
    pub body: Payload,
    /// How long to wait for the complete answer, connecting included.
    pub limit: Duration,
    /// How many bytes of the answer to keep.
    pub answer_limit: usize,
}

/// A request body in parts, so that a payload is sent as it lies instead of being copied between two braces.
#[derive(Debug, Clone, Default)]
pub struct Payload(VecDeque<Bytes>);

/// What came back, whatever its status: the verdict is the caller's (204 on `/run` counts as no answer).
///
/// A 200 answer to a `/run` after which the kernel reports a kill for memory inside the container is still this answer
/// with `out_of_memory` set: the child of a proxy died while the proxy lived to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The first `Call::answer_limit` bytes.
    pub body: Bytes,
    /// The length of the whole answer, also of the part that was not kept.
    pub length: u64,
    /// Whether something was cut off.
    pub truncated: bool,
    /// The kernel killed a process of the container for its memory since the call began. Certain, not a guess; when set
    /// and the status is not 200, the verdict is that of [`CallError::OutOfMemory`](crate::CallError::OutOfMemory).
    pub out_of_memory: bool,
}

impl Payload {
    /// The parts in order; empty ones are dropped.
    pub fn from_parts(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Payload(parts.into_iter().filter(|part| !part.is_empty()).collect())
    }

    /// Length of all parts in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole in one piece; copies only when there are several parts.
    pub fn to_bytes(&self) -> Bytes {
        match self.0.len() {
            0 => Bytes::new(),
            1 => self.0[0].clone(),
            _ => self.0.iter().flat_map(|part| part.iter().copied()).collect(),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::from_parts([bytes])
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(parts: Vec<Bytes>) -> Self {
        Payload::from_parts(parts)
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Payload::from(Bytes::from(text))
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Payload::from(Bytes::from_static(text.as_bytes()))
    }
}

impl Buf for Payload {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |part| part.as_ref())
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let front = self.0.front_mut().expect("advance stays within the remaining bytes");
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.0.pop_front();
        }
    }
}
