//! Faults of an emulated provider's webhooks.

use super::{Emulator, Outgoing};
use crate::Timestamp;

/// How webhooks are disturbed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CourierFaults {
    /// Every delivery is sent twice.
    pub duplicate: bool,
    /// Deliveries that are due together go out in reverse order.
    pub reorder: bool,
    /// Every delivery is held back this many microseconds.
    pub delay: i64,
    /// The next so many deliveries are lost, and the provider believes that they arrived.
    pub drop: u32,
}

#[derive(Default)]
pub(super) struct Courier {
    faults: CourierFaults,
    held: Vec<(Timestamp, Outgoing)>,
}

/// Marks the id of a duplicate, whose answer the provider does not wait for.
const DUPLICATE: u64 = 1 << 63;

impl Courier {
    pub(super) fn set(&mut self, faults: CourierFaults) {
        self.faults = faults;
    }

    pub(super) fn due(&mut self, now: Timestamp, inner: &mut dyn Emulator) -> Vec<Outgoing> {
        for delivery in inner.due(now) {
            if self.faults.drop > 0 {
                self.faults.drop -= 1;
                inner.delivered(now, delivery.id, Some(200));
                continue;
            }
            let at = now.saturating_add(self.faults.delay);
            if self.faults.duplicate {
                self.held.push((at, Outgoing { id: delivery.id | DUPLICATE, ..delivery.clone() }));
            }
            self.held.push((at, delivery));
        }
        let (ready, held) = std::mem::take(&mut self.held).into_iter().partition(|(at, _)| *at <= now);
        self.held = held;
        let ready: Vec<(Timestamp, Outgoing)> = ready;
        let mut ready: Vec<Outgoing> = ready.into_iter().map(|(_, delivery)| delivery).collect();
        if self.faults.reorder {
            ready.reverse();
        }
        ready
    }

    #[expect(clippy::unused_self, reason = "the courier's side of a delivery, beside `due`")]
    pub(super) fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>, inner: &mut dyn Emulator) {
        if id & DUPLICATE == 0 {
            inner.delivered(now, id, status);
        }
    }
}
