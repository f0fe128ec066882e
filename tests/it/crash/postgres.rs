//! PostgreSQL that is stopped in the middle of commits: nobody knows what came of them, and nothing is lost or doubled.

use crate::crash::house::{House, Process, pause};
use crate::crash::kill::{number, rest};
use crate::crash::load::{Answer, Load};
use consentd::random::{SeededRandom, SystemRandom, below};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often it is stopped.
const STOPS: u64 = 8;
/// People for each stop.
const PEOPLE: usize = 12;

/// A cluster of this test's own, which may be stopped.
struct Cluster {
    url: String,
    data: PathBuf,
    /// Removes the cluster when its input ends.
    keeper: Process,
}

impl Cluster {
    async fn new() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
        let mut command = Command::new(script);
        command.args(["sh", "-c", "echo \"$TEST_PG_URL\"; exec cat"]).env_remove("TEST_PG_URL");
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("scripts/postgres");
        let mut url = String::new();
        BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut url).expect("an address");
        let url = url.trim().to_owned();
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("it answers");
        let data: String =
            sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.expect("a folder");
        Self { url, data: data.into(), keeper: Process(keeper) }
    }

    /// `pg_ctl` of the same server, as the folder's owner.
    fn control(&self, words: &[&str]) {
        let options = fs::read_to_string(self.data.join("postmaster.opts")).expect("how it was started");
        let program = Path::new(options.split_whitespace().next().expect("a program")).with_file_name("pg_ctl");
        let mut command =
            if fs::metadata(&self.data).expect("a folder").uid() == fs::metadata("/proc/self").unwrap().uid() {
                Command::new(program)
            } else {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            };
        let done = command.arg("-D").arg(&self.data).args(words).current_dir("/").stdout(Stdio::null()).status();
        assert!(done.expect("pg_ctl").success(), "{words:?}");
    }

    fn stop(&self) {
        self.control(&["-m", "immediate", "-w", "stop"]);
    }

    fn start(&self) {
        let port = self.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port");
        let log = self.data.with_file_name("server.log");
        self.control(&["-w", "-o", &format!("-p {port}"), "-l", log.to_str().expect("text"), "start"]);
    }

    /// Stops and removes it.
    fn end(mut self) {
        drop(self.keeper.0.stdin.take());
        assert!(self.keeper.0.wait().expect("it ends").success());
    }
}

// I10, I9, I11
#[tokio::test]
async fn a_database_that_is_stopped_in_the_middle_loses_and_doubles_nothing() {
    let begun = Instant::now();
    let (stops, seed) =
        (number("STOPS").unwrap_or(STOPS), number("KILL_SEED").unwrap_or_else(|| below(&SystemRandom, 1 << 32)));
    let dice = SeededRandom::new(seed);
    let cluster = Cluster::new().await;
    let mut house = House::bare(tempfile::tempdir().expect("a folder"), Some(cluster.url.clone()), "");
    house.furnish().await;
    let load = Load::new(house, usize::try_from(stops).unwrap() * PEOPLE + 2, seed).await;
    let (tell, there) = watch::channel(false);
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        senders.spawn(load.clone().people_and_providers(there.clone()));
    }
    senders.spawn(load.clone().staff(there));
    let daemon = load.house.start();
    load.house.ready().await;

    let mut slowest = Duration::ZERO;
    for stop in 0..stops {
        load.turn(PEOPLE);
        tell.send_replace(true);
        pause(1_000 + below(&dice, 2_000)).await;
        cluster.stop();
        if stop == 0 {
            // A webhook is answered in time, whatever it waits for.
            let asked = Instant::now();
            assert_eq!(load.bulk(1).await, Answer::Unknown);
            assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
        }
        pause(below(&dice, 1_500)).await;
        cluster.start();
        slowest = slowest.max(load.house.ready().await);
    }
    tell.send_replace(false);
    drop(tell);
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    load.finish().await;
    rest(&load, Duration::from_mins(2), seed).await;
    let (_, yes) = load.newcomer().await;
    assert_eq!(yes, Answer::Acknowledged);
    rest(&load, Duration::from_mins(2), seed).await;
    load.house.verify();
    assert!(daemon.terminate().success(), "it is the same daemon still");
    let log = fs::read_to_string(load.house.path("daemon.log")).unwrap();
    assert!(!log.contains("panicked"), "{}", load.house.told());
    let ((owed, claimed), sent) = (load.oracle.lock().unwrap().counts(), load.sent.load(Ordering::SeqCst));
    let before = 2 * (usize::try_from(stops).unwrap() * PEOPLE + 2);
    assert!(
        owed > before + usize::try_from(stops).unwrap(),
        "{owed} obligations, {before} of them before, are no load"
    );
    eprintln!(
        "{stops} stops, KILL_SEED={seed}: {sent} requests, {owed} obligations of {claimed} claims hold; ready again after \
         {slowest:?}, all {:?}",
        begun.elapsed()
    );
    Arc::into_inner(load).expect("nobody sends any more").house.end().await;
    cluster.end();
}
