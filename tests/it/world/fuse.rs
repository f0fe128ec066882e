//! A daemon that dies in the middle: every look at the clock, every draw of chance and every call to a provider burns a
//! fuse, and at its end the work under way is torn off, as by `kill -9`.

use async_trait::async_trait;
use consentd::clock::{Clock, SimulatedClock, Timestamp};
use consentd::random::{Random, SeededRandom};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

/// What the torn-off work unwinds with.
struct Death;

/// Endless until it is cut.
#[derive(Debug)]
pub struct Fuse(AtomicI64);

impl Default for Fuse {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MAX))
    }
}

impl Fuse {
    /// Lets the daemon live for so many more of its outer acts.
    pub fn cut(&self, length: i64) {
        self.0.store(length, Ordering::SeqCst);
    }

    /// One outer act.
    pub fn burn(&self) {
        if self.0.load(Ordering::SeqCst) != i64::MAX && self.0.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.cut(i64::MAX);
            resume_unwind(Box::new(Death));
        }
    }

    /// Runs work that may be torn off; `None` when it was.
    pub async fn survive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let end = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(why) => Poll::Ready(Err(why)),
        });
        match end.await {
            Ok(done) => Some(done),
            Err(why) if why.is::<Death>() => None,
            Err(why) => resume_unwind(why),
        }
    }
}

/// A clock whose every reading burns the fuse.
pub struct MortalClock {
    pub clock: Arc<SimulatedClock>,
    pub fuse: Arc<Fuse>,
}

#[async_trait]
impl Clock for MortalClock {
    fn now(&self) -> Timestamp {
        self.fuse.burn();
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }
}

/// Chance whose every draw burns the fuse.
pub struct MortalRandom {
    pub random: SeededRandom,
    pub fuse: Arc<Fuse>,
}

impl Random for MortalRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.fuse.burn();
        self.random.fill(bytes);
    }
}
