//! A full disk: providers are told to come back, people can still say no, and everything goes on once there is room.

use crate::crash::house::{House, TENANT, pause};
use crate::crash::kill::rest;
use crate::crash::load::{Answer, Load};
use crate::served::{Served, client, connect, hook, run_sql, with_toy};
use crate::world::{Engine, World};
use consentd::clock::SECOND;
use consentd::service::ServiceError;
use consentd::service::link::{DecideError, Decision, Visitor};
use consentd::store::Reserve;
use reqwest::StatusCode;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// MiB of the emergency area on a disk of 128: room for the log to fill up once (16 MiB) and then some.
const RESERVE: u64 = 24;
/// Says that this process has mounts of its own.
const INSIDE: &str = "CONSENTD_TEST_HAS_OWN_MOUNTS";
const NAME: &str = "crash::full::on_a_full_disk_nothing_is_lost_and_people_can_still_say_no";

/// What gives a process mounts of its own here, if anything does.
fn own_mounts() -> Option<&'static str> {
    let works = |flags: &&str| {
        let mount = "mount -t tmpfs -o size=1m none /mnt";
        Command::new("unshare").args([flags, "sh", "-c", mount]).output().is_ok_and(|done| done.status.success())
    };
    ["-m", "-rm"].into_iter().find(works)
}

// I10, I11, I2: the test starts itself again where it may mount a small disk, which goes with that process.
#[tokio::test]
async fn on_a_full_disk_nothing_is_lost_and_people_can_still_say_no() {
    if std::env::var_os(INSIDE).is_some() {
        return on_a_small_disk().await;
    }
    let Some(flags) = own_mounts() else {
        eprintln!("SKIPPED: no disk can be mounted here (neither `unshare -m` nor `unshare -rm`); {NAME} did not run");
        return;
    };
    let again = std::env::current_exe().expect("this program");
    let mut again = {
        let mut command = Command::new("unshare");
        command.arg(flags).arg(again).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "yes");
        command
    };
    let done = tokio::task::spawn_blocking(move || again.output()).await.unwrap().expect("unshare is there");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

/// Takes all the space that is free, and not the emergency area.
async fn fill(disk: &Path) {
    let (filler, area) = (disk.join("filler"), disk.join("consentd.db-reserve"));
    let held = || area.metadata().is_ok_and(|area| area.len() == RESERVE << 20);
    for _ in 0..20 {
        for _ in 0..600 {
            if held() {
                break;
            }
            pause(100).await;
        }
        let holder = File::create(&filler).expect("a file");
        let room = statvfs(disk).expect("figures");
        let taken = fallocate(&holder, FallocateFlags::empty(), 0, room.f_bavail * room.f_frsize);
        // The daemon may have taken some in between, or found the disk full and given its area up to us.
        if taken.is_ok() && held() {
            return;
        }
        fs::remove_file(&filler).expect("it goes");
    }
    panic!("the disk cannot be filled without the emergency area");
}

async fn metric(load: &Load, line: &str) -> bool {
    let text = load.house.http.get(format!("{}/metrics", load.house.url)).send().await.unwrap().text().await.unwrap();
    text.lines().any(|own| own == line)
}

/// Polls until so, for a minute at most.
async fn until(what: &str, load: &Load, so: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if so().await {
            return;
        }
        pause(100).await;
    }
    panic!("after a minute still not: {what}\n{}", load.house.told());
}

async fn mailed(load: &Load, email: &str) -> bool {
    let mut mailed = false;
    for shop in &load.house.shops {
        mailed |= load.house.mailable(shop).await.contains(email);
    }
    mailed
}

async fn on_a_small_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("a folder");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128m", "none"]).arg(&disk).status();
    assert!(mount.expect("mount is there").success());
    let url = format!("sqlite://{}/consentd.db", disk.display());
    let mut house = House::bare(folder, Some(url), &format!("[database]\nreserve_mib = {RESERVE}"));
    house.furnish().await;
    let load = Load::new(house, 60, 11).await;
    let daemon = load.house.start();
    load.house.ready().await;
    fills_and_empties(&load, &disk).await;
    assert!(daemon.terminate().success());
    load.house.verify();
    assert!(!fs::read_to_string(load.house.path("daemon.log")).unwrap().contains("panicked"));
    let house = Arc::into_inner(load).expect("nobody else has it").house;
    assert!(Command::new("umount").arg(&disk).status().expect("umount is there").success());
    house.end().await;
}

