//! Who is connected: bounds for all together and for each address, and who has to go when the house is full.
//!
//! Whoever holds a connection without finishing a request, by being idle, slow or hostile, gives way to whoever comes;
//! the one that has waited longest goes first. So connections that somebody merely holds open cost nobody a withdrawal.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Nobody has to go who has waited for less than this: a request of theirs may be on the way.
const WELCOME: Duration = Duration::from_millis(500);

/// Everybody who is connected.
pub(super) struct Guests {
    most: usize,
    most_each: usize,
    began: Instant,
    count: AtomicU64,
    present: Mutex<HashMap<u64, Arc<Guest>>>,
    left: Notify,
}

/// One connection.
pub(super) struct Guest {
    address: IpAddr,
    /// Milliseconds since the guests began, when it last began to let us wait; 0 while we work for it.
    waits_since: AtomicU64,
    leave: Notify,
}

/// A guest's place, free again when dropped.
pub(super) struct Seat {
    guests: Arc<Guests>,
    number: u64,
    pub(super) guest: Arc<Guest>,
}

impl Guests {
    pub(super) fn new(most: usize, most_each: usize) -> Self {
        Self {
            most,
            most_each,
            began: Instant::now(),
            count: AtomicU64::new(0),
            present: Mutex::default(),
            left: Notify::new(),
        }
    }

    /// Returns when there is a place for one more, made by sending somebody away if need be.
    pub(super) async fn room(&self) {
        while !self.make_room(self.now()) {
            // Somebody ends, or has let us wait for long enough to be sent away.
            drop(tokio::time::timeout(WELCOME, self.left.notified()).await);
        }
    }

    fn make_room(&self, now: u64) -> bool {
        let mut present = self.present();
        if present.len() < self.most {
            return true;
        }
        let waiting = present.iter().filter_map(|(number, guest)| {
            let since = guest.waits_since.load(Ordering::Relaxed);
            (since > 0 && now.saturating_sub(since) >= millis(WELCOME)).then_some((since, *number))
        });
        let Some((_, number)) = waiting.min() else { return false };
        if let Some(guest) = present.remove(&number) {
            guest.leave.notify_one();
            metrics::counter!("consentd_http_connections_ended_total", "why" => "room").increment(1);
        }
        true
    }

    /// A seat; none when the address has as many as it may. `bounded` is false for our own proxy, behind which everybody
    /// comes from one address.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, bounded: bool) -> Option<Seat> {
        let mut present = self.present();
        let same = || present.values().filter(|guest| guest.address == address).count();
        if bounded && same() >= self.most_each {
            metrics::counter!("consentd_http_connections_ended_total", "why" => "address").increment(1);
            return None;
        }
        let waits_since = AtomicU64::new(self.now());
        let guest = Arc::new(Guest { address, waits_since, leave: Notify::new() });
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        present.insert(number, guest.clone());
        metrics::gauge!("consentd_http_connections").increment(1.0);
        Some(Seat { guests: self.clone(), number, guest })
    }

    /// Never 0, which means that nobody waits.
    fn now(&self) -> u64 {
        millis(self.began.elapsed()).saturating_add(1)
    }

    fn present(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Guest>>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The request is not complete yet, or there is none.
    pub(super) fn waits(&self) {
        self.guest.waits_since.store(self.guests.now(), Ordering::Relaxed);
    }

    /// The request is complete.
    pub(super) fn is_served(&self) {
        self.guest.waits_since.store(0, Ordering::Relaxed);
    }

    /// Returns when somebody else needs the place.
    pub(super) async fn must_leave(guest: &Guest) {
        guest.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.present().remove(&self.number);
        metrics::gauge!("consentd_http_connections").decrement(1.0);
        self.guests.left.notify_one();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::BROADCAST);

    fn later(guests: &Guests) -> u64 {
        guests.now() + millis(WELCOME)
    }

    #[tokio::test]
    async fn who_lets_us_wait_makes_room() {
        let guests = Arc::new(Guests::new(2, 2));
        let first = guests.admit(HERE, true).unwrap();
        let second = guests.admit(HERE, true).unwrap();
        first.is_served();
        assert!(guests.make_room(later(&guests)));
        Seat::must_leave(&second.guest).await;
        assert!(guests.admit(THERE, true).is_some(), "the place of the second");
        drop(first);
        drop(second);
        assert!(guests.present().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_sent_away_in_the_middle_of_a_request_or_at_once() {
        let guests = Arc::new(Guests::new(2, 2));
        let busy = guests.admit(HERE, true).unwrap();
        busy.is_served();
        let fresh = guests.admit(HERE, true).unwrap();
        fresh.waits();
        assert!(!guests.make_room(guests.now()));
        fresh.is_served();
        assert!(!guests.make_room(later(&guests)));
        fresh.waits();
        assert!(guests.make_room(later(&guests)));
        Seat::must_leave(&fresh.guest).await;
    }

    #[tokio::test]
    async fn an_address_has_its_own_bound_unless_it_is_the_proxys() {
        let guests = Arc::new(Guests::new(9, 1));
        let _one = guests.admit(HERE, true).unwrap();
        assert!(guests.admit(HERE, true).is_none());
        assert!(guests.admit(HERE, false).is_some());
        assert!(guests.admit(THERE, true).is_some());
    }
}
