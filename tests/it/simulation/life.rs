//! One life: what people, staff, providers and the network do, tick by tick.

use super::dice::Dice;
use super::oracle::Oracle;
use crate::world::{Account, Engine, World};
use consentd::clock::{Clock, DAY, HOUR, MINUTE, SECOND, Timestamp};
use consentd::domain::consent::State;
use consentd::store::{ConnectionState, RunState, Tenant, TenantKey};
use consentd_provider::EmailAddress;
use consentd_provider::emulator::{CourierFaults, Fault, FaultRule, Happening};
use std::fmt::Write;

/// People a life begins with, and the most there will be.
const PEOPLE: (usize, usize) = (12, 30);
/// Things that happen.
const TICKS: usize = 110;

pub struct Life {
    pub world: World,
    pub tenant: Tenant,
    pub key: TenantKey,
    pub accounts: Vec<Account>,
    pub people: Vec<String>,
    seed: u64,
    dice: Dice,
    oracle: Oracle,
    trace: String,
}

impl Life {
    pub async fn new(engine: Engine, seed: u64) -> Self {
        let world = World::seeded(engine, seed).await;
        let (tenant, key) = world.tenant("pool").await;
        let mut accounts = Vec::new();
        for descriptor in consentd::registry::providers() {
            accounts.push(world.connect(&tenant, descriptor.id, descriptor.id).await);
        }
        let oracle = Oracle::new(accounts.len());
        let dice = Dice::new(seed);
        let mut life =
            Self { world, tenant, key, accounts, people: Vec::new(), seed, dice, oracle, trace: String::new() };
        for _ in 0..PEOPLE.0 {
            life.newcomer().await;
        }
        life
    }

    /// Lives it, lets it come to rest, and checks what must hold. Returns everything that happened.
    pub async fn live(mut self) -> String {
        for _ in 0..TICKS {
            self.tick().await;
            let pause = *self.dice.pick(&[SECOND, 20 * SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR]);
            self.let_pass(pause).await;
        }
        for account in &self.accounts {
            account.provider().heal();
            account.provider().disturb(CourierFaults::default());
            self.oracle.healed(&account.connection.slug);
        }
        // What is delayed longest (webhooks by 26 hours) has arrived, and a walk has begun after that.
        self.let_pass(4 * DAY).await;
        // A connection may still wait for its first confirmation.
        for which in 0..self.accounts.len() {
            let slug = self.accounts[which].connection.slug.clone();
            let connection = self.world.core.find_connection(&self.tenant, &slug).await.unwrap();
            self.world.core.request_run(&connection, "operator", false).await.unwrap();
        }
        self.world.settle().await;
        self.confirm_all().await;
        self.world.settle().await;
        if std::env::var_os("SIMULATION_SEED").is_some() {
            eprintln!("{}", self.trace);
        }
        self.oracle.at_rest(&self.world, &self.accounts, self.seed).await;
        let head = self.world.core.store.head(self.tenant.id).await.unwrap();
        writeln!(self.trace, "head {} {:02x?}", head.seq, head.hash).unwrap();
        for account in &self.accounts {
            for entry in account.provider().log() {
                writeln!(self.trace, "{} {} {}", entry.at, entry.what, entry.status).unwrap();
            }
        }
        self.world.end().await;
        self.trace
    }

    /// Lets time pass in strides, with the daemon at work, and looks at the truth after each.
    async fn let_pass(&mut self, time: Timestamp) {
        let end = self.world.clock.now() + time;
        loop {
            self.work().await;
            self.oracle.look(&self.world, &self.accounts, self.seed).await;
            let left = end - self.world.clock.now();
            if left <= 0 {
                return;
            }
            self.world.clock.advance(left.min((time / 3).max(MINUTE)));
        }
    }

    /// The daemon does what is due; sometimes it dies over it, and another takes over.
    async fn work(&mut self) {
        if self.dice.chance(4) {
            self.world.fuse.cut(i64::try_from(self.dice.below(120)).unwrap());
        }
        for _ in 0..400 {
            match self.world.fuse.survive(self.world.step()).await {
                Some(true) => {}
                Some(false) => break,
                None => {
                    self.note("the daemon dies");
                    self.restart().await;
                }
            }
        }
        self.world.fuse.cut(i64::MAX);
    }

    async fn restart(&mut self) {
        for account in &self.accounts {
            self.world.adopt(account.connection.id).await.unwrap();
        }
    }

    fn note(&mut self, what: &str) {
        writeln!(self.trace, "{} {what}", self.world.clock.now()).unwrap();
    }

    async fn newcomer(&mut self) {
        let email = format!("person{}@example.org", self.people.len());
        self.world.customers(&self.tenant, &self.key, &[&email]).await;
        self.people.push(email);
    }

    async fn confirm_all(&mut self) {
        for account in &self.accounts {
            let open = self.world.core.store.open_run(self.tenant.id, account.connection.id).await.unwrap();
            if open.is_some_and(|run| run.state == RunState::AwaitingConfirmation) {
                let connection = self.world.core.find_connection(&self.tenant, &account.connection.slug).await.unwrap();
                self.world.core.confirm_run(&connection, "office").await.unwrap();
            }
        }
    }

