//! A proxy that spoils some of the answers of the server behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::Random;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server never sees the request; this is the answer.
    Status(u16),
    /// The server has it; nothing comes back, and the connection stays open.
    Silence,
    /// The connection ends before the server sees the request.
    ResetBefore,
    /// The server has it; the connection ends without an answer.
    ResetAfter,
    /// The server has it; half of the answer comes back.
    Half,
    /// The answer comes a few bytes at a time.
    Slow,
}

/// The proxy, running.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// Host and port of the server.
    server: String,
    fault: Fault,
    random: Mutex<Random>,
    n_requests: AtomicUsize,
    n_faults: AtomicUsize,
}

impl Proxy {
    /// Starts a proxy that spoils one request of five.
    pub(crate) fn start(base: &str, fault: Fault, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            server: base.trim_start_matches("http://").to_owned(),
            fault,
            random: Mutex::new(Random::new(seed)),
            n_requests: AtomicUsize::new(0),
            n_faults: AtomicUsize::new(0),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Proxy { url, shared }
    }

    /// Returns how many requests came, and how many of them were spoiled.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let load = |n: &AtomicUsize| n.load(Ordering::SeqCst);
        (load(&self.shared.n_requests), load(&self.shared.n_faults))
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        loop {
            let request = message(&mut reader)?;
            self.n_requests.fetch_add(1, Ordering::SeqCst);
            let spoil = self.random.lock().unwrap().below(5) == 0;
            self.n_faults.fetch_add(usize::from(spoil), Ordering::SeqCst);
            match self.fault {
                Fault::Status(status) if spoil => {
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                    client.write_all(answer.as_bytes()).ok()?;
                    continue;
                }
                Fault::ResetBefore if spoil => return None,
                _ => {}
            }
            let answer = self.forward(&request)?;
            match self.fault {
                Fault::Silence if spoil => {
                    // Until the client has had enough.
                    reader.read_exact(&mut [0]).ok()?;
                }
                Fault::ResetAfter if spoil => return None,
                Fault::Half if spoil => {
                    client.write_all(&answer[..answer.len() / 2]).ok()?;
                    return None;
                }
                Fault::Slow if spoil => {
                    for part in answer.chunks(answer.len().div_ceil(50)) {
                        client.write_all(part).ok()?;
                        thread::sleep(Duration::from_millis(5));
                    }
                }
                _ => client.write_all(&answer).ok()?,
            }
        }
    }

    fn forward(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut server = TcpStream::connect(&self.server).ok()?;
        server.write_all(request).ok()?;
        message(&mut BufReader::new(server))
    }
}

/// Reads a request or an answer, head and body.
fn message(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    let mut length = 0;
    loop {
        let before = whole.len();
        if reader.read_until(b'\n', &mut whole).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&whole[before..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        assert!(!line.starts_with("transfer-encoding:"), "{line}");
        if line.trim_end().is_empty() {
            break;
        }
    }
    reader.take(length).read_to_end(&mut whole).ok()?;
    Some(whole)
}
