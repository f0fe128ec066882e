//! What an account may still call: its quotas, and what the provider's answers say about them.

use crate::clock::{Clock, SECOND, Timestamp, micros};
use crate::gateway::spent::Spent;
use crate::gateway::ticks::{Tick, Ticks};
use crate::random::{Random, below};
use consentd_provider::{Quota, RateHeaders, Response};
use governor::RateLimiter;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Up to this window a quota is spent evenly; a longer one may be spent half at once.
const EVEN: Duration = Duration::from_secs(10);
/// Calls leave this much further apart than a quota asks, since the network pushes them together again.
const MARGIN: u32 = 20;
/// The longest that an answer can make an account wait.
const LONGEST_HOLD: Timestamp = 3_600 * SECOND;
/// The longest wait after 429 answers that name none.
const LONGEST_BACK_OFF: Timestamp = 60 * SECOND;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Tick>>;

/// What the provider asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Hold {
    until: Timestamp,
    strikes: u32,
    /// How many calls are left by its last answer that tells, and until when that means something.
    said: Option<(u32, Timestamp)>,
}

/// The quotas of one account, shared by all ways to it.
pub(super) struct Budget {
    quotas: Vec<Quota>,
    rate_headers: Option<RateHeaders>,
    ticks: Ticks,
    /// By family, the longest window first: a call that would wait too long for it then costs nothing elsewhere.
    limiters: HashMap<&'static str, Vec<Limiter>>,
    /// By family, for its longest window.
    spent: BTreeMap<&'static str, Spent>,
    holds: Mutex<HashMap<&'static str, Hold>>,
}

impl Budget {
    pub(super) fn new(
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
    ) -> Self {
        let ticks = before.map_or_else(|| Ticks::new(clock), |before| before.ticks.clone());
        let mut limiters: HashMap<&'static str, Vec<Limiter>> = HashMap::new();
        let mut sorted: Vec<&Quota> = quotas.iter().collect();
        sorted.sort_by_key(|quota| std::cmp::Reverse(quota.per));
        let mut spent = BTreeMap::new();
        for quota in sorted {
            spent.entry(quota.family).or_insert_with(|| Spent::new(quota));
            if let Some(limiter) = limiter(quota, &ticks) {
                limiters.entry(quota.family).or_default().push(limiter);
            }
        }
        let holds = before.map(|before| before.holds().clone()).unwrap_or_default();
        Self { quotas: quotas.to_vec(), rate_headers, ticks, limiters, spent, holds: Mutex::new(holds) }
    }

    pub(super) fn is_for(&self, quotas: &[Quota]) -> bool {
        strictest(self.quotas.iter()) == strictest(quotas.iter())
    }

    /// Takes a place for one call of the family, waiting for it if need be.
    ///
    /// # Errors
    /// The wait that remains, when it would be longer than `patience`; no place was taken then.
    pub(super) async fn take(&self, family: &'static str, patience: Duration) -> Result<(), Duration> {
        let patience = micros(patience);
        let mut waited = 0;
        let none = Vec::new();
        let limiters = self.limiters.get(family).unwrap_or(&none);
        let mut next = limiters.iter();
        let mut current = next.next();
        loop {
            let mut wait = self.held_for(family);
            if wait == 0 {
                let Some(limiter) = current else {
                    if let Some(spent) = self.spent.get(family) {
                        spent.one(self.ticks.passed());
                    }
                    return Ok(());
                };
                match limiter.check() {
                    Ok(()) => {
                        current = next.next();
                        continue;
                    }
                    Err(not_yet) => wait = micros(not_yet.wait_time_from(self.ticks.now())).max(1),
                }
            }
            if waited + wait > patience {
                return Err(duration(wait));
            }
            self.ticks.clock.sleep(duration(wait)).await;
            waited += wait;
        }
    }

    /// How many calls of each family are left of its longest window: by our count, or by the provider's if it is less.
    pub(super) fn left(&self) -> Vec<(&'static str, u32)> {
        let now = self.ticks.passed();
        let holds = self.holds();
        let told = |family| match holds.get(family) {
            Some(hold) if hold.until > now => 0,
            Some(Hold { said: Some((left, until)), .. }) if *until > now => *left,
            _ => u32::MAX,
        };
        self.spent.iter().map(|(family, spent)| (*family, spent.left(now).min(told(*family)))).collect()
    }

    /// Learns from an answer.
    pub(super) fn learn(&self, family: &'static str, answer: &Response, random: &dyn Random) {
        let now = self.ticks.passed();
        let remaining = self.rate_headers.and_then(|names| number(answer, names.remaining));
        let reset = self.rate_headers.and_then(|names| number(answer, names.reset)).map(|seconds| seconds * SECOND);
        let mut holds = self.holds();
        let hold = holds.entry(family).or_default();
        let window = self.longest_window(family);
        if let Some(left) = remaining.and_then(|left| u32::try_from(left).ok()) {
            hold.said = Some((left, now + reset.map_or(window, |reset| reset.clamp(0, window))));
        }
        if answer.status == 429 {
            let asked = number(answer, "retry-after").map(|seconds| seconds * SECOND).or(reset);
            let wait = asked.unwrap_or_else(|| back_off(hold.strikes, random)).clamp(SECOND / 10, LONGEST_HOLD);
            hold.strikes = hold.strikes.saturating_add(1);
            hold.until = hold.until.max(now + wait);
            return;
        }
        hold.strikes = 0;
        if let (Some(0), Some(reset)) = (remaining, reset) {
            hold.until = hold.until.max(now + reset.clamp(0, window));
        }
    }

