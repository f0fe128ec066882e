//! Dates, for questions about a span of time.

use consentd_provider::{days, instant};

/// The UTC day of a time with any offset and precision (Brevo sheet 3.1), counted from 1970-01-01.
pub(crate) fn day(time: &str) -> Option<i64> {
    instant(time).map(|at| at.div_euclid(86_400_000_000))
}

/// The date of a day counted from 1970-01-01.
pub(crate) fn date(day: i64) -> String {
    // A year that is never too late, then forward to the right month.
    let mut year = 1970 + day / 366;
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days(year, month + 1, 1) <= day {
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day - days(year, month, 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_for_two_centuries() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(day("2026-03-01T00:00:00Z").map(date).as_deref(), Some("2026-03-01"));
        assert_eq!(day("2024-02-29T12:00:00Z").map(date).as_deref(), Some("2024-02-29"));
        for number in 0..80_000 {
            assert_eq!(day(&format!("{}T10:00:00.000Z", date(number))), Some(number));
        }
    }

    #[test]
    fn a_day_is_that_of_utc_whatever_the_offset_and_the_precision() {
        let at = |time| day(time).map(date);
        assert_eq!(at("2026-08-01T01:43:31.777+02:00").as_deref(), Some("2026-07-31"));
        assert_eq!(at("2026-08-01T21:43:17.088000-05:00").as_deref(), Some("2026-08-02"));
        assert_eq!(at("2026-08-01T23:59:59Z").as_deref(), Some("2026-08-01"));
        for nonsense in ["", "T", "2026-08-01", "2026-13-01T00:00Z", "yesterday", "2026-08-01Tx", "é-1-1T1:1é"] {
            assert_eq!(day(nonsense), None, "{nonsense}");
        }
    }
}
