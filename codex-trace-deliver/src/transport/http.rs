use std::io::Read;
use std::time::Duration;

use jiff::Timestamp;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy, SendBody, Timeout, http};

use crate::transport::client::read_tls;
use crate::transport::{Cause, Method, NoAnswer, Request, Response, TlsFiles, Transport};
use codex_trace_export::{Address, secrets_of};

/// How much of an answer is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Sends requests over HTTP.
///
/// Redirects are answers like any other: following one could carry a key to
/// another host. Certificates are checked by the system's own rules, so that a
/// company's own authority is known.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
}

impl Http {
    /// Makes a client for at most `connections` requests at once, each of which
    /// may take `timeout` in all; without a proxy.
    pub fn new(connections: usize, timeout: Duration) -> Http {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        Http::of(connections, timeout, tls, None)
    }

    /// As [`new`](Self::new), with certificates of its own, by way of a proxy.
    ///
    /// # Errors
    ///
    /// If one of the files cannot be read or holds something else, or the proxy
    /// cannot be used: which, for people.
    pub fn with(
        connections: usize,
        timeout: Duration,
        tls: &TlsFiles,
        proxy: Option<&Address>,
    ) -> Result<Http, String> {
        let tls = read_tls(tls)?;
        let proxy = proxy.map(|proxy| {
            Proxy::new(proxy.expose()).map_err(|err| format!("cannot use the proxy {proxy}: {err}"))
        });
        Ok(Http::of(connections, timeout, tls, proxy.transpose()?))
    }

    fn of(connections: usize, timeout: Duration, tls: TlsConfig, proxy: Option<Proxy>) -> Http {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(Duration::from_secs(10))))
            .max_idle_connections_per_host(connections)
            .user_agent(concat!("codex-trace/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            // Said in any case: else the environment would be asked.
            .proxy(proxy)
            .build();
        Http { agent: config.into() }
    }

    fn exchange(&self, request: &Request) -> Result<Response, ureq::Error> {
        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
        };
        let mut built = http::Request::builder().method(method).uri(request.url.expose());
        for header in &request.headers {
            built = built.header(header.name.as_ref(), header.wire_value());
        }
        let answer = if request.method == Method::Get {
            self.agent.run(built.body(())?)?
        } else {
            // Else it would be sent in chunks, as something of unknown length.
            built = built.header(http::header::CONTENT_LENGTH, request.body.len());
            let mut reader = request.body.reader();
            self.agent.run(built.body(SendBody::from_reader(&mut reader))?)?
        };
        let status = answer.status().as_u16();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut body = Vec::new();
        answer.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut body)?;
        let mut response = Response { status, headers, body, retry_after: None };
        response.retry_after = response.header("retry-after").and_then(retry_after);
        response.mask(&secrets_of(&request.url, &request.headers));
        Ok(response)
    }
}

impl Transport for Http {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        self.exchange(request).map_err(|err| {
            let (reason, lasting) = match (misunderstood(&request.url, &err), untrusted(&err)) {
                (Some(why), _) => (format!("no answer from {}: {why}", request.url), true),
                (None, Some(reason)) => (reason, true),
                (None, None) => (no_answer(&request.url, &err), false),
            };
            NoAnswer { reason, cause: if lasting { Cause::Lasting } else { cause(&err) } }
        })
    }
}

/// Says which other protocol is spoken at an address, if that is what is wrong.
fn misunderstood(url: &Address, err: &ureq::Error) -> Option<String> {
    let https = url.expose().to_ascii_lowercase().starts_with("https:");
    let words = err.to_string();
    // What the TLS library makes of an answer that is no TLS.
    if https && words.contains("InvalidContentType") {
        return Some(
            "no TLS is spoken at that port: the address should begin with http://".to_owned(),
        );
    }
    let is_http = !matches!(err, ureq::Error::Protocol(_));
    if https || is_http {
        return None;
    }
    Some(match url.port() {
        Some(4317) => "no HTTP is spoken there: 4317 is mostly OTLP's port for gRPC, and 4318 the one for HTTP; `--protocol grpc` speaks it".to_owned(),
        _ => format!("no HTTP is spoken there; a port for TLS wants https://, OTLP over HTTP mostly port 4318 ({words})"),
    })
}

/// Says who does not answer, and why.
fn no_answer(url: &Address, err: &ureq::Error) -> String {
    match err {
        ureq::Error::Io(err) => format!("no answer from {url}: {err}"),
        // Its own words repeat the address.
        ureq::Error::BadUri(_) => format!("no answer from {url}: the address is not understood"),
        err => format!("no answer from {url}: {err}"),
    }
}

fn cause(err: &ureq::Error) -> Cause {
    use std::io::ErrorKind;
    match err {
        ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::InvalidProxyUrl
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_) => Cause::Lasting,
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Cause::Away,
        ureq::Error::Io(err) => match err.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable => Cause::Away,
            _ => Cause::Cut,
        },
        _ => Cause::Cut,
    }
}

/// Says why one side does not trust the other, if that is what went wrong: a
/// certificate will be the same the next time.
fn untrusted(err: &ureq::Error) -> Option<String> {
    // What the TLS library finds wrong with what it was sent comes as this.
    let err = match err {
        ureq::Error::Io(err) if err.kind() == std::io::ErrorKind::InvalidData => err,
        _ => return None,
    };
    Some(format!("{err} (`tls` in codex-trace.toml names certificates: docs/configuration.md)"))
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Duration::try_from(at.duration_since(now())).ok()
}

#[expect(clippy::disallowed_methods, reason = "a date in an answer is meant by the clock")]
fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("17"), Some(Duration::from_secs(17)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None, "it has passed");
        assert!(retry_after("Wed, 21 Oct 2099 07:28:00 GMT").is_some());
        assert_eq!(retry_after("soon"), None);
    }
}
