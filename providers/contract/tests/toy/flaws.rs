//! Toys that are wrong in one thing each. The suite must find every one of them.

use crate::adapter;
use crate::flawed_gateway::{FlawedGateway, chance};
use async_trait::async_trait;
use consentd_provider::*;
use secrecy::SecretString;
use serde_json::Value;

/// What is wrong, and the rule that must be reported for it.
pub(crate) const FLAWS: &[(&str, u8)] = &[
    ("opens without a key", 2),
    ("draws on no quota", 3),
    ("calls a writing request safe", 4),
    ("leaves an address unencoded", 5),
    ("adds a chance to every request", 6),
    ("repeats a request that failed", 7),
    ("labels the account with an address", 8),
    ("creates a list for every call", 9),
    ("refuses a field that is there", 10),
    ("looks in another order", 11),
    ("sees no block", 12),
    ("walks one page", 13),
    ("walks past blocks", 14),
    ("takes a revoked key for a failure", 15),
    ("waits for years", 16),
    ("takes a lost list for an unreadable answer", 17),
    ("creates once more after a lost answer", 18),
    ("drops the fields", 19),
    ("refuses a known contact that is said to be new", 20),
    ("asks something in an empty push", 21),
    ("turns a push around", 22),
    ("carries out one chunk", 23),
    ("goes one by one", 24),
    ("stops at a bad row", 25),
    ("claims that all was applied", 26),
    ("takes a full account for a bad row", 27),
    ("calls every job done", 28),
    ("claims that all was applied", 29),
    ("forgets what went before a break", 30),
    ("takes a time-out for nothing", 31),
    ("goes on after a refusal", 32),
    ("always lifts", 33),
    ("never lifts", 34),
    ("claims that all was applied", 35),
    ("writes the address as a field", 36),
    ("refuses whom it does not find", 37),
    ("subscribes to every list", 38),
    ("withdraws from everything", 39),
    ("withdraws from one list", 40),
    ("refuses to withdraw twice", 41),
    ("goes one by one", 42),
    ("refuses to withdraw a stranger", 43),
    ("answers a look from memory", 44),
    ("erases nothing", 45),
    ("sends a mail without its key", 46),
    ("subscribes whom it writes to", 47),
    ("gives a receipt for nothing", 48),
    ("believes anybody", 49),
    ("believes anybody", 50),
    ("believes nobody", 50),
    ("answers 200 when nothing was kept", 51),
    ("answers 500 when all was kept", 51),
    ("takes a complaint for a bounce", 52),
    ("names another list", 53),
    ("gives one fingerprint to all", 54),
    ("gives a new fingerprint every time", 54),
    ("refuses a body with one broken event", 55),
    ("panics at what is not JSON", 56),
    ("drops unknown events", 57),
    ("registers nothing", 58),
    ("registers again and again", 58),
    ("keeps the first secret", 59),
    ("revives nothing", 60),
    ("shows the place of others as its own", 61),
    ("registers twice after a break", 62),
    ("tells an address in an error", 63),
    ("lifts whatever its time", 64),
    ("forgets whom we took off", 65),
];

/// The toy's descriptor, opened with the option `flaw`.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor { open, ..adapter::DESCRIPTOR };

fn open(settings: &AccountSettings) -> Result<Box<dyn Provider>, SettingsError> {
    let flaw = settings.options.get("flaw").cloned().unwrap_or_default();
    let mut settings = settings.clone();
    if flaw == "opens without a key" {
        settings.credentials.entry("key".into()).or_insert_with(|| "no key".into());
    }
    Ok(Box::new(Flawed { right: adapter::open(&settings)?, flaw }))
}

struct Flawed {
    right: Box<dyn Provider>,
    flaw: String,
}

impl Flawed {
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn out<'a>(&'a self, out: &'a dyn Gateway) -> FlawedGateway<'a> {
        FlawedGateway { right: out, flaw: &self.flaw }
    }

