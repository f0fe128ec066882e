//! Accepting connections: so many at once, each with little time for its headers, until told to stop.

use crate::clock::Clock;
use crate::config::Http;
use crate::web::guests::{Guests, Seat};
use crate::web::visit::Visit;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The longest time for the headers of a request, and for a connection to be idle between two.
const HEADERS: Duration = Duration::from_secs(10);
/// The longest headers, the request line included.
const HEADER_BYTES: usize = 20 * 1024;
/// The most headers.
const HEADER_COUNT: usize = 64;

/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then lets requests that began end, for `grace` at most.
pub(crate) async fn listen(
    listener: TcpListener,
    router: Router,
    bounds: &Http,
    grace: Duration,
    clock: &dyn Clock,
    stop: impl Future<Output = ()>,
) {
    let guests = Arc::new(Guests::new(bounds.connections, bounds.connections_per_client));
    let proxies: Arc<[IpAddr]> = bounds.trusted_proxies.clone().into();
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            // Beyond the limit, clients wait in the system's queue until somebody ends or can be sent away.
            guests.room().await;
            listener.accept().await
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = next => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                // Mostly too many open files, which others must close first.
                clock.sleep(PAUSE).await;
                continue;
            }
        };
        let Some(seat) = guests.admit(peer, !proxies.contains(&peer)) else { continue };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "a connection keeps its delays");
        }
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADER_BYTES)
            .max_headers(HEADER_COUNT)
            .keep_alive(true);
        let guest = seat.guest.clone();
        let inside = TowerToHyperService::new(router.clone());
        let visit = Visit { routes: inside, seat: Arc::new(seat), peer, proxies: proxies.clone() };
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), visit));
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %error, "a connection ended early");
                    }
                }
                () = Seat::must_leave(&guest) => tracing::debug!("a connection made room"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}
