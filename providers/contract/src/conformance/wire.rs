//! A gateway that notes every request, paces them by the declared quotas, and can answer in the provider's place.

use crate::{Gateway, Method, ProviderError, Quota, Repeat, Request, Response, Sent, Timestamp};
use async_trait::async_trait;
use secrecy::ExposeSecret;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A request that the adapter sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) family: &'static str,
    pub(super) repeat: Repeat,
    pub(super) shown: String,
}

impl Seen {
    /// Whether the request may change something.
    pub(super) fn writes(&self) -> bool {
        self.method != Method::Get
    }
}

/// What becomes of the requests after the first few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trip {
    /// The connection is refused.
    Refuse,
    /// The request arrives, and no answer comes.
    Silence,
    /// A 429; nothing arrives.
    Throttle,
    /// A 503; nothing arrives.
    Fail,
    /// The request arrives, and its answer is cut in the middle.
    Cut,
}

/// Which requests find the connection refused. A server cannot refuse a connection that it has taken, so it is done
/// here, for every way that a setup may lay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Refused {
    #[default]
    None,
    Writes,
    All,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    trip: Option<(usize, Trip)>,
    refused: Refused,
    answer: Option<Response>,
}

pub(super) struct Wire {
    inner: Box<dyn Gateway>,
    clock: Arc<AtomicI64>,
    quotas: Vec<Quota>,
    state: Mutex<State>,
}

impl Wire {
    pub(super) fn new(inner: Box<dyn Gateway>, clock: Arc<AtomicI64>, quotas: Vec<Quota>) -> Self {
        Self { inner, clock, quotas, state: Mutex::default() }
    }

    /// Hands out what was sent since the last time.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    /// Lets that many more requests through; all after them meet the trip.
    pub(super) fn trip_after(&self, requests: usize, trip: Trip) {
        self.state().trip = Some((requests, trip));
    }

    /// Refuses the connection to these requests from now on.
    pub(super) fn refuse(&self, refused: Refused) {
        self.state().refused = refused;
    }

    /// Answers every request like this from now on; none reaches the provider.
    pub(super) fn answer(&self, response: Response) {
        self.state().answer = Some(response);
    }

    /// Lets everything through again.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.trip = None;
        state.refused = Refused::None;
        state.answer = None;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spends the time that the tightest quota of the family asks for between two requests, so that an emulator that
    /// counts calls has no reason to complain about an adapter that declares its quotas.
    fn pace(&self, family: &str) {
        let quotas = self.quotas.iter().filter(|quota| quota.family == family);
        let gap = quotas.map(|quota| quota.per.as_micros() / u128::from(quota.limit.max(1))).max().unwrap_or(0);
        self.clock.fetch_add(i64::try_from(gap).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

#[async_trait]
impl Gateway for Wire {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.pace(request.family);
        let trip = {
            let mut state = self.state();
            state.seen.push(Seen {
                method: request.method,
                route: request.route,
                path: request.path.clone(),
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| (*name, value.expose_secret().to_owned()))
                    .collect(),
                body: request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default(),
                family: request.family,
                repeat: request.repeat,
                shown: format!("{request:?}"),
            });
            if let Some(answer) = &state.answer {
                return Ok(answer.clone());
            }
            let refused = match state.refused {
                Refused::None => false,
                Refused::Writes => request.method != Method::Get,
                Refused::All => true,
            };
            match &mut state.trip {
                _ if refused => Some(Trip::Refuse),
                Some((0, trip)) => Some(*trip),
                Some((left, _)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        let unreachable = |sent, words: &str| Err(ProviderError::Unreachable { sent, source: words.into() });
        match trip {
            None => self.inner.send(request).await,
            Some(Trip::Refuse) => unreachable(Sent::No, "connection refused"),
            Some(Trip::Throttle) => Ok(Response { status: 429, headers: Vec::new(), body: Vec::new() }),
            Some(Trip::Fail) => Ok(Response { status: 503, headers: Vec::new(), body: Vec::new() }),
            Some(Trip::Silence) => {
                self.inner.send(request).await?;
                unreachable(Sent::Maybe, "timed out")
            }
            Some(Trip::Cut) => {
                let mut answer = self.inner.send(request).await?;
                answer.body.truncate(answer.body.len() / 2);
                Ok(answer)
            }
        }
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> Result<Response, ProviderError> {
        self.send(request).await
    }
}
