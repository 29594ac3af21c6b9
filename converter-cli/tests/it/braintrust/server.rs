//! A server that keeps to Braintrust's contract, and remembers what it was sent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// What is asked of the server.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// An answer: status, further header lines, body. None: the connection is cut.
pub(crate) type Answer = Option<(u16, String, String)>;

/// Answers in the place of the server; `None` leaves it to the server.
pub(crate) type Rule = Box<dyn Fn(&Asked, usize) -> Option<Answer> + Send + Sync>;

/// The server, running.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    rule: Rule,
    max_bytes: usize,
    /// What is there of sessions, as a query finds it; absent: it takes none.
    there: Option<Value>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    rows: BTreeMap<String, Value>,
    /// Ids that came without `_is_merge`, and those that came with it.
    inserted: Vec<String>,
    merged: Vec<String>,
    /// Bodies by the key of their place.
    places: BTreeMap<String, Value>,
}

/// What a project without rows says that it has.
pub(crate) fn nothing() -> Value {
    json!({ "sessions": [], "turns": [] })
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(Box::new(|_, _| None), 6 << 20, Some(nothing()))
    }

    /// Starts a server that cannot be asked what it has.
    pub(crate) fn that_does_not_say() -> Server {
        Server::with(Box::new(|_, _| None), 6 << 20, None)
    }

    pub(crate) fn with(rule: Rule, max_bytes: usize, there: Option<Value>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Mutex::default();
        let shared = Arc::new(Shared { url: url.clone(), rule, max_bytes, there, state });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Server { url, shared }
    }

    /// Returns the rows as they are there now, by id.
    pub(crate) fn rows(&self) -> BTreeMap<String, Value> {
        self.shared.state.lock().unwrap().rows.clone()
    }

    pub(crate) fn inserted(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().inserted.clone()
    }

    pub(crate) fn merged(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().merged.clone()
    }

    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let state = self.shared.state.lock().unwrap();
        state.asked.iter().filter(|it| it.path.starts_with(path)).cloned().collect()
    }

    /// Puts rows there that others have sent.
    pub(crate) fn put(&self, rows: &[Value]) {
        let mut state = self.shared.state.lock().unwrap();
        for row in rows {
            state.take(row);
        }
    }
}

impl State {
    fn take(&mut self, row: &Value) {
        let id = row["id"].as_str().unwrap().to_owned();
        if row["_is_merge"] == true {
            self.merged.push(id.clone());
            if let Some(there) = self.rows.get_mut(&id) {
                return merge(there, row);
            }
        } else {
            self.inserted.push(id.clone());
        }
        let mut row = row.clone();
        row.as_object_mut().unwrap().remove("_is_merge");
        self.rows.insert(id, row);
    }
}

/// Merges deeply; what says where a row is stays.
fn merge(there: &mut Value, row: &Value) {
    let fixed = ["created", "span_id", "root_span_id", "span_parents", "_is_merge"];
    let (Some(there), Some(row)) = (there.as_object_mut(), row.as_object()) else { return };
    for (key, value) in row.iter().filter(|(key, _)| !fixed.contains(&&***key)) {
        match there.get_mut(key) {
            Some(old) if old.is_object() && value.is_object() => merge(old, value),
            _ => {
                there.insert(key.clone(), value.clone());
            }
        }
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let asked = read(&mut reader)?;
            let nth = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(asked.clone());
                state.asked.iter().filter(|it| it.path == asked.path).count()
            };
            let answer = (self.rule)(&asked, nth).unwrap_or_else(|| Some(self.answer(&asked)));
            let (status, headers, body) = answer?;
            let mut to = stream;
            write!(
                to,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .ok()?;
        }
    }

    fn answer(&self, asked: &Asked) -> (u16, String, String) {
        let ok = |body: Value| (200, String::new(), body.to_string());
        let no = |status, what: &str| (status, String::new(), json!({ "error": what }).to_string());
        if let Some(key) = asked.path.strip_prefix("/place/") {
            assert!(!asked.headers.contains_key("authorization"), "the key is not for this place");
            let mut state = self.state.lock().unwrap();
            state.places.insert(key.to_owned(), asked.json());
            return (200, String::new(), String::new());
        }
        if asked.headers.get("authorization").map(String::as_str)
            != Some("Bearer sk-test-0123456789")
        {
            return no(401, "invalid key");
        }
        match asked.path.split('?').next().unwrap() {
            "/api/apikey/login" => ok(json!({ "org_info": [
                { "id": "o1", "name": "acme", "api_url": self.url },
                { "id": "o2", "name": "other", "api_url": "https://elsewhere.test" },
            ] })),
            "/v1/project" if asked.method == "GET" => ok(json!({ "objects": [] })),
            "/v1/project" => ok(json!({ "id": "p-1", "name": asked.json()["name"] })),
            "/version" => ok(json!({ "version": "1", "logs3_payload_max_bytes": self.max_bytes })),
            "/btql" => match &self.there {
                Some(rows) if asked.json()["query"].as_str().unwrap().contains("IN [") => {
                    ok(json!({ "data": rows["turns"] }))
                }
                Some(rows) => ok(json!({ "data": rows["sessions"] })),
                None => no(404, "not here"),
            },
            "/logs3" if asked.body.len() > self.max_bytes => no(413, "too large"),
            "/logs3" => {
                let mut state = self.state.lock().unwrap();
                let body = asked.json();
                assert_eq!(body["api_version"], 2);
                let rows = body["rows"].as_array().cloned().unwrap_or_else(|| {
                    assert_eq!(body["rows"]["type"], "logs3_overflow");
                    let place = &state.places[body["rows"]["key"].as_str().unwrap()];
                    place["rows"].as_array().unwrap().clone()
                });
                for row in &rows {
                    state.take(row);
                }
                ok(json!({ "ids": rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>() }))
            }
            "/logs3/overflow" => {
                let nth = self.state.lock().unwrap().places.len();
                let key = format!("k{nth}-{}", asked.json()["size_bytes"]);
                ok(json!({
                    "method": "PUT", "key": key, "fields": {},
                    "signedUrl": format!("{}/place/{key}?signature=s3cr3t", self.url),
                    "headers": { "x-amz-meta-a": "b" },
                }))
            }
            path => panic!("nobody asks for {path}"),
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    let path = path.replace("?signature=s3cr3t", "");
    Some(Asked { method, path, headers, body })
}
