//! What a server said first: it tells what is spoken at a port.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first four bytes that came.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    /// Whether two connections are one.
    pub(super) fn is_of(&self, other: &Heard) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn note(&self, bytes: &[u8]) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = 4_usize.saturating_sub(first.len());
        first.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    /// Says what is spoken instead of HTTP/2, if it is something else.
    pub(super) fn misunderstood(&self) -> Option<&'static str> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match first.first_chunk::<4>()? {
            b"HTTP" => Some(
                "HTTP/1.1 is spoken there, and no gRPC: OTLP over HTTP has `protocol = \"http/protobuf\"`, and mostly port 4318",
            ),
            [0x15, 3, ..] => {
                Some("TLS is spoken at that port: the address should begin with https://")
            }
            // A server begins with a frame of settings.
            [_, _, _, 4] => None,
            _ => Some("no gRPC is spoken there"),
        }
    }
}

/// A connection that is listened to.
pub(super) struct Overheard<T> {
    inner: T,
    heard: Heard,
}

impl<T> Overheard<T> {
    pub(super) fn new(inner: T, heard: Heard) -> Overheard<T> {
        Overheard { inner, heard }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Overheard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.heard.note(&buf.filled()[before..]);
        // Who speaks something else may wait for us to say more.
        match self.heard.misunderstood() {
            Some(why) => Poll::Ready(Err(io::Error::other(why))),
            None => polled,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Overheard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        let told = |first: [u8; 4]| {
            let heard = Heard::default();
            // However they come.
            heard.note(&first[..1]);
            assert_eq!(heard.misunderstood(), None);
            heard.note(&first[1..]);
            heard.note(b"HTTP");
            heard.misunderstood()
        };
        assert_eq!(told([0, 0, 12, 4]), None);
        assert!(told(*b"HTTP").unwrap().contains("HTTP/1.1"));
        assert!(told([0x15, 3, 3, 0]).unwrap().contains("https://"));
        assert!(told(*b"SSH-").is_some());
        assert_eq!(Heard::default().misunderstood(), None);
    }
}
