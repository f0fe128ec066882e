//! `/c/{token}`: the question, and its answer.

use crate::domain::consent::State as Standing;
use crate::domain::token::{AcceptError, Class};
use crate::service::link::{DecideError, Decision, Opened, Visitor};
use crate::web::pages::html::{Button, Page};
use crate::web::pages::one_click::Form;
use crate::web::pages::words::Words;
use crate::web::pages::{FORM, Token, busy, is_prefetch, open, trouble};
use crate::web::state::State;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::response::IntoResponse;

/// Shows the question. Links that only unsubscribe show that.
pub(in crate::web) async fn show(
    Shared(state): Shared<State>,
    Token(token): Token,
    method: Method,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&state, &token, is_prefetch(&method, &headers), &headers).await {
        Ok(opened) => opened,
        Err(answer) => return answer,
    };
    question(&opened, None, false).answer(StatusCode::OK)
}

/// Carries out what the person decided.
pub(in crate::web) async fn decide(
    Shared(state): Shared<State>,
    Token(token): Token,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    // A body that cannot be read holds no decision.
    let body = axum::body::to_bytes(body, FORM).await.unwrap_or_default();
    let form = Form::read(header(&headers, &CONTENT_TYPE), &body);
    let decision = match form.field("decision") {
        "accept" => Some(Decision::Accept),
        "refuse" => Some(Decision::Refuse),
        _ => form.is_one_click().then_some(Decision::Refuse),
    };
    carry_out(&state, &token, decision, &form, &headers).await
}

/// Both routes end here: the same link under either of them does the same.
pub(super) async fn carry_out(
    state: &State,
    token: &str,
    decision: Option<Decision>,
    form: &Form,
    headers: &HeaderMap,
) -> Response<Body> {
    let Some(decision) = decision else {
        return match open(state, token, false, headers).await {
            Ok(opened) => {
                let words = Words::of(opened.language);
                question(&opened, Some(words.nothing_chosen), false).answer(StatusCode::BAD_REQUEST)
            }
            Err(answer) => answer,
        };
    };
    let visitor = Visitor {
        agent: header(headers, &USER_AGENT).to_owned(),
        confirmed: form.field("confirmed") == "yes",
        one_click: form.is_one_click(),
    };
    // In a task of its own a decision survives a mail program that hangs up, and a request that takes too long.
    let (core, secret, by) = (state.core.clone(), token.to_owned(), visitor.clone());
    let decided = tokio::spawn(async move { core.decide(&secret, decision, &by).await }).await;
    let Ok(decided) = decided else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    // Withdrawals are on their way at once.
    state.wake.connections.notify_one();
    match decided {
        Ok(_) if visitor.one_click => "ok\n".into_response(),
        Ok(standing) => done(state, token, standing, headers).await,
        Err(DecideError::Accept(why)) => cannot_accept(state, token, why, headers).await,
        Err(DecideError::Service(crate::service::ServiceError::Denied(_))) => {
            refused(state, token, StatusCode::CONFLICT, |words| words.not_possible, false, headers).await
        }
        Err(error) => trouble(&error, headers),
    }
}

/// The question with its buttons, as far as the link and the standing allow them.
fn question(opened: &Opened, warning: Option<&str>, with_box: bool) -> Page {
    let words = Words::of(opened.language);
    let asks = opened.class == Class::Consent;
    let mut page = Page::new(opened.language, if asks { words.ask_title } else { words.unsubscribe_title });
    if let Some(warning) = warning {
        page = page.warns(warning);
    }
    page = match opened.state {
        Standing::Accepted => page.says(words.stands_accepted),
        Standing::Refused | Standing::Withdrawn => page.says(words.stands_refused),
        Standing::NotAsked | Standing::Pending | Standing::Lapsed => page,
    };
    if asks && !opened.can_accept && warning.is_none() {
        page = page.warns(words.expired);
    }
    let buttons: &[Button] = match (asks, opened.can_accept) {
        (true, true) => &[Button::Accept, Button::Refuse],
        (true, false) => &[Button::Refuse],
        (false, _) => &[Button::Unsubscribe],
    };
    page.asks(opened).form(buttons, with_box)
}

async fn done(state: &State, token: &str, standing: Standing, headers: &HeaderMap) -> Response<Body> {
    // What was decided stands, whether or not its page can be shown in full.
    let opened = match state.core.show_link(token).await {
        Ok(opened) => opened,
        Err(error) => return trouble(&error, headers),
    };
    let words = Words::of(opened.language);
    let page = if standing == Standing::Accepted {
        Page::new(opened.language, words.accepted_title).says(words.accepted)
    } else {
        Page::new(opened.language, words.refused_title).says(words.refused)
    };
    page.asks(&opened).answer(StatusCode::OK)
}

async fn cannot_accept(state: &State, token: &str, why: AcceptError, headers: &HeaderMap) -> Response<Body> {
    let (status, sentence, with_box): (_, fn(&Words) -> &'static str, _) = match why {
        AcceptError::WrongClass => (StatusCode::FORBIDDEN, |words| words.only_unsubscribes, false),
        AcceptError::Expired => (StatusCode::GONE, |words| words.expired, false),
        AcceptError::TextChanged => (StatusCode::CONFLICT, |words| words.text_changed, false),
        AcceptError::ConfirmationNeeded => (StatusCode::UNPROCESSABLE_ENTITY, |words| words.please_tick, true),
    };
    refused(state, token, status, sentence, with_box, headers).await
}

async fn refused(
    state: &State,
    token: &str,
    status: StatusCode,
    sentence: fn(&Words) -> &'static str,
    with_box: bool,
    headers: &HeaderMap,
) -> Response<Body> {
    match state.core.show_link(token).await {
        Ok(opened) => {
            let words = Words::of(opened.language);
            question(&opened, Some(sentence(words)), with_box).answer(status)
        }
        Err(DecideError::Unknown) => trouble(&DecideError::Unknown, headers),
        Err(_) => busy(super::language(headers)),
    }
}

/// A header's text; empty when it is absent or no text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
