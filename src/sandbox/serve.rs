//! The listener of one emulated provider.

use super::accounts::{Accounts, held};
use super::control;
use super::line::{Lines, Scissors};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use consentd_provider::emulator::{Call, Reply};
use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The longest body that is read.
const LONGEST_BODY: usize = 16 * 1024 * 1024;
/// How long a call that gets no answer is held at the most.
const LONGEST_HANG: Duration = Duration::from_mins(10);
/// Headers that name an account, the first of them that is there.
const CREDENTIALS: [&str; 2] = ["api-key", "authorization"];

/// An emulated provider that is listening. Stops when dropped.
pub struct Sandbox {
    address: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Sandbox {
    /// Listens on this machine only; port 0 takes any that is free.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn listen(port: u16, accounts: Arc<Accounts>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(());
        let desk = Desk { accounts, stopped: stopped.clone() };
        let service = Router::new().fallback(answer).with_state(desk).into_make_service_with_connect_info::<Scissors>();
        let server = axum::serve(Lines(listener), service).with_graceful_shutdown(end_of(stopped)).into_future();
        let task = tokio::spawn(async move {
            // A server on an open listener ends without an error.
            drop(server.await);
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts the emulated provider in the place of the host of a provider's own base URL.
    #[must_use]
    pub fn base_url(&self, original: &str) -> String {
        let path = original.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        format!("http://{}/{path}", self.address).trim_end_matches('/').to_owned()
    }

    /// Stops listening and lets go of calls that hang.
    pub async fn stop(self) {
        drop(self.stop);
        // Who cancelled the task wanted it to end.
        drop(self.task.await);
    }
}

/// Waits until the sandbox is stopped or dropped.
async fn end_of(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

#[derive(Clone)]
struct Desk {
    accounts: Arc<Accounts>,
    stopped: watch::Receiver<()>,
}

/// Answers any call: the sandbox's own ones below `/_sandbox/`, all others as the provider would.
async fn answer(
    State(desk): State<Desk>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let call = call(&parts, body.to_vec());
    let credential = CREDENTIALS.into_iter().find_map(|name| call.header(name));
    if let Some(command) = call.path.strip_prefix("/_sandbox/") {
        return control::answer(&desk.accounts, command, credential, &call, &parts.uri);
    }
    let account = desk.accounts.of(credential.unwrap_or_default());
    let reply = held(&account).call(desk.accounts.time.now(), call);
    match reply {
        Reply::Answer(answer) => spoken(answer),
        Reply::Refuse => {
            scissors.close();
            StatusCode::NO_CONTENT.into_response()
        }
        Reply::Reset => {
            scissors.reset();
            StatusCode::NO_CONTENT.into_response()
        }
        Reply::Hang => {
            tokio::select! {
                () = desk.accounts.time.clock().sleep(LONGEST_HANG) => {}
                () = end_of(desk.stopped) => {}
            }
            scissors.close();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

fn call(parts: &Parts, body: Vec<u8>) -> Call {
    let headers = parts.headers.iter();
    Call {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body,
    }
}

/// An emulator's answer on the wire. How long it is and how it is sent is this server's business.
fn spoken(answer: consentd_provider::Response) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().remove(axum::http::header::CONTENT_TYPE);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && name != axum::http::header::CONTENT_LENGTH
            && name != axum::http::header::TRANSFER_ENCODING
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