    #[expect(clippy::disallowed_methods, reason = "a wrong adapter makes up what it was not told")]
    fn wish(&self, change: &Change) -> Change {
        match change {
            Change::Withdraw { email, scope } => {
                let scope = match self.flaw.as_str() {
                    "withdraws from everything" => Scope::Everything,
                    "withdraws from one list" => Scope::Purpose,
                    _ => *scope,
                };
                Change::Withdraw { email: email.clone(), scope }
            }
            Change::Subscribe { email, fields, presence, lift, proof } => {
                let mut fields = fields.clone();
                match self.flaw.as_str() {
                    "drops the fields" => fields.clear(),
                    "writes the address as a field" => {
                        if let Some(value) = fields.remove("EMAIL") {
                            fields.insert("ADDRESS".into(), value);
                        }
                    }
                    _ => {}
                }
                let any = Lift { accepted_at: Timestamp::MAX, after_no: true, taken_off_at: None };
                let lift = match self.flaw.as_str() {
                    "always lifts" => Some(any),
                    "never lifts" => None,
                    "lifts whatever its time" => lift.map(|_| any),
                    "forgets whom we took off" => lift.map(|lift| Lift { taken_off_at: None, ..lift }),
                    _ => *lift,
                };
                let proof = ConsentProof::attest(proof.statement());
                Change::Subscribe { email: email.clone(), fields, presence: *presence, lift, proof }
            }
        }
    }

    /// What a wrong adapter makes of an outcome that is right.
    fn retell(&self, outcome: Outcome, change: &Change, look: Look) -> Outcome {
        let subscribes = matches!(change, Change::Subscribe { .. });
        let no = Outcome::Refused(Refusal::Invalid { code: "no".into(), reason: "no".into() });
        match self.flaw.as_str() {
            "claims that all was applied" => Outcome::Applied,
            "takes a time-out for nothing" if outcome == Outcome::Unknown => Outcome::Untouched,
            "takes a full account for a bad row" if outcome == Outcome::Refused(Refusal::AccountLimit) => no,
            "refuses to withdraw twice" if !subscribes && (look.unsubscribed || look.blocked) => no,
            "refuses to withdraw a stranger" if !subscribes && !look.exists => no,
            "refuses whom it does not find" if subscribes && !look.exists => no,
            _ => outcome,
        }
    }
}

#[async_trait]
impl Provider for Flawed {
    async fn check(&self, out: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
        let facts = self.right.check(&self.out(out)).await;
        match self.flaw.as_str() {
            "labels the account with an address" => facts.map(|_| AccountFacts { label: "kim@example.org".into() }),
            "tells an address in an error" => facts.map_err(|_| ProviderError::Rejected {
                status: 400,
                code: String::new(),
                reason: "kim@example.org".into(),
            }),
            _ => facts,
        }
    }

    async fn lists(&self, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
        self.right.lists(&self.out(out)).await
    }

    async fn create_list(&self, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
        let twin = format!("{name} once more");
        let there =
            async |name: &str| Ok::<_, ProviderError>(self.lists(out).await?.iter().any(|list| list.name == name));
        if self.is("creates a list for every call") && there(name).await? {
            return self.right.create_list(out, &twin).await;
        }
        if self.is("creates once more after a lost answer") && name == "A third purpose" && there(name).await? {
            return self.right.create_list(out, &twin).await;
        }
        self.right.create_list(&self.out(out), name).await
    }

    async fn schema(&self, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
        self.right.schema(&self.out(out)).await
    }

