//! gRPC over HTTP/2. A unary call needs little of it: five bytes before the
//! message, a few headers, and the trailers behind the answer.

mod answer;
mod connect;
mod heard;
mod tunnel;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use rustls::ClientConfig;
use tokio::runtime::{self, Handle};
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::transport::{Cause, NoAnswer, Request, Response, TlsFiles, Transport};
use codex_trace_export::{Address, secrets_of};
use heard::Heard;

/// How long connecting may take, whatever the time for a whole call.
const CONNECT: Duration = Duration::from_secs(10);

/// Headers that say how bytes go over HTTP/1.1, and those that HTTP/2 has in
/// another form.
const NOT_METADATA: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Makes calls over gRPC: the path of an address is the method, the body the
/// message. What it gets back is the message and, as headers, the trailers.
///
/// All senders share one connection. A thread of its own drives it, so that the
/// server's questions are answered while nobody sends.
#[derive(Debug)]
pub struct Grpc {
    handle: Handle,
    tls: Arc<ClientConfig>,
    proxy: Option<Address>,
    timeout: Duration,
    line: Mutex<Option<Line>>,
    /// The thread ends when this is gone.
    _driver: oneshot::Sender<()>,
}

/// A connection.
#[derive(Clone, Debug)]
struct Line {
    origin: String,
    sender: SendRequest<Bytes>,
    heard: Heard,
}

/// Why a call got no answer.
#[derive(Debug)]
struct Failed {
    no: NoAnswer,
    /// The server has not looked at the call.
    untouched: bool,
    /// The connection is of no more use.
    is_lost: bool,
}

impl Grpc {
    /// Makes a client whose calls may take `timeout` in all, with certificates,
    /// by way of a proxy.
    ///
    /// # Errors
    ///
    /// If a file of certificates cannot be read or holds something else, the proxy
    /// cannot be used, or there is no thread to be had: which, for people.
    pub fn with(
        timeout: Duration,
        tls: &TlsFiles,
        proxy: Option<&Address>,
    ) -> Result<Grpc, String> {
        if let Some(proxy) = proxy.filter(|it| !it.origin().starts_with("http://")) {
            return Err(format!("gRPC goes only through a proxy of http://, not {proxy}"));
        }
        let tls = Arc::new(connect::config(tls)?);
        let no_thread = |err: io::Error| format!("cannot start a thread for gRPC: {err}");
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let handle = runtime.handle().clone();
        let (driver, ended) = oneshot::channel();
        let drive = move || {
            drop(runtime.block_on(ended));
            // Not even a name that is still looked up is waited for.
            runtime.shutdown_background();
        };
        drop(thread::Builder::new().name("grpc".to_owned()).spawn(drive).map_err(no_thread)?);
        let line = Mutex::new(None);
        Ok(Grpc { handle, tls, proxy: proxy.cloned(), timeout, line, _driver: driver })
    }

    async fn call(&self, request: &Request) -> Result<Response, NoAnswer> {
        let head = self.head(request)?;
        let message = framed(request);
        let mut retried = false;
        loop {
            let line = self.connected(&request.url).await?;
            match line.call(&head, &message, &request.url).await {
                Ok(response) => return Ok(response),
                Err(failed) => {
                    if failed.is_lost {
                        self.forget(&line).await;
                    }
                    // A server that goes away in good order says what it left.
                    if !failed.untouched || retried {
                        return Err(failed.no);
                    }
                    retried = true;
                }
            }
        }
    }

    /// Returns the connection, made anew if there is none that can be used.
    async fn connected(&self, url: &Address) -> Result<Line, NoAnswer> {
        let mut line = self.line.lock().await;
        if let Some(open) = line.as_ref().filter(|it| it.origin == url.origin()) {
            // Waits for room, and fails if it is closed.
            if open.sender.clone().ready().await.is_ok() {
                return Ok(open.clone());
            }
        }
        let time = self.timeout.min(CONNECT);
        let made = timeout(time, connect::connect(url, &self.tls, self.proxy.as_ref())).await;
        let (sender, heard) = made.unwrap_or_else(|_| {
            let reason = format!("no answer from {url}: no connection within {} s", time.as_secs());
            Err(NoAnswer { reason, cause: Cause::Away })
        })?;
        let made = Line { origin: url.origin(), sender, heard };
        *line = Some(made.clone());
        Ok(made)
    }

    async fn forget(&self, lost: &Line) {
        let mut line = self.line.lock().await;
        if line.as_ref().is_some_and(|it| it.heard.is_of(&lost.heard)) {
            *line = None;
        }
    }

    /// Makes the head of a call.
    fn head(&self, request: &Request) -> Result<http::Request<()>, NoAnswer> {
        let lasting = |reason: String| NoAnswer { reason, cause: Cause::Lasting };
        let mut head = http::Request::post(request.url.expose())
            .body(())
            .map_err(|_| lasting(format!("{}: the address is not understood", request.url)))?;
        let headers = head.headers_mut();
        for header in &request.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes())
                .map_err(|_| lasting(format!("`{}` is not the name of a header", header.name)))?;
            if NOT_METADATA.contains(&name.as_str()) {
                continue;
            }
            let value = HeaderValue::from_str(header.wire_value())
                .map_err(|_| lasting(format!("header `{name}` has a value that cannot be sent")))?;
            match name {
                CONTENT_ENCODING => drop(headers.insert("grpc-encoding", value)),
                CONTENT_TYPE => drop(headers.insert(name, value)),
                name => drop(headers.append(name, value)),
            }
        }
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("codex-trace/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert("grpc-timeout", deadline(self.timeout));
        Ok(head)
    }
}

