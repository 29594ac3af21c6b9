//! What real Codex programs of several eras wrote, against what the scripted
//! model had answered them, some of it rewritten by a later one. `.ci/forge`
//! makes the homes and runs this.

#![expect(clippy::disallowed_methods, reason = "tests read files, and this one a switch")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop and say why")]

#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codex_trace_model::{Code, SpanKind, Status, TokenUsage, Trace};
use serde_json::Value;

use support::{directories, for_each_trace};

/// Model calls, then input, cached, output and reasoning tokens, then tool calls.
type Sums = [u64; 6];

const NAMES: [&str; 6] = ["model calls", "input", "cached", "output", "reasoning", "tool calls"];

const TOKENS: [&str; 4] =
    ["input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"];

/// A `truth.json`: what was answered, and what was done.
struct Truth {
    facts: BTreeMap<String, Value>,
    version: (u64, u64),
}

impl Truth {
    fn read(home: &Path) -> Truth {
        let text = std::fs::read(home.join("truth.json")).unwrap();
        let facts: BTreeMap<String, Value> = serde_json::from_slice(&text).unwrap();
        let mut numbers = facts["codex"].as_str().unwrap().split('.').map(|it| it.parse().unwrap());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        Truth { facts, version }
    }

    fn count(&self, key: &str) -> u64 {
        self.facts[key].as_u64().unwrap()
    }

    /// The tokens of the whole, or of a part of it.
    fn tokens(&self, part: Option<&str>) -> [u64; 4] {
        TOKENS.map(|key| {
            part.map_or_else(|| &self.facts[key], |part| &self.facts[part][key]).as_u64().unwrap()
        })
    }

    /// What this version did not write down, and why.
    fn unrecorded(&self) -> Vec<(Sums, &'static str)> {
        let part = |calls: u64, key: &str, tools: u64, why| {
            let [input, cached, output, reasoning] = self.tokens(Some(key));
            ([calls, input, cached, output, reasoning, tools], why)
        };
        let mut found = Vec::new();
        let compactions = self.count("compaction_calls");
        if compactions > 0 && ((0, 100)..(0, 153)).contains(&self.version) {
            let why = "before 0.153 the usage of a compaction by the service is not recorded";
            found.push(part(compactions, "compaction_usage", 0, why));
        }
        if self.count("killed") > 0 && ((0, 131)..(0, 153)).contains(&self.version) {
            let why =
                "from 0.131 to 0.152 usage is recorded after the tools, which a kill prevents";
            found.push(part(0, "stopped_usage", 0, why));
        }
        let stopped = self.count("killed") + self.count("interrupted");
        // Seen in 0.44 and 0.65; 0.50 tells the usage, 0.66 the call as well.
        if stopped > 0 && self.version < (0, 66) {
            let why = "before 0.66 a tool call is written after it has run, never if it is stopped";
            found.push(([0, 0, 0, 0, 0, stopped], why));
        }
        if stopped > 0 && self.version < (0, 50) {
            let why = "before 0.50 so is the usage of the answer that made it";
            found.push(part(stopped, "stopped_usage", 0, why));
        }
        if self.ended_by_migration() > 0 {
            let why = "a migration ends each turn that no `task_started` began, a killed one too";
            found.push(([0; 6], why));
        }
        found
    }

    /// Killed turns of which the migrated file says that they completed.
    fn ended_by_migration(&self) -> u64 {
        // 0.100 is the first to record the beginning of a turn.
        let made_up = self.facts["migrated"].is_string() && self.version < (0, 100);
        if made_up { self.count("killed") } else { 0 }
    }

    /// Calls without an output in those turns, which is worth a diagnostic.
    fn calls_cut_by_migration(&self) -> u64 {
        if self.version < (0, 66) { 0 } else { self.ended_by_migration() }
    }
}

/// The homes to look at, or why there are none.
fn homes() -> Vec<PathBuf> {
    let Ok(root) = std::env::var("CODEX_TRACE_FORGED") else {
        eprintln!("skipped: CODEX_TRACE_FORGED names no directory of forged homes; run .ci/forge");
        return Vec::new();
    };
    let versions = directories(Path::new(&root));
    assert!(versions.len() >= 4, "{root} has homes of {} versions only", versions.len());
    versions.iter().flat_map(|version| directories(version)).collect()
}

/// What is found in a home.
#[derive(Default)]
struct Found {
    sums: Sums,
    sessions: u64,
    turns: u64,
    interrupted: u64,
    incomplete: u64,
    compactions: u64,
    nested: u64,
    cut_calls: u64,
    overlapping: bool,
    faults: Vec<String>,
}

