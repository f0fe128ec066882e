//! The load: keep-alive connections over loopback, on a thread of its own, with as little work as possible.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where requests go, and what is in them.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// The start of the `nth` request up to its length, and its body.
    pub request: Arc<dyn Fn(u64) -> (String, String) + Send + Sync>,
}

/// How many, how fast.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each connection sends the next request when the one before was answered, for so long.
    Closed(Duration),
    /// As before, until so many were sent.
    Count(u64),
    /// So many a second for so long, each at its time, whatever became of those before.
    Open(u64, Duration),
}

/// What came back.
#[derive(Default)]
pub struct Outcome {
    /// Answers with status 200.
    pub accepted: u64,
    /// Anything else.
    pub failed: u64,
    pub seconds: f64,
    /// In milliseconds, ascending; for an open load from the instant that a request was due.
    latencies: Vec<f64>,
}

impl Outcome {
    /// The latency that so many of a hundred requests keep.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or(0.0)
    }

    /// Accepted requests a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.seconds
    }
}

/// Sends requests, numbered on from `numbers`, over so many connections.
pub async fn run(target: Target, connections: u64, pace: Pace, numbers: Arc<AtomicU64>) -> anyhow::Result<Outcome> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let outcome = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)
            .and_then(|runtime| runtime.block_on(all(&target, connections, pace, &numbers)));
        drop(tell.send(outcome));
    });
    told.await?
}

async fn all(target: &Target, connections: u64, pace: Pace, numbers: &Arc<AtomicU64>) -> anyhow::Result<Outcome> {
    let mut clients = JoinSet::new();
    let start = Instant::now() + Duration::from_millis(50);
    let sent = Arc::new(AtomicU64::new(0));
    for own in 0..connections {
        let (target, numbers, sent) = (target.clone(), numbers.clone(), sent.clone());
        clients.spawn(async move { client(&target, own, connections, pace, start, &numbers, &sent).await });
    }
    let mut outcome = Outcome::default();
    while let Some(done) = clients.join_next().await {
        let own = done??;
        outcome.accepted += own.accepted;
        outcome.failed += own.failed;
        outcome.latencies.extend(own.latencies);
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome.latencies.sort_by(f64::total_cmp);
    Ok(outcome)
}

async fn client(
    target: &Target,
    own: u64,
    connections: u64,
    pace: Pace,
    start: Instant,
    numbers: &AtomicU64,
    sent: &AtomicU64,
) -> anyhow::Result<Outcome> {
    let mut stream = TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    let mut outcome = Outcome::default();
    let mut answer = Vec::with_capacity(1024);
    tokio::time::sleep_until(start.into()).await;
    for turn in 0.. {
        let due = match pace {
            Pace::Closed(time) if start.elapsed() >= time => break,
            Pace::Count(count) if sent.fetch_add(1, Ordering::Relaxed) >= count => break,
            Pace::Closed(_) | Pace::Count(_) => Instant::now(),
            Pace::Open(rate, time) => {
                let due = Duration::from_nanos((turn * connections + own) * 1_000_000_000 / rate);
                if due >= time {
                    break;
                }
                tokio::time::sleep_until((start + due).into()).await;
                start + due
            }
        };
        let (head, body) = (target.request)(numbers.fetch_add(1, Ordering::Relaxed));
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
        if ask(&mut stream, &mut answer).await? {
            outcome.accepted += 1;
        } else {
            outcome.failed += 1;
        }
        outcome.latencies.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(outcome)
}

/// Reads an answer without a body; true for 200.
async fn ask(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<bool> {
    answer.clear();
    while !answer.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(stream.read_buf(answer).await? > 0, "the server hung up");
    }
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
