//! Uploads to a server that treats traces as MLflow 3.17 was measured to: a
//! trace is in one experiment, spans follow it there, and the call that makes it
//! final puts it where it says.

#![expect(clippy::unwrap_used, reason = "in helpers, too, it is the test that fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use codex_trace_export::otlp::proto::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

use crate::testenv::{Run, TestEnv, place, small_rollout};

const ID: &str = "019a0000-0000-7000-8000-000000000004";
const OTHER: &str = "019a0000-0000-7000-8000-000000000005";

#[derive(Debug, Default)]
struct Trace {
    experiment: String,
    spans: BTreeSet<Vec<u8>>,
    info: Option<Value>,
}

#[derive(Debug, Default)]
struct State {
    /// Names, by id less one.
    experiments: Vec<String>,
    traces: BTreeMap<String, Trace>,
    /// Paths of requests that store something.
    stored: Vec<String>,
}

struct Server {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&of_thread);
                std::thread::spawn(move || stream.map(|stream| serve(&stream, &state)));
            }
        });
        Server { url, state }
    }

    /// Returns how many traces an experiment has: whole ones, with spans and all.
    fn traces_in(&self, name: &str) -> usize {
        let state = self.state.lock().unwrap();
        let id = state.experiments.iter().position(|it| it == name);
        let id = id.map_or_else(String::new, |ix| (ix + 1).to_string());
        let whole = |it: &&Trace| it.experiment == id && it.info.is_some() && !it.spans.is_empty();
        state.traces.values().filter(whole).count()
    }

    fn n_stored(&self) -> usize {
        self.state.lock().unwrap().stored.len()
    }

    /// What the server forgets when somebody deletes an experiment's traces.
    fn empty(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let id = (state.experiments.iter().position(|it| it == name).unwrap() + 1).to_string();
        state.traces.retain(|_, trace| trace.experiment != id);
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        if reader.read_line(&mut head).is_err() || head.is_empty() {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let (status, answer) = state.lock().unwrap().answer(path, &headers, &body);
        let text = if path == "/v1/traces" { String::new() } else { answer.to_string() };
        let length = text.len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        if (&mut &*stream).write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

impl State {
    fn answer(
        &mut self,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
    ) -> (u16, Value) {
        let json = || serde_json::from_slice::<Value>(body).unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            "/api/2.0/mlflow/experiments/get-by-name" => {
                let name = query.strip_prefix("experiment_name=").unwrap();
                match self.experiments.iter().position(|it| it == name) {
                    Some(ix) => (200, json!({ "experiment": experiment(ix, name) })),
                    None => (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST" })),
                }
            }
            "/api/2.0/mlflow/experiments/create" => {
                self.experiments.push(json()["name"].as_str().unwrap().to_owned());
                (200, json!({ "experiment_id": self.experiments.len().to_string() }))
            }
            "/api/2.0/mlflow/experiments/search" => {
                let all = self.experiments.iter().enumerate();
                (200, page(all.map(|(ix, name)| experiment(ix, name)), "experiments", 1, &json()))
            }
            "/api/3.0/mlflow/traces/search" => (200, self.search(&json())),
            "/v1/traces" => {
                self.stored.push(path.to_owned());
                self.take_spans(&headers["x-mlflow-experiment-id"], body);
                (200, Value::Null)
            }
            "/api/3.0/mlflow/traces" => {
                self.stored.push(path.to_owned());
                let info = json()["trace"]["trace_info"].clone();
                let trace = self.traces.entry(info["trace_id"].as_str().unwrap().to_owned());
                let trace = trace.or_default();
                let place = &info["trace_location"]["mlflow_experiment"]["experiment_id"];
                place.as_str().unwrap().clone_into(&mut trace.experiment);
                trace.info = Some(info);
                (200, json!({}))
            }
            other => (404, json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": other })),
        }
    }

    fn take_spans(&mut self, experiment: &str, body: &[u8]) {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for span in
            request.resource_spans.iter().flat_map(|it| &it.scope_spans).flat_map(|it| &it.spans)
        {
            let id: String =
                span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            let trace = self
                .traces
                .entry(format!("tr-{id}"))
                .or_insert_with(|| Trace { experiment: experiment.to_owned(), ..Trace::default() });
            trace.spans.insert(span.span_id.clone());
        }
    }

    fn search(&self, search: &Value) -> Value {
        let places: Vec<&str> = search["locations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["mlflow_experiment"]["experiment_id"].as_str().unwrap())
            .collect();
        let filter = search["filter"].as_str().unwrap();
        let has = |info: &Value| match filter {
            "metadata.`mlflow.trace.session` != ''" => {
                info["trace_metadata"]["mlflow.trace.session"].is_string()
            }
            "tags.`codex.backfill` = 'true'" => info["tags"]["codex.backfill"] == "true",
            other => panic!("{other}"),
        };
        let found = self.traces.values().filter(|it| places.contains(&&*it.experiment));
        let found = found.filter_map(|it| {
            let mut info = it.info.clone()?;
            let place = &mut info["trace_location"]["mlflow_experiment"]["experiment_id"];
            *place = Value::from(it.experiment.as_str());
            Some(info)
        });
        let found = found.filter(|info| has(info));
        page(found, "traces", 1, search)
    }
}

fn experiment(ix: usize, name: &str) -> Value {
    json!({ "experiment_id": (ix + 1).to_string(), "name": name })
}

/// A page of so many, and the token of the next one.
fn page(all: impl Iterator<Item = Value>, name: &str, n: usize, ask: &Value) -> Value {
    let all: Vec<Value> = all.collect();
    let from: usize = ask["page_token"].as_str().map_or(0, |token| token.parse().unwrap());
    let more = (from + n < all.len()).then(|| (from + n).to_string());
    json!({ name: all.iter().skip(from).take(n).collect::<Vec<_>>(), "next_page_token": more })
}

/// A home with a session of one turn.
fn env() -> TestEnv {
    let env = TestEnv::new();
    env.write(
        &format!(".codex/{}", place("2026-03-01T10-00-00", ID)),
        small_rollout(ID, "2026-03-01T10:00", "hello"),
    );
    env
}

fn upload(env: &TestEnv, server: &Server, project: &str, more: &[&str]) -> Run {
    let args = ["upload", "--to", "mlflow", "--settle", "0s", "--compress", "none", "--endpoint"];
    env.run(&[&args[..], &[&server.url, "--project", project], more].concat())
}

#[test]
fn an_upload_to_a_second_experiment_takes_nothing_out_of_the_first() {
    let (env, server) = (env(), Server::start());
    let run = upload(&env, &server, "pa", &[]);
    assert_eq!((run.code, server.traces_in("pa")), (Some(0), 1), "{}", run.stderr);
    let page =
        format!("hint: look at it at {}/#/experiments/1/traces?startTimeLabel=ALL\n", server.url);
    assert!(run.stderr.contains(&page), "{}", run.stderr);
    let n_stored = server.n_stored();
    // By another ledger, too: it is the server that knows.
    for more in
        [&[][..], &["--state-dir", "other"], &["--force"], &["--state-dir", "third", "--force"]]
    {
        let run = upload(&env, &server, "pb", more);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        for words in [
            "the experiment `pa` (id 1) of this server has it, and would lose it",
            "1 turn in another place of the server, left there",
            "uploaded nothing to mlflow",
            "own_ids = true",
        ] {
            assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        }
        assert_eq!((server.traces_in("pa"), server.traces_in("pb")), (1, 0));
        assert_eq!(server.n_stored(), n_stored, "nothing was sent");
    }
    let status = env.run(&["status"]);
    assert!(status.stdout.contains("1 pending: the experiment `pa`"), "{}", status.stdout);
    // What is nowhere yet goes there.
    env.write(
        &format!(".codex/{}", place("2026-03-02T10-00-00", OTHER)),
        small_rollout(OTHER, "2026-03-02T10:00", "more"),
    );
    let run = upload(&env, &server, "pb", &[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!((server.traces_in("pa"), server.traces_in("pb")), (1, 1));
    let run = upload(&env, &server, "pa", &["--json"]);
    let last = run.json().pop().unwrap();
    assert_eq!((run.code, &last["turns"]["elsewhere"]), (Some(1), &json!(1)), "{}", run.stdout);
    assert_eq!((server.traces_in("pa"), server.traces_in("pb")), (1, 1));
}

#[test]
fn with_ids_of_its_own_a_second_experiment_has_a_copy() {
    let (env, server) = (env(), Server::start());
    assert_eq!(upload(&env, &server, "pa", &[]).code, Some(0));
    let table = format!(
        "[destinations.copy]\nbackend = 'mlflow'\nendpoint = '{}'\nproject = 'pb'\nown_ids = true\n",
        server.url
    );
    env.write(".config/codex-trace/codex-trace.toml", table);
    let run = env.run(&["upload", "--to", "copy", "--settle", "0s", "--compress", "none"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!((server.traces_in("pa"), server.traces_in("pb")), (1, 1));
}

/// What an older version, or somebody else, has moved: the ledger's word is not
/// taken for it.
#[test]
fn what_was_taken_away_is_not_called_unchanged() {
    let (env, server) = (env(), Server::start());
    assert_eq!(upload(&env, &server, "pa", &[]).code, Some(0));
    assert!(upload(&env, &server, "pa", &[]).stderr.contains("1 session unchanged"));
    {
        let mut state = server.state.lock().unwrap();
        state.experiments.push("pb".to_owned());
        let trace = state.traces.values_mut().next().unwrap();
        trace.experiment = "2".to_owned();
    }
    for _ in 0..2 {
        let run = upload(&env, &server, "pa", &[]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(!run.stderr.contains("unchanged"), "{}", run.stderr);
        assert!(run.stderr.contains("the experiment `pb` (id 2) of this server has it"));
    }
    let status = env.run(&["status"]);
    assert!(status.stdout.contains("0 turns sent, 1 pending"), "{}", status.stdout);
    // Once it is nowhere, it is sent again, all of it.
    server.empty("pb");
    let run = upload(&env, &server, "pa", &[]);
    assert_eq!((run.code, server.traces_in("pa")), (Some(0), 1), "{}", run.stderr);
    assert!(env.run(&["status"]).stdout.contains("1 turn sent, 0 pending"));
    assert!(upload(&env, &server, "pa", &[]).stderr.contains("1 session unchanged"));
}

/// Phoenix keeps a span in the project that had it first, and says that it took
/// the second one.
#[test]
fn nothing_is_called_uploaded_that_a_first_project_keeps() {
    use crate::scripted_server::{Act, Server as Receiver};
    let (env, server) = (env(), Receiver::start(&[], Some(Act::Ok)));
    let upload = |project: &str, more: &[&str]| {
        let args = ["upload", "--to", "otlp", "--settle", "0s", "--endpoint", &server.url];
        env.run(&[&args[..], &["--project", project], more].concat())
    };
    assert_eq!(upload("pa", &[]).code, Some(0));
    let stored = server.lines();
    for dry in [&["--dry-run"][..], &[]] {
        let run = upload("pb", dry);
        assert_eq!((run.code, server.lines()), (Some(2), stored.clone()), "{}", run.stderr);
        for words in
            ["it was uploaded to `otlp http://", "#pa`", "own_ids = true", "nothing to otlp"]
        {
            assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        }
    }
    // The user knows that it is there no longer.
    let run = upload("pb", &["--force"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_ne!(server.lines(), stored);
}