    async fn create_field(&self, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError> {
        if self.is("refuses a field that is there") && self.schema(out).await?.contains(field) {
            return Err(ProviderError::Rejected { status: 400, code: "there".into(), reason: "it is there".into() });
        }
        self.right.create_field(&self.out(out), field).await
    }

    async fn push(&self, out: &dyn Gateway, to: &AudienceRef, changes: &[Change]) -> Push {
        let out = &self.out(out);
        let mut wishes: Vec<Change> = changes.iter().map(|change| self.wish(change)).collect();
        let mut looks = Vec::new();
        for part in changes.chunks(50).filter(|_| self.flaw.starts_with("refuses ")) {
            let emails: Vec<EmailAddress> = part.iter().map(|change| change.email().clone()).collect();
            looks.extend(self.right.look(out, to, &emails).await.unwrap_or_default());
        }
        looks.resize(changes.len(), Look::default());
        if self.is("refuses a known contact that is said to be new") {
            let there = |(change, look): (&Change, &Look)| {
                look.exists && matches!(change, Change::Subscribe { presence: Presence::New, .. })
            };
            if changes.iter().zip(&looks).any(there) {
                return Push::untouched(changes.len(), ProviderError::Protocol("known"));
            }
        }
        match self.flaw.as_str() {
            "asks something in an empty push" => drop(self.right.check(out).await),
            "turns a push around" => wishes.reverse(),
            "carries out one chunk" => wishes.truncate(DESCRIPTOR.chunk),
            "subscribes to every list" => {
                for list in self.right.lists(out).await.unwrap_or_default() {
                    self.right.push(out, &AudienceRef { list: list.id }, &wishes).await;
                }
            }
            _ => {}
        }
        let step = match self.flaw.as_str() {
            "goes one by one" | "forgets what went before a break" | "goes on after a refusal" => 1,
            _ => usize::MAX,
        };
        let mut push = Push { outcomes: Vec::new(), stopped_by: None };
        for part in wishes.chunks(step) {
            let mut next = self.right.push(out, to, part).await;
            push.outcomes.append(&mut next.outcomes);
            push.stopped_by = push.stopped_by.or(next.stopped_by);
            if push.stopped_by.is_some() && self.is("forgets what went before a break") {
                push.outcomes.fill(Outcome::Untouched);
            }
            if push.stopped_by.is_some() && !self.is("goes on after a refusal") {
                push.outcomes.resize(changes.len(), Outcome::Untouched);
                break;
            }
        }
        if self.is("stops at a bad row") && push.outcomes.iter().any(|one| matches!(one, Outcome::Refused(_))) {
            push.stopped_by = Some(ProviderError::Protocol("a bad row"));
        }
        let told = push.outcomes.into_iter().zip(changes.iter().zip(&looks));
        push.outcomes = told.map(|(outcome, (change, look))| self.retell(outcome, change, *look)).collect();
        push
    }

    async fn follow(&self, out: &dyn Gateway, of: &AudienceRef, job: &RemoteJob) -> Result<JobState, ProviderError> {
        if self.is("calls every job done") { Ok(JobState::Done) } else { self.right.follow(out, of, job).await }
    }

    async fn look(
        &self,
        out: &dyn Gateway,
        at: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError> {
        let looks = self.right.look(&self.out(out), at, emails).await;
        if self.is("takes a lost list for an unreadable answer") {
            return looks.map_err(|_| ProviderError::Protocol("lost"));
        }
        let mut looks = looks?;
        match self.flaw.as_str() {
            "looks in another order" => looks.reverse(),
            "sees no block" => looks.iter_mut().for_each(|look| look.blocked = false),
            "answers a look from memory" => looks.fill(Look { exists: true, on_list: true, ..Look::default() }),
            _ => {}
        }
        Ok(looks)
    }

    async fn list(&self, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError> {
        let mut page = self.right.list(&self.out(out), of, from).await?;
        match self.flaw.as_str() {
            "walks one page" => page.next = None,
            "walks past blocks" => page.sightings.iter_mut().for_each(|row| row.blocked = None),
            _ => {}
        }
        Ok(page)
    }

    async fn erase(&self, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
        if self.is("erases nothing") { Ok(Outcome::Applied) } else { self.right.erase(&self.out(out), email).await }
    }

    async fn send(&self, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError> {
        let mut mail = mail.clone();
        if self.is("sends a mail without its key") {
            mail.idempotency_key = uuid::Uuid::nil();
        }
        let receipt = self.right.send(&self.out(out), &mail).await;
        if self.is("subscribes whom it writes to") {
            for list in self.right.lists(out).await? {
                let known = Change::Withdraw { email: mail.to.clone(), scope: Scope::Everything };
                self.right.push(out, &AudienceRef { list: list.id }, &[known]).await;
            }
        }
        match receipt {
            Err(_) if self.is("gives a receipt for nothing") => Ok(Receipt { message_id: "none".into() }),
            receipt => receipt,
        }
    }

    async fn hooks(&self, out: &dyn Gateway, wanted: &HookSpec, mode: HookMode) -> Result<HookState, ProviderError> {
        let out = &self.out(out);
        let healthy = HookState { healthy: true, missing: vec![], suspended: vec![], foreign: vec![], changed: false };
        let state = self.right.hooks(out, wanted, HookMode::Inspect).await?;
        let repairs = mode == HookMode::Repair;
        match self.flaw.as_str() {
            "registers nothing" => Ok(HookState { changed: repairs, ..healthy }),
            "registers again and again" if repairs => {
                self.right.hooks(out, wanted, mode).await.map(|state| HookState { changed: true, ..state })
            }
            "keeps the first secret" if state.suspended.is_empty() && self.hooks_at(out, wanted).await? => Ok(healthy),
            "revives nothing" if !state.suspended.is_empty() => Ok(healthy),
            "shows the place of others as its own" if self.any_hook(out).await? => Ok(healthy),
            "registers twice after a break" if repairs && !state.healthy => {
                let twin = HookSpec { url: format!("{}?twin", wanted.url), secret: wanted.secret.clone() };
                self.right.hooks(out, &twin, mode).await?;
                self.right.hooks(out, wanted, mode).await
            }
            _ => self.right.hooks(out, wanted, mode).await,
        }
    }

    fn verify<'a>(&self, delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
        match self.flaw.as_str() {
            "believes anybody" => Ok(delivery.trusted()),
            "believes nobody" => self.right.verify(delivery).and(Err(WebhookError::Credentials)),
            _ => self.right.verify(delivery),
        }
    }

    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError> {
        if self.is("panics at what is not JSON") {
            let read: Result<Value, _> = serde_json::from_slice(delivery.body());
            assert!(read.is_ok(), "not JSON");
        }
        let mut events = self.right.read(delivery)?;
        let unknown = |event: &ProviderEvent| matches!(event.kind, EventKind::Unknown(_));
        if self.is("drops unknown events") {
            events.retain(|event| !unknown(event));
        }
        if self.is("refuses a body with one broken event") && events.iter().any(unknown) {
            return Err(WebhookError::Unreadable("one event is broken"));
        }
        for event in &mut events {
            match self.flaw.as_str() {
                "takes a complaint for a bounce" if event.kind == EventKind::Complaint => {
                    event.kind = EventKind::SoftBounce;
                }
                "names another list" => event.affected = Affected::Lists(vec!["1".into()]),
                "gives one fingerprint to all" => event.fingerprint = [7; 32],
                "gives a new fingerprint every time" => event.fingerprint = [chance(); 32],
                _ => {}
            }
        }
        Ok(events)
    }

    fn answer(&self, intake: Intake) -> u16 {
        match (self.flaw.as_str(), intake) {
            ("answers 200 when nothing was kept", _) => 200,
            ("answers 500 when all was kept", Intake::Stored) => 500,
            _ => self.right.answer(intake),
        }
    }
}

impl Flawed {
    /// Whether a webhook at that URL is registered, whatever its secret.
    async fn hooks_at(&self, out: &dyn Gateway, wanted: &HookSpec) -> Result<bool, ProviderError> {
        Ok(self.registered(out).await?.contains(&wanted.url))
    }

    async fn any_hook(&self, out: &dyn Gateway) -> Result<bool, ProviderError> {
        Ok(!self.registered(out).await?.is_empty())
    }

    async fn registered(&self, out: &dyn Gateway) -> Result<Vec<String>, ProviderError> {
        let headers = vec![("authorization", SecretString::from(format!("Bearer {}", crate::emulator::KEY)))];
        let (route, path) = ("/hooks", "/hooks".into());
        let method = Method::Get;
        let request = Request { method, route, path, headers, body: None, family: "all", repeat: Repeat::Safe };
        let answer: Value = serde_json::from_slice(&out.send(request).await?.body).unwrap_or_default();
        let hooks = answer.get("hooks").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(hooks.iter().filter_map(|hook| hook.get("url")?.as_str().map(str::to_owned)).collect())
    }
}
