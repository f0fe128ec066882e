//! A daemon that dies in the middle: every look at the clock, every draw of chance and every call to a provider burns a
//! fuse, and at its end the work under way is torn off, as by `kill -9`.

use async_trait::async_trait;
use consentd::clock::{Clock, SimulatedClock, Timestamp};
use consentd::random::{Random, SeededRandom};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::Poll;
use std::time::Duration;

/// What the torn-off work unwinds with.
struct Death;

/// Endless until it is cut. When it has burnt down, every task of the daemon ends at its next outer act.
#[derive(Debug)]
pub struct Fuse {
    left: AtomicI64,
    burnt: AtomicBool,
}

impl Default for Fuse {
    fn default() -> Self {
        Self { left: AtomicI64::new(i64::MAX), burnt: AtomicBool::new(false) }
    }
}

impl Fuse {
    /// Lets the daemon live for so many more of its outer acts.
    pub fn cut(&self, length: i64) {
        self.left.store(length, Ordering::SeqCst);
    }

    /// One outer act.
    pub fn burn(&self) {
        if self.left.load(Ordering::SeqCst) != i64::MAX && self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.cut(i64::MAX);
            self.burnt.store(true, Ordering::SeqCst);
        }
        self.check();
    }

    /// Ends the task if the daemon is dead.
    pub fn check(&self) {
        if self.burnt.load(Ordering::SeqCst) {
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
        let end = end.await;
        // Somebody else may have died while this went on: what it brought about is no longer heard.
        let burnt = self.burnt.load(Ordering::SeqCst);
        match end {
            Ok(done) => (!burnt).then_some(done),
            Err(why) if why.is::<Death>() => None,
            Err(why) => resume_unwind(why),
        }
    }

    /// Another daemon may begin.
    pub fn renew(&self) {
        self.burnt.store(false, Ordering::SeqCst);
        self.cut(i64::MAX);
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
