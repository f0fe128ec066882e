//! A world for one examination: an account, two lists, a clock, and the truth about it all.

use super::wire::{Refused, Wire};
use super::{Broken, Setup, Subject, Variation, ensure};
use crate::emulator::{EmulatedProvider, Fault, FaultRule, Happening, Outgoing};
use crate::{
    AccountSettings, AudienceRef, Capability, Change, ConsentProof, EmailAddress, Fields, HookMode, HookSpec,
    HookState, JobState, Lift, Look, Outcome, Presence, Provider, Push, RemoteJob, Scope,
};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Where webhooks shall arrive.
pub(super) const HOOK_URL: &str = "https://consent.example.org/hooks/4f1c";
/// What they shall prove themselves with.
pub(super) const HOOK_SECRET: &str = "a-first-hook-secret-of-40-characters-abcd";
/// 2026-01-01 00:00 UTC.
const START: i64 = 1_767_225_600_000_000;
/// The most questions about a job: with half a minute between them, a little over a day.
const QUESTIONS: usize = 3_000;

/// Makes worlds.
pub(super) struct Lab<'a> {
    setup: &'a dyn Setup,
    variation: Option<&'a Variation>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(setup: &'a dyn Setup, variation: Option<&'a Variation>) -> Self {
        Self { setup, variation }
    }

    pub(super) fn subject(&self) -> Subject {
        self.setup.subject()
    }

    /// What an account is opened with, one webhook secret included.
    pub(super) fn settings(&self) -> AccountSettings {
        let options = self.variation.map_or(&[][..], |variation| variation.options);
        AccountSettings {
            credentials: self
                .subject()
                .credentials
                .iter()
                .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
                .collect(),
            hook_secrets: vec![SecretString::from(HOOK_SECRET)],
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    /// A fresh account with two empty lists; the requests it took are forgotten.
    pub(super) async fn bench(&self) -> Result<Bench, Broken> {
        let subject = self.subject();
        let mut world = EmulatedProvider::new((subject.emulator)());
        for (name, value) in self.variation.map_or(&[][..], |variation| variation.switches) {
            world.set(name, value).map_err(Broken::new)?;
        }
        let world = Arc::new(Mutex::new(world));
        let clock = Arc::new(AtomicI64::new(START));
        let now = Arc::clone(&clock);
        let gateway = self
            .setup
            .connect(Arc::clone(&world), Arc::new(move || now.load(Ordering::SeqCst)))
            .await
            .map_err(Broken::new)?;
        let settings = self.settings();
        let wire = Wire::new(gateway, Arc::clone(&clock), (subject.descriptor.quotas)(&settings));
        let mut bench = Bench { subject, settings, world, clock, wire, list: empty(), other: empty() };
        (bench.list, bench.other) = bench.two_lists().await?;
        bench.wire.take();
        Ok(bench)
    }

    /// A fresh account whose bound list holds these people.
    pub(super) async fn with(&self, people: &[&EmailAddress]) -> Result<Bench, Broken> {
        let bench = self.bench().await?;
        bench.enrol(&bench.list, people).await?;
        Ok(bench)
    }
}

const fn empty() -> AudienceRef {
    AudienceRef { list: String::new() }
}

/// One world.
pub(super) struct Bench {
    pub(super) subject: Subject,
    pub(super) settings: AccountSettings,
    world: Arc<Mutex<EmulatedProvider>>,
    clock: Arc<AtomicI64>,
    pub(super) wire: Wire,
    /// The bound list.
    pub(super) list: AudienceRef,
    /// Another list of the account.
    pub(super) other: AudienceRef,
}

impl Bench {
    /// The account, opened anew: an adapter remembers nothing between two calls.
    pub(super) fn provider(&self) -> Result<Box<dyn Provider>, Broken> {
        Ok((self.subject.descriptor.open)(&self.settings)?)
    }

    pub(super) fn can(&self, capability: Capability) -> bool {
        self.subject.descriptor.capabilities.contains(&capability)
    }

    pub(super) fn world(&self) -> MutexGuard<'_, EmulatedProvider> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self, time: Duration) {
        self.clock.fetch_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Lets calls that hang land, and then the jobs that they started end.
    pub(super) fn pass(&self, time: Duration) {
        for _ in 0..2 {
            self.advance(time / 2);
            let now = self.now();
            self.world().due(now);
        }
    }

    pub(super) fn truth(&self, at: &AudienceRef, email: &EmailAddress) -> Look {
        let now = self.now();
        self.world().truth(now, &at.list, email.as_str())
    }

    /// The truth about several people on the bound list.
    pub(super) fn truths(&self, people: &[&EmailAddress]) -> Vec<Look> {
        people.iter().map(|email| self.truth(&self.list, email)).collect()
    }

    pub(super) fn happen(&self, email: &EmailAddress, what: &Happening) -> Result<(), Broken> {
        let now = self.now();
        ensure!(self.world().happen(now, email.as_str(), what), "the emulator does not know the contact for {what:?}");
        Ok(())
    }

    pub(super) fn set(&self, switch: super::Switch) -> Result<(), Broken> {
        self.world().set(switch.0, switch.1).map_err(Broken::new)
    }

    /// Disturbs every call until [`Bench::heal`].
    pub(super) fn disturb_all(&self, fault: &Fault) {
        match fault {
            Fault::Refuse => self.wire.refuse(Refused::All),
            fault => self.disturb("", fault),
        }
    }

    /// Disturbs every call that is not a `GET` until [`Bench::heal`].
    pub(super) fn disturb_writes(&self, fault: &Fault) {
        match fault {
            Fault::Refuse => self.wire.refuse(Refused::Writes),
            fault => ["POST /", "PUT /", "DELETE /"].into_iter().for_each(|method| self.disturb(method, fault)),
        }
    }

    fn disturb(&self, matching: &str, fault: &Fault) {
        self.world().fault(FaultRule { matching: matching.into(), times: u32::MAX, fault: fault.clone() });
    }

    pub(super) fn heal(&self) {
        self.wire.clear();
        self.world().heal();
    }

    async fn two_lists(&self) -> Result<(AudienceRef, AudienceRef), Broken> {
        let provider = self.provider()?;
        if self.can(Capability::CreateList) {
            let first = provider.create_list(&self.wire, "Campaigns").await?;
            let second = provider.create_list(&self.wire, "Another purpose").await?;
            return Ok((AudienceRef { list: first.id }, AudienceRef { list: second.id }));
        }
        let mut lists = provider.lists(&self.wire).await?.into_iter().map(|list| AudienceRef { list: list.id });
        match (lists.next(), lists.next()) {
            (Some(first), Some(second)) => Ok((first, second)),
            _ => Err(Broken::new("without CreateList the emulator must start with two lists")),
        }
    }

    /// Puts people on a list, sees that they are there, and forgets the requests it took.
    pub(super) async fn enrol(&self, on: &AudienceRef, people: &[&EmailAddress]) -> Result<(), Broken> {
        for part in people.chunks(self.subject.descriptor.chunk.max(1)) {
            let changes: Vec<Change> = part.iter().map(|email| subscribe(email)).collect();
            self.apply(on, &changes).await?;
        }
        for email in people {
            let truth = self.truth(on, email);
            ensure!(truth.mailable(), "a new contact was subscribed, but a campaign would not reach it: {truth:?}");
        }
        self.wire.take();
        Ok(())
    }

    /// Pushes and waits for the provider's jobs to end.
    pub(super) async fn apply(&self, to: &AudienceRef, changes: &[Change]) -> Result<Vec<Outcome>, Broken> {
        let push = self.provider()?.push(&self.wire, to, changes).await;
        if let Some(error) = push.stopped_by {
            return Err(Broken::new(format!("a push stopped that nothing disturbed: {error}")));
        }
        self.settle(to, push.outcomes).await
    }

    /// Follows every pending job to its end: a claim of success becomes `Applied`, a failure `Unknown`.
    pub(super) async fn settle(&self, of: &AudienceRef, outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, Broken> {
        let mut ended: BTreeMap<String, Outcome> = BTreeMap::new();
        let mut settled = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let Outcome::Pending(job) = outcome else {
                settled.push(outcome);
                continue;
            };
            let end = match ended.get(&job.0) {
                Some(end) => end.clone(),
                None => self.follow(of, &job).await?,
            };
            ended.insert(job.0, end.clone());
            settled.push(end);
        }
        Ok(settled)
    }

    async fn follow(&self, of: &AudienceRef, job: &RemoteJob) -> Result<Outcome, Broken> {
        for _ in 0..QUESTIONS {
            match self.provider()?.follow(&self.wire, of, job).await? {
                JobState::Running => self.advance(Duration::from_secs(30)),
                JobState::Done => return Ok(Outcome::Applied),
                JobState::Failed(_) => return Ok(Outcome::Unknown),
            }
        }
        Err(Broken::new("a job never ended"))
    }

    pub(super) async fn look(&self, email: &EmailAddress) -> Result<Look, Broken> {
        let looks = self.provider()?.look(&self.wire, &self.list, std::slice::from_ref(email)).await?;
        looks.first().copied().ok_or_else(|| Broken::new("a look gave no answer"))
    }

    pub(super) async fn hooks(&self, url: &str, secret: &str, mode: HookMode) -> Result<HookState, Broken> {
        let wanted = HookSpec { url: url.into(), secret: SecretString::from(secret) };
        Ok(self.provider()?.hooks(&self.wire, &wanted, mode).await?)
    }

    /// Registers our webhook and lets all that is already due go by.
    pub(super) async fn hooked(&self) -> Result<(), Broken> {
        self.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
        self.deliveries(Duration::from_hours(1), Some(200));
        Ok(())
    }

    /// Lets time pass minute by minute and answers every webhook with this status; gives what arrived at our URL.
    pub(super) fn deliveries(&self, during: Duration, status: Option<u16>) -> Vec<Outgoing> {
        self.arrivals(during, status).into_iter().filter(is_ours).collect()
    }

    /// Like [`Bench::deliveries`], whatever the URL.
    pub(super) fn arrivals(&self, during: Duration, status: Option<u16>) -> Vec<Outgoing> {
        let mut arrived = Vec::new();
        for _ in 0..=during.as_secs() / 60 {
            let now = self.now();
            let due = self.world().due(now);
            for delivery in due {
                self.world().delivered(now, delivery.id, status);
                arrived.push(delivery);
            }
            self.advance(Duration::from_mins(1));
        }
        arrived
    }
}

/// Whether a webhook goes to our URL; the provider may be told credentials and a query besides.
pub(super) fn is_ours(delivery: &Outgoing) -> bool {
    goes_to(delivery, HOOK_URL)
}

/// Whether a webhook goes to that URL.
pub(super) fn goes_to(delivery: &Outgoing, url: &str) -> bool {
    without_credentials(&delivery.url).starts_with(url)
}

fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((credentials, _)) => {
            format!("{scheme}://{}", rest.strip_prefix(credentials).unwrap_or(rest).trim_start_matches('@'))
        }
        None => url.to_owned(),
    }
}

