//! Scripts: rollouts in a few short lines, and the trees that come of them.
//!
//! A line of a script is `<milliseconds> <what> <rest>`:
//!
//! | what | rest | becomes |
//! |---|---|---|
//! | `meta` | JSON | a `session_meta` |
//! | `context` | JSON | a `turn_context` |
//! | `item` | JSON | a `response_item` |
//! | `event` | JSON | an `event_msg` |
//! | `done` | turn, JSON | `item_completed` of that turn |
//! | `line` | type, JSON | a line of that type |
//! | `user`, `says`, `developer` | text | a message |
//! | `typed` | text | a `user_message` event |
//! | `call` | id, name, arguments | a `function_call` |
//! | `output` | id, text | a `function_call_output` |
//! | `started`, `complete` | turn | a bracket |
//! | `aborted` | turn, reason | a bracket |
//! | `count` | `in/cached/out/reasoning` | a `token_count` that adds to the total |
//! | `count` | the same, `of`, the same | one with a given total |
//! | `repeat` | | the `token_count` before, again |
//! | `record` | turn, response, `in/cached/out/reasoning` | a `token_usage_record` |
//! | `record` | the same, `of`, total tokens | one with the thread's total |
//! | `raw` | text | the line as it is |
//!
//! `%a` to `%z` stand for UUIDv7, made in that order, here and in file names
//! and expected trees. In an output `\n` is a newline. `ordinals <n>` numbers the lines from there on. A turn `-` is none.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use codex_rollout::Source;
use codex_trace_model::{Timestamp, Trace, Tree};
use serde_json::{Value, json};

use crate::support::{for_each_trace, with_bytes};

/// 2026-01-01T00:00:00Z, when scripts begin.
const BEGIN: i64 = 1_767_225_600_000;

/// Makes the lines of a script.
pub(crate) fn rollout_of(script: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    for line in with_ids(script).lines().map(str::trim).filter(|line| !line.is_empty()) {
        writer.line(line);
    }
    writer.out.into_bytes()
}

/// A letter, and the id that it stands for.
fn ids() -> impl Iterator<Item = (String, String)> {
    ('a'..='z').enumerate().map(|(n, letter)| {
        (format!("%{letter}"), format!("019b7700-{n:04x}-7000-8000-000000000000"))
    })
}

fn with_ids(text: &str) -> String {
    ids().fold(text.to_owned(), |text, (word, id)| text.replace(&word, &id))
}

