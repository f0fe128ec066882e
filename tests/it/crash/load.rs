//! Everybody at once: people who answer and leave, providers that report and repeat, staff at the command line. Each says
//! a thing once, under a name of its own, and repeats it as such senders do.

use crate::crash::house::{House, Shop, TENANT, facts, records};
use crate::crash::oracle::{Breach, Name, Oracle};
use consentd::clock::{Clock, SECOND, SystemClock};
use consentd::domain::consent::{AskBasis, Kind};
use consentd::random::{SeededRandom, below};
use consentd_provider::EmailAddress;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Somebody who was asked and has not answered.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) email: String,
    /// The paths of the links that ask, and that only unsubscribe.
    pub(super) ask: String,
    pub(super) leave: Option<String>,
}

/// Something to say to the program, and what it says.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) says: Vec<Name>,
    pub(super) way: Way,
    /// Who says yes by it.
    pub(super) accepts: Option<Person>,
}

#[derive(Clone)]
pub(super) enum Way {
    /// A webhook of the provider with that number.
    Hook(usize, String),
    /// A form that somebody sends from a page.
    Page(String, &'static str),
    /// Something that happens at the provider with that number, which tells us by itself.
    Happens(usize),
    /// A file of staff.
    Import(PathBuf),
}

/// What came of an order.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Acknowledged,
    /// Nobody knows whether it came about.
    Unknown,
    /// It cannot come about.
    Impossible,
}

/// The senders' common state.
pub struct Load {
    pub house: House,
    pub oracle: Mutex<Oracle>,
    dice: SeededRandom,
    /// Who was asked, and whose turn to answer has not come.
    asked: Mutex<Vec<Person>>,
    pub(super) fresh: Mutex<Vec<Person>>,
    pub(super) accepted: Mutex<Vec<Person>>,
    pub(super) again: Mutex<Vec<Order>>,
    done: Mutex<Vec<Order>>,
    /// Answers that must not be.
    wrong: Mutex<Vec<String>>,
    pub(super) numbers: AtomicUsize,
    pub sent: AtomicUsize,
}

/// Orders that were acknowledged and may be repeated at any time.
const REMEMBERED: usize = 100;

impl Load {
    /// With so many people in the records, all of them asked.
    pub async fn new(house: House, people: usize, seed: u64) -> Arc<Self> {
        let email = |number: usize| format!("person{number}@example.org");
        let file = house.path("people.csv");
        records(&file, (0..people).map(|number| (number, email(number))));
        house.run(&["import", "run", file.to_str().unwrap()]);
        let core = house.core().await;
        let (tenant, key) = core.tenant(TENANT).await.unwrap();
        let purpose = core.purpose(&tenant, None).await.unwrap();
        let path = |link: &str| format!("/{}", link.splitn(4, '/').nth(3).unwrap());
        let (mut asked, mut oracle) = (Vec::new(), Oracle::default());
        let numbers: Vec<usize> = (0..people).collect();
        for chunk in numbers.chunks(250) {
            let mut addresses = Vec::new();
            for number in chunk {
                let email = EmailAddress::parse(&email(*number)).unwrap();
                addresses.push(core.find_address(&tenant, &key, &email).await.unwrap());
            }
            let basis = AskBasis::ExistingCustomer;
            let asks = core.request_consent(&tenant, &key, &purpose, &addresses, &basis, "mia").await.unwrap();
            let mut tx = core.store.begin().await.unwrap();
            for (address, ask) in addresses.iter().zip(asks) {
                let leave = core.unsubscribe_link(&mut tx, &tenant, address, &purpose).await.unwrap();
                let email = address.email.as_str().to_owned();
                for kind in [Kind::Imported, Kind::RequestSent] {
                    oracle.claim(&(email.clone(), kind), None);
                    oracle.acknowledge(&(email.clone(), kind));
                }
                asked.push(Person { email, ask: path(&ask.unwrap()), leave: Some(path(&leave)) });
            }
            tx.commit().await.unwrap();
        }
        core.store.db.close().await;
        Arc::new(Self {
            house,
            oracle: Mutex::new(oracle),
            dice: SeededRandom::new(seed ^ 0x10AD),
            asked: Mutex::new(asked),
            fresh: Mutex::default(),
            accepted: Mutex::default(),
            again: Mutex::default(),
            done: Mutex::default(),
            wrong: Mutex::default(),
            numbers: AtomicUsize::new(people),
            sent: AtomicUsize::new(0),
        })
    }

    /// Sends one order after the other while a daemon is there, until nobody tells any more.
    pub async fn people_and_providers(self: Arc<Self>, mut there: watch::Receiver<bool>) {
        while there.wait_for(|there| *there).await.is_ok() {
            let order = self.next();
            self.submit(order).await;
        }
    }

