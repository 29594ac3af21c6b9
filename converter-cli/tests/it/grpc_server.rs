//! A gRPC server that answers as the test says. Keeps the calls that it took.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use bytes::Bytes;
use flate2::read::GzDecoder;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What to do with a call.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Take it.
    Ok,
    /// Take it, and answer with a message, packed as the call was.
    Message(Vec<u8>),
    /// Refuse it with a status, and the details of that in base64.
    Status(u32, &'static str, Option<&'static str>),
    /// Refuse it in plain HTTP: status, type, body.
    Http(u16, &'static str, &'static str),
    /// Take it, but leave: calls after this one need another connection.
    Leave,
    /// Do not look at it.
    Refuse,
    /// Take it, and break off.
    Reset,
    /// Take it, and answer without a status.
    Half,
    /// Take it, and say that all is well without the message that says what was
    /// taken.
    Wordless,
    /// Never answer.
    Silence,
    /// Refuse messages of more bytes as libraries do; take others.
    Limit(usize),
}

/// A call that came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The message, unpacked.
    pub(crate) message: Vec<u8>,
    pub(crate) was_taken: bool,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().expect("text"))
    }
}

/// The server, running.
pub(crate) struct GrpcServer {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Act>>,
    always: Act,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    connections: usize,
}

impl GrpcServer {
    /// Starts a server that does `script` in order, then `always`.
    pub(crate) fn start(script: &[Act], always: Act) -> GrpcServer {
        GrpcServer::start_with(script, always, None)
    }

    /// As [`start`](Self::start), over TLS.
    pub(crate) fn start_with(
        script: &[Act],
        always: Act,
        tls: Option<rustls::ServerConfig>,
    ) -> GrpcServer {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let script = Mutex::new(script.iter().cloned().collect());
        let shared = Arc::new(Shared { script, always, seen: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            runtime.block_on(listen(listener, tls, of_thread));
        });
        GrpcServer { url, shared }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().expect("no panic")
    }

    /// The calls that were taken.
    pub(crate) fn taken(&self) -> Vec<Call> {
        self.seen().calls.iter().filter(|it| it.was_taken).cloned().collect()
    }

    /// All calls.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen().calls.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen().connections
    }
}

async fn listen(
    listener: std::net::TcpListener,
    tls: Option<rustls::ServerConfig>,
    shared: Arc<Shared>,
) {
    let listener = TcpListener::from_std(listener).expect("a port");
    let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        drop(tokio::spawn(async move { accept(stream, tls, shared).await }));
    }
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> Option<()> {
    match tls {
        Some(tls) => serve(tls.accept(stream).await.ok()?, shared).await,
        None => serve(stream, shared).await,
    }
}

async fn serve<T: AsyncRead + AsyncWrite + Unpin>(stream: T, shared: Arc<Shared>) -> Option<()> {
    shared.seen.lock().expect("no panic").connections += 1;
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let act = shared.script.lock().expect("no panic").pop_front();
        let act = act.unwrap_or_else(|| shared.always.clone());
        if let Act::Leave = act {
            connection.graceful_shutdown();
        }
        let shared = Arc::clone(&shared);
        drop(tokio::spawn(async move { answer(request, respond, act, &shared).await }));
    }
    Some(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    act: Act,
    shared: &Shared,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    let mut frame = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        body.flow_control().release_capacity(chunk.len()).ok()?;
        frame.extend_from_slice(&chunk);
    }
    let message = unframed(&frame);
    let too_large = matches!(act, Act::Limit(limit) if message.len() > limit);
    let refuses = matches!(act, Act::Status(..) | Act::Http(..) | Act::Refuse | Act::Silence);
    let call = Call {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        message,
        was_taken: !refuses && !too_large,
    };
    let packed = frame[0] == 1;
    shared.seen.lock().expect("no panic").calls.push(call);
    match act {
        Act::Limit(limit) if too_large => {
            let words = format!("grpc: received message larger than max (9 vs. {limit})");
            status(&mut respond, 8, &words, None)
        }
        Act::Ok | Act::Leave | Act::Limit(_) => reply(&mut respond, b"", packed, true),
        Act::Message(message) => reply(&mut respond, &message, packed, true),
        Act::Wordless => status(&mut respond, 0, "", None),
        Act::Half => reply(&mut respond, b"", false, false),
        Act::Status(code, words, details) => status(&mut respond, code, words, details),
        Act::Http(status, kind, body) => {
            let head = Response::builder().status(status).header("content-type", kind);
            let head = head.header("location", "https://u:pw@h/x?k=v").body(()).ok()?;
            let mut stream = respond.send_response(head, false).ok()?;
            stream.send_data(Bytes::from(body), true).ok()
        }
        Act::Refuse => {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            Some(())
        }
        Act::Reset => {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            Some(())
        }
        Act::Silence => std::future::pending().await,
    }
}

fn unframed(frame: &[u8]) -> Vec<u8> {
    let (head, rest) = frame.split_first_chunk::<5>().expect("a frame");
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    assert_eq!(usize::try_from(len), Ok(rest.len()), "one message, of the length it says");
    if head[0] == 0 {
        return rest.to_vec();
    }
    let mut plain = Vec::new();
    GzDecoder::new(rest).read_to_end(&mut plain).expect("gzip");
    plain
}

/// Answers with a message; as some servers do, packed as the call was.
fn reply(
    respond: &mut SendResponse<Bytes>,
    message: &[u8],
    packed: bool,
    with_status: bool,
) -> Option<()> {
    let head = Response::builder().header("content-type", "application/grpc");
    let head = if packed { head.header("grpc-encoding", "gzip") } else { head };
    let mut stream = respond.send_response(head.body(()).ok()?, false).ok()?;
    let body = if packed { gzip(message) } else { message.to_vec() };
    let mut frame = vec![u8::from(packed)];
    frame.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
    frame.extend(body);
    stream.send_data(Bytes::from(frame), !with_status).ok()?;
    if with_status {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        stream.send_trailers(trailers).ok()?;
    }
    Some(())
}

/// Answers with nothing but a status.
fn status(
    respond: &mut SendResponse<Bytes>,
    code: u32,
    words: &str,
    details: Option<&str>,
) -> Option<()> {
    let words = words.replace('%', "%25").replace('ä', "%C3%A4");
    let mut head = Response::builder().header("content-type", "application/grpc");
    head = head.header("grpc-status", code.to_string()).header("grpc-message", words);
    if let Some(details) = details {
        head = head.header("grpc-status-details-bin", details);
    }
    respond.send_response(head.body(()).ok()?, true).ok().map(drop)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}
