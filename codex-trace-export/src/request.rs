//! Requests, answers, and the way there: data only.

use std::borrow::Cow;
use std::fmt;
use std::iter;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::Address;
use crate::body::Body;
use crate::grpc;
use crate::secret::{MASK, Secret, without_password};

/// How much of an answer's text is shown to people, in bytes.
const REASON_LEN: usize = 300;

/// A request to a backend.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: Address,
    /// The headers, secrets included.
    pub headers: Vec<Header>,
    /// The body, compressed if a header says so.
    pub body: Body,
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
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// One that may be shown.
    Plain(String),
    /// One that may not.
    Secret(Secret),
}

impl Header {
    /// Makes a header that may be shown.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Header {
        Header { name: name.into(), value: HeaderValue::Plain(value.into()) }
    }

    /// Makes a header that may not be shown.
    pub fn secret(name: impl Into<Cow<'static, str>>, value: Secret) -> Header {
        Header { name: name.into(), value: HeaderValue::Secret(value) }
    }

    /// Returns the value as it goes over the wire.
    pub fn wire_value(&self) -> &str {
        match &self.value {
            HeaderValue::Plain(value) => value,
            HeaderValue::Secret(value) => value.expose(),
        }
    }

    /// Returns the value as people may see it.
    pub fn shown_value(&self) -> &str {
        match &self.value {
            HeaderValue::Plain(value) => value,
            HeaderValue::Secret(_) => MASK,
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
    /// as one line of text. Of an answer over gRPC, its own status counts.
    pub fn reason(&self) -> String {
        if let Some(reason) = grpc::reason(self) {
            return reason;
        }
        if let Some(place) = self.elsewhere() {
            return format!("status {}: it is at `{}`", self.status, without_password(place));
        }
        // More than is shown, as white space is not.
        let head = &self.body[..self.body.len().min(4 * REASON_LEN)];
        self.saying(&String::from_utf8_lossy(head))
    }

    /// Returns the status and what the server says of it, as one line of text.
    pub fn saying(&self, words: &str) -> String {
        match shortened(words).as_str() {
            "" => format!("status {}", self.status),
            text => format!("status {}: {text}", self.status),
        }
    }

    /// Puts asterisks in the place of what the request held of secrets: a server
    /// may well repeat it, and nobody is to keep or to show that. As many, so
    /// that a binary answer can still be read.
    pub fn mask(&mut self, secrets: &[String]) {
        for secret in secrets {
            mask(&mut self.body, secret.as_bytes());
            for (_, value) in &mut self.headers {
                if value.contains(secret) {
                    *value = value.replace(secret, &"*".repeat(secret.len()));
                }
            }
        }
    }
}

/// Puts a server's words on one line, no longer than people read.
pub fn shortened(words: &str) -> String {
    let mut text = String::new();
    for word in words.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            text.extend([if text.is_empty() { "" } else { " " }, word]);
        }
        if text.len() > REASON_LEN {
            let end = (0..=REASON_LEN).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
            text.push('…');
            break;
        }
    }
    text
}

/// What is shorter is no key, but could be a word that means something.
const SHORTEST_SECRET: usize = 8;

/// Returns what is secret in a request: values of headers, what follows a word
/// like `Bearer` in them, and what its address holds.
pub fn secrets_of(url: &Address, headers: &[Header]) -> Vec<String> {
    let values = headers.iter().filter_map(|header| match &header.value {
        HeaderValue::Secret(secret) => Some(secret.expose()),
        HeaderValue::Plain(_) => None,
    });
    let parts = values.flat_map(|value| iter::once(value).chain(value.split_whitespace()));
    let parts = parts.chain(url.secrets());
    let mut secrets: Vec<String> =
        parts.filter(|it| it.len() >= SHORTEST_SECRET).map(str::to_owned).collect();
    // What holds another one goes first.
    secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
    secrets.dedup();
    secrets
}

fn mask(text: &mut [u8], secret: &[u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text[from..], secret) {
        text[from + at..from + at + secret.len()].fill(b'*');
        from += at + secret.len();
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

/// How to get to a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// What carries requests.
    pub wire: Wire,
    /// How long a request may take in all.
    pub timeout: Option<Duration>,
    /// Certificates.
    pub tls: TlsFiles,
}

/// A protocol that carries requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1.
    #[default]
    Http,
    /// gRPC: each request is a call, whose name is the path of the address and
    /// whose message is the body.
    Grpc,
}

/// Certificates and keys, as PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities to trust, instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our own certificate, with those between it and its authority.
    pub client_cert: Option<PathBuf>,
    /// Its key; in the same file, unless named.
    pub client_key: Option<PathBuf>,
}

impl TlsFiles {
    /// Returns whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == TlsFiles::default()
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
    fn words_are_one_short_line() {
        assert_eq!(Response::new(400, " a\r\n\tb\u{7} ").reason(), "status 400: a b");
        assert_eq!(Response::new(400, "\n").reason(), "status 400");
        let long = "ä".repeat(500_000);
        assert_eq!(Response::new(400, long.clone()).reason().chars().count(), 12 + 150 + 1);
        assert_eq!(shortened(&long).len(), REASON_LEN + '…'.len_utf8());
        assert_eq!(shortened(&"a ".repeat(200)).len(), REASON_LEN + '…'.len_utf8());
        assert_eq!(shortened(&"a".repeat(300)), "a".repeat(300));
    }

    #[test]
    fn what_a_server_repeats_of_a_key_is_masked() {
        let headers = [
            Header::secret("authorization", Secret::new("Bearer SUPERSECRETTOKEN")),
            Header::secret("x-api-key", Secret::new("KEY12345")),
            Header::secret("x-tenant", Secret::new("t1")),
            Header::new("accept", "application/json"),
        ];
        let url = Address::unchecked("https://h/hook/PATHKEY1/v1?key=QUERYKEY");
        let said = "no t1: Bearer SUPERSECRETTOKEN, SUPERSECRETTOKEN/KEY12345 application/json /hook/PATHKEY1/v1?key=QUERYKEY";
        let mut answer = answer(401, ("x-echo", "KEY12345"), said);
        answer.mask(&secrets_of(&url, &headers));
        let masked = "no t1: ***********************, ****************/******** application/json /hook/********/v1?key=********";
        assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), masked);
        assert_eq!(answer.header("x-echo"), Some("********"));
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
