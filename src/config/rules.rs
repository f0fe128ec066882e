use super::{Gateway, Unusable, need};
use crate::clock::{DAY, HOUR, MINUTE, SECOND};
use serde::Deserialize;

/// Figures that rules depend on.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Seconds after which an unanswered subscription can no longer land.
    pub settle_seconds: i64,
    /// Minutes after which a withdrawal that is not in effect raises an alarm.
    pub withdrawal_alert_minutes: i64,
    /// Days during which a request can be accepted.
    pub consent_link_days: i64,
    /// Hours between two walks.
    pub walk_every_hours: i64,
    /// Seconds after which another daemon takes over.
    pub lease_seconds: i64,
}

impl Rules {
    pub(super) fn validate(&self, gateway: &Gateway) -> Result<(), Unusable> {
        let timeout = i64::try_from(gateway.timeout_seconds).unwrap_or(i64::MAX);
        need(
            self.settle_seconds > timeout && self.settle_seconds <= 86_400,
            "rules.settle_seconds",
            "write a number of seconds greater than gateway.timeout_seconds, at most 86400",
        )?;
        need(
            (1..=1_440).contains(&self.withdrawal_alert_minutes),
            "rules.withdrawal_alert_minutes",
            "write a number from 1 to 1440",
        )?;
        need((1..=365).contains(&self.consent_link_days), "rules.consent_link_days", "write a number from 1 to 365")?;
        need((1..=168).contains(&self.walk_every_hours), "rules.walk_every_hours", "write a number from 1 to 168")?;
        need((5..=600).contains(&self.lease_seconds), "rules.lease_seconds", "write a number from 5 to 600")
    }

    /// The figures as the services take them.
    #[must_use]
    pub const fn figures(&self) -> crate::service::Rules {
        crate::service::Rules {
            settle: self.settle_seconds * SECOND,
            withdrawal_alert: self.withdrawal_alert_minutes * MINUTE,
            consent_link: self.consent_link_days * DAY,
            lease: self.lease_seconds * SECOND,
            walk_every: self.walk_every_hours * HOUR,
        }
    }
}
