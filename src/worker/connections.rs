//! Looks after connections: takes the account of each that has something due, and works on it until nothing is.
//!
//! One daemon at a time owns an account, so its quotas are counted in one place and calls of different daemons never
//! mix. A lease is kept by renewing it, and dropped by not renewing it: an account stays with its daemon between two
//! pieces of work, unless that daemon is gone. Who was deposed without noticing can neither call nor write any more
//! (`service/claim.rs`).

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::{AccountId, ConnectionId};
use crate::service::claim::Claim;
use crate::service::signal::{Life, Wake};
use crate::service::{Core, ServiceError};
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
    /// Our turns.
    turns: Arc<Mutex<HashMap<AccountId, Turn>>>,
    /// One account at a time is taken, so that nobody works on a connection before it is adopted.
    taking: Arc<tokio::sync::Mutex<()>>,
}

/// Our turn at an account.
struct Turn {
    claim: Claim,
    /// Connections whose work we know from beginning to end.
    adopted: HashSet<ConnectionId>,
}

impl Connections {
    /// A worker with a name of its own among all daemons.
    pub(crate) fn new(core: Core, wake: Wake, life: Life, workers: &crate::config::Workers) -> Self {
        let owner = core.id();
        let (accounts, idle) = (workers.accounts, workers.idle());
        Self { core, owner, wake, life, accounts, idle, turns: Arc::default(), taking: Arc::default() }
    }

