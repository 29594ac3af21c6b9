//! A Codex history made up for tests and benches, with what is true of it:
//! the same on every machine, as large as wanted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) sessions: u64,
    pub(crate) turns: u64,
    /// The bytes of a typical tool output.
    pub(crate) output_len: usize,
    pub(crate) seed: u64,
    /// Whether every second session records usage in `token_usage_record`.
    pub(crate) records: bool,
}

/// Model calls and tokens: input, cached, output, reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) calls: u64,
    pub(crate) tokens: [u64; 4],
}

impl Truth {
    fn add(&mut self, tokens: [u64; 4]) {
        self.calls += 1;
        for (sum, tokens) in self.tokens.iter_mut().zip(tokens) {
            *sum += tokens;
        }
    }
}

/// A history in memory: files by their places in a Codex home.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) total: Truth,
    /// By what a row may stand for, then by the row's key.
    pub(crate) rows: BTreeMap<&'static str, BTreeMap<String, Truth>>,
    /// Of the files that have usage records alone.
    pub(crate) with_records: Truth,
}

const MODELS: [&str; 3] = ["gpt-5.4", "gpt-5.5", "gpt-unheard-of"];
const SOURCES: [&str; 3] = ["cli", "exec", "vscode"];
const SECOND: u64 = 1_000;
/// 2026-01-30T00:00:00Z, in milliseconds: two days before a month's end.
const START: u64 = 1_769_731_200_000;

/// Makes a history.
pub(crate) fn history(options: Options) -> History {
    let mut history = History::default();
    let mut random = Random(options.seed | 1);
    for nth in 0..options.sessions {
        session(&mut history, &mut random, options, nth);
    }
    history
}

/// A generator of numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn text(&mut self, len: usize) -> String {
        const WORDS: [&str; 8] = [
            "fn main() {",
            "\\n    ",
            "let x = 1;",
            "\\t\\\"quoted\\\"",
            "// ünïcödé",
            "}",
            "\\\\d+",
            " ",
        ];
        let mut text = String::with_capacity(len + 16);
        while text.len() < len {
            text.push_str(WORDS[usize::try_from(self.below(8)).expect("small")]);
        }
        text
    }
}

/// A rollout while it is written.
struct Rollout {
    id: String,
    text: String,
    /// Milliseconds since 1970.
    now: u64,
    total: [u64; 4],
    records: bool,
    model: &'static str,
    n_turns: u64,
    n_calls: u64,
}

