//! One connection's requests on their way to the routes: who sends them, and that their bodies come in at a decent pace.

use crate::web::guests::Seat;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The longest path with its query; nothing of ours is a tenth of that.
const URI: usize = 4 * 1024;
/// A body may take this long, and a second more for each [`PACE`] of its bytes.
const HEAD_START: Duration = Duration::from_secs(5);
/// Bytes a second that a body must come in at in the long run.
const PACE: u64 = 1024;

/// Who sends a request: the other end of the connection, or whom our own proxy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(pub(crate) IpAddr);

/// The way from a connection to the routes.
pub(super) struct Visit {
    pub(super) routes: TowerToHyperService<Router>,
    pub(super) seat: Arc<Seat>,
    pub(super) peer: IpAddr,
    /// Our own proxies, whose word about the client is taken.
    pub(super) proxies: Arc<[IpAddr]>,
}

impl hyper::service::Service<Request<Incoming>> for Visit {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let seat = self.seat.clone();
        let long = request.uri().path_and_query().is_some_and(|path| path.as_str().len() > URI);
        let client = Client(client(self.peer, &self.proxies, request.headers()));
        request.extensions_mut().insert(client);
        let answer = self.routes.call(request.map(|body| Body::new(Paced::new(body, seat.clone()))));
        Box::pin(async move {
            if long {
                let mut refusal = Response::new(Body::empty());
                *refusal.status_mut() = StatusCode::URI_TOO_LONG;
                return Ok(refusal);
            }
            let answer = answer.await;
            seat.waits();
            answer
        })
    }
}

/// The last address in `X-Forwarded-For` that is no proxy of ours. Only our own proxies are believed: anybody else can
/// write into that header what they like.
fn client(peer: IpAddr, proxies: &[IpAddr], headers: &HeaderMap) -> IpAddr {
    if !proxies.contains(&peer) {
        return peer;
    }
    let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = named.flat_map(|list| list.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    hops.into_iter().rev().find(|hop| !proxies.contains(hop)).unwrap_or(peer)
}

/// A body that must keep coming.
struct Paced {
    inner: Incoming,
    seat: Arc<Seat>,
    began: Instant,
    bytes: u64,
    late: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(inner: Incoming, seat: Arc<Seat>) -> Self {
        if inner.is_end_stream() {
            seat.is_served();
        } else {
            seat.waits();
        }
        let began = Instant::now();
        Self { inner, seat, began, bytes: 0, late: Box::pin(tokio::time::sleep_until(began + HEAD_START)) }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match polled {
            Poll::Pending => self.late.as_mut().poll(context).map(|()| {
                metrics::counter!("consentd_http_connections_ended_total", "why" => "slow").increment(1);
                Some(Err(axum::Error::new("the body came in too slowly")))
            }),
            Poll::Ready(Some(Ok(frame))) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                let until = self.began + HEAD_START + Duration::from_secs(self.bytes / PACE);
                self.late.as_mut().reset(until);
                if self.inner.is_end_stream() {
                    self.seat.is_served();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(axum::Error::new(error)))),
            Poll::Ready(None) => {
                self.seat.is_served();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_proxy_names_the_client() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let ours = [at("127.0.0.1"), at("10.0.0.7")];
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        headers.append("x-forwarded-for", "nonsense, 10.0.0.7".parse().unwrap());
        assert_eq!(client(at("9.9.9.9"), &ours, &headers), at("9.9.9.9"), "a stranger's word is not taken");
        assert_eq!(client(at("127.0.0.1"), &ours, &headers), at("2.2.2.2"), "the last hop before our proxies");
        assert_eq!(client(at("127.0.0.1"), &ours, &HeaderMap::new()), at("127.0.0.1"));
    }
}