/// An invented person.
pub(super) fn person(name: &str) -> Result<EmailAddress, Broken> {
    EmailAddress::parse(&format!("{name}@example.org")).map_err(|error| Broken::new(error.to_string()))
}

/// Several invented people.
pub(super) fn people(name: &str, count: usize) -> Result<Vec<EmailAddress>, Broken> {
    (0..count).map(|number| person(&format!("{name}{number}"))).collect()
}

/// What is wished about anybody.
pub(super) type Wish = fn(&EmailAddress) -> Change;

/// A subscription of somebody whom nobody has seen at the provider.
pub(super) fn subscribe(email: &EmailAddress) -> Change {
    subscription(email, Fields::new(), Presence::New, None)
}

/// A subscription of a known contact that lifts nothing.
pub(super) fn refresh(email: &EmailAddress) -> Change {
    subscription(email, Fields::new(), Presence::Known, None)
}

/// What fresh consent lifts: everything that may have happened in a world.
pub(super) const FRESH: Lift = Lift { accepted_at: START + 3_650 * 86_400_000_000, after_no: true, taken_off_at: None };

/// A subscription by fresh consent of a known contact.
pub(super) fn lift(email: &EmailAddress) -> Change {
    subscription(email, Fields::new(), Presence::Known, Some(FRESH))
}