fn session(history: &mut History, random: &mut Random, options: Options, nth: u64) {
    let start = START + nth * 7 * 3600 * SECOND;
    let pick = |of: [&'static str; 3]| of[usize::try_from(nth % 3).expect("small")];
    let source = pick(SOURCES);
    let cwd = format!("/home/u/project-{}", nth % 4);
    let records = options.records && nth % 2 == 1;
    let mut root = Rollout::new(id(start, nth, 0), start, records, pick(MODELS));
    root.meta(&format!(r#""source":"{source}","cwd":"{cwd}""#));
    let mut calls = Vec::new();
    for _ in 0..options.turns {
        root.turn(random, options.output_len, &mut calls);
    }
    if nth.is_multiple_of(3) {
        // A subagent; every second one begins with a copy of its parent.
        let mut child = Rollout::new(id(root.now, nth, 1), root.now, records, pick(MODELS));
        let spawn = format!(
            r#""subagent":{{"thread_spawn":{{"parent_thread_id":"{}","depth":1}}}}"#,
            root.id
        );
        child.meta(&format!(r#""source":{{{spawn}}},"cwd":"{cwd}""#));
        if nth.is_multiple_of(2) {
            child.text.push_str(&root.text);
            child.total = root.total;
        }
        child.turn(random, options.output_len, &mut calls);
        history.push(&child);
    }
    for (at, tokens) in calls {
        history.total.add(tokens);
        if records {
            history.with_records.add(tokens);
        }
        let stamp = stamp(at);
        let keys = [
            ("day", stamp[..10].to_owned()),
            ("month", stamp[..7].to_owned()),
            ("model", root.model.to_owned()),
            ("session", root.id.clone()),
            ("directory", cwd.clone()),
            ("source", source.to_owned()),
        ];
        for (by, key) in keys {
            history.rows.entry(by).or_default().entry(key).or_default().add(tokens);
        }
    }
    history.push(&root);
}

impl History {
    fn push(&mut self, rollout: &Rollout) {
        let stamp = stamp(rollout.start());
        let day = stamp[..10].replace('-', "/");
        let name = stamp[..19].replace(':', "-");
        let path = format!("sessions/{day}/rollout-{name}-{}.jsonl", rollout.id);
        self.files.push((path, rollout.text.clone()));
    }
}

impl Rollout {
    fn new(id: String, start: u64, records: bool, model: &'static str) -> Rollout {
        let text = String::new();
        Rollout { id, text, now: start, total: [0; 4], records, model, n_turns: 0, n_calls: 0 }
    }

    /// The time in the id.
    fn start(&self) -> u64 {
        let hex: String = self.id.chars().filter(|c| *c != '-').take(12).collect();
        u64::from_str_radix(&hex, 16).expect("an id begins with its time")
    }

    fn line(&mut self, kind: &str, payload: &str) {
        let at = stamp(self.now);
        let line = format!(r#"{{"timestamp":"{at}","type":"{kind}","payload":{payload}}}"#);
        self.text.push_str(&line);
        self.text.push('\n');
    }

    fn meta(&mut self, fields: &str) {
        let at = stamp(self.now);
        let payload = format!(
            r#"{{"id":"{}","timestamp":"{at}","originator":"codex","cli_version":"0.155.0",{fields}}}"#,
            self.id
        );
        self.line("session_meta", &payload);
    }

    fn turn(&mut self, random: &mut Random, len: usize, calls: &mut Vec<(u64, [u64; 4])>) {
        self.n_turns += 1;
        self.now += SECOND;
        let turn = id(self.now, self.n_turns, 7);
        let model = self.model;
        self.line("event_msg", &format!(r#"{{"type":"task_started","turn_id":"{turn}"}}"#));
        self.line(
            "turn_context",
            &format!(r#"{{"turn_id":"{turn}","cwd":"/","model":"{model}"}}"#),
        );
        self.line(
            "response_item",
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"go on"}]}"#,
        );
        self.line("event_msg", r#"{"type":"user_message","message":"go on"}"#);
        let n_calls = 1 + random.below(4);
        for nth in 0..n_calls {
            let last = nth + 1 == n_calls;
            self.now += SECOND + random.below(9_000);
            let thoughts = random.text(len / 8);
            self.line(
                "response_item",
                &format!(r#"{{"type":"reasoning","summary":[],"encrypted_content":"{thoughts}"}}"#),
            );
            let call = format!("call_{}_{nth}", self.n_turns);
            if last {
                let answer = random.text(len / 4);
                self.line("response_item", &format!(r#"{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"{answer}"}}]}}"#));
            } else {
                self.line("response_item", &format!(r#"{{"type":"function_call","name":"shell","arguments":"{{\"command\":[\"ls\"]}}","call_id":"{call}"}}"#));
            }
            let input = 1_000 + random.below(100_000);
            let output = 10 + random.below(1_000);
            let tokens = [input, input / 2, output, output / 3];
            calls.push((self.now, tokens));
            self.n_calls += 1;
            if self.records {
                let usage = usage(tokens);
                let (thread, response) = (&self.id, self.n_calls);
                let record = format!(
                    r#"{{"thread_id":"{thread}","turn_id":"{turn}","response_id":"resp_{response}","usage":{usage}}}"#
                );
                self.line("token_usage_record", &record);
            }
            if !last {
                self.now += random.below(20_000);
                let printed = random.text(len);
                self.line("response_item", &format!(r#"{{"type":"function_call_output","call_id":"{call}","output":"{printed}"}}"#));
            }
            for (sum, tokens) in self.total.iter_mut().zip(tokens) {
                *sum += tokens;
            }
            let count = format!(
                r#"{{"type":"token_count","info":{{"total_token_usage":{},"last_token_usage":{},"model_context_window":258400}},"rate_limits":null}}"#,
                usage(self.total),
                usage(tokens)
            );
            self.line("event_msg", &count);
            if random.below(3) == 0 {
                self.line("event_msg", &count);
            }
        }
        self.line("event_msg", &format!(r#"{{"type":"task_complete","turn_id":"{turn}"}}"#));
        self.now += 60 * SECOND;
    }
}

fn usage([input, cached, output, reasoning]: [u64; 4]) -> String {
    let total = input + output;
    format!(
        r#"{{"input_tokens":{input},"cached_input_tokens":{cached},"output_tokens":{output},"reasoning_output_tokens":{reasoning},"total_tokens":{total}}}"#
    )
}

/// Makes an id that sorts by time, as Codex' own (`UUIDv7`).
fn id(at: u64, a: u64, b: u64) -> String {
    let time = format!("{at:012x}");
    format!("{}-{}-7{:03x}-8000-{b:04x}{a:08x}", &time[..8], &time[8..], a % 4096)
}

/// Writes a time: `2026-02-01T10:00:00.000Z`.
fn stamp(at: u64) -> String {
    let (days, ms) = (at / 86_400_000, at % 86_400_000);
    // Days to a date, by Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut text = String::new();
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % 1_000
    )
    .expect("a string takes everything");
    text
}