/// Resolves a script as the only file of a session.
pub(crate) fn with_script<T>(script: &str, check: impl FnOnce(&Trace<'_>) -> T) -> T {
    with_bytes(&rollout_of(script), |trace| {
        promises(trace);
        check(trace)
    })
}

/// Checks what every trace promises.
fn promises(trace: &Trace<'_>) {
    trace.validate().unwrap();
    for thread in &trace.threads {
        assert!(thread.account.closes(), "{:?}", thread.account);
    }
}

/// Compares the tree of a script with the expected one, then the words for
/// what was odd, one line `? word` each.
#[track_caller]
pub(crate) fn check(script: &str, expected: &str) {
    let found = with_script(script, text_of);
    compare(&found, expected);
}

fn text_of(trace: &Trace<'_>) -> String {
    let mut text = Tree(trace).to_string();
    for odd in &trace.diagnostics {
        let line = odd.position.map(|at| format!(" {}", at.line())).unwrap_or_default();
        writeln!(text, "? {}{line}", odd.code.word()).unwrap();
    }
    text
}

#[track_caller]
pub(crate) fn compare(found: &str, expected: &str) {
    let found = ids().fold(found.to_owned(), |text, (word, id)| text.replace(&id, &word));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    let outer = lines.iter().map(|line| indent(line)).min().unwrap_or(0);
    let mut expected = String::new();
    for line in lines {
        writeln!(expected, "{}", &line[outer..]).unwrap();
    }
    assert!(found == expected, "<<<FOUND\n{found}>>>\n<<<EXPECTED\n{expected}>>>");
}

/// A Codex home in the making.
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// Makes an empty home, named after the test.
    pub(crate) fn new(name: &str) -> Home {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("homes").join(name);
        if root.exists() {
            std::fs::remove_dir_all(&root).unwrap();
        }
        std::fs::create_dir_all(root.join("sessions")).unwrap();
        Home { root }
    }

    /// Adds the rollout of a script for an id: a thread's, or `thread_rollout`.
    pub(crate) fn script(self, id: &str, script: &str) -> Home {
        let id = with_ids(id);
        let name = format!("sessions/2026/01/01/rollout-2026-01-01T00-00-00-{id}.jsonl");
        self.file(&name, &rollout_of(script))
    }

    /// Adds a file.
    pub(crate) fn file(self, name: &str, bytes: &[u8]) -> Home {
        let path = self.root.join(with_ids(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Compares the trees of all sessions, in order, and what was odd.
    #[track_caller]
    pub(crate) fn check(&self, expected: &str) {
        let found = self.text();
        compare(&found, expected);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let heads = crate::support::heads(&self.root);
        for session in codex_trace_model::group(&heads, &codex_rollout::Copies::find(&heads)) {
            for odd in &session.diagnostics {
                writeln!(text, "? {}", odd.code.word()).unwrap();
            }
        }
        for_each_trace(&self.root, |trace| {
            promises(trace);
            text.push_str(&text_of(trace));
        });
        text
    }

    /// Returns the home's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

/// Returns the bytes of a rollout, decompressed.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    Source::open_file(path).unwrap().bytes().to_vec()
}

#[derive(Default)]
struct Writer {
    out: String,
    at: i64,
    ordinal: Option<u64>,
    total: [u64; 4],
    count: Value,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let (first, rest) = word(line);
        if first == "ordinals" {
            self.ordinal = Some(rest.parse().unwrap());
            return;
        }
        if first == "raw" {
            writeln!(self.out, "{rest}").unwrap();
            return;
        }
        let (what, rest) = word(rest);
        self.at = first.parse().unwrap();
        let (kind, payload) = self.payload(what, rest);
        let mut ordinal = String::new();
        if let Some(next) = &mut self.ordinal {
            ordinal = format!(r#","ordinal":{next}"#);
            *next += 1;
        }
        let at = time(self.at);
        let line =
            format!(r#"{{"timestamp":"{at}"{ordinal},"type":"{kind}","payload":{payload}}}"#);
        writeln!(self.out, "{line}").unwrap();
    }

    fn payload(&mut self, what: &str, rest: &str) -> (String, Value) {
        let (first, more) = word(rest);
        let turn = (first != "-").then_some(first);
        let item = |payload: Value| ("response_item".to_owned(), payload);
        let event = |payload: Value| ("event_msg".to_owned(), payload);
        let message = |role: &str, part: &str, text: &str| {
            let content = json!([{"type": part, "text": text}]);
            item(json!({"type": "message", "role": role, "content": content}))
        };
        match what {
            "meta" => ("session_meta".to_owned(), self.meta(rest)),
            "context" => ("turn_context".to_owned(), json_of(rest)),
            "item" => item(json_of(rest)),
            "event" => event(json_of(rest)),
            "done" => {
                let mut payload = json_of(more);
                let times = ["started_at_ms", "completed_at_ms"].map(|key| {
                    let fields = payload.as_object_mut().unwrap();
                    fields.remove(key).map(|at| BEGIN + at.as_i64().unwrap())
                });
                let thread = payload.as_object_mut().unwrap().remove("thread_id");
                event(json!({"type": "item_completed", "turn_id": turn, "thread_id": thread,
                    "started_at_ms": times[0], "completed_at_ms": times[1], "item": payload}))
            }
            "line" => (first.to_owned(), json_of(more)),
            "user" => message("user", "input_text", rest),
            "developer" => message("developer", "input_text", rest),
            "says" => message("assistant", "output_text", rest),
            "typed" => event(json!({"type": "user_message", "message": rest})),
            "call" => {
                let (name, arguments) = word(more);
                item(json!({"type": "function_call", "call_id": first, "name": name,
                    "arguments": arguments}))
            }
            "output" => item(json!({"type": "function_call_output", "call_id": first,
                    "output": more.replace("\\n", "\n")})),
            "started" => event(json!({"type": "task_started", "turn_id": turn})),
            "complete" => event(json!({"type": "task_complete", "turn_id": turn})),
            "aborted" => event(json!({"type": "turn_aborted", "turn_id": turn, "reason": more})),
            "count" => event(self.count(rest)),
            "repeat" => event(self.count.clone()),
            "record" => {
                let (response, rest) = word(more);
                let (numbers, total) =
                    rest.split_once(" of ").map_or((rest, None), |it| (it.0, Some(it.1)));
                let mut payload = json!({"turn_id": turn, "response_id": response});
                if numbers != "-" {
                    payload["usage"] = usage(numbers_of(numbers));
                }
                if let Some(total) = total {
                    payload["thread_token_usage"] =
                        json!({"total_tokens": total.parse::<u64>().unwrap()});
                }
                ("token_usage_record".to_owned(), payload)
            }
            _ => panic!("`{what}` is no word of scripts"),
        }
    }

    /// A meta says when its thread was made, if the script does not.
    fn meta(&self, rest: &str) -> Value {
        let mut meta = json_of(rest);
        meta.as_object_mut().unwrap().entry("timestamp").or_insert(json!(time(self.at)));
        meta
    }

    fn count(&mut self, rest: &str) -> Value {
        let (last, total) = rest.split_once(" of ").map_or((rest, None), |(a, b)| (a, Some(b)));
        let last = numbers_of(last);
        match total {
            Some(total) => self.total = numbers_of(total),
            None => (0..4).for_each(|n| self.total[n] += last[n]),
        }
        let info = json!({"total_token_usage": usage(self.total), "last_token_usage": usage(last)});
        self.count = json!({"type": "token_count", "info": info, "rate_limits": null});
        self.count.clone()
    }
}

fn time(at: i64) -> String {
    let at = Timestamp::from_millisecond(BEGIN + at).unwrap();
    format!("{at:.3}")
}

fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').map_or((text, ""), |(first, rest)| (first, rest.trim_start()))
}

#[track_caller]
fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|err| panic!("{text}: {err}"))
}

fn numbers_of(text: &str) -> [u64; 4] {
    let numbers: Vec<u64> = text.split('/').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// An estimate of the context has a total and nothing else: `0/0/0/total`.
fn usage([input, cached, output, reasoning]: [u64; 4]) -> Value {
    let estimate = input == 0 && output == 0;
    let total = if estimate { reasoning } else { input + output };
    let reasoning = if estimate { 0 } else { reasoning };
    json!({"input_tokens": input, "cached_input_tokens": cached, "output_tokens": output,
        "reasoning_output_tokens": reasoning, "total_tokens": total})
}
