//! Reading request bodies with bounds: each body has its own, and all of them together have one.

use crate::config::Webhooks;
use axum::body::{Body, Bytes, HttpBody};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MIB: usize = 1024 * 1024;

/// Bodies of webhooks that are in memory at the same time, over all connections, in MiB.
const TOGETHER: usize = 96;

/// How bodies of webhooks are read.
#[derive(Clone)]
pub(crate) struct Bodies {
    /// Up to here they are read as webhooks.
    pub(crate) ordinary: usize,
    largest: usize,
    room: Arc<Semaphore>,
}

/// What became of a body.
pub(crate) enum Taken {
    /// All of it. Keep the room until the bytes are gone.
    Whole(Vec<u8>, Room),
    /// It is larger than the largest that is kept.
    TooLarge,
    /// There is no memory for it now, or its sender gave up or was too slow.
    NotNow,
}

/// Memory that a body occupies, given back when dropped.
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Bodies {
    pub(crate) fn new(webhooks: &Webhooks) -> Self {
        let largest = webhooks.quarantine_mib * MIB;
        let room = Arc::new(Semaphore::new(TOGETHER.max(2 * webhooks.quarantine_mib) * MIB));
        Self { ordinary: webhooks.body_mib * MIB, largest, room }
    }

    /// Reads a body within the bounds and the time.
    pub(crate) async fn take(&self, body: Body, within: Duration) -> Taken {
        // What is announced as too large is not read at all.
        if body.size_hint().lower() > self.largest as u64 {
            return Taken::TooLarge;
        }
        tokio::time::timeout(within, self.read(body)).await.unwrap_or(Taken::NotNow)
    }

    async fn read(&self, mut body: Body) -> Taken {
        let mut bytes = Vec::new();
        let mut room = Room(None);
        loop {
            match next(&mut body).await {
                None => return Taken::Whole(bytes, room),
                Some(Err(_)) => return Taken::NotNow,
                Some(Ok(chunk)) if bytes.len() + chunk.len() > self.largest => return Taken::TooLarge,
                Some(Ok(chunk)) => {
                    if !room.grow(&self.room, chunk.len()) {
                        return Taken::NotNow;
                    }
                    bytes.extend_from_slice(&chunk);
                }
            }
        }
    }
}

impl Room {
    fn grow(&mut self, all: &Arc<Semaphore>, by: usize) -> bool {
        let more = u32::try_from(by).ok().and_then(|by| all.clone().try_acquire_many_owned(by).ok());
        match (&mut self.0, more) {
            (_, None) => return false,
            (Some(own), Some(more)) => own.merge(more),
            (own, more) => *own = more,
        }
        true
    }
}

/// The next piece of a body; trailers are skipped.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => return Some(Ok(data)),
            Ok(Err(_)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
}
