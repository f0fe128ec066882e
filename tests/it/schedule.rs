//! Schedules: each moment once, through daylight saving, downtime, runs that take long, and several daemons.

use crate::people::active;
use crate::served::{run_sql, with_toy};
use crate::tree;
use crate::world::{Engine, START, World, on_both_engines};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use consentd::clock::{DAY, HOUR, SECOND, Timestamp};
use consentd::service::schedule::next;
use consentd::service::steer::ConnectionChange;
use consentd::store::Db;
use proptest::prelude::*;
use sqlx::AssertSqlSafe;

on_both_engines!(ten_thousand_bells_ring_once_each_however_many_daemons_hear_them, due_bells_are_found_by_an_index);

fn instant(text: &str) -> Timestamp {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
}

/// Everything that rings in a span, each found from the one before.
fn rings(cron: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
    let (zone, until) = (zone.parse().unwrap(), instant(until));
    let mut now = instant(from);
    let mut found = Vec::new();
    while let Some(at) = next(cron, zone, now).unwrap().filter(|at| *at < until) {
        assert!(at > now, "{cron}: {at} is not after {now}");
        found.push(DateTime::from_timestamp_micros(at).unwrap().format("%dT%H:%M").to_string());
        now = at;
    }
    found
}

#[test]
fn a_moment_that_is_skipped_rings_when_the_clock_has_jumped_and_one_that_comes_twice_the_first_time() {
    for (zone, cron, from, until, expected) in [
        // 2027-03-28: 02:00 becomes 03:00, which is 01:00 UTC.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2027-03-27T00:00:00Z",
            "2027-03-30T00:00:00Z",
            ["27T01:30", "28T01:00", "29T00:30"],
        ),
        // 2026-10-25: 03:00 becomes 02:00, so 02:30 is 00:30 and 01:30 UTC.
        (
            "Europe/Berlin",
            "30 2 * * *",
            "2026-10-24T00:00:00Z",
            "2026-10-27T00:00:00Z",
            ["24T00:30", "25T00:30", "26T01:30"],
        ),
        (
            "America/New_York",
            "30 2 * * *",
            "2027-03-13T00:00:00Z",
            "2027-03-16T00:00:00Z",
            ["13T07:30", "14T07:00", "15T06:30"],
        ),
        (
            "America/New_York",
            "30 1 * * *",
            "2026-10-31T00:00:00Z",
            "2026-11-03T00:00:00Z",
            ["31T05:30", "01T05:30", "02T06:30"],
        ),
        // Half an hour: 2026-10-04 02:00 (+10:30) becomes 02:30 (+11), and back on 2027-04-04.
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-02T12:00:00Z",
            "2026-10-05T12:00:00Z",
            ["02T15:45", "03T15:30", "04T15:15"],
        ),
        (
            "Australia/Lord_Howe",
            "45 1 * * *",
            "2027-04-02T12:00:00Z",
            "2027-04-05T12:00:00Z",
            ["02T14:45", "03T14:45", "04T15:15"],
        ),
        (
            "Asia/Kolkata",
            "30 2 * * *",
            "2027-03-27T00:00:00Z",
            "2027-03-29T23:00:00Z",
            ["27T21:00", "28T21:00", "29T21:00"],
        ),
    ] {
        assert_eq!(rings(cron, zone, from, until), expected, "{zone}: {cron}");
    }
}

#[test]
fn an_hourly_bell_follows_the_time_that_passes() {
    let spring = rings("0 * * * *", "Europe/Berlin", "2027-03-27T23:30:00Z", "2027-03-28T03:30:00Z");
    assert_eq!(spring, ["28T00:00", "28T01:00", "28T02:00", "28T03:00"], "23 hours are 23 rings");
    let autumn = rings("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z");
    assert_eq!(autumn, ["25T00:00", "25T01:00", "25T02:00"], "25 hours are 25 rings");
    let quarter = rings("*/15 * * * *", "Australia/Lord_Howe", "2027-04-03T14:40:00Z", "2027-04-03T15:31:00Z");
    assert_eq!(quarter, ["03T14:45", "03T15:00", "03T15:15", "03T15:30"]);
}

