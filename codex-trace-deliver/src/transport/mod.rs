//! What carries requests.

mod client;
mod compress;
mod dir;
mod grpc;
mod http;
mod record;

use std::fmt;
use std::time::Duration;

pub use client::{Client, check_tls};
pub use codex_trace_export::{
    ClientOptions, Compression, Header, HeaderValue as Value, Method, Request, Response, TlsFiles,
    Wire,
};
pub use compress::compress;
pub use dir::{Discard, RequestDir};
pub use grpc::Grpc;
pub use http::Http;
pub use record::Recorder;

/// Carries requests. Blocks; is used by several threads at once.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// If there is no whole answer. What was sent may have arrived all the same.
    fn send(&self, request: &Request) -> Result<Response, NoAnswer>;

    /// Returns the least time between the starts of two requests, which whoever
    /// sends keeps to: it may have reason to wait no longer.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }
}

/// There is no answer to a request, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// Why, for people.
    pub reason: String,
    /// How far it got.
    pub cause: Cause,
}

/// How far a request got that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nowhere, and no other attempt could do better.
    Lasting,
    /// Nowhere: nobody is there just now, whatever is asked.
    Away,
    /// Somebody was there; perhaps the request itself is why that ended.
    Cut,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NoAnswer {}