    /// Works until told to stop; the steps that are under way then are finished, for `grace` at most.
    pub(crate) async fn run(self, stop: Stop, grace: Duration) {
        let mut tasks: JoinSet<bool> = JoinSet::new();
        let mut busy: HashMap<Id, (ConnectionId, AccountId)> = HashMap::new();
        let mut served: HashMap<ConnectionId, Timestamp> = HashMap::new();
        let mut resting: HashMap<ConnectionId, Timestamp> = HashMap::new();
        while !stop.is_given() {
            self.life.connections(self.core.now());
            let now = self.core.now();
            resting.retain(|_, until| (now..now + SLICE).contains(until));
            let engaged: HashSet<ConnectionId> =
                busy.values().map(|(id, _)| id).chain(resting.keys()).copied().collect();
            for (id, account) in self.due(&served).await {
                if tasks.len() >= self.accounts {
                    break;
                }
                if !engaged.contains(&id) {
                    served.insert(id, self.core.now());
                    let (worker, stop) = (self.clone(), stop.clone());
                    busy.insert(tasks.spawn(async move { worker.tend(id, account, stop).await }).id(), (id, account));
                }
            }
            tokio::select! {
                Some(done) = tasks.join_next_with_id() => self.ended(&mut busy, &mut resting, &done),
                () = self.wake.connections.notified() => {}
                () = self.core.clock.sleep(self.idle) => {}
                () = stop.given() => {}
            }
            while let Some(done) = tasks.try_join_next_with_id() {
                self.ended(&mut busy, &mut resting, &done);
            }
        }
        let finish = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, finish).await.is_err() {
            tracing::warn!("some provider calls did not end in time; what they did is read back later");
            tasks.shutdown().await;
        }
        if let Err(error) = self.core.release(self.owner).await {
            tracing::warn!(error = %error, "leases are not given back; they run out by themselves");
        }
    }

    /// What has something to do: withdrawals first, then who was served longest ago.
    async fn due(&self, served: &HashMap<ConnectionId, Timestamp>) -> Vec<(ConnectionId, AccountId)> {
        let now = self.core.now();
        match self.core.store.working_connections(self.owner, now, now - self.core.rules.walk_every).await {
            Ok(mut due) => {
                due.sort_by_key(|(id, _, urgent)| (!urgent, served.get(id).copied().unwrap_or(0)));
                due.into_iter().map(|(id, account, _)| (id, account)).collect()
            }
            Err(error) => {
                tracing::error!(error = %error, "due connections cannot be read; trying again");
                Vec::new()
            }
        }
    }

    /// Works on one connection, as long as its account is ours and something is due. False when there was nothing that
    /// could be done.
    async fn tend(&self, id: ConnectionId, account: AccountId, stop: Stop) -> bool {
        let claim = match self.take(id, account).await {
            Ok(Some(claim)) => claim,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(error = %error, connection.id = %id, "a connection cannot be taken over");
                self.pause(&error).await;
                return true;
            }
        };
        let result = tokio::select! {
            result = self.work(id, &claim, &stop) => result,
            // The step is dropped where it stands: who owns the account now reads back what it did.
            () = self.core.keep(&claim) => Err(ServiceError::TakenOver),
        };
        match result {
            Ok(worked) => worked,
            Err(ServiceError::TakenOver) => {
                tracing::warn!(connection.id = %id, "a lease was lost");
                self.forget(&claim);
                true
            }
            Err(error) => {
                tracing::error!(error = %error, connection.id = %id, "work on a connection failed");
                self.pause(&error).await;
                self.doubt(id, account);
                true
            }
        }
    }

    /// After a failure of ours: the same would fail at once again, and again.
    async fn pause(&self, error: &ServiceError) {
        self.core.make_room(error);
        self.core.clock.sleep(self.idle).await;
    }

    async fn work(&self, id: ConnectionId, claim: &Claim, stop: &Stop) -> Result<bool, ServiceError> {
        let mut worked = false;
        let end = self.core.now() + SLICE;
        while !stop.is_given() && self.core.now() < end {
            if self.core.work(id, claim).await? {
                worked = true;
                continue;
            }
            let Some(connection) = self.core.store.connection(id).await? else { return Ok(worked) };
            let wait = connection.backoff_until - self.core.now();
            if !(1..=SHORT).contains(&wait) {
                return Ok(worked);
            }
            tokio::select! {
                () = self.core.clock.sleep(Duration::from_micros(wait.unsigned_abs())) => {}
                () = stop.given() => {}
            }
        }
        Ok(worked)
    }

    /// Takes a connection's account; `None` while another daemon has it. What somebody else was in the middle of, or we
    /// before an error, is unknown from here on.
    pub(crate) async fn take(&self, id: ConnectionId, account: AccountId) -> Result<Option<Claim>, ServiceError> {
        let _one = self.taking.lock().await;
        let known = self.turns().get(&account).map(|turn| turn.claim.clone());
        let claim = match known {
            Some(claim) if self.core.renew(&claim).await? => claim,
            _ => {
                self.turns().remove(&account);
                let Some(claim) = self.core.claim(account, self.owner).await? else { return Ok(None) };
                self.turns().insert(account, Turn { claim: claim.clone(), adopted: HashSet::new() });
                claim
            }
        };
        if !self.turns().get(&account).is_some_and(|turn| turn.adopted.contains(&id)) {
            self.core.adopt(id, &claim).await?;
            if let Some(turn) = self.turns().get_mut(&account) {
                turn.adopted.insert(id);
            }
        }
        Ok(Some(claim))
    }

    /// That turn is over.
    fn forget(&self, claim: &Claim) {
        let mut turns = self.turns();
        if turns.get(&claim.account()).is_some_and(|turn| turn.claim.epoch() == claim.epoch()) {
            turns.remove(&claim.account());
        }
    }

    /// What was left half written for a connection is adopted before the next attempt.
    fn doubt(&self, id: ConnectionId, account: AccountId) {
        if let Some(turn) = self.turns().get_mut(&account) {
            turn.adopted.remove(&id);
        }
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(
        &self,
        busy: &mut HashMap<Id, (ConnectionId, AccountId)>,
        resting: &mut HashMap<ConnectionId, Timestamp>,
        done: &Result<(Id, bool), JoinError>,
    ) {
        let (id, worked, panicked) = match done {
            Ok((id, worked)) => (*id, *worked, false),
            Err(error) => (error.id(), true, true),
        };
        let Some((connection, account)) = busy.remove(&id) else { return };
        if !worked {
            // What is due and cannot be done yet, because of a full disk or another daemon, would be looked at without end.
            let idle = Timestamp::try_from(self.idle.as_micros()).unwrap_or(SLICE).min(SLICE);
            resting.insert(connection, self.core.now() + idle);
        }
        if panicked {
            tracing::error!(connection.id = %connection, "work on a connection panicked");
            self.doubt(connection, account);
        }
    }
}