/// A daemon that starts while the clock shows an hour for the second time finds nothing that is past.
#[test]
fn the_second_time_round_nothing_is_due_that_has_rung() {
    let zone: Tz = "Europe/Berlin".parse().unwrap();
    let second_time = instant("2026-10-25T01:10:00Z");
    assert_eq!(next("30 2 * * *", zone, second_time).unwrap(), Some(instant("2026-10-26T01:30:00Z")));
    assert_eq!(next("30 * * * *", zone, second_time).unwrap(), Some(instant("2026-10-25T01:30:00Z")));
}

#[test]
fn an_expression_has_five_fields_and_a_moment_to_ring_at() {
    for bad in ["every day", "0 2 * *", "* * * * * *", "0 0 30 2 *", "61 * * * *"] {
        assert!(next(bad, Tz::UTC, START).is_err(), "{bad}");
    }
    assert_eq!(next("  ", Tz::UTC, START).unwrap(), None);
}

/// What a field of the oracle takes.
fn takes(field: &str, value: u32) -> bool {
    field.split(',').any(|part| match part.split_once('/') {
        Some((_, step)) => value.is_multiple_of(step.parse().unwrap()),
        None if part == "*" => true,
        None => match part.split_once('-') {
            Some((from, to)) => (from.parse().unwrap()..=to.parse().unwrap()).contains(&value),
            None => part.parse::<u32>().unwrap() == value,
        },
    })
}

/// The first ring after an instant, by looking at every minute.
fn oracle(cron: &str, zone: Tz, now: Timestamp) -> Timestamp {
    let fields: Vec<&str> = cron.split(' ').collect();
    let named = |wall: NaiveDateTime| {
        takes(fields[0], wall.minute())
            && takes(fields[1], wall.hour())
            && takes(fields[4], wall.weekday().num_days_from_sunday())
    };
    let minute = TimeDelta::minutes(1);
    let shows = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let mut at = DateTime::from_timestamp((now / SECOND).div_euclid(60) * 60, 0).unwrap();
    for _ in 0..15 * 24 * 60 {
        at += minute;
        let wall = shows(at);
        let first = zone.from_local_datetime(&wall).earliest().unwrap() == at;
        let hourly = fields[1].starts_with('*');
        let mut skipped = shows(at - minute) + minute;
        let mut rings = named(wall) && (hourly || first);
        while skipped < wall {
            rings |= named(skipped) && !hourly;
            skipped += minute;
        }
        if rings {
            return at.timestamp_micros();
        }
    }
    panic!("{cron} does not ring within two weeks");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_ring_is_the_one_that_a_look_at_every_minute_finds(
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
        change in prop::sample::select(vec![
            "2026-10-03T15:30:00Z", "2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z",
            "2027-03-14T07:00:00Z", "2027-03-28T01:00:00Z", "2027-04-03T15:00:00Z",
        ]),
        before in -30 * 3_600_i64..6 * 3_600,
        minute in prop::sample::select(vec!["0", "5", "15", "30", "45", "59", "*/15", "*", "10,40", "0-20"]),
        hour in prop::sample::select(vec!["0", "1", "2", "3", "23", "1-3", "2,14", "*", "*/2"]),
        weekday in prop::sample::select(vec!["*", "*", "*", "0", "1,6"]),
    ) {
        let (zone, now) = (zone.parse().unwrap(), instant(change) + before * SECOND);
        let cron = format!("{minute} {hour} * * {weekday}");
        let found = next(&cron, zone, now).unwrap().unwrap();
        prop_assert_eq!(found, oracle(&cron, zone, now), "{} in {} after {}", cron, zone, now);
    }
}

const COLUMNS: &str = "provider, base_url, account_id, sealed_credentials, options, list_id, purpose_id, mapping, cron, time_zone, \
    next_at, guard_percent, guard_count, state, state_reason, sealed_hooks, hooks_state, walked_at, walk_wanted_at, \
    backoff_until, failures, created_at";

