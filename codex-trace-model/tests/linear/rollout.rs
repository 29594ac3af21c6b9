//! Rollouts of any length, a line at a time.

use std::fmt::Write;

/// Returns the `UUIDv7` of a thread or a turn.
pub(crate) fn id(nth: usize) -> String {
    format!("019b7700-{:04x}-7000-8000-{nth:012x}", nth % 0x1_0000)
}

/// A rollout that is being written.
pub(crate) struct Rollout {
    pub(crate) thread: String,
    pub(crate) text: String,
    /// Whether lines lack their times from now on.
    pub(crate) without_times: bool,
    total: usize,
    millis: usize,
}

impl Rollout {
    /// Begins the rollout of a root thread.
    pub(crate) fn new(thread: usize) -> Rollout {
        Rollout::with(thread, r#","cli_version":"0.150.0""#)
    }

    /// Begins one of a version that gave turns no ids.
    pub(crate) fn old(thread: usize) -> Rollout {
        Rollout::with(thread, r#","cli_version":"0.90.0""#)
    }

    /// Begins the rollout of a subagent.
    pub(crate) fn below(thread: usize, parent: usize) -> Rollout {
        let parent = id(parent);
        Rollout::with(
            thread,
            &format!(
                r#","cli_version":"0.150.0","parent_thread_id":"{parent}","source":{{"subagent":{{"thread_spawn":{{"parent_thread_id":"{parent}","depth":1}}}}}}"#
            ),
        )
    }

    fn with(thread: usize, fields: &str) -> Rollout {
        let mut rollout = Rollout {
            thread: id(thread),
            text: String::new(),
            without_times: false,
            total: 0,
            millis: 0,
        };
        let thread = rollout.thread.clone();
        rollout.line("session_meta", &format!(r#""id":"{thread}"{fields}"#));
        rollout
    }

    /// A thread that spawns `n` subagents of one turn, and those; the root first.
    pub(crate) fn with_subagents(n: usize, n_calls: usize) -> Vec<Rollout> {
        let mut root = Rollout::new(0);
        root.started(0);
        let mut rollouts = Vec::new();
        for nth in 1..=n {
            root.spawns(nth);
            let mut child = Rollout::below(nth, 0);
            child.turn(nth, n_calls);
            rollouts.push(child);
        }
        rollouts.insert(0, root);
        rollouts
    }

    /// Begins anew as the continuation of another file of the thread.
    pub(crate) fn continues(&mut self, rollout: &str, end: usize) {
        self.text.clear();
        let fields = format!(
            r#""id":"{}","cli_version":"0.150.0","history_base":{{"rollout_id":"{rollout}","end_ordinal_exclusive":{end}}}"#,
            self.thread
        );
        self.line("session_meta", &fields);
    }

    fn line(&mut self, kind: &str, fields: &str) {
        self.millis += 10;
        let (minutes, millis) = (self.millis / 60_000, self.millis % 60_000);
        let time = format!(
            r#""timestamp":"2026-01-{:02}T{:02}:{:02}:{:02}.{:03}Z","#,
            1 + minutes / 1440,
            minutes / 60 % 24,
            minutes % 60,
            millis / 1000,
            millis % 1000
        );
        let time = if self.without_times { "" } else { &time };
        writeln!(self.text, r#"{{{time}"type":"{kind}","payload":{{{fields}}}}}"#).unwrap();
    }

    pub(crate) fn event(&mut self, kind: &str, fields: &str) {
        self.line("event_msg", &format!(r#""type":"{kind}",{fields}"#));
    }

    fn item(&mut self, kind: &str, fields: &str) {
        self.line("response_item", &format!(r#""type":"{kind}",{fields}"#));
    }

    pub(crate) fn message(&mut self, role: &str) {
        self.item(
            "message",
            &format!(
                r#""role":"{role}","content":[{{"type":"input_text","text":"a \"few\" words"}}]"#
            ),
        );
    }

    pub(crate) fn started(&mut self, turn: usize) {
        self.event("task_started", &format!(r#""turn_id":"{}""#, id(turn)));
        self.line("turn_context", &format!(r#""turn_id":"{}","model":"gpt-x""#, id(turn)));
    }

    pub(crate) fn complete(&mut self, turn: usize) {
        self.event("task_complete", &format!(r#""turn_id":"{}""#, id(turn)));
    }

    /// A message and the event that shows it: how turns began before brackets.
    pub(crate) fn typed(&mut self, turn: usize) {
        self.message("user");
        self.event("user_message", &format!(r#""message":"number {turn}""#));
    }

    pub(crate) fn call(&mut self, call_id: &str, nth: usize) {
        let arguments = format!(r#"{{\"cmd\":\"echo {nth}\"}}"#);
        self.item(
            "function_call",
            &format!(r#""name":"exec_command","call_id":"{call_id}","arguments":"{arguments}""#),
        );
    }

    pub(crate) fn output(&mut self, call_id: &str) {
        self.long_output(call_id, 1);
    }

    /// An output of so many times eight bytes.
    pub(crate) fn long_output(&mut self, call_id: &str, n: usize) {
        let mut output =
            r"Wall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n".to_owned();
        output += &r"words \n".repeat(n);
        self.item("function_call_output", &format!(r#""call_id":"{call_id}","output":"{output}""#));
    }

    /// Model calls that each call a tool and are counted.
    pub(crate) fn calls(&mut self, turn: usize, n: usize) {
        for nth in 0..n {
            let call_id = format!("call-{turn}-{nth}-{}", self.total);
            self.call(&call_id, nth);
            self.output(&call_id);
            self.total += 10;
            let total = self.total;
            self.event(
                "token_count",
                &format!(
                    r#""info":{{"total_token_usage":{{"input_tokens":{total},"total_tokens":{total}}},"last_token_usage":{{"input_tokens":10,"total_tokens":10}}}}"#
                ),
            );
        }
    }

    /// A whole turn.
    pub(crate) fn turn(&mut self, turn: usize, n_calls: usize) {
        self.started(turn);
        self.message("user");
        self.calls(turn, n_calls);
        self.complete(turn);
    }

    pub(crate) fn compacted(&mut self) {
        self.line("compacted", r#""message":"so far","replacement_history":[]"#);
    }

    /// A call that spawns a thread.
    pub(crate) fn spawns(&mut self, thread: usize) {
        let call_id = format!("spawn-{thread}");
        self.item(
            "function_call",
            &format!(r#""name":"spawn_agent","call_id":"{call_id}","arguments":"{{}}""#),
        );
        let output = format!(r#"{{\"agent_id\":\"{}\"}}"#, id(thread));
        self.item("function_call_output", &format!(r#""call_id":"{call_id}","output":"{output}""#));
    }
}
