//! One life: what people, staff, providers and the network do, tick by tick.

use super::cover::count;
use super::daemon::Daemon;
use super::dice::Dice;
use super::oracle::{Ledger, Oracle};
use super::sabotage::Sabotage;
use crate::world::{Account, Engine, World};
use consentd::clock::{Clock, DAY, HOUR, MINUTE, SECOND, Timestamp};
use consentd::service::steer::ConnectionChange;
use consentd::store::{RunState, Tenant, TenantKey};
use consentd_provider::emulator::CourierFaults;
use std::collections::BTreeMap;
use std::fmt::Write;

/// People a tenant begins with.
const PEOPLE: usize = 8;
/// Things that happen in a life.
const TICKS: usize = 60;
/// The step with which the daemon looks around after it has found nothing to do; it grows.
const STRIDE: Timestamp = 5 * SECOND;

/// A tenant with its connections and people.
pub struct House {
    pub tenant: Tenant,
    pub key: TenantKey,
    pub accounts: Vec<Account>,
    pub people: Vec<String>,
    /// The links that people were asked with.
    pub asked: BTreeMap<String, String>,
}

/// Rounds of work after which there must be nothing to do for the moment.
const ROUNDS: usize = 400;

pub struct Life {
    pub world: World,
    pub houses: Vec<House>,
    pub seed: u64,
    pub dice: Dice,
    pub oracle: Oracle,
    pub ledger: Ledger,
    pub trace: String,
    pub sabotage: Sabotage,
    daemon: Option<Daemon>,
    /// The story is told as it happens.
    told: bool,
    pauses: &'static [Timestamp],
}

impl Life {
    pub async fn new(engine: Engine, seed: u64, sabotage: Sabotage) -> Self {
        let dice = Dice::new(seed);
        let world = World::seeded(engine, seed).await;
        if dice.chance(20) {
            // The evening before a clock change in Berlin: 28 March and 31 October 2027.
            count("daylight saving");
            let evening = *dice.pick(&[1_806_181_200, 1_824_930_000]) * SECOND;
            world.clock.advance(evening - world.clock.now());
        }
        let (pace, pauses): (_, &[Timestamp]) = match dice.below(3) {
            0 => ("hours", &[SECOND, 20 * SECOND, MINUTE, 5 * MINUTE, 20 * MINUTE]),
            1 => ("days", &[SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR]),
            _ => ("weeks", &[MINUTE, 10 * MINUTE, HOUR, 8 * HOUR, 30 * HOUR]),
        };
        count(pace);
        let mut life = Self {
            world,
            houses: Vec::new(),
            seed,
            dice,
            oracle: Oracle::default(),
            ledger: Ledger::default(),
            trace: String::new(),
            sabotage,
            daemon: None,
            told: std::env::var_os("SIMULATION_SEED").is_some(),
            pauses,
        };
        let both = life.dice.chance(50);
        life.settle_in("pool", both).await;
        if life.dice.chance(25) {
            count("two tenants");
            life.settle_in("salon", false).await;
        }
        let daemon = life.start().await;
        life.daemon = Some(daemon);
        life
    }

    /// A tenant moves in.
    async fn settle_in(&mut self, slug: &str, both: bool) {
        let (tenant, key) = self.world.tenant(slug).await;
        let providers = consentd::registry::providers();
        let wanted = if both { providers.to_vec() } else { vec![*self.dice.pick(providers)] };
        if both {
            count("both providers");
        }
        let mut accounts = Vec::new();
        for descriptor in wanted {
            let account = self.world.connect(&tenant, descriptor.id, descriptor.id).await;
            let cron = (*self.dice.pick(&["", "30 2 * * *", "0 */6 * * *"])).to_owned();
            let change = ConnectionChange { cron: Some(cron), ..ConnectionChange::default() };
            self.world.core.change_connection(&account.connection, &key, change).await.unwrap();
            self.ledger.knows(&account);
            accounts.push(account);
        }
        self.houses.push(House { tenant, key, accounts, people: Vec::new(), asked: BTreeMap::new() });
        for _ in 0..PEOPLE {
            self.newcomer(self.houses.len() - 1).await;
        }
    }

    /// Lives it, lets it come to rest, and checks what must hold. Returns everything that happened.
    pub async fn live(mut self) -> String {
        for _ in 0..TICKS {
            self.tick().await;
            let pause = *self.dice.pick(self.pauses);
            self.let_pass(pause).await;
        }
        self.recover().await;
        self.sabotage.before_the_end(&self).await;
        for house in &self.houses {
            self.oracle.at_rest(&self.world, house, &self.ledger).await;
        }
        self.oracle.everything_was_read(&self.world).await;
        self.daemon.take().unwrap().end().await;
        for house in &self.houses {
            let head = self.world.core.store.head(house.tenant.id).await.unwrap();
            writeln!(self.trace, "head {} {:02x?}", head.seq, head.hash).unwrap();
            for account in &house.accounts {
                for entry in account.provider().log() {
                    writeln!(self.trace, "{} {} {}", entry.at, entry.what, entry.status).unwrap();
                }
            }
        }
        self.world.end().await;
        self.trace
    }

