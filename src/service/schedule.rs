//! When the bells of connections ring.
//!
//! An expression names moments on the clock on the wall. One that daylight saving skips rings when the clock has jumped;
//! one that comes twice rings the first time. An expression for every hour (its hours begin with `*`) follows the time
//! that passes instead: what is skipped was no hour, and an hour that comes twice is two.

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::{ConnectionId, RunId};
use crate::service::tenant::need_time_zone;
use crate::service::{Core, ServiceError};
use crate::store::Ring;
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// When an expression rings next after `now` in its zone; `None` for an empty expression.
///
/// # Errors
/// [`ServiceError::Invalid`] for an expression that cannot be read or never rings.
pub fn next(cron: &str, zone: Tz, now: Timestamp) -> Result<Option<Timestamp>, ServiceError> {
    let cron = cron.trim();
    if cron.is_empty() {
        return Ok(None);
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let hourly = cron == "@hourly" || cron.split_whitespace().nth(1).is_some_and(|hours| hours.starts_with('*'));
    let next = parser.parse(cron).ok().and_then(|wall| {
        let now = DateTime::from_timestamp(now.div_euclid(SECOND), 0)?;
        if hourly { next_hourly(&wall, zone, now) } else { next_once(&wall, zone, now) }
    });
    let bad = || ServiceError::Invalid(format!("`{cron}` is not a cron expression; an example is `0 2 * * *`"));
    Ok(Some(next.ok_or_else(bad)?.timestamp().saturating_mul(SECOND)))
}

/// The next moment of the expression after one on the wall, as if no clock were ever changed.
fn next_on_the_wall(wall: &Cron, after: NaiveDateTime) -> Option<NaiveDateTime> {
    wall.find_next_occurrence(&after.and_utc(), false).ok().map(|found| found.naive_utc())
}

/// Each moment on the wall once.
fn next_once(wall: &Cron, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut moment = now.with_timezone(&zone).naive_local();
    loop {
        moment = next_on_the_wall(wall, moment)?;
        let mut there = moment;
        let first = loop {
            match zone.from_local_datetime(&there).earliest() {
                Some(first) => break first.with_timezone(&Utc),
                // Clocks are set forward by whole minutes.
                None => there = there.checked_add_signed(TimeDelta::minutes(1))?,
            }
        };
        // When the clock was set back, what it shows again has rung already.
        if first > now {
            return Some(first);
        }
    }
}

/// Every moment that passes, also one that the wall shows for the second time.
fn next_hourly(wall: &Cron, zone: Tz, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let second = TimeDelta::seconds(1);
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    let mut after = now;
    loop {
        let begin = after.checked_add_signed(second)?;
        let ours = offset(begin);
        let ahead = TimeDelta::seconds(ours.into());
        let moment = next_on_the_wall(wall, after.naive_utc().checked_add_signed(ahead)?)?;
        let found = moment.checked_sub_signed(ahead)?.and_utc();
        match first_minute(begin, found, |at| offset(at) != ours) {
            None => return Some(found),
            // The clock is set before that: the same question once more, with the clock as it is from then on.
            Some(change) => after = change.checked_sub_signed(second)?,
        }
    }
}

/// The first full minute after one instant and up to another from which on something is so. Clocks are set at full
/// minutes, and never twice within hours.
fn first_minute(
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    so: impl Fn(DateTime<Utc>) -> bool,
) -> Option<DateTime<Utc>> {
    let mut from = after;
    while from < until {
        let to = from.checked_add_signed(TimeDelta::hours(6))?.min(until);
        if so(to) {
            let mut minute = DateTime::from_timestamp(from.timestamp().div_euclid(60) * 60, 0)?;
            while minute <= from || !so(minute) {
                minute = minute.checked_add_signed(TimeDelta::minutes(1))?;
            }
            return Some(minute);
        }
        from = to;
    }
    None
}

/// Bells rung in one transaction.
const BATCH: i64 = 1_000;

impl Core {
    /// Asks for a run of every connection whose bell is due, and sets its next bell. However many rings were missed, each
    /// connection gets one run. A bell that is due while a run is open waits for its end. Several daemons may do this at
    /// once.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn ring(&self) -> Result<usize, ServiceError> {
        let now = self.now();
        let mut rung = 0;
        loop {
            let mut tx = self.store.begin().await?;
            let due = tx.due_bells(now, BATCH).await?;
            if due.is_empty() {
                return Ok(rung);
            }
            let mut rings = Vec::with_capacity(due.len());
            for bell in due {
                let connection = ConnectionId(bell.id);
                let found = need_time_zone(&bell.time_zone).and_then(|zone| next(&bell.cron, zone, now));
                // A bell that cannot be set again rings this once more and then no more; the others ring on.
                let next_at = found.unwrap_or_else(|error| {
                    tracing::error!(error = %error, connection.id = %connection, "a schedule cannot be used any more");
                    None
                });
                rings.push(Ring { connection, run: RunId(self.id()), next_at });
            }
            tx.ring(&rings, now).await?;
            tx.commit().await?;
            rung += rings.len();
        }
    }
}