/// A world with so many connections that ring daily at two.
async fn belfry(engine: Engine, bells: u32) -> World {
    let world = with_toy(World::new(engine).await);
    let (tenant, key) = world.tenant("pool").await;
    let connection = active(&world.core, &tenant, &key, "bells").await;
    let change = ConnectionChange { cron: Some("0 2 * * *".into()), ..ConnectionChange::default() };
    world.core.change_connection(&connection, &key, change).await.unwrap();
    let more = bells - 1;
    let (numbers, id) = match engine {
        Engine::Sqlite => (
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})"),
            "randomblob(16)",
        ),
        Engine::Postgres => (format!("WITH n(i) AS (SELECT generate_series(1, {more}))"), "gen_random_uuid()"),
    };
    let text = format!(
        "{numbers} INSERT INTO connection (tenant_id, id, slug, hook_key, {COLUMNS})
         SELECT tenant_id, {id}, 'bell' || i, 'key' || i, {COLUMNS} FROM connection, n"
    );
    run_sql(&world.core.store.db, AssertSqlSafe(text)).await;
    world
}

async fn count(world: &World, text: &'static str) -> i64 {
    match &world.core.store.db {
        Db::Sqlite { read, .. } => sqlx::query_scalar(text).fetch_one(read).await,
        Db::Pg(pool) => sqlx::query_scalar(text).fetch_one(pool).await,
    }
    .unwrap()
}

async fn ten_thousand_bells_ring_once_each_however_many_daemons_hear_them(engine: Engine) {
    let world = belfry(engine, 10_000).await;
    let core = &world.core;
    assert_eq!(core.ring().await.unwrap(), 0, "not before two");
    world.clock.advance(3 * DAY + HOUR);
    let (first, second, third) = tokio::join!(core.ring(), core.ring(), core.ring());
    assert_eq!(first.unwrap() + second.unwrap() + third.unwrap(), 10_000, "three days late: once");
    assert_eq!(core.ring().await.unwrap(), 0);
    let open = "SELECT COUNT(DISTINCT connection_id) FROM run WHERE is_open AND cause = 'schedule'";
    assert_eq!((count(&world, open).await, count(&world, "SELECT COUNT(*) FROM run").await), (10_000, 10_000));

    // A day on, half of the runs are not over: those bells wait, and ring once when they are.
    run_sql(
        &core.store.db,
        "UPDATE run SET is_open = FALSE WHERE connection_id IN (SELECT connection_id FROM run ORDER BY id LIMIT 5000)",
    )
    .await;
    world.clock.advance(2 * DAY);
    let (first, second) = tokio::join!(core.ring(), core.ring());
    assert_eq!(first.unwrap() + second.unwrap(), 5_000);
    run_sql(&core.store.db, "UPDATE run SET is_open = FALSE").await;
    assert_eq!(core.ring().await.unwrap(), 5_000);
    assert_eq!(core.ring().await.unwrap(), 0);
    assert_eq!(count(&world, "SELECT COUNT(*) FROM run").await, 20_000);
    world.end().await;
}

async fn due_bells_are_found_by_an_index(engine: Engine) {
    let world = belfry(engine, 2_000).await;
    run_sql(&world.core.store.db, "ANALYZE").await;
    let name = match engine {
        Engine::Sqlite => "src/store/sql/bell/due.sqlite.sql",
        Engine::Postgres => "src/store/sql/bell/due.postgres.sql",
    };
    let statement = tree::files("src/store/sql/bell", ".sql").into_iter().find(|file| file.path == name).unwrap().text;
    let statement = statement.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
    let statement = statement.replace("$1", &START.to_string()).replace("$2", "1000");
    let plan: Vec<String> = match &world.core.store.db {
        Db::Sqlite { read, .. } => {
            let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(text).fetch_all(read).await.unwrap();
            rows.into_iter().map(|row| row.3).collect()
        }
        Db::Pg(pool) => {
            sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {statement}"))).fetch_all(pool).await.unwrap()
        }
    };
    assert!(plan.iter().any(|line| line.contains("connection_due")), "{plan:#?}");
    world.end().await;
}
