//! People who open their links and answer, many at once, each over HTTP.

use crate::gateway::Courier;
use crate::random::{SeededRandom, below};
use crate::store::Address;
use anyhow::{bail, ensure};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Browsers open at the same time.
const AT_ONCE: usize = 48;

/// What somebody makes of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    Accepts,
    Refuses,
    /// A mail scanner clicks everything before the person sees it; the person answers never.
    Scanned,
    Silent,
}

/// How everybody answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    pub(super) accepted: Vec<Address>,
    pub(super) refused: Vec<Address>,
    pub(super) scanned: usize,
    pub(super) silent: usize,
}

impl Answers {
    pub(super) fn total(&self) -> usize {
        self.accepted.len() + self.refused.len() + self.scanned + self.silent
    }
}

type Queue = Arc<Mutex<VecDeque<(Address, String, Temper)>>>;

/// Lets everybody answer. `tick` is told how many did.
pub(super) async fn answer(
    links: Vec<(Address, String)>,
    seed: u64,
    mut tick: impl FnMut(usize),
) -> anyhow::Result<Answers> {
    let random = SeededRandom::new(seed);
    let with_temper = |(address, link)| {
        let temper = match below(&random, 100) {
            0..72 => Temper::Accepts,
            72..84 => Temper::Refuses,
            84..88 => Temper::Scanned,
            _ => Temper::Silent,
        };
        (address, link, temper)
    };
    let queue: Queue = Arc::new(Mutex::new(links.into_iter().map(with_temper).collect()));
    let courier = Courier::new(Duration::from_secs(30))?;
    let (tell, mut told) = mpsc::channel(AT_ONCE);
    for _ in 0..AT_ONCE {
        tokio::spawn(browse(Arc::clone(&queue), courier.clone(), tell.clone()));
    }
    drop(tell);
    let mut answers = Answers::default();
    while let Some(result) = told.recv().await {
        let (address, temper) = result?;
        match temper {
            Temper::Accepts => answers.accepted.push(address),
            Temper::Refuses => answers.refused.push(address),
            Temper::Scanned => answers.scanned += 1,
            Temper::Silent => answers.silent += 1,
        }
        tick(answers.total());
    }
    Ok(answers)
}

/// One browser after another.
async fn browse(queue: Queue, courier: Courier, tell: mpsc::Sender<anyhow::Result<(Address, Temper)>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((address, link, temper)) = next else { return };
        let result = visit(&courier, &link, temper).await.map(|()| (address, temper));
        if tell.send(result).await.is_err() {
            return;
        }
    }
}

async fn visit(courier: &Courier, link: &str, temper: Temper) -> anyhow::Result<()> {
    let (agent, decision, expected) = match temper {
        Temper::Silent => return Ok(()),
        Temper::Accepts => ("Mozilla/5.0 (demo)", "accept", 200),
        Temper::Refuses => ("Mozilla/5.0 (demo)", "refuse", 200),
        Temper::Scanned => ("Barracuda Sentinel (demo)", "accept", 422),
    };
    let agent = ("user-agent".to_owned(), agent.to_owned());
    let opened = courier.get(link, std::slice::from_ref(&agent)).await;
    ensure!(opened == Some(200), "a link answered {opened:?} to being opened");
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let decided = courier.post(link, &[agent, form], format!("decision={decision}").into_bytes()).await;
    if decided != Some(expected) {
        bail!("a link answered {decided:?} to `{decision}`, not {expected}");
    }
    Ok(())
}

/// A mail program unsubscribes its person with one click (RFC 8058).
pub(super) async fn one_click(courier: &Courier, link: &str) -> anyhow::Result<()> {
    let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let agent = ("user-agent".to_owned(), "Mail program (demo)".to_owned());
    let answered = courier.post(link, &[agent, form], b"List-Unsubscribe=One-Click".to_vec()).await;
    ensure!(answered == Some(200), "an unsubscribe link answered {answered:?}");
    Ok(())
}
