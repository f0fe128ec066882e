//! Connections that can be cut, so that a caller meets a broken connection and not a polite answer.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

/// Decides whether a connection may still say something.
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors(Arc<AtomicU8>);

impl Scissors {
    /// Ends the connection instead of the next answer.
    pub(super) fn close(&self) {
        self.0.store(CLOSED, Ordering::SeqCst);
    }

    /// Resets the connection instead of the next answer.
    pub(super) fn reset(&self) {
        self.0.store(RESET, Ordering::SeqCst);
    }
}

/// A connection with its scissors.
pub(super) struct Line {
    stream: TcpStream,
    scissors: Scissors,
}

impl Line {
    /// Refuses to write once the connection was cut; the server drops it then.
    fn may_write(&self) -> io::Result<()> {
        match self.scissors.0.load(Ordering::SeqCst) {
            OPEN => Ok(()),
            RESET => self.stream.set_zero_linger().and(Err(io::ErrorKind::ConnectionReset.into())),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.may_write()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts connections that can be cut.
pub(super) struct Lines(pub(super) TcpListener);

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        // Without it small answers wait for each other; where it cannot be had they are only slower.
        drop(stream.set_nodelay(true));
        (Line { stream, scissors: Scissors::default() }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().scissors.clone()
    }
}
