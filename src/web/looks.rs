//! How often one client may look at pages. Deciding is never limited: a person who says no is always heard.

use crate::web::visit::Client;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Clients that are remembered at the same time; beyond it those are forgotten who have not looked for a while.
const CLIENTS: usize = 20_000;

/// Looks at pages by client. Cheap to clone.
#[derive(Clone)]
pub(super) struct Looks(Option<Arc<RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>>>);

impl Looks {
    /// So many a minute, for each client; 0 for no limit.
    pub(super) fn new(per_minute: u32) -> Self {
        let quota = NonZeroU32::new(per_minute).map(Quota::per_minute);
        Self(quota.map(|quota| Arc::new(RateLimiter::hashmap(quota))))
    }

    fn allows(&self, client: IpAddr) -> bool {
        let Some(limiter) = &self.0 else { return true };
        if limiter.len() > CLIENTS {
            limiter.retain_recent();
        }
        limiter.check_key(&household(client)).is_ok()
    }
}

/// An IPv6 household owns at least a /64.
fn household(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Turns away who looks too often.
pub(super) async fn limit(State(looks): State<Looks>, request: Request<Body>, next: Next) -> Response {
    let client = request.extensions().get::<Client>().copied();
    if *request.method() != Method::POST && client.is_some_and(|Client(address)| !looks.allows(address)) {
        metrics::counter!("consentd_http_looks_refused_total").increment(1);
        return super::pages::too_often(request.headers());
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_shares_its_looks_and_others_have_their_own() {
        let looks = Looks::new(2);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(looks.allows(at("2001:db8::1")) && looks.allows(at("2001:db8::2")));
        assert!(!looks.allows(at("2001:db8::3")));
        assert!(looks.allows(at("2001:db8:0:1::1")) && looks.allows(at("192.0.2.1")));
        assert!((0..100).all(|_| Looks::new(0).allows(at("192.0.2.1"))));
    }
}
