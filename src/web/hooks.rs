//! `POST /hooks/{account}/{secret}`: what providers tell us.
//!
//! Nothing is read from a body here. What has the right credentials is kept as it came, on disk before the answer; what
//! the answer is, the adapter says, because a wrong one makes some providers throw the event away.

use crate::service::ServiceError;
use crate::service::intake::Incoming;
use crate::web::body::Taken;
use crate::web::doors::Door;
use crate::web::state::State;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Shared};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Response, StatusCode};
use consentd_provider::{Delivery, Intake};
use std::sync::Arc;
use tracing::Instrument;
use tracing::field::Empty;

/// What is said while it is not known which provider asks: each of them comes back after it (RFC 6585 4).
pub(super) const COME_BACK: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// Wrong credentials so many times in a row are for a person to see.
const SUSPICIOUS: u32 = 3;

pub(super) async fn deliver(
    Shared(state): Shared<State>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Ok(Path((account, secret))) = path else { return StatusCode::NOT_FOUND };
    let door = match find(&state, &account, &secret).await {
        Ok(Some(door)) => door,
        Ok(None) => return StatusCode::NOT_FOUND,
        Err(()) => return COME_BACK,
    };
    let span = tracing::info_span!(
        "webhook.receive",
        connection.id = %door.connection,
        provider = door.provider(),
        bytes = Empty,
        delivery.id = Empty,
        intake = Empty,
    );
    // In a task of its own a delivery survives its sender's hanging up, and a panic costs no more than "come back".
    let (own, behind) = (state, door.clone());
    let work = async move { take(&own, &account, behind, &headers, body).await };
    let taken = tokio::spawn(work.instrument(span.clone())).await;
    let (door, intake) = taken.unwrap_or((door, Intake::Busy));
    span.record("intake", word(intake));
    metrics::counter!("consentd_hooks_total", "provider" => door.provider(), "intake" => word(intake)).increment(1);
    StatusCode::from_u16(door.answer(intake)).unwrap_or(COME_BACK)
}

/// The last resort, whatever went wrong.
pub(super) fn panicked() -> Response<Body> {
    tracing::error!("a webhook request panicked");
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = COME_BACK;
    answer
}

async fn find(state: &State, account: &str, secret: &str) -> Result<Option<Arc<Door>>, ()> {
    let unknown = |error: ServiceError| {
        tracing::error!(error = %error, "a webhook's connection cannot be looked up");
    };
    let found = state.doors.find(&state.core, account).await.map_err(unknown)?;
    let Some(mut door) = found else { return Ok(None) };
    if !door.path_matches(secret) {
        door = state.doors.find_again(&state.core, account, door).await.map_err(unknown)?;
    }
    Ok(door.path_matches(secret).then_some(door))
}

async fn take(
    state: &State,
    account: &str,
    mut door: Arc<Door>,
    headers: &HeaderMap,
    body: Body,
) -> (Arc<Door>, Intake) {
    let (bytes, room) = match state.bodies.take(body, state.request_time).await {
        Taken::Whole(bytes, room) => (bytes, room),
        Taken::TooLarge => return (door, Intake::TooLarge),
        Taken::NotNow => return (door, Intake::Busy),
    };
    tracing::Span::current().record("bytes", bytes.len());
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let delivery = Delivery { authorization, body: &bytes };
    if !door.trusts(delivery) {
        let Ok(again) = state.doors.find_again(&state.core, account, door.clone()).await else {
            return (door, Intake::Busy);
        };
        door = again;
        if !door.trusts(delivery) {
            distrust(state, &door).await;
            return (door, Intake::Unauthorised);
        }
    }
    if state.doors.right(door.connection) {
        settle(state, &door).await;
    }
    let large = bytes.len() > state.bodies.ordinary;
    let incoming = Incoming {
        tenant: door.tenant,
        connection: door.connection,
        body: bytes,
        quarantine: large.then_some("larger than webhooks.body_mib"),
    };
    let intake = state.bag.keep(incoming).await;
    drop(room);
    match intake {
        Intake::Stored => state.wake.inbox.notify_one(),
        Intake::Quarantined => tell_of_large(state, &door).await,
        _ => {}
    }
    (door, intake)
}

/// Somebody who knows the path does not know the credential.
async fn distrust(state: &State, door: &Door) {
    let times = state.doors.wrong(door.connection);
    if times < SUSPICIOUS || !times.is_power_of_two() && times != SUSPICIOUS {
        return;
    }
    tracing::warn!(connection.id = %door.connection, times, "webhooks come in with wrong credentials");
    let detail = "webhooks come in with wrong credentials; register them anew with `consentd connection hooks --repair`, and rotate the secrets if nobody changed them";
    let raised = async {
        let mut tx = state.core.store.begin().await?;
        tx.raise(door.tenant, door.connection, "hook_credentials", door.connection.0, detail, state.core.now()).await?;
        tx.commit().await
    };
    note(raised.await);
}

/// A body too large to be read may hold unsubscriptions.
async fn tell_of_large(state: &State, door: &Door) {
    let detail = "a delivery was kept and not applied: it is larger than webhooks.body_mib; raise that and replay it with `consentd webhook replay`";
    let raised = async {
        let mut tx = state.core.store.begin().await?;
        tx.raise(door.tenant, door.connection, "quarantine", door.connection.0, detail, state.core.now()).await?;
        tx.commit().await
    };
    note(raised.await);
}

async fn settle(state: &State, door: &Door) {
    let settled = async {
        let mut tx = state.core.store.begin().await?;
        tx.settle_incident(door.tenant, door.connection, "hook_credentials", door.connection.0, state.core.now())
            .await?;
        tx.commit().await
    };
    note(settled.await);
}

fn note(result: Result<(), crate::store::StoreError>) {
    if let Err(error) = result {
        tracing::error!(error = %error, "an incident about webhooks could not be written");
    }
}

const fn word(intake: Intake) -> &'static str {
    match intake {
        Intake::Stored => "stored",
        Intake::Quarantined => "quarantined",
        Intake::Busy => "busy",
        Intake::Unauthorised => "unauthorised",
        Intake::TooLarge => "too_large",
    }
}
