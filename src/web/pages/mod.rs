//! The recipients' pages: what somebody sees who follows a link in a mail.
//!
//! No script, no cookie, nothing from elsewhere, and nothing about the person but where they stand. `GET` shows, `POST`
//! decides.

pub(super) mod consent;
mod html;
mod one_click;
pub(super) mod unsubscribe;
mod words;

pub(super) use html::policy;

use crate::domain::consent::Language;
use crate::service::link::{DecideError, Opened};
use crate::web::state::State;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::header::{ACCEPT_LANGUAGE, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::response::IntoResponse;
use html::Page;
use std::convert::Infallible;
use words::Words;

/// The longest form that is read.
const FORM: usize = 64 * 1024;

/// Headers of a request that nobody looks at: a prefetch, a preview.
fn is_prefetch(method: &Method, headers: &HeaderMap) -> bool {
    let marks = ["purpose", "sec-purpose", "x-purpose", "x-moz"];
    *method == Method::HEAD
        || marks.iter().filter_map(|name| headers.get(*name)).any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            value.starts_with(b"prefetch") || value.starts_with(b"preview")
        })
}

/// The first language of the reader's that there are words in.
fn language(headers: &HeaderMap) -> Language {
    let wanted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    wanted.split(',').find_map(|tag| Language::parse(tag.trim())).unwrap_or(Language::En)
}

/// The secret of a link; empty, as no link's is, when it is no text.
pub(super) struct Token(String);

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map(|Path(token)| token).unwrap_or_default()))
    }
}

/// Looks a link up for its page.
async fn open(state: &State, token: &str, prefetch: bool, headers: &HeaderMap) -> Result<Opened, Response<Body>> {
    state.core.open_link(token, prefetch).await.map_err(|error| trouble(&error, headers))
}

/// The page for a link that cannot be used, or not now.
fn trouble(error: &DecideError, headers: &HeaderMap) -> Response<Body> {
    let language = language(headers);
    let words = Words::of(language);
    match error {
        DecideError::Unknown => {
            Page::new(language, words.unknown_title).says(words.unknown).answer(StatusCode::NOT_FOUND)
        }
        other => {
            tracing::error!(error = %other, "a link's page cannot be shown");
            busy(language)
        }
    }
}

fn busy(language: Language) -> Response<Body> {
    let words = Words::of(language);
    let mut answer = Page::new(language, words.busy_title).says(words.busy).answer(StatusCode::SERVICE_UNAVAILABLE);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    answer
}

/// For a client that looks too often. The page's form still works, and so does a mail program's button.
pub(super) fn too_often(headers: &HeaderMap) -> Response<Body> {
    let mut answer = busy(language(headers));
    *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    answer
}

/// No such page.
pub(super) async fn not_found(headers: HeaderMap) -> Response<Body> {
    trouble(&DecideError::Unknown, &headers)
}

/// A page that does not take this method.
pub(super) async fn wrong_method() -> Response<Body> {
    StatusCode::METHOD_NOT_ALLOWED.into_response()
}

/// The last resort.
pub(super) fn panicked() -> Response<Body> {
    tracing::error!("a page panicked");
    busy(Language::En)
}