#[expect(clippy::disallowed_methods, reason = "the suite vouches for people whom it invented")]
pub(super) fn subscription(email: &EmailAddress, fields: Fields, presence: Presence, lift: Option<Lift>) -> Change {
    Change::Subscribe { email: email.clone(), fields, presence, lift, proof: ConsentProof::attest(Uuid::nil()) }
}

pub(super) fn withdraw(email: &EmailAddress, scope: Scope) -> Change {
    Change::Withdraw { email: email.clone(), scope }
}

/// Whether what the adapter says of a change agrees with the truth before and after.
///
/// A subscription that may not lift anything is carried out, too, when it leaves the contact as unsubscribed or blocked
/// as it was.
pub(super) fn honest(change: &Change, outcome: &Outcome, before: Look, after: Look) -> Result<(), Broken> {
    let (wish, lift) = match change {
        Change::Subscribe { lift, .. } => ("subscription", Some(lift.is_some())),
        Change::Withdraw { .. } => ("withdrawal", None),
    };
    let everything = matches!(change, Change::Withdraw { scope: Scope::Everything, .. });
    let holds = match (outcome, lift) {
        (Outcome::Applied, Some(true)) => after.mailable(),
        (Outcome::Applied, Some(false)) => {
            after.exists && after.on_list && (after.mailable() || before.unsubscribed || before.blocked)
        }
        (Outcome::Applied, None) if everything => !after.exists || after.blocked,
        (Outcome::Applied, None) => !after.mailable(),
        (Outcome::Untouched, _) => after == before,
        (Outcome::Refused(_), Some(_)) => before.mailable() || !after.mailable(),
        (Outcome::Refused(_), None) | (Outcome::Pending(_) | Outcome::Unknown, _) => true,
    };
    ensure!(holds, "a {wish} was reported as {outcome:?}, but the truth went from {before:?} to {after:?}");
    Ok(())
}

/// [`honest`] for every change of a push.
pub(super) fn all_honest(changes: &[Change], push: &Push, before: &[Look], after: &[Look]) -> Result<(), Broken> {
    ensure!(
        push.outcomes.len() == changes.len(),
        "{} changes were given {} outcomes",
        changes.len(),
        push.outcomes.len()
    );
    for (((change, outcome), before), after) in changes.iter().zip(&push.outcomes).zip(before).zip(after) {
        honest(change, outcome, *before, *after)?;
    }
    let left_out = push.outcomes.contains(&Outcome::Untouched);
    ensure!(!left_out || push.stopped_by.is_some(), "changes were left untouched and nothing says why");
    Ok(())
}
