//! What the daemon does by itself: reads deliveries, talks to providers, rings bells, watches.
//!
//! Each worker runs until `Stop` says so, finishes the step it is in, and returns.

mod alarms;
mod connections;
mod inbox;
mod registrations;
mod reserve;
mod schedule;

pub(crate) use alarms::watch;
pub(crate) use connections::Connections;
pub(crate) use inbox::sort;
pub(crate) use registrations::Registrations;
pub(crate) use reserve::keep_reserve;
pub(crate) use schedule::ring;

use tokio::sync::watch;

/// Tells workers to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The signal, and what gives it.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether it was given.
    pub(crate) fn is_given(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it. A sender that is gone counts as the signal.
    pub(crate) async fn given(&self) {
        let mut receiver = self.0.clone();
        drop(receiver.wait_for(|given| *given).await);
    }
}
