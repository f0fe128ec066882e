//! Taking in webhook deliveries: on disk first, many with one commit, then the answer.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, InboxId, TenantId};
use crate::service::Core;
use crate::store::{NewDelivery, Store};
use consentd_provider::Intake;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

/// A delivery whose credentials were right.
#[derive(Debug)]
pub struct Incoming {
    /// Whose.
    pub tenant: TenantId,
    /// The connection it came in for.
    pub connection: ConnectionId,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// Why nobody should try to read it, if so.
    pub quarantine: Option<&'static str>,
}

/// A delivery in the queue.
struct Waiting {
    delivery: NewDelivery,
    teller: oneshot::Sender<Intake>,
    /// What it came in with, which the commit follows from.
    span: Span,
}

/// The most deliveries that share a commit.
const BATCH: usize = 512;

/// The way into the inbox. Cheap to clone.
#[derive(Clone)]
pub struct Mailbag {
    core: Core,
    queue: mpsc::Sender<Waiting>,
    traffic: Traffic,
}

/// How many deliveries are on their way into the inbox.
#[derive(Clone, Default)]
pub struct Traffic(Arc<AtomicUsize>);

/// A delivery on its way, until dropped.
struct OnItsWay(Traffic);

impl Traffic {
    /// Whether somebody waits for a commit.
    #[must_use]
    pub fn is_dense(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn enter(&self) -> OnItsWay {
        self.0.fetch_add(1, Ordering::Relaxed);
        OnItsWay(self.clone())
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let Self(Traffic(count)) = self;
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The other end of a [`Mailbag`]: commits what is waiting, until every bag is dropped.
pub struct Sorter {
    store: Store,
    queue: mpsc::Receiver<Waiting>,
}

impl Mailbag {
    /// A bag that holds so many deliveries until the next commit, and the sorter that empties it.
    #[must_use]
    pub fn new(core: Core, holds: usize) -> (Self, Sorter) {
        let (sender, receiver) = mpsc::channel(holds);
        let store = core.store.clone();
        (Self { core, queue: sender, traffic: Traffic::default() }, Sorter { store, queue: receiver })
    }

    /// What can be seen of it from outside.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// Whether its sorter lives. Without one every delivery is [`Intake::Busy`], for ever.
    #[must_use]
    pub fn is_emptied(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Keeps a delivery and says what became of it; [`Intake::Busy`] means that nothing was kept.
    pub async fn keep(&self, incoming: Incoming) -> Intake {
        let _on_its_way = self.traffic.enter();
        let received_at: Timestamp = self.core.now();
        let delivery = NewDelivery {
            tenant: incoming.tenant,
            connection: incoming.connection,
            id: InboxId(self.core.id()),
            received_at,
            digest: Sha256::digest(&incoming.body).into(),
            body: incoming.body,
            quarantine: incoming.quarantine,
        };
        let span = Span::current();
        span.record("delivery.id", tracing::field::display(delivery.id));
        let (teller, told) = oneshot::channel();
        if self.queue.try_send(Waiting { delivery, teller, span }).is_err() {
            return Intake::Busy;
        }
        told.await.unwrap_or(Intake::Busy)
    }
}

impl Sorter {
    /// Commits batch after batch. Whoever arrives while a commit is under way shares the next one.
    pub async fn run(mut self) {
        let mut waiting: Vec<Waiting> = Vec::with_capacity(BATCH);
        while self.queue.recv_many(&mut waiting, BATCH).await > 0 {
            let span = tracing::info_span!("webhook.commit", deliveries = waiting.len());
            let mut deliveries = Vec::with_capacity(waiting.len());
            let mut tellers = Vec::with_capacity(waiting.len());
            for Waiting { delivery, teller, span: from } in waiting.drain(..) {
                span.follows_from(&from);
                deliveries.push(delivery);
                tellers.push(teller);
            }
            let kept = self.commit(&deliveries).instrument(span).await;
            for (delivery, teller) in deliveries.iter().zip(tellers) {
                let intake = match (kept, delivery.quarantine) {
                    (false, _) => Intake::Busy,
                    (true, None) => Intake::Stored,
                    (true, Some(_)) => Intake::Quarantined,
                };
                if teller.send(intake).is_err() {
                    tracing::debug!("who sent a delivery hung up; the repeat will be counted");
                }
            }
        }
    }

    async fn commit(&self, deliveries: &[NewDelivery]) -> bool {
        if self.store.reserve.is_spent() {
            // What is left is for withdrawals; providers come back.
            return false;
        }
        let result = async {
            let mut tx = self.store.begin().await?;
            tx.keep_deliveries(deliveries).await?;
            tx.commit().await
        }
        .await;
        if let Err(error) = &result {
            tracing::error!(error = %error, deliveries = deliveries.len(), "deliveries could not be kept; the providers will send them again");
        }
        result.is_ok()
    }
}