impl Transport for Grpc {
    fn send(&self, request: &Request) -> Result<Response, NoAnswer> {
        let call = async { timeout(self.timeout, self.call(request)).await };
        let Ok(answer) = self.handle.block_on(call) else {
            // Perhaps the connection leads nowhere any more.
            self.handle.block_on(async { *self.line.lock().await = None });
            let seconds = self.timeout.as_secs_f64();
            let reason = format!("no answer from {} within {seconds} s", request.url);
            return Err(NoAnswer { reason, cause: Cause::Cut });
        };
        let mut response = answer?;
        response.mask(&secrets_of(&request.url, &request.headers));
        Ok(response)
    }
}

impl Line {
    async fn call(
        &self,
        head: &http::Request<()>,
        message: &Bytes,
        url: &Address,
    ) -> Result<Response, Failed> {
        let failed = |err: h2::Error| self.failed(&err, url);
        let mut sender = self.sender.clone().ready().await.map_err(failed)?;
        let (answer, mut stream) = sender.send_request(head.clone(), false).map_err(failed)?;
        // Kept by the library until the server has room for it. What a server
        // says that does not want all of it stands in its answer.
        drop(stream.send_data(message.clone(), true));
        answer::read(answer.await.map_err(failed)?).await.map_err(|err| {
            // Once it answers, it has looked at the call.
            Failed { untouched: false, ..self.failed(&err, url) }
        })
    }

    fn failed(&self, err: &h2::Error, url: &Address) -> Failed {
        let refused = err.reason() == Some(h2::Reason::REFUSED_STREAM);
        let leaves =
            err.is_go_away() && err.is_remote() && err.reason() == Some(h2::Reason::NO_ERROR);
        let (reason, cause) = match self.heard.misunderstood() {
            Some(why) => (format!("no answer from {url}: {why}"), Cause::Lasting),
            None => connect::why(url, err.get_io(), &err.to_string()),
        };
        Failed {
            no: NoAnswer { reason, cause },
            untouched: refused || leaves,
            is_lost: !err.is_reset(),
        }
    }
}

/// Puts the five bytes before a message that say whether it is compressed, and
/// how long it is.
fn framed(request: &Request) -> Bytes {
    let is_packed =
        request.headers.iter().any(|it| it.name.eq_ignore_ascii_case("content-encoding"));
    let len = u32::try_from(request.body.len()).unwrap_or(u32::MAX);
    let mut whole = Vec::with_capacity(5 + request.body.len());
    whole.push(u8::from(is_packed));
    whole.extend_from_slice(&len.to_be_bytes());
    request.body.pieces().for_each(|piece| whole.extend_from_slice(piece));
    whole.into()
}

/// Returns the value of `grpc-timeout`: a number of at most eight digits, and a
/// unit.
fn deadline(time: Duration) -> HeaderValue {
    let millis = time.as_millis();
    let text = match millis {
        0..100_000_000 => format!("{millis}m"),
        _ => format!("{}S", time.as_secs().min(99_999_999)),
    };
    HeaderValue::from_str(&text).expect("digits and a letter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Header, Method};

    fn request(headers: Vec<Header>, body: &[u8]) -> Request {
        let url = Address::unchecked("http://h:4317/a.B/Export");
        Request { method: Method::Post, url, headers, body: body.to_vec().into() }
    }

    #[test]
    fn a_message_says_how_long_it_is_and_whether_it_is_packed() {
        assert_eq!(framed(&request(Vec::new(), b"abc"))[..], *b"\0\0\0\0\x03abc");
        let packed = request(vec![Header::new("Content-Encoding", "gzip")], &[7; 258]);
        assert_eq!(framed(&packed)[..6], *b"\x01\0\0\x01\x02\x07");
    }

    #[test]
    fn headers_become_metadata() {
        let grpc = Grpc::with(Duration::from_secs(90), &TlsFiles::default(), None).unwrap();
        let sent = vec![
            Header::new("X-Scope-OrgID", "t"),
            Header::new("Content-Type", "application/grpc+proto"),
            Header::new("Content-Encoding", "gzip"),
            Header::new("Connection", "close"),
        ];
        let head = grpc.head(&request(sent, b"")).unwrap();
        let text = |name: &str| head.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(text("x-scope-orgid"), Some("t"));
        assert_eq!(text("content-type"), Some("application/grpc+proto"));
        assert_eq!((text("grpc-encoding"), text("content-encoding")), (Some("gzip"), None));
        assert_eq!((text("te"), text("connection")), (Some("trailers"), None));
        assert_eq!(text("grpc-timeout"), Some("90000m"));
        let broken = grpc.head(&request(vec![Header::new("x-key", "a\nb")], b"")).unwrap_err();
        assert_eq!(broken.cause, Cause::Lasting);
        assert!(!broken.reason.contains("a\nb"), "{}", broken.reason);
    }

    #[test]
    fn deadlines_have_eight_digits_at_most() {
        let text = |time| deadline(time).to_str().unwrap().to_owned();
        assert_eq!(text(Duration::from_millis(1_500)), "1500m");
        assert_eq!(text(Duration::from_secs(100_000)), "100000S");
        assert_eq!(text(Duration::MAX), "99999999S");
    }
}
