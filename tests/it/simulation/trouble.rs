//! What goes wrong at providers, on the way to them, and with the clock.

use super::cover::count;
use super::life::Life;
use consentd::clock::{Clock, DAY, HOUR, MINUTE, SECOND};
use consentd_provider::emulator::{CourierFaults, Fault, FaultRule, Happening};
use secrecy::SecretString;
use std::collections::BTreeMap;

impl Life {
    /// Something happens at the provider without our doing.
    pub fn happens(&mut self, house: usize, which: usize, person: &str) {
        let account = &self.houses[house].accounts[which];
        let list = account.connection.list.clone();
        let now = self.world.clock.now();
        // Campaigns reach who is on the list; the others are a matter of the provider's console.
        let mailed = account.mailable(now);
        let person = if !mailed.is_empty() && self.dice.chance(60) { self.dice.pick(&mailed).as_str() } else { person };
        let stranger = format!("stranger{}@example.net", now / MINUTE);
        let (word, whom, what) = match self.dice.below(14) {
            0..=4 => ("Unsubscribes(list)", person, Happening::Unsubscribes(Some(list))),
            5 => ("Unsubscribes(all)", person, Happening::Unsubscribes(None)),
            6 => ("Complains", person, Happening::Complains),
            7 => ("HardBounces", person, Happening::HardBounces),
            8 => ("SoftBounces", person, Happening::SoftBounces),
            9 => ("Blocked", person, Happening::Blocked),
            10 => ("UnsubscribedByStaff", person, Happening::UnsubscribedByStaff(list)),
            11 => ("HostileImport", person, Happening::HostileImport(list)),
            12 => ("HostileImport of a stranger", &*stranger, Happening::HostileImport(list)),
            _ => ("Deleted", person, Happening::Deleted),
        };
        let happened = account.provider().happen(now, whom, &what);
        if happened {
            count(word);
            if matches!(what, Happening::HostileImport(_)) {
                self.oracle.imported(account, whom);
            } else if !matches!(what, Happening::SoftBounces) {
                self.ledger.disturbed(self.houses[house].tenant.id, whom);
            }
        }
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {whom} {what:?} {happened}"));
    }

    /// The provider's answers go wrong, for some calls or until somebody mends them.
    pub async fn breaks(&mut self, house: usize, which: usize) {
        let (word, fault) = match self.dice.below(16) {
            0 => ("Refuse", Fault::Refuse),
            1 => ("Reset", Fault::Reset),
            2 => ("Hang", Fault::Hang),
            3 => ("ApplyThenHang", Fault::ApplyThenHang),
            4..=5 => {
                let after = SECOND * i64::try_from(self.dice.below(601)).unwrap();
                ("HangThenApply", Fault::HangThenApply(after))
            }
            6 => ("Throttle", Fault::Throttle(vec![])),
            7 => ("ThrottleHtml", Fault::ThrottleHtml),
            8 => ("Status", Fault::Status(*self.dice.pick(&[500, 502, 503]))),
            9 => ("ApplyThenStatus", Fault::ApplyThenStatus(500)),
            10 => ("Html", Fault::Html),
            11 => ("TruncatedJson", Fault::TruncatedJson),
            12 => ("Unauthorised", Fault::Unauthorised),
            13 => return self.is_down_for_a_day(house, which).await,
            _ => return self.loses_its_credentials(house, which).await,
        };
        count(word);
        let matching = (*self.dice.pick(&["", "GET /", "POST /", "PUT /", "DELETE /"])).to_owned();
        let times = *self.dice.pick(&[1, 2, 5, u32::MAX]);
        let slug = self.houses[house].accounts[which].connection.slug.clone();
        self.note(&format!("at {slug}: {fault:?} for {times} calls of {matching:?}"));
        self.fault(house, which, FaultRule { matching, times, fault });
    }

    fn fault(&mut self, house: usize, which: usize, rule: FaultRule) {
        let account = &self.houses[house].accounts[which];
        self.oracle.broke(account, &rule.fault);
        account.provider().fault(rule);
    }

