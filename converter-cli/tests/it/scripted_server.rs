//! An HTTP server that answers as the test says, on `std::net` alone.
//!
//! Keeps what it was sent: units of the toy exporter, one a line. A request
//! for which there is no answer in the script gets 500.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Store it and say so.
    Ok,
    /// Store it; answer with this status and body.
    OkWith(u16, &'static str),
    /// Do not store it; answer with this status and these headers and body.
    Refuse(u16, &'static str, &'static str),
    /// Store it and close the connection without an answer.
    StoreAndDrop,
    /// Close the connection at once.
    Drop,
    /// Store it and cut the answer in the middle.
    Truncate,
    /// Send the answer byte by byte, with a pause before each.
    Slowly(Duration),
    /// Store it and answer after a while.
    Delay(Duration),
    /// 413 if the body is larger, else store it.
    Limit(usize),
    /// 422 if a line contains this, else store it.
    Poison(&'static str),
    /// 500 if a line contains this, else store it.
    Broken(&'static str),
}

/// What the server was sent.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Unit lines, and how often each was stored.
    pub(crate) lines: BTreeMap<String, usize>,
    /// Request and header lines seen, in lower case, whatever the answer.
    pub(crate) heads: Vec<String>,
    /// The body of the last request.
    pub(crate) last: String,
    /// Requests seen, whatever the answer.
    pub(crate) requests: usize,
    /// The most requests under way at once.
    pub(crate) most_at_once: usize,
}

/// The server, running.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<(VecDeque<Act>, Option<Act>)>,
    stored: Mutex<Stored>,
    under_way: AtomicUsize,
    down: AtomicBool,
}

impl Server {
    /// Starts a server that takes `script` in order, then does `always`.
    pub(crate) fn start(script: &[Act], always: Option<Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/units", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            script: Mutex::new((script.iter().cloned().collect(), always)),
            stored: Mutex::default(),
            under_way: AtomicUsize::new(0),
            down: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || stream.map(|stream| shared.serve(stream)).ok());
            }
        });
        Server { url, shared }
    }

    /// Returns what was stored: unit lines, and how often each.
    pub(crate) fn lines(&self) -> BTreeMap<String, usize> {
        self.shared.stored.lock().expect("no panic").lines.clone()
    }

    /// Returns the distinct lines.
    pub(crate) fn set(&self) -> Vec<String> {
        self.lines().into_keys().collect()
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.stored.lock().expect("no panic").requests
    }

    /// Returns whether a request had this line before its body, in lower case.
    pub(crate) fn saw(&self, line: &str) -> bool {
        self.shared.stored.lock().expect("no panic").heads.iter().any(|head| head == line)
    }

    /// Returns the body of the last request.
    pub(crate) fn last(&self) -> String {
        self.shared.stored.lock().expect("no panic").last.clone()
    }

    /// Returns the request and header lines of all requests, in small letters.
    pub(crate) fn heads(&self) -> String {
        self.shared.stored.lock().expect("no panic").heads.join("\n")
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.stored.lock().expect("no panic").most_at_once
    }

    /// Does something else from now on, once the script is over.
    pub(crate) fn set_always(&self, act: Act) {
        self.shared.script.lock().expect("no panic").1 = Some(act);
    }

    /// Closes connections at once from now on, or no longer.
    pub(crate) fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let (heads, body) = read_request(&mut reader)?;
            if self.down.load(Ordering::SeqCst) {
                return None;
            }
            let at_once = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            {
                let mut stored = self.stored.lock().expect("no panic");
                stored.requests += 1;
                stored.heads.extend(heads);
                stored.last.clone_from(&body);
                stored.most_at_once = stored.most_at_once.max(at_once);
            }
            let act = {
                let mut script = self.script.lock().expect("no panic");
                let always = script.1.clone();
                script.0.pop_front().or(always)
            };
            let go_on = self.act(act.as_ref(), &body, &mut stream);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            go_on?;
        }
    }

    fn act(&self, act: Option<&Act>, body: &str, stream: &mut TcpStream) -> Option<()> {
        let has = |text: &str| body.contains(text);
        match act {
            None => answer(stream, 500, "", "unscripted"),
            Some(Act::Ok) => self.store(body, stream, 200, ""),
            Some(Act::OkWith(status, text)) => self.store(body, stream, *status, text),
            Some(Act::Refuse(status, headers, text)) => answer(stream, *status, headers, text),
            Some(Act::StoreAndDrop) => {
                self.keep(body);
                None
            }
            Some(Act::Drop) => None,
            Some(Act::Truncate) => {
                self.keep(body);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").ok()?;
                None
            }
            Some(Act::Slowly(pause)) => {
                self.keep(body);
                for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" {
                    thread::sleep(*pause);
                    stream.write_all(&[*byte]).ok()?;
                }
                Some(())
            }
            Some(Act::Delay(delay)) => {
                thread::sleep(*delay);
                self.store(body, stream, 200, "")
            }
            Some(Act::Limit(bytes)) if body.len() > *bytes => answer(stream, 413, "", "too large"),
            Some(Act::Poison(text)) if has(text) => answer(stream, 422, "", "poisonous"),
            Some(Act::Broken(text)) if has(text) => answer(stream, 500, "", "crashed"),
            Some(Act::Limit(_) | Act::Poison(_) | Act::Broken(_)) => {
                self.store(body, stream, 200, "")
            }
        }
    }

    fn keep(&self, body: &str) {
        let mut stored = self.stored.lock().expect("no panic");
        for line in body.lines() {
            *stored.lines.entry(line.to_owned()).or_default() += 1;
        }
    }

    fn store(&self, body: &str, stream: &mut TcpStream, status: u16, text: &str) -> Option<()> {
        self.keep(body);
        answer(stream, status, "", text)
    }
}

fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}

/// Reads the lines of the head, in lower case, and the body as text.
pub(crate) fn read_request(reader: &mut impl BufRead) -> Option<(Vec<String>, String)> {
    let (heads, body) = read_as_sent(reader)?;
    Some((heads.iter().map(|line| line.to_ascii_lowercase()).collect(), body))
}

/// The same with the head as it is.
pub(crate) fn read_as_sent(reader: &mut impl BufRead) -> Option<(Vec<String>, String)> {
    let mut heads = Vec::new();
    let mut length = 0;
    let mut gzip = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        heads.push(line.to_owned());
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        gzip |= line == "content-encoding: gzip";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if gzip {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).ok()?;
        body = plain;
    }
    // What is not text (protobuf) still has its strings in it.
    Some((heads, String::from_utf8_lossy(&body).into_owned()))
}
