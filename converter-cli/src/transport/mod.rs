//! Requests, answers, and what carries them.

mod client;
mod compress;
mod dir;
mod http;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::secret::{MASK, Secret, without_password};

pub use client::{Client, ClientOptions, TlsFiles};
pub use compress::compress;
pub use dir::{Discard, RequestDir};
pub use http::Http;

/// Carries requests. Blocks; is used by several threads at once.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the answer, whatever its status.
    ///
    /// # Errors
    ///
    /// If there is no whole answer. What was sent may have arrived all the same.
    fn send(&self, request: &Request) -> Result<Response, NoAnswer>;
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

/// How much of an answer's text is shown to people, in bytes.
const REASON_LEN: usize = 300;

/// A request to a backend.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The headers, secrets included.
    pub headers: Vec<Header>,
    /// The body, compressed if a header says so.
    pub body: Vec<u8>,
}

/// Lengths, not content.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Writes at a known place.
    Put,
    /// Changes.
    Patch,
}

impl Method {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}

/// A header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: Cow<'static, str>,
    /// The value.
    pub value: Value,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One that may be shown.
    Plain(String),
    /// One that may not.
    Secret(Secret),
}

impl Header {
    /// Makes a header that may be shown.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Header {
        Header { name: name.into(), value: Value::Plain(value.into()) }
    }

    /// Makes a header that may not be shown.
    pub fn secret(name: impl Into<Cow<'static, str>>, value: Secret) -> Header {
        Header { name: name.into(), value: Value::Secret(value) }
    }

    /// Returns the value as it goes over the wire.
    pub fn wire_value(&self) -> &str {
        match &self.value {
            Value::Plain(value) => value,
            Value::Secret(value) => value.expose(),
        }
    }

    /// Returns the value as people may see it.
    pub fn shown_value(&self) -> &str {
        match &self.value {
            Value::Plain(value) => value,
            Value::Secret(_) => MASK,
        }
    }
}

/// A backend's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, cut where it is absurdly long.
    pub body: Vec<u8>,
    /// What `Retry-After` asks for, from now on.
    pub retry_after: Option<Duration>,
}

impl Response {
    /// Makes an answer of a status and a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response { status, body: body.into(), ..Response::default() }
    }

    /// Returns a header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns whether it is a page for people: of a proxy in between, of a
    /// place where one logs in, of another server. Empty answers may have any
    /// type.
    pub fn is_page(&self) -> bool {
        let html = self.header("content-type").is_some_and(|it| it.contains("text/html"));
        html && self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Returns where it sends the client to, without what could be secret.
    fn elsewhere(&self) -> Option<&str> {
        let location = self.header("location").filter(|_| (300..400).contains(&self.status))?;
        location.split(['?', '#']).next()
    }

    /// Returns the status and the beginning of the body, or where it leads to,
    /// as one line of text.
    pub fn reason(&self) -> String {
        if let Some(place) = self.elsewhere() {
            return format!("status {}: it is at `{}`", self.status, without_password(place));
        }
        let head = &self.body[..self.body.len().min(REASON_LEN)];
        let text: String = String::from_utf8_lossy(head)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        match text.trim() {
            "" => format!("status {}", self.status),
            text => format!("status {}: {text}", self.status),
        }
    }
}

/// A compression of request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// What every receiver takes.
    Gzip,
    /// Five times as fast, where it is taken.
    Zstd,
}

impl Compression {
    /// Returns the value of `Content-Encoding`.
    pub fn word(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, header: (&str, &str), body: &str) -> Response {
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        Response { headers, ..Response::new(status, body) }
    }

    #[test]
    fn pages_are_told_from_answers() {
        let html = |body| answer(200, ("content-type", "text/html; charset=utf-8"), body).is_page();
        assert!(html("\n<!doctype html>"));
        assert!(!html(""), "what some receivers say of nothing");
        assert!(!html("{}"));
        assert!(!answer(200, ("content-type", "application/json"), "<").is_page());
    }

    #[test]
    fn who_is_sent_elsewhere_is_told_where() {
        let location = ("location", "https://u:s3cr3t@x/login?token=s3cr3t");
        assert_eq!(
            answer(302, location, "moved").reason(),
            "status 302: it is at `https://[set]@x/login`"
        );
        assert_eq!(answer(200, location, "fine").reason(), "status 200: fine");
    }
}