    async fn tick(&mut self) {
        let person = self.dice.pick(&self.people).clone();
        let which = self.dice.below(self.accounts.len());
        match self.dice.below(100) {
            0..=27 => self.says_yes(&person).await,
            28..=33 => self.says_no(&person).await,
            34..=35 => self.moves(&person).await,
            36..=38 => self.office_withdraws(&person).await,
            39..=54 => self.happens(which, &person),
            55..=66 => self.breaks(which),
            67..=72 => self.mends(which),
            73..=76 => self.disturbs(which),
            77..=84 => self.asks_for_a_run(which).await,
            85..=90 => self.confirm_all().await,
            91..=93 if self.people.len() < PEOPLE.1 => self.newcomer().await,
            94..=95 => self.leaves_the_crm(&person).await,
            96..=97 => {
                self.note("the clock jumps");
                let jump = *self.dice.pick(&[-HOUR, -5 * MINUTE, HOUR, 30 * HOUR]);
                self.world.clock.advance(jump);
                self.oracle.jumped(jump);
            }
            _ => self.switches(which),
        }
    }

    async fn says_yes(&mut self, person: &str) {
        let known = self.world.has_link(person);
        self.note(&format!("{person} says yes"));
        if known {
            self.world.try_yes(person).await;
        } else if self.world.state(&self.accounts[0], person).await == State::NotAsked {
            self.world.accept(&self.tenant, &self.key, &[person]).await;
        }
    }

    async fn says_no(&mut self, person: &str) {
        self.note(&format!("{person} says no"));
        self.world.withdraw_by_link(&self.tenant, &self.key, person).await;
    }

    async fn office_withdraws(&mut self, person: &str) {
        self.note(&format!("the office withdraws {person}"));
        let email = EmailAddress::parse(person).unwrap();
        let address = self.world.core.find_address(&self.tenant, &self.key, &email).await.unwrap();
        self.world.core.withdraw(&self.tenant, &self.key, &address, None, "office", "asked by phone").await.unwrap();
    }

    fn happens(&mut self, which: usize, person: &str) {
        let account = &self.accounts[which];
        let list = account.connection.list.clone();
        let what = match self.dice.below(12) {
            0..=4 => Happening::Unsubscribes(Some(list)),
            5 => Happening::Unsubscribes(None),
            6 => Happening::Complains,
            7 => Happening::HardBounces,
            8 => Happening::SoftBounces,
            9 => Happening::UnsubscribedByStaff(list),
            10 => Happening::HostileImport(list),
            _ => Happening::Deleted,
        };
        let now = self.world.clock.now();
        let happened = account.provider().happen(now, person, &what);
        if happened && matches!(what, Happening::HostileImport(_)) {
            self.oracle.imported(&account.connection.slug, person);
        }
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {person} {what:?} {happened}"));
    }

    fn breaks(&mut self, which: usize) {
        let fault = match self.dice.below(12) {
            0 => Fault::Refuse,
            1 => Fault::Reset,
            2 => Fault::Hang,
            3 => Fault::ApplyThenHang,
            4 => Fault::HangThenApply(MINUTE * (1 + i64::try_from(self.dice.below(10)).unwrap())),
            5 => Fault::Throttle(vec![]),
            6 => Fault::ThrottleHtml,
            7 => Fault::Status(*self.dice.pick(&[500, 502, 503])),
            8 => Fault::ApplyThenStatus(500),
            9 => Fault::Html,
            10 => Fault::TruncatedJson,
            _ => Fault::Unauthorised,
        };
        let matching = (*self.dice.pick(&["", "GET /", "POST /", "PUT /", "DELETE /"])).to_owned();
        let times = *self.dice.pick(&[1, 2, 5, u32::MAX]);
        let account = &self.accounts[which];
        let slug = account.connection.slug.clone();
        account.provider().fault(FaultRule { matching: matching.clone(), times, fault: fault.clone() });
        self.oracle.broke(&slug, &fault);
        self.note(&format!("at {slug}: {fault:?} for {times} calls of {matching:?}"));
    }

    fn mends(&mut self, which: usize) {
        let account = &self.accounts[which];
        account.provider().heal();
        self.oracle.healed(&account.connection.slug);
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: healed"));
    }

    fn disturbs(&mut self, which: usize) {
        let faults = CourierFaults {
            duplicate: self.dice.chance(50),
            reorder: self.dice.chance(50),
            delay: *self.dice.pick(&[0, MINUTE, HOUR, 26 * HOUR]),
            drop: u32::from(self.dice.chance(20)),
        };
        let account = &self.accounts[which];
        account.provider().disturb(faults);
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {faults:?}"));
    }

    async fn asks_for_a_run(&mut self, which: usize) {
        let slug = self.accounts[which].connection.slug.clone();
        self.note(&format!("at {slug}: a run"));
        let connection = self.world.core.find_connection(&self.tenant, &slug).await.unwrap();
        if connection.state != ConnectionState::Suspended {
            let dry = self.dice.chance(10);
            self.world.core.request_run(&connection, "operator", dry).await.unwrap();
        }
    }

    async fn leaves_the_crm(&mut self, person: &str) {
        self.note(&format!("{person} goes into the bin"));
        self.world.bin(&self.tenant, &self.key, &[person]).await;
    }

    async fn moves(&mut self, person: &str) {
        let town = *self.dice.pick(&["Kiel", "Husum", "Plön"]);
        self.note(&format!("{person} moves to {town}"));
        self.world.moves(&self.tenant, &self.key, person, town).await;
    }

    /// Behaviour that the contract sheets leave open changes.
    fn switches(&mut self, which: usize) {
        let account = &self.accounts[which];
        let (name, values) = match account.connection.provider.as_str() {
            "mailjet" => ("jobs", ["ok", "silent", "error"]),
            _ => ("import_result", ["ok", "lies", "fails"]),
        };
        let value = *self.dice.pick(&values);
        account.provider().set(name, value).unwrap();
        self.oracle.switched(&account.connection.slug, value == "ok");
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {name} = {value}"));
    }
}
