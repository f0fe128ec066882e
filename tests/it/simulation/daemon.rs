//! The daemon of a life: its web server, intake, inbox, connections, bells and alarms, one round at a time.
//!
//! It may die at any look at the clock, draw of chance or call to a provider. That is any await at which something
//! could be lost: a transaction that is torn off before its commit is as if it had never begun.

use super::cover::count;
use super::oracle::Ledger;
use crate::served::config;
use crate::world::World;
use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use consentd::clock::{Clock, HOUR, Timestamp};
use consentd::service::intake::Mailbag;
use consentd::service::signal::{Life as Signs, Wake};
use consentd::web::{State, router};
use consentd_provider::emulator::Outgoing;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Between two looks at late withdrawals, and at an inbox that nobody announced. Seldomer than the program looks, because
/// most of a life's time would go there.
const ALARMS: Timestamp = HOUR;
/// Between two looks at what expired; seldomer, too.
const EXPIRY: Timestamp = 6 * HOUR;
/// Deliveries read in one go.
const BATCH: i64 = 32;

pub struct Daemon {
    web: TowerToHyperService<Router>,
    sorter: JoinHandle<()>,
    alarms_at: Timestamp,
    expiry_at: Timestamp,
    /// When the last beat was; before the first, so late that the clock counts as put back.
    before: Timestamp,
    /// There may be something in the inbox.
    woken: bool,
    /// Answers deliveries and does not keep them.
    careless: bool,
    /// Tasks that there were before.
    others: usize,
}

impl Daemon {
    /// Starts one; what another was in the middle of is adopted.
    pub async fn start(world: &World, careless: bool) -> Self {
        let others = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let config = config("");
        let (bag, sorter) = Mailbag::new(world.core.clone(), config.webhooks.queue);
        let state = State::new(world.core.clone(), bag, Wake::default(), Signs::default(), &config, None);
        for connection in world.core.store.connections_everywhere().await.unwrap() {
            world.adopt(connection.id).await.unwrap();
        }
        let now = world.clock.now();
        Self {
            web: TowerToHyperService::new(router(state)),
            sorter: tokio::spawn(sorter.run()),
            alarms_at: now,
            expiry_at: now + EXPIRY,
            before: Timestamp::MAX,
            woken: true,
            careless,
            others,
        }
    }

    /// What the clock alone brings about: bells, alarms, expiry.
    pub async fn beat(&mut self, world: &World) {
        if world.core.ring().await.unwrap() > 0 {
            count("bell");
        }
        let now = world.clock.now();
        if now < self.before {
            world.core.shorten_waits().await.unwrap();
            (self.alarms_at, self.expiry_at) = (now, self.expiry_at.min(now + EXPIRY));
        }
        self.before = now;
        if now >= self.alarms_at {
            world.core.watch_withdrawals().await.unwrap();
            self.alarms_at = now + ALARMS;
            self.woken = true;
        }
        if now >= self.expiry_at {
            world.core.expire().await.unwrap();
            self.expiry_at = now + EXPIRY;
        }
    }

    /// One round: webhooks in, the inbox, every connection that has something due. True when something was done.
    pub async fn round(&mut self, world: &World, ledger: &mut Ledger) -> bool {
        let mut worked = self.take_in(world, ledger).await;
        self.woken |= worked;
        if self.woken {
            self.woken = world.core.sort_inbox(BATCH).await.unwrap() > 0;
            worked |= self.woken;
        }
        let now = world.clock.now();
        let walked_before = now - world.core.rules.walk_every;
        let due = world.core.store.working_connections(Uuid::nil(), now, walked_before).await.unwrap();
        for (connection, _, _) in due {
            worked |= world.work(connection).await.unwrap();
        }
        worked
    }

    /// Lets the providers deliver what is due.
    async fn take_in(&mut self, world: &World, ledger: &mut Ledger) -> bool {
        let mut carried = false;
        for provider in world.providers.all() {
            let due = provider.lock().unwrap().due(world.clock.now());
            for delivery in due {
                carried = true;
                let id = delivery.id;
                let status = if self.careless { StatusCode::OK } else { self.deliver(&delivery).await };
                world.fuse.check();
                provider.lock().unwrap().delivered(world.clock.now(), id, Some(status.as_u16()));
                if status == StatusCode::OK {
                    ledger.acknowledged(&delivery);
                }
            }
        }
        carried
    }

    async fn deliver(&self, delivery: &Outgoing) -> StatusCode {
        let (authority, path) = place(&delivery.url);
        let mut request = Request::post(path);
        let basic = authority.rsplit_once('@').map(|(pair, _)| {
            let pair = percent_encoding::percent_decode_str(pair).collect::<Vec<u8>>();
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let header = delivery.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(authorization) = basic.or_else(|| header.map(|(_, value)| value.clone())) {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.ask(request.body(Body::from(delivery.body.clone())).unwrap()).await
    }

    /// Posts a form of the recipients' pages.
    pub async fn post(&self, link: &str, form: &'static str) -> StatusCode {
        let (_, path) = place(link);
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(USER_AGENT, "Firefox")
            .body(Body::from(form));
        self.ask(request.unwrap()).await
    }

    async fn ask(&self, request: Request<Body>) -> StatusCode {
        self.web.call(request).await.unwrap_or_else(|never| match never {}).status()
    }

    /// The process is gone, and everything that ran in it.
    pub async fn end(self) {
        drop(self.web);
        self.sorter.abort();
        drop(self.sorter.await);
        // Whatever it had spawned ends too, before another daemon begins.
        let tasks = tokio::runtime::Handle::current().metrics();
        for _ in 0..1_000 {
            if tasks.num_alive_tasks() <= self.others {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The part of a URL before its path, and the path.
fn place(url: &str) -> (&str, String) {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').expect("a path");
    (authority, format!("/{path}"))
}