    /// Repeats what was not acknowledged until it is, as providers and people do.
    pub async fn finish(&self) {
        for _ in 0..200 {
            let rest: Vec<Order> = std::mem::take(&mut *self.again.lock().unwrap());
            if rest.is_empty() {
                break;
            }
            for order in rest {
                self.submit(order).await;
            }
        }
        assert_eq!(self.again.lock().unwrap().len(), 0, "some were never acknowledged");
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "answers that must not be: {wrong:?}");
    }

    /// So many more may answer.
    pub fn turn(&self, people: usize) {
        let mut asked = self.asked.lock().unwrap();
        let rest = asked.len().saturating_sub(people);
        self.fresh.lock().unwrap().extend(asked.drain(rest..));
    }

    /// Somebody new says yes.
    pub async fn newcomer(&self) -> (String, Answer) {
        let person = self.asked.lock().unwrap().pop().expect("somebody is left");
        (person.email.clone(), self.submit(Self::acceptance(person)).await)
    }

    /// Who said yes last unsubscribes with one click.
    pub async fn leaver(&self) -> (String, Answer) {
        let person = self.accepted.lock().unwrap().pop().expect("somebody accepted");
        let order = Self::click(&person);
        (person.email, self.submit(order).await)
    }

    /// A page that somebody looks at.
    pub fn page(&self) -> String {
        format!("{}{}", self.house.url, self.asked.lock().unwrap().last().expect("somebody is left").ask)
    }

    /// Providers report that people left.
    pub async fn reports(&self) -> Option<Answer> {
        let order = self.report()?;
        Some(self.submit(order).await)
    }

    /// A provider reports that a mail was opened, at length.
    pub async fn bulk(&self, number: usize) -> Answer {
        let event = json!({ "event": "opened", "email": "nobody@example.org", "ts_event": 1_700_000_000 + number, "link": "x".repeat(100_000) });
        let which = self.house.shops.iter().position(|shop| shop.provider == "brevo").unwrap();
        self.post(which, &event.to_string()).await
    }

    /// Everything that is not as it was promised, and whether something may still come.
    pub async fn breaches(&self) -> Vec<Breach> {
        let core = self.house.core().await;
        let (tenant, key) = core.tenant(TENANT).await.unwrap();
        let facts = facts(&core, &tenant, &key).await;
        core.store.db.close().await;
        let reached =
            [self.house.mailable(&self.house.shops[0]).await, self.house.mailable(&self.house.shops[1]).await];
        let oracle = self.oracle.lock().unwrap();
        let mut breaches = oracle.judge(&facts);
        for mailable in &reached {
            breaches.extend(oracle.judge_mailing(&facts, mailable));
        }
        breaches
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(below(&self.dice, bound as u64)).unwrap()
    }

    pub(super) fn take<T>(&self, from: &Mutex<Vec<T>>) -> Option<T> {
        let mut from = from.lock().unwrap();
        let length = from.len();
        (length > 0).then(|| from.swap_remove(self.below(length)))
    }

    fn next(&self) -> Order {
        let order = match self.below(1_000) {
            0..25 => self.take(&self.fresh).map(Self::acceptance),
            25..30 => self.take(&self.fresh).map(|person| Order {
                says: vec![(person.email, Kind::Refused)],
                way: Way::Page(person.ask, "decision=refuse"),
                accepts: None,
            }),
            30..40 => self.take(&self.accepted).map(|person| self.leave_by_page(person)),
            40..55 => self.report(),
            55..60 => self.take(&self.accepted).map(|person| Order {
                says: vec![(person.email, Kind::ProviderUnsubscribed)],
                way: Way::Happens(self.below(2)),
                accepts: None,
            }),
            60..260 => self.take(&self.again),
            _ => None,
        };
        let repeated = || {
            let done = self.done.lock().unwrap();
            (!done.is_empty()).then(|| done[self.below(done.len())].clone())
        };
        // Nothing new to say: a webhook or a click comes again, or somebody looks at a page.
        let look = || Order { says: vec![], way: Way::Page("/c/nobody".into(), ""), accepts: None };
        order.or_else(repeated).unwrap_or_else(look)
    }

    fn acceptance(person: Person) -> Order {
        let says = vec![(person.email.clone(), Kind::Accepted)];
        Order { says, way: Way::Page(person.ask.clone(), "decision=accept"), accepts: Some(person) }
    }

    fn click(person: &Person) -> Order {
        let path = person.leave.clone().unwrap_or_else(|| person.ask.clone());
        let way = Way::Page(path, "List-Unsubscribe=One-Click");
        Order { says: vec![(person.email.clone(), Kind::Withdrawn)], way, accepts: None }
    }

    fn leave_by_page(&self, person: Person) -> Order {
        if self.below(2) == 0 {
            return Self::click(&person);
        }
        let way = Way::Page(person.ask, "decision=refuse");
        Order { says: vec![(person.email, Kind::Withdrawn)], way, accepts: None }
    }

    /// One event or an array of several, some of them twice.
    fn report(&self) -> Option<Order> {
        let which = self.below(2);
        let people: Vec<Person> = (0..=self.below(4)).filter_map(|_| self.take(&self.accepted)).collect();
        let kinds = [Kind::ProviderUnsubscribed, Kind::Complained, Kind::HardBounced];
        let says: Vec<Name> = people.into_iter().map(|person| (person.email, kinds[self.below(3)])).collect();
        let mut events = Vec::new();
        for name in &says {
            let number = self.numbers.fetch_add(1, Ordering::SeqCst) + 1_000_000;
            self.oracle.lock().unwrap().claim(name, Some(&number.to_string()));
            events.push(event(&self.house.shops[which], name, number));
        }
        if self.below(3) == 0 {
            events.extend(events.first().cloned());
        }
        let body = if events.len() == 1 { events.pop()? } else { Value::Array(events) };
        (!says.is_empty()).then(|| Order { says, way: Way::Hook(which, body.to_string()), accepts: None })
    }

    async fn submit(&self, order: Order) -> Answer {
        for name in &order.says {
            self.oracle.lock().unwrap().claim(name, None);
        }
        let answer = match &order.way {
            Way::Hook(which, body) => self.post(*which, body).await,
            Way::Page(path, form) => self.visit(path, form).await,
            Way::Happens(which) => self.happen(*which, &order.says[0].0).await,
            Way::Import(file) => self.import(file),
        };
        self.sent.fetch_add(1, Ordering::SeqCst);
        match answer {
            Answer::Acknowledged => {
                for name in &order.says {
                    self.oracle.lock().unwrap().acknowledge(name);
                }
                if let Some(person) = order.accepts {
                    self.accepted.lock().unwrap().push(person);
                } else if matches!(order.way, Way::Hook(..) | Way::Page(..)) && !order.says.is_empty() {
                    let mut done = self.done.lock().unwrap();
                    if done.len() >= REMEMBERED {
                        done.swap_remove(self.below(REMEMBERED));
                    }
                    done.push(order);
                }
            }
            // Most come again; a few people never learn what came of it.
            Answer::Unknown if self.below(10) > 0 => self.again.lock().unwrap().push(order),
            Answer::Unknown => {}
            Answer::Impossible => {
                order.says.iter().for_each(|name| self.oracle.lock().unwrap().retract(name));
            }
        }
        answer
    }

    async fn post(&self, which: usize, body: &str) -> Answer {
        let shop = &self.house.shops[which];
        let (url, secret) = &shop.hook;
        let post = self.house.http.post(url).body(body.to_owned());
        let post = if shop.provider == "brevo" { post.bearer_auth(secret) } else { post.basic_auth("x", Some(secret)) };
        match post.send().await.map(|answer| answer.status().as_u16()) {
            Ok(200..300) => Answer::Acknowledged,
            // I11: no other answer makes the provider come back; Mailjet does after any but 200.
            Ok(429) | Err(_) => Answer::Unknown,
            Ok(503) if shop.provider == "mailjet" => Answer::Unknown,
            Ok(other) => {
                self.wrong.lock().unwrap().push(format!("{other} to a webhook of {}", shop.provider));
                Answer::Unknown
            }
        }
    }

    async fn visit(&self, path: &str, form: &'static str) -> Answer {
        let url = format!("{}{path}", self.house.url);
        let post = self.house.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        match post.body(form).send().await.map(|answer| answer.status().as_u16()) {
            Ok(200) => Answer::Acknowledged,
            Ok(404) if form.is_empty() => Answer::Acknowledged,
            Ok(503) | Err(_) => Answer::Unknown,
            Ok(other) => {
                self.wrong.lock().unwrap().push(format!("{other} to {form}"));
                Answer::Unknown
            }
        }
    }

    /// The provider owes us the event from here on, and sends it until it is taken.
    async fn happen(&self, which: usize, email: &str) -> Answer {
        let shop = &self.house.shops[which];
        let order = json!({ "email": email, "what": "unsubscribes", "list": shop.list });
        let known = self.house.mailable(shop).await.contains(email);
        let happened = known && self.house.control(shop, "happen", &order).await.is_some();
        if happened { Answer::Acknowledged } else { Answer::Impossible }
    }
}

/// An event as the provider words it.
fn event(shop: &Shop, (email, kind): &Name, number: usize) -> Value {
    let now = SystemClock.now() / SECOND;
    if shop.provider == "brevo" {
        let name = match kind {
            Kind::ProviderUnsubscribed => "unsubscribe",
            Kind::Complained => "spam",
            _ => "hard_bounce",
        };
        return json!({ "event": name, "email": email, "ts_event": now, "ts_epoch": now * 1_000, "message-id": number.to_string() });
    }
    let name = match kind {
        Kind::ProviderUnsubscribed => "unsub",
        Kind::Complained => "spam",
        _ => "bounce",
    };
    json!({ "event": name, "email": email, "time": now, "MessageID": number, "hard_bounce": true, "error": "user unknown" })
}
