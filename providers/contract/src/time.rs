//! Times as providers write them.

use crate::Timestamp;

const SECOND: Timestamp = 1_000_000;
const DAY: Timestamp = 86_400 * SECOND;

/// Reads an RFC 3339 time of any offset and precision; one without an offset is taken as UTC.
#[must_use]
pub fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    if !(1970..2200).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, offset) = match time.find(['+', '-', 'Z']).and_then(|at| time.split_at_checked(at)) {
        Some((clock, zone)) => match zone.strip_prefix('-') {
            Some(west) => (clock, -minutes(west)?),
            None => (clock, zone.strip_prefix('+').map_or(Some(0), minutes)?),
        },
        None => (time, 0),
    };
    let seconds = clock.splitn(3, ':').nth(2).map_or(Some(0), seconds)?;
    Some(days(year, month, day) * DAY + (minutes(clock)? - offset) * 60 * SECOND + seconds)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, counted in years that begin in March.
#[must_use]
pub const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The minutes of a clock or an offset, whatever follows them.
fn minutes(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once(':')?;
    let minutes = rest.split(':').next()?;
    Some(number(hours, 23)? * 60 + number(minutes, 59)?)
}

/// Seconds with a fraction of any length, in microseconds.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.chars().chain(std::iter::repeat('0')).take(6);
    let micros = digits.map(|digit| digit.to_digit(10)).try_fold(0, |sum, digit| Some(sum * 10 + i64::from(digit?)))?;
    Some(number(whole, 60)? * SECOND + micros)
}

fn number(text: &str, most: i64) -> Option<i64> {
    text.parse().ok().filter(|number| (0..=most).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_utc_whatever_its_offset_and_precision() {
        let august = days(2026, 8, 1) * DAY;
        for (text, seconds, micros) in [
            ("2026-08-01T00:00:00Z", 0, 0),
            ("2026-08-01T00:00", 0, 0),
            ("2026-08-01T01:43:31.777+02:00", -989, 777_000),
            ("2026-08-01T21:43:17.0880001234-05:00", 96_197, 88_000),
            ("2026-08-01T23:59:59.999999Z", 86_399, 999_999),
        ] {
            assert_eq!(instant(text), Some(august + seconds * SECOND + micros), "{text}");
        }
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(days(2000, 2, 29), 11_016);
    }

    #[test]
    fn nonsense_is_no_time() {
        for nonsense in [
            "",
            "T",
            "2026-08-01",
            "2026-13-01T00:00Z",
            "yesterday",
            "2026-08-01Tx",
            "2026-08-01T25:00Z",
            "2026-08-01T00:00:99Z",
            "2026-08-01T00:00:00.xZ",
            "2026-08-01T9223372036854775807:00Z",
            "2026-08-01T00:00:00+9223372036854775807:00",
            "é-1-1T1:1é",
        ] {
            assert_eq!(instant(nonsense), None, "{nonsense}");
        }
    }
}
