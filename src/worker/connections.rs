//! Looks after provider accounts: leases each that has something due, and works on it until nothing is.
//!
//! One daemon at a time owns an account, so its quotas are counted in one place and no two calls of ours overtake each
//! other. A lease is kept by renewing it, and dropped by not renewing it: an account stays with its daemon between two
//! pieces of work, unless that daemon is gone.

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::ConnectionId;
use crate::service::signal::{Life, Wake};
use crate::service::{Core, ServiceError};
use crate::store::StoreError;
use crate::worker::Stop;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use uuid::Uuid;

/// So long one account is worked on before others that wait get its place.
const SLICE: Timestamp = 5 * SECOND;

/// A wait that the provider asked for is waited out if it is no longer than this.
const SHORT: Timestamp = 5 * SECOND;

/// The worker.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) core: Core,
    owner: Uuid,
    pub(crate) wake: Wake,
    life: Life,
    /// Accounts at the same time.
    accounts: usize,
    /// Between two looks for work that nobody announced.
    idle: Duration,
    /// Until when which account is ours.
    leases: Arc<Mutex<HashMap<ConnectionId, Timestamp>>>,
    /// One account at a time is taken, so that nobody works on it before it is adopted.
    taking: Arc<tokio::sync::Mutex<()>>,
}

impl Connections {
    /// A worker with a name of its own among all daemons.
    pub(crate) fn new(core: Core, wake: Wake, life: Life, workers: &crate::config::Workers) -> Self {
        let owner = core.id();
        let (accounts, idle) = (workers.accounts, workers.idle());
        Self { core, owner, wake, life, accounts, idle, leases: Arc::default(), taking: Arc::default() }
    }

    /// Works until told to stop; the steps that are under way then are finished, for `grace` at most.
    pub(crate) async fn run(self, stop: Stop, grace: Duration) {
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut busy: HashMap<Id, ConnectionId> = HashMap::new();
        let mut served: HashMap<ConnectionId, Timestamp> = HashMap::new();
        while !stop.is_given() {
            self.life.connections(self.core.now());
            let engaged: HashSet<ConnectionId> = busy.values().copied().collect();
            for id in self.due(&served).await {
                if tasks.len() >= self.accounts {
                    break;
                }
                if !engaged.contains(&id) {
                    served.insert(id, self.core.now());
                    let (worker, stop) = (self.clone(), stop.clone());
                    busy.insert(tasks.spawn(async move { worker.tend(id, stop).await }).id(), id);
                }
            }
            tokio::select! {
                Some(done) = tasks.join_next_with_id() => self.ended(&mut busy, &done),
                () = self.wake.connections.notified() => {}
                () = self.core.clock.sleep(self.idle) => {}
                () = stop.given() => {}
            }
            while let Some(done) = tasks.try_join_next_with_id() {
                self.ended(&mut busy, &done);
            }
        }
        let finish = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!("some provider calls did not end in time; what they did is read back later");
            tasks.shutdown().await;
        }
        if let Err(error) = self.release().await {
            tracing::warn!(error = %error, "leases are not given back; they run out by themselves");
        }
    }

    /// What has something to do: withdrawals first, then who was served longest ago.
    async fn due(&self, served: &HashMap<ConnectionId, Timestamp>) -> Vec<ConnectionId> {
        let now = self.core.now();
        match self.core.store.working_connections(self.owner, now, now - self.core.rules.walk_every).await {
            Ok(mut due) => {
                due.sort_by_key(|(id, urgent)| (!urgent, served.get(id).copied().unwrap_or(0)));
                due.into_iter().map(|(id, _)| id).collect()
            }
            Err(error) => {
                tracing::error!(error = %error, "due connections cannot be read; trying again");
                Vec::new()
            }
        }
    }

    /// Works on one connection, as long as it is ours and something is due.
    async fn tend(&self, id: ConnectionId, stop: Stop) {
        match self.take(id).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::error!(error = %error, connection.id = %id, "a connection cannot be taken over");
                self.pause(&error).await;
                return;
            }
        }
        let result = tokio::select! {
            result = self.work(id, &stop) => result,
            () = self.keep(id) => {
                // The step is dropped where it stands: who owns the account now reads back what it did.
                tracing::warn!(connection.id = %id, "a lease was lost");
                self.forget(id);
                return;
            }
        };
        if let Err(error) = result {
            tracing::error!(error = %error, connection.id = %id, "work on a connection failed");
            self.pause(&error).await;
            // The next attempt adopts what this one left half written.
            self.forget(id);
        }
    }

    /// After a failure of ours: the same would fail at once again, and again.
    async fn pause(&self, error: &ServiceError) {
        self.core.make_room(error);
        self.core.clock.sleep(self.idle).await;
    }

    async fn work(&self, id: ConnectionId, stop: &Stop) -> Result<(), ServiceError> {
        let end = self.core.now() + SLICE;
        while !stop.is_given() && self.core.now() < end {
            if self.core.work(id).await? {
                continue;
            }
            let Some(connection) = self.core.store.connection(id).await? else { return Ok(()) };
            let wait = connection.backoff_until - self.core.now();
            if !(1..=SHORT).contains(&wait) {
                return Ok(());
            }
            tokio::select! {
                () = self.core.clock.sleep(Duration::from_micros(wait.unsigned_abs())) => {}
                () = stop.given() => {}
            }
        }
        Ok(())
    }

    /// Takes the account. What somebody else was in the middle of, or we before an error, is unknown from here on.
    pub(crate) async fn take(&self, id: ConnectionId) -> Result<bool, ServiceError> {
        let _one = self.taking.lock().await;
        let ours = self.leases().get(&id).is_some_and(|until| *until > self.core.now());
        if !self.lease(id).await? {
            self.forget(id);
            return Ok(false);
        }
        if !ours && let Err(error) = self.core.adopt(id).await {
            self.forget(id);
            return Err(error);
        }
        Ok(true)
    }

    /// Renews the lease; returns when it is lost.
    async fn keep(&self, id: ConnectionId) {
        let pause = Duration::from_micros(self.core.rules.lease.unsigned_abs() / 3);
        loop {
            self.core.clock.sleep(pause).await;
            match self.lease(id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = %error, connection.id = %id, "a lease cannot be renewed");
                    let until = self.leases().get(&id).copied().unwrap_or(0);
                    if until <= self.core.now() {
                        return;
                    }
                }
            }
        }
    }

    async fn lease(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let now = self.core.now();
        let until = now + self.core.rules.lease;
        let mut tx = self.core.store.begin().await?;
        let ours = tx.lease_connection(id, self.owner, until, now).await?;
        tx.commit().await?;
        if ours {
            self.leases().insert(id, until);
        }
        Ok(ours)
    }

    async fn release(&self) -> Result<(), StoreError> {
        let mut tx = self.core.store.begin().await?;
        tx.release_connections(self.owner).await?;
        tx.commit().await
    }

    fn forget(&self, id: ConnectionId) {
        self.leases().remove(&id);
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, HashMap<ConnectionId, Timestamp>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, busy: &mut HashMap<Id, ConnectionId>, done: &Result<(Id, ()), JoinError>) {
        let (id, panicked) = match done {
            Ok((id, ())) => (*id, false),
            Err(error) => (error.id(), true),
        };
        let Some(connection) = busy.remove(&id) else { return };
        if panicked {
            tracing::error!(connection.id = %connection, "work on a connection panicked");
            self.forget(connection);
        }
    }
}