    /// Everything is healed, and as much time passes as the slowest thing needs.
    async fn recover(&mut self) {
        for house in &self.houses {
            for account in &house.accounts {
                account.provider().heal();
                account.provider().disturb(CourierFaults::default());
                self.oracle.healed(account);
            }
        }
        self.honest_again();
        self.resume_all().await;
        // What is delayed longest (webhooks by 26 hours) arrives, and a walk begins after that.
        self.let_pass(27 * HOUR + DAY).await;
        // A connection may still wait for its first confirmation, and the first walk after it may find something.
        for _ in 0..2 {
            self.ask_for_runs().await;
            self.let_pass(HOUR).await;
            self.confirm_all().await;
            self.let_pass(DAY).await;
        }
    }

    async fn ask_for_runs(&mut self) {
        for house in &self.houses {
            for account in &house.accounts {
                let connection = self.world.core.store.connection(account.connection.id).await.unwrap().unwrap();
                self.world.core.request_run(&connection, "operator", false).await.unwrap();
            }
        }
    }

    /// Lets time pass with the daemon at work, and looks at the truth in between.
    pub async fn let_pass(&mut self, time: Timestamp) {
        let end = self.world.clock.now() + time;
        let mut stride = STRIDE;
        loop {
            if self.work().await {
                stride = STRIDE;
            }
            self.sabotage.in_between(self);
            self.oracle.look(&self.world, &self.houses).await;
            let left = end - self.world.clock.now();
            if left <= 0 {
                return;
            }
            self.world.clock.advance(left.min(stride));
            stride = (4 * stride).min(HOUR);
        }
    }

    /// The daemon does what is due; sometimes it dies over it, and another takes over. True when something was done.
    async fn work(&mut self) -> bool {
        if self.dice.chance(2) {
            self.world.fuse.cut(i64::try_from(self.dice.below(120)).unwrap());
        }
        let mut worked = false;
        let mut rounds = 0;
        for round in 0..ROUNDS {
            rounds += 1;
            let Some(daemon) = &mut self.daemon else { break };
            let (world, ledger) = (&self.world, &mut self.ledger);
            let one = async {
                if round == 0 {
                    daemon.beat(world).await;
                }
                daemon.round(world, ledger).await
            };
            match self.world.fuse.survive(Box::pin(one)).await {
                Some(true) => worked = true,
                Some(false) => break,
                None => {
                    count("death");
                    self.note("the daemon dies");
                    self.restart().await;
                }
            }
        }
        self.world.fuse.cut(i64::MAX);
        // Whoever never rests calls a provider again and again.
        assert!(rounds < ROUNDS, "the daemon finds something to do {ROUNDS} times in a row");
        worked
    }

    async fn start(&self) -> Daemon {
        Daemon::start(&self.world, self.sabotage == Sabotage::DeliveryDropped).await
    }

    async fn restart(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.end().await;
        }
        self.world.fuse.renew();
        let daemon = self.start().await;
        self.daemon = Some(daemon);
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("a daemon")
    }

    pub fn note(&mut self, what: &str) {
        let now = self.world.clock.now();
        if self.told {
            eprintln!("{now} {what}");
        }
        writeln!(self.trace, "{now} {what}").unwrap();
    }

    pub async fn confirm_all(&mut self) {
        for house in &self.houses {
            for account in &house.accounts {
                let open = self.world.core.store.open_run(house.tenant.id, account.connection.id).await.unwrap();
                if open.is_some_and(|run| run.state == RunState::AwaitingConfirmation) {
                    let connection = self.world.core.store.connection(account.connection.id).await.unwrap().unwrap();
                    self.world.core.confirm_run(&connection, "office").await.unwrap();
                    count("run confirmed");
                }
            }
        }
    }

    async fn tick(&mut self) {
        let house = self.dice.below(self.houses.len());
        let person = self.dice.pick(&self.houses[house].people).clone();
        let which = self.dice.below(self.houses[house].accounts.len());
        match self.dice.below(100) {
            0..=23 => self.says_yes(house, &person).await,
            24..=29 => self.says_no(house, &person).await,
            30..=36 => self.staff_acts(house, &person).await,
            37..=51 => self.happens(house, which, &person),
            52..=62 => self.breaks(house, which).await,
            63..=68 => self.mends(house, which),
            69..=73 => self.disturbs(house, which),
            74..=80 => self.steers(house, which).await,
            81..=85 => self.confirm_all().await,
            86..=88 => self.newcomer(house).await,
            89..=92 => self.records_change(house, &person).await,
            93..=95 => self.clock_jumps(),
            _ => self.switches(house, which),
        }
    }
}
