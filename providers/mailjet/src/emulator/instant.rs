//! Instants as Mailjet writes and reads them.

use consentd_provider::Timestamp;

/// Microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub(super) const DAY: i64 = 86_400 * SECOND;

/// RFC 3339 in UTC with second precision (Mailjet sheet 1.4).
pub(super) fn stamp(at: Timestamp) -> String {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY) / SECOND);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// A date that is not set is an empty text (Mailjet sheet 1.4).
pub(super) fn stamp_or_empty(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, stamp)
}

/// Filters take RFC 3339 in UTC or Unix seconds (Mailjet sheet 6).
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(SECOND);
    }
    let mut parts = text.trim_end_matches('Z').split(['-', 'T', ':', ' ']).map(str::parse::<i64>);
    let mut part = |default: i64| parts.next().unwrap_or(Ok(default)).ok();
    let (year, month, day) = (part(0)?, part(1)?, part(1)?);
    let seconds = part(0)? * 3_600 + part(0)? * 60 + part(0)?;
    let valid = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (valid && seconds < 86_401).then(|| days(year, month, day) * DAY + seconds * SECOND)
}

/// Days since 1970 to a date of the Gregorian calendar, counted in years that begin in March.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The reverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_and_read_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_561_459_950, "2019-06-25T10:52:30Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(stamp(seconds * SECOND), text);
            assert_eq!(read(text), Some(seconds * SECOND));
            assert_eq!(read(&seconds.to_string()), Some(seconds * SECOND));
        }
        assert_eq!(read("2019-06-25"), Some(1_561_420_800 * SECOND));
        for nonsense in ["", "soon", "2019-13-01", "2019-06-25T99:00:00Z"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