    /// A window that ends later than the quota's own cannot be meant.
    fn longest_window(&self, family: &str) -> Timestamp {
        let windows = self.quotas.iter().filter(|quota| quota.family == family).map(|quota| micros(quota.per));
        windows.max().unwrap_or(60 * SECOND).min(LONGEST_HOLD)
    }

    fn held_for(&self, family: &str) -> Timestamp {
        let now = self.ticks.passed();
        self.holds().get(family).map_or(0, |hold| (hold.until - now).max(0))
    }

    fn holds(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The least that several connections to one account were told to keep.
pub(super) fn strictest<'a>(told: impl Iterator<Item = &'a Quota>) -> Vec<Quota> {
    let mut least: BTreeMap<(&'static str, Duration), u32> = BTreeMap::new();
    for quota in told {
        least
            .entry((quota.family, quota.per))
            .and_modify(|limit| *limit = quota.limit.min(*limit))
            .or_insert(quota.limit);
    }
    least.into_iter().map(|((family, per), limit)| Quota { family, limit, per }).collect()
}

/// A limiter that never lets more than the quota through in any window of its length: what is spent at once is taken
/// from the rate at which places come back.
fn limiter(quota: &Quota, ticks: &Ticks) -> Option<Limiter> {
    let burst = if quota.per <= EVEN { 1 } else { (quota.limit / 2).max(1) };
    let rest = if burst == 1 { quota.limit } else { quota.limit - burst };
    let even = quota.per.checked_div(rest)?;
    let apart = even + even / MARGIN;
    let governed = governor::Quota::with_period(apart)?.allow_burst(NonZeroU32::new(burst)?);
    Some(RateLimiter::direct_with_clock(governed, ticks.clone()))
}

/// From one second on, doubling, between half and all of it.
fn back_off(strikes: u32, random: &dyn Random) -> Timestamp {
    let full = SECOND.saturating_mul(2 << strikes.min(6)).min(LONGEST_BACK_OFF);
    let half = full / 2;
    half + Timestamp::try_from(below(random, u64::try_from(half).unwrap_or(0) + 1)).unwrap_or(0)
}

/// A header that holds a whole, not absurd number.
fn number(answer: &Response, name: &str) -> Option<Timestamp> {
    let value: Timestamp = answer.header(name)?.trim().parse().ok()?;
    (0..=86_400_000).contains(&value).then_some(value)
}

fn duration(micros: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::random::SeededRandom;

    const PATIENCE: Duration = Duration::from_hours(2);

    fn quota(limit: u32, seconds: u64) -> Quota {
        Quota { family: "rest", limit, per: Duration::from_secs(seconds) }
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: vec![] }
    }

    fn budget(quotas: &[Quota]) -> (Arc<SimulatedClock>, Budget) {
        let clock = Arc::new(SimulatedClock::at(1_793_696_400_000_000));
        let headers = RateHeaders { remaining: "x-remaining", reset: "x-reset" };
        (clock.clone(), Budget::new(quotas, Some(headers), clock, None))
    }

    async fn calls(clock: &SimulatedClock, budget: &Budget, count: usize) -> Vec<Timestamp> {
        let mut at = Vec::new();
        for _ in 0..count {
            budget.take("rest", PATIENCE).await.unwrap();
            at.push(clock.now());
        }
        at
    }

    fn most_in_a_window(at: &[Timestamp], quota: Quota) -> usize {
        let per = micros(quota.per);
        at.iter().map(|from| at.iter().filter(|one| (*from..*from + per).contains(one)).count()).max().unwrap()
    }

    #[tokio::test]
    async fn no_window_ever_holds_more_calls_than_any_of_its_quotas_allows() {
        for quotas in [
            vec![quota(10, 1)],
            vec![quota(5, 1), quota(100, 60)],
            vec![quota(100, 3_600)],
            vec![quota(500, 10), quota(1_000, 60)],
            vec![quota(1, 1)],
        ] {
            let (clock, budget) = budget(&quotas);
            let at = calls(&clock, &budget, 2_100).await;
            for quota in quotas {
                let most = most_in_a_window(&at, quota);
                assert!(most <= quota.limit as usize, "{most} calls, {quota:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_even_quota_is_used_up_to_a_twentieth() {
        let (clock, budget) = budget(&[quota(10, 1)]);
        let began = clock.now();
        calls(&clock, &budget, 1_001).await;
        let took = clock.now() - began;
        assert!((100 * SECOND..=106 * SECOND).contains(&took), "{took}");
    }

    #[tokio::test]
    async fn half_of_an_hourly_quota_can_be_spent_at_once() {
        let (clock, budget) = budget(&[quota(100, 3_600)]);
        let began = clock.now();
        calls(&clock, &budget, 50).await;
        assert_eq!(clock.now(), began);
        let wait = budget.take("rest", Duration::from_secs(5)).await.unwrap_err();
        assert!((70..=80).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(clock.now(), began, "who is refused does not wait");
    }

    #[tokio::test]
    async fn other_families_are_not_concerned() {
        let (clock, budget) = budget(&[quota(1, 3_600)]);
        budget.take("rest", Duration::ZERO).await.unwrap();
        budget.learn("rest", &answer(429, &[("retry-after", "60")]), &SeededRandom::new(1));
        for _ in 0..100 {
            budget.take("send", Duration::ZERO).await.unwrap();
        }
        assert_eq!(clock.now(), 1_793_696_400_000_000);
    }

    #[tokio::test]
    async fn the_providers_own_word_goes_before_our_count() {
        let (_, budget) = budget(&[quota(10, 1), quota(36_000, 3_600)]);
        let random = SeededRandom::new(1);
        let refused = |wait: Result<(), Duration>| (wait.unwrap_err() + Duration::from_millis(500)).as_secs();
        budget.learn("rest", &answer(200, &[("x-remaining", "0"), ("x-reset", "120")]), &random);
        assert_eq!(refused(budget.take("rest", Duration::ZERO).await), 120);
        budget.learn("rest", &answer(429, &[("retry-after", "300")]), &random);
        assert_eq!(refused(budget.take("rest", Duration::ZERO).await), 300);
        budget.learn("rest", &answer(200, &[("x-remaining", "0"), ("x-reset", "86400000")]), &random);
        assert_eq!(refused(budget.take("rest", Duration::ZERO).await), 3_600, "clamped to the window");
    }

    #[tokio::test]
    async fn what_is_left_is_known_before_the_first_call_and_grows_again() {
        let (clock, budget) = budget(&[quota(10, 1), quota(100, 3_600), Quota { family: "send", ..quota(5, 1) }]);
        let random = SeededRandom::new(1);
        assert_eq!(budget.left(), [("rest", 100), ("send", 5)], "of the longest window");
        calls(&clock, &budget, 30).await;
        assert_eq!(budget.left(), [("rest", 70), ("send", 5)]);
        budget.learn("rest", &answer(200, &[("x-remaining", "12"), ("x-reset", "600")]), &random);
        assert_eq!(budget.left()[0], ("rest", 12), "somebody else calls too");
        clock.advance(601 * SECOND);
        assert_eq!(budget.left()[0], ("rest", 70));
        budget.learn("send", &answer(429, &[("retry-after", "60")]), &random);
        assert_eq!(budget.left()[1], ("send", 0), "it must wait");
        clock.advance(3_060 * SECOND);
        assert_eq!(budget.left(), [("rest", 100), ("send", 5)], "the window is over");
    }

    #[tokio::test]
    async fn a_429_without_a_wish_backs_off_with_jitter_up_to_a_minute() {
        let (clock, budget) = budget(&[quota(10, 1)]);
        let random = SeededRandom::new(1);
        let mut waits = Vec::new();
        for _ in 0..9 {
            budget.learn("rest", &answer(429, &[("retry-after", "soon")]), &random);
            let wait = budget.take("rest", Duration::ZERO).await.unwrap_err();
            clock.advance(micros(wait));
            waits.push(wait.as_secs_f64());
        }
        assert!((1.0..=2.0).contains(&waits[0]), "{waits:?}");
        assert!((2.0..=4.0).contains(&waits[1]), "{waits:?}");
        assert!(waits[6..].iter().all(|wait| (30.0..=60.0).contains(wait)), "{waits:?}");
        budget.learn("rest", &answer(200, &[]), &random);
        budget.learn("rest", &answer(429, &[]), &random);
        let wait = budget.take("rest", Duration::ZERO).await.unwrap_err().as_secs_f64();
        assert!((1.0..=2.0).contains(&wait), "an answer ends the row: {wait}");
    }

    #[tokio::test]
    async fn new_quotas_keep_what_the_provider_asked_for() {
        let (clock, before) = budget(&[quota(10, 1)]);
        before.learn("rest", &answer(429, &[("retry-after", "60")]), &SeededRandom::new(1));
        let after = Budget::new(&[quota(5, 1)], None, clock, Some(&before));
        assert!(after.take("rest", Duration::from_secs(5)).await.is_err());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_back_blocks_nobody() {
        let (clock, budget) = budget(&[quota(1, 60)]);
        budget.take("rest", PATIENCE).await.unwrap();
        clock.advance(-2 * crate::clock::DAY);
        let wait = budget.take("rest", Duration::ZERO).await.unwrap_err();
        assert!(wait <= Duration::from_secs(63), "{wait:?}");
    }
}
