//! The toy behind real HTTP, as far as the suite needs it: one request a connection.

use crate::SUBJECT;
use async_trait::async_trait;
use consentd_provider::conformance::{Now, Setup, Subject};
use consentd_provider::emulator::{Call, EmulatedProvider, Reply};
use consentd_provider::{Gateway, ProviderError, Request, Response, Sent, Timestamp};
use secrecy::ExposeSecret;
use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What ends a server.
const GOODBYE: &str = "GOODBYE";

/// Adapter and provider with HTTP between them.
pub(crate) struct OverHttp;

#[async_trait]
impl Setup for OverHttp {
    fn subject(&self) -> Subject {
        SUBJECT
    }

    async fn connect(
        &self,
        provider: Arc<Mutex<EmulatedProvider>>,
        now: Now,
    ) -> std::result::Result<Box<dyn Gateway>, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let server = std::thread::spawn(move || serve(&listener, &provider, &now));
        Ok(Box::new(Client { address, server: Some(server) }))
    }
}

struct Client {
    address: SocketAddr,
    server: Option<JoinHandle<Result<()>>>,
}

#[async_trait]
impl Gateway for Client {
    async fn send(&self, request: Request) -> std::result::Result<Response, ProviderError> {
        ask(self.address, &request)
            .map_err(|error| ProviderError::Unreachable { sent: Sent::Maybe, source: error.into() })
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> std::result::Result<Response, ProviderError> {
        self.send(request).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let stopped = TcpStream::connect(self.address).and_then(|mut to| write!(to, "{GOODBYE}\r\n\r\n"));
        if let (Ok(()), Some(server)) = (stopped, self.server.take()) {
            drop(server.join());
        }
    }
}

fn ask(address: SocketAddr, request: &Request) -> Result<Response> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
    let mut bytes = Vec::new();
    write!(bytes, "{} /v1{} HTTP/1.1\r\ncontent-length: {}\r\n", request.method.as_str(), request.path, body.len())?;
    for (name, value) in &request.headers {
        write!(bytes, "{name}: {}\r\n", value.expose_secret())?;
    }
    write!(bytes, "\r\n")?;
    bytes.extend(body);
    stream.write_all(&bytes)?;
    let Message { start, headers, body } = message(&mut BufReader::new(stream))?;
    let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Response { status: status.ok_or(ErrorKind::UnexpectedEof)?, headers, body })
}

/// Answers one connection after the other. To an adapter, silence and a broken connection are the same: no answer, and
/// nobody knows. A broken one takes no time.
fn serve(listener: &TcpListener, provider: &Mutex<EmulatedProvider>, now: &Now) -> Result<()> {
    for stream in listener.incoming() {
        let mut reader = BufReader::new(stream?);
        let Message { start, headers, body } = message(&mut reader)?;
        if start == GOODBYE {
            break;
        }
        let mut words = start.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let call = Call { method: method.into(), path: path.into(), query: query.into(), headers, body };
        let reply = provider.lock().unwrap_or_else(PoisonError::into_inner).call(now(), call);
        let mut stream = reader.into_inner();
        match reply {
            Reply::Answer(answer) => {
                let mut bytes = Vec::new();
                write!(bytes, "HTTP/1.1 {} -\r\ncontent-length: {}\r\n", answer.status, answer.body.len())?;
                for (name, value) in &answer.headers {
                    write!(bytes, "{name}: {value}\r\n")?;
                }
                write!(bytes, "\r\n")?;
                bytes.extend(answer.body);
                stream.write_all(&bytes)?;
            }
            Reply::Hang | Reply::Refuse | Reply::Reset => drop(stream),
        }
    }
    Ok(())
}

/// A request or an answer.
struct Message {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn message(from: &mut impl BufRead) -> Result<Message> {
    let start = line(from)?;
    let mut headers = Vec::new();
    let mut length = 0;
    while let Some((name, value)) = line(from)?.split_once(": ") {
        if name == "content-length" {
            length = value.parse().map_err(Error::other)?;
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Message { start, headers, body })
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