impl Found {
    fn add(&mut self, trace: &Trace<'_>) {
        self.sessions += 1;
        self.sums[0] += trace.model_calls().count() as u64;
        let TokenUsage {
            input_tokens,
            cached_input_tokens,
            output_tokens,
            reasoning_output_tokens,
            ..
        } = trace.usage();
        let tokens = [input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens];
        for (sum, tokens) in self.sums[1..].iter_mut().zip(tokens) {
            *sum += tokens;
        }
        self.faults.extend(trace.validate().err().map(|err| err.to_string()));
        for diagnostic in &trace.diagnostics {
            if diagnostic.code == Code::CallWithoutOutput {
                self.cut_calls += diagnostic.count as u64;
            } else {
                self.faults.push(format!("{diagnostic:?}"));
            }
        }
        for thread in &trace.threads {
            if !thread.account.closes() {
                self.faults.push(format!("{}: {:?}", thread.id, thread.account));
            }
            let parent = trace.span(thread.span).parent.map(|ix| &trace.span(ix).kind);
            if let Some(SpanKind::ToolCall(call)) = parent
                && call.tool.is_some_and(|tool| tool.is("spawn_agent"))
            {
                self.nested += 1;
            } else if thread.depth > 0 {
                self.faults.push(format!("{} hangs under {parent:?}", thread.id));
            }
        }
        let mut tools = Vec::new();
        for span in &trace.spans {
            match &span.kind {
                SpanKind::Turn(_) => {
                    self.turns += 1;
                    self.interrupted +=
                        u64::from(matches!(span.status, Status::Interrupted { .. }));
                    self.incomplete += u64::from(span.status == Status::Incomplete);
                }
                SpanKind::ToolCall(call) if call.call_item.is_some() => {
                    self.sums[5] += 1;
                    tools.push((span.start, span.end));
                }
                SpanKind::Compaction(_) => self.compactions += 1,
                _ => {}
            }
        }
        self.overlapping |= tools.windows(2).any(|two| two[1].0 < two[0].1);
    }

    fn compare(&mut self, what: &str, expected: u64, found: u64) {
        if expected != found {
            self.faults.push(format!("{what}: {expected} expected, {found} found"));
        }
    }

    fn check(&mut self, truth: &Truth, unrecorded: &[(Sums, &str)]) {
        let [input, cached, output, reasoning] = truth.tokens(None);
        let (calls, tools) = (truth.count("model_calls"), truth.count("tool_calls"));
        let mut expected = [calls, input, cached, output, reasoning, tools];
        for (part, _) in unrecorded {
            expected = std::array::from_fn(|ix| expected[ix] - part[ix]);
        }
        for ((name, expected), found) in NAMES.into_iter().zip(expected).zip(self.sums) {
            self.compare(name, expected, found);
        }
        let subagents = truth.count("subagents");
        self.compare("sessions", truth.count("sessions"), self.sessions);
        self.compare("subagents under the call that spawned them", subagents, self.nested);
        self.compare("turns", truth.count("prompts") + subagents, self.turns);
        self.compare("interrupted turns", truth.count("interrupted"), self.interrupted);
        let incomplete = truth.count("killed") - truth.ended_by_migration();
        self.compare("incomplete turns", incomplete, self.incomplete);
        self.compare("calls without an output", truth.calls_cut_by_migration(), self.cut_calls);
        let compactions = truth.count("compaction_calls") + truth.count("unmetered_compactions");
        self.compare("compactions", compactions, self.compactions);
    }
}

#[test]
fn every_forged_home_holds_what_was_answered() {
    let mut failed = 0;
    for home in homes() {
        let truth = Truth::read(&home);
        let unrecorded = truth.unrecorded();
        let mut found = Found::default();
        for_each_trace(&home, |trace| found.add(trace));
        found.check(&truth, &unrecorded);
        let name = home.file_name().unwrap().to_str().unwrap();
        let parallel = name.starts_with("parallel") && truth.version >= (0, 98);
        if parallel && !found.overlapping {
            found.faults.push("no two tool calls overlap".to_owned());
        }
        let [calls, input, cached, output, reasoning, _] = found.sums;
        eprintln!(
            "{:8} {name:24} {calls:2} calls {input:7} input {cached:5} cached {output:4} output \
             {reasoning:4} reasoning {}",
            truth.facts["codex"].as_str().unwrap(),
            if found.faults.is_empty() { "as answered" } else { "NOT as answered" },
        );
        for (_, why) in &unrecorded {
            eprintln!("{:9}but for what cannot be known: {why}", "");
        }
        for fault in &found.faults {
            eprintln!("{:9}{fault}", "");
        }
        failed += usize::from(!found.faults.is_empty());
    }
    assert_eq!(failed, 0, "homes that were not read as they were answered");
}
