//! `GET /metrics` for Prometheus. What is counted as it happens is there already; what has to be looked up is read now.

use crate::clock::Timestamp;
use crate::service::{Core, ServiceError};
use crate::store::{ConnectionGlance, Waiting};
use crate::web::state::{Kinds, State};
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::PoisonError;

/// States that a connection can be in; exactly one is 1.
const STATES: [&str; 4] = ["shadow", "active", "suspended", "paused"];
/// States of a run that is not over; at most one is 1.
const RUN_STATES: [&str; 6] =
    ["requested", "planning", "awaiting_confirmation", "applying", "following", "reading_back"];

pub(super) async fn metrics(Shared(state): Shared<State>) -> Response {
    let Some(handle) = &state.metrics else { return StatusCode::NOT_FOUND.into_response() };
    for (connection, family, calls) in state.core.gateways.left() {
        metrics::gauge!("consentd_provider_budget_left", "connection" => connection.to_string(), "family" => family)
            .set(f64::from(calls));
    }
    if let Err(error) = read(&state).await {
        // What was counted is still worth a look when the database is gone.
        tracing::warn!(error = %error, "metrics cannot be read from the database");
    }
    handle.run_upkeep();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

async fn read(state: &State) -> Result<(), ServiceError> {
    let core = &state.core;
    let now = core.now();
    metrics::gauge!("consentd_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    inbox(core, now).await?;
    incidents(core, &state.kinds).await?;
    let waiting = core.store.waiting_withdrawals().await?;
    let oldest = waiting.iter().map(|waiting| waiting.oldest).min();
    metrics::gauge!("consentd_withdrawals_oldest_seconds").set(age(now, oldest));
    metrics::gauge!("consentd_withdrawals_waiting").set(float(waiting.iter().map(|waiting| waiting.count).sum()));
    for glance in core.store.glance().await? {
        let own = waiting.iter().find(|waiting| waiting.connection.0 == glance.id);
        connection(&glance, own, now);
    }
    Ok(())
}

async fn inbox(core: &Core, now: Timestamp) -> Result<(), ServiceError> {
    let counts = core.store.inbox_counts().await?;
    let of = |state: &str| counts.iter().find(|count| count.state == state);
    for state in ["new", "done", "quarantined", "failed"] {
        let deliveries = of(state).map_or(0, |count| count.deliveries);
        metrics::gauge!("consentd_inbox_deliveries", "state" => state).set(float(deliveries));
    }
    metrics::gauge!("consentd_inbox_oldest_seconds").set(age(now, of("new").map(|count| count.oldest)));
    Ok(())
}

/// A kind that was shown once stays at zero when it is over, so that an alarm on it ends.
async fn incidents(core: &Core, shown: &Kinds) -> Result<(), ServiceError> {
    let counts = core.store.incident_counts().await?;
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    shown.extend(counts.iter().map(|(kind, _)| kind.clone()));
    for kind in shown.iter() {
        let open = counts.iter().find(|(open, _)| open == kind).map_or(0, |(_, open)| *open);
        metrics::gauge!("consentd_incidents_open", "kind" => kind.clone()).set(float(open));
    }
    Ok(())
}

fn connection(glance: &ConnectionGlance, waiting: Option<&Waiting>, now: Timestamp) {
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "connection" => glance.id.to_string()).set(value);
    };
    gauge("consentd_connection_withdrawals_waiting", waiting.map_or(0.0, |own| float(own.count)));
    gauge("consentd_connection_withdrawals_oldest_seconds", age(now, waiting.map(|own| own.oldest)));
    gauge("consentd_connection_failures", float(glance.failures));
    gauge("consentd_connection_jobs", float(glance.jobs));
    gauge("consentd_connection_jobs_oldest_seconds", age(now, glance.oldest_job));
    gauge("consentd_connection_people_waiting", float(glance.dirty));
    gauge("consentd_connection_people_oldest_seconds", age(now, glance.oldest_dirty));
    // A bell that is due during a run waits for its end.
    let late = glance.next_at.filter(|_| glance.run_state.is_empty());
    gauge("consentd_connection_schedule_late_seconds", age(now, late));
    gauge("consentd_connection_walk_seconds", age(now, glance.walked_at));
    gauge("consentd_connection_sync_seconds", age(now, glance.synced_at));
    gauge("consentd_connection_run_seconds", age(now, glance.run_requested_at));
    for known in STATES {
        metrics::gauge!(
            "consentd_connection_state", "connection" => glance.id.to_string(),
            "provider" => glance.provider.clone(), "state" => known
        )
        .set(one_if(known == glance.state));
    }
    for known in RUN_STATES {
        metrics::gauge!("consentd_connection_run", "connection" => glance.id.to_string(), "state" => known)
            .set(one_if(known == glance.run_state));
    }
}

/// Seconds since then; zero when there is nothing, or it is still to come.
fn age(now: Timestamp, then: Option<Timestamp>) -> f64 {
    then.map_or(0.0, |then| float((now - then).max(0)) / 1e6)
}

const fn one_if(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn float(number: i64) -> f64 {
    number as f64
}