async fn fills_and_empties(load: &Load, disk: &Path) {
    let mut newest = String::new();
    for _ in 0..40 {
        let (email, yes) = load.newcomer().await;
        assert_eq!(yes, Answer::Acknowledged);
        newest = email;
    }
    until("the newest is mailed", load, async || mailed(load, &newest).await).await;
    fill(disk).await;

    // Some may still fit; then every provider hears "come back", and nothing else.
    let mut number = 0;
    while load.bulk(number).await == Answer::Acknowledged {
        number += 1;
        assert!(number < 2_000, "the disk is never full");
    }
    for _ in 0..8 {
        load.reports().await;
    }
    let page = load.house.http.get(load.page()).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK, "pages are shown");

    // A no is kept and carried out, by click and by staff.
    for _ in 0..4 {
        let (leaver, no) = load.leaver().await;
        assert_eq!(no, Answer::Acknowledged, "{}", load.house.told());
        until("who left is not mailed", load, async || !mailed(load, &leaver).await).await;
    }
    assert!(load.withdrawn_by_staff());
    assert_eq!(load.bulk(5_000).await, Answer::Unknown, "what was given up is not for deliveries");
    assert_ne!(load.newcomer().await.1, Answer::Acknowledged, "nor for a yes");
    until("the metric says so", load, async || metric(load, "consentd_reserve_spent 1").await).await;
    let doctor = String::from_utf8(load.house.output(&["doctor", "--offline"]).stdout).unwrap();
    assert!(doctor.contains("the emergency area is given up"), "{doctor}");
    let file = load.house.path("people.csv");
    assert_eq!(load.house.output(&["import", "run", file.to_str().unwrap()]).status.code(), Some(4));

    // Room again, and the daemon goes on by itself.
    fs::remove_file(disk.join("filler")).expect("it goes");
    until("the metric says so", load, async || metric(load, "consentd_reserve_spent 0").await).await;
    load.finish().await;
    assert_eq!(load.bulk(6_000).await, Answer::Acknowledged);
    let (newcomer, yes) = load.newcomer().await;
    assert_eq!(yes, Answer::Acknowledged);
    rest(load, Duration::from_mins(2), 11).await;
    assert!(mailed(load, &newcomer).await);
}

// I11: the same without any disk, by a database that may not grow.
#[tokio::test]
async fn a_database_that_cannot_grow_asks_providers_to_come_back_and_keeps_its_last_room_for_withdrawals() {
    let mut world = with_toy(World::new(Engine::Sqlite).await);
    let folder = tempfile::tempdir().unwrap();
    let beside = format!("sqlite://{}/consentd.db", folder.path().display());
    world.core.store.reserve = Reserve::beside(&beside, 1);
    assert!(world.core.store.reserve.fill().unwrap());
    let core = &world.core;
    let (tenant, key) = world.tenant(TENANT).await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let connection = connect(core, &tenant, &key, "toy", "a").await;
    let link = crate::people::ask(core, &tenant, &key, &ada).await;
    let served = Served::new(core, "").await;
    let (url, secret) = hook(core, &connection, &key);
    let http = client();
    let post = async |number: usize| {
        world.clock.advance(SECOND);
        let body = format!("{number}@{}", "x".repeat(10_000));
        http.post(served.at(&url)).bearer_auth(&secret).body(body).send().await.unwrap().status()
    };
    // It holds for one connection, which may be given up after a failure.
    let no_more = || run_sql(&core.store.db, "PRAGMA max_page_count = 1");
    let more = || run_sql(&core.store.db, "PRAGMA max_page_count = 1000000");
    no_more().await;
    let mut number = 0;
    let status = loop {
        number += 1;
        match post(number).await {
            StatusCode::OK if number < 1_000 => {}
            status => break status,
        }
    };
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    more().await;
    assert_eq!(post(2_000).await, StatusCode::OK, "there is room again");
    assert!(!core.store.reserve.is_spent(), "deliveries do not touch the emergency area");

    // There may be room for a few small rows.
    for _ in 0..500 {
        no_more().await;
        let no = core.withdraw(&tenant, &key, &ada, None, "mia", "called").await;
        if core.store.reserve.is_spent() {
            break;
        }
        no.expect("it is kept");
    }
    more().await;
    assert!(core.store.reserve.is_spent(), "a withdrawal gives it up");
    let secret_of_link = link.rsplit('/').next().unwrap();
    let yes = core.decide(secret_of_link, Decision::Accept, &Visitor::default()).await;
    assert!(matches!(yes, Err(DecideError::Service(ServiceError::Conflict(_)))), "{yes:?}");
    assert_eq!(post(5_000).await, StatusCode::TOO_MANY_REQUESTS, "what is left is for withdrawals");
    core.decide(secret_of_link, Decision::Refuse, &Visitor::default()).await.expect("a no");
    assert!(core.store.reserve.fill().unwrap());
    assert_eq!(post(6_000).await, StatusCode::OK);
    served.end();
    world.end().await;
}