    async fn is_down_for_a_day(&mut self, house: usize, which: usize) {
        count("down for a day");
        let fault = self.dice.pick(&[Fault::Refuse, Fault::Hang, Fault::Status(503)]).clone();
        let slug = self.houses[house].accounts[which].connection.slug.clone();
        self.note(&format!("at {slug}: {fault:?} for a day"));
        self.fault(house, which, FaultRule { matching: String::new(), times: u32::MAX, fault });
        self.let_pass(DAY).await;
        self.mends(house, which);
    }

    /// The credentials are revoked; some time later new ones are entered.
    async fn loses_its_credentials(&mut self, house: usize, which: usize) {
        count("credentials revoked");
        let rule = FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Unauthorised };
        let slug = self.houses[house].accounts[which].connection.slug.clone();
        self.note(&format!("at {slug}: the credentials are revoked"));
        self.fault(house, which, rule);
        let wait = *self.dice.pick(&[MINUTE, HOUR, 12 * HOUR]);
        self.let_pass(wait).await;
        self.mends(house, which);
        let own = &self.houses[house];
        let account = &own.accounts[which];
        let connection = self.world.core.store.connection(account.connection.id).await.unwrap().unwrap();
        let names = self.world.core.descriptor(&connection.provider).unwrap().credentials;
        let secret = |name: &str| SecretString::from(format!("{name}-of-{}", connection.slug));
        let credentials: BTreeMap<_, _> = names.iter().map(|spec| (spec.name.to_owned(), secret(spec.name))).collect();
        self.world.core.set_credentials(&connection, &own.key, &credentials).await.unwrap();
        count("credentials replaced");
        self.note(&format!("at {slug}: the credentials are replaced"));
    }

    pub fn mends(&mut self, house: usize, which: usize) {
        let account = &self.houses[house].accounts[which];
        account.provider().heal();
        self.oracle.healed(account);
        count("healed");
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: healed"));
    }

    /// Webhooks are disturbed on their way.
    pub fn disturbs(&mut self, house: usize, which: usize) {
        let faults = CourierFaults {
            duplicate: self.dice.chance(50),
            reorder: self.dice.chance(50),
            delay: *self.dice.pick(&[0, MINUTE, HOUR, 26 * HOUR]),
            drop: u32::from(self.dice.chance(20)),
        };
        let happens = [
            (faults.duplicate, "webhook duplicated"),
            (faults.reorder, "webhook reordered"),
            (faults.delay > 0, "webhook delayed"),
            (faults.drop > 0, "webhook dropped"),
        ];
        for (_, word) in happens.into_iter().filter(|(does, _)| *does) {
            count(word);
        }
        let account = &self.houses[house].accounts[which];
        account.provider().disturb(faults);
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {faults:?}"));
    }

    /// Behaviour that the contract sheets leave open changes: bulk jobs do half of what they say, lie, hang or fail.
    pub fn switches(&mut self, house: usize, which: usize) {
        let account = &self.houses[house].accounts[which];
        let choices: &[(&str, &str, &str)] = match account.connection.provider.as_str() {
            "mailjet" => &[
                ("job ok", "jobs", "ok"),
                ("job silent", "jobs", "silent"),
                ("job stuck", "jobs", "stuck"),
                ("job error", "jobs", "error"),
                ("bad rows said to be done", "bad_row", "completed"),
            ],
            _ => &[
                ("job ok", "import_result", "ok"),
                ("import lies", "import_result", "lies"),
                ("import fails", "import_result", "fails"),
            ],
        };
        let (word, name, value) = *self.dice.pick(choices);
        count(word);
        account.provider().set(name, value).unwrap();
        self.oracle.switched(account, value == "ok");
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {name} = {value}"));
    }

    pub fn honest_again(&mut self) {
        for account in self.houses.iter().flat_map(|house| &house.accounts) {
            let name = if account.connection.provider == "mailjet" { "jobs" } else { "import_result" };
            account.provider().set(name, "ok").unwrap();
        }
    }

    pub fn clock_jumps(&mut self) {
        let (word, jump) = match self.dice.below(10) {
            0 => ("clock -2 d", -2 * DAY),
            1..=3 => ("clock -1 h", -HOUR),
            4..=8 => ("clock +1 h", HOUR),
            _ => ("clock +400 d", 400 * DAY),
        };
        count(word);
        self.note(word);
        self.world.clock.advance(jump);
        self.oracle.jumped(jump);
        if jump < 0 {
            self.ledger.clock_put_back();
        }
    }
}
