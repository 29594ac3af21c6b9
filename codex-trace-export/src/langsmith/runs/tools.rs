//! Runs of tools, and of the skills that they read.

use std::borrow::Cow;

use codex_rollout::JsonText;
use codex_trace_model::{Span, SpanIx, SpanKind, Status, Timestamp, ToolCall};

use super::{TurnEncoder, muted};
use crate::UnitBuilder;
use crate::content::Part;
use crate::json::{self, Object};
use crate::langsmith::ids;
use crate::langsmith::messages::{self, put_value};
use crate::langsmith::metadata::RunKind;
use crate::langsmith::plan::{Answered, Group, Place};
use crate::langsmith::wire::Run;

impl<'a> TurnEncoder<'_, '_, 'a> {
    pub(super) fn tool(
        &mut self,
        group: &Group<'a>,
        tool: &Answered<'a>,
        span: Option<SpanIx>,
        unit: &mut UnitBuilder<'_>,
    ) -> Place {
        let call_id = tool.call_id.decode();
        let run = format!("tool:{call_id}");
        let id = self.all.plan.id(self.plan.thread, &self.plan.key, &run);
        let message = self.plan.messages[tool.message];
        let span = span.map(|ix| self.all.trace.span(ix));
        let said = self.plan.messages[group.message].start;
        let shift = self.plan.shift;
        let place = self.plan.root.child(id, message.start.min(said) + shift, tool.order);
        let told = span.and_then(|span| span.end).map(Timestamp::as_millisecond);
        let end = (message.end.max(told.unwrap_or(message.end)) + shift).max(place.start.millis);
        let name = match tool.call.form {
            codex_rollout::item::response_item::ToolCallForm::ToolSearch => {
                Some(JsonText::new(b"tool_search_call"))
            }
            _ => tool.call.fields.name,
        };
        let mut inputs = Vec::new();
        if self.written.is_some() {
            let arguments = messages::Arguments::of(&tool.call, self.all.rules);
            json::object(&mut inputs, |o| o.value("input").extend_from_slice(&arguments.json));
        }
        let answer =
            self.written.as_ref().map(|it| it.messages().range(tool.message, tool.message + 1));
        let mut named = Vec::new();
        let name = name.unwrap_or(JsonText::new(b"openai.codex.tool"));
        messages::label(name, self.all.rules, &mut named);
        self.tool_run(&place, named, span, end, inputs, answer, unit);
        for (skill, order) in tool.skills.iter().zip(tool.order + 1..) {
            let run = format!("skill:{call_id}:{skill}");
            let id = self.all.plan.id(self.plan.thread, &self.plan.key, &run);
            let place = self.plan.root.child(id, place.start.millis, order);
            self.skill(skill, &place, end, span, unit);
        }
        place
    }

    fn skill(
        &self,
        skill: &str,
        place: &Place,
        end: i64,
        span: Option<&Span<'a>>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let worked = span.is_none_or(|span| matches!(span.status, Status::Ok));
        if self.written.is_none() {
            muted(&mut inputs, &mut outputs);
        } else {
            json::object(&mut inputs, |o| o.object("input", |o| o.put("skill", skill)));
            json::object(&mut outputs, |o| {
                o.object("output", |o| {
                    o.put("commandName", skill);
                    o.put("success", worked);
                });
            });
        }
        let extra = self.extra(RunKind::Skill { name: skill }, false, place.start.millis, |_| {});
        let run = Run {
            place,
            name: b"\"Skill\"".into(),
            run_type: "tool",
            end,
            error: None,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        };
        self.piece(&run, unit);
    }

    #[expect(clippy::too_many_arguments, reason = "all that a run is made of")]
    pub(super) fn tool_run(
        &self,
        place: &Place,
        name: Vec<u8>,
        span: Option<&Span<'a>>,
        end: i64,
        mut inputs: Vec<u8>,
        answer: Option<&[u8]>,
        unit: &mut UnitBuilder<'_>,
    ) {
        let mut outputs = Vec::new();
        let call = span.and_then(|span| match &span.kind {
            SpanKind::ToolCall(call) => Some(&**call),
            _ => None,
        });
        let (error, interrupted) = match (span.map(|span| &span.status), call) {
            (Some(Status::Error { .. }), Some(ToolCall { exit_code: Some(code), .. })) => {
                (Some(Cow::Owned(format!("Exit code: {code}"))), false)
            }
            (Some(Status::Error { message }), _) => (Some(self.error(message, Part::Tool)), false),
            (Some(Status::Interrupted { reason }), _) => {
                (Some(self.error(reason, Part::Tool)), true)
            }
            (Some(Status::Incomplete), _) => (Some("No output was recorded".into()), true),
            _ => (None, false),
        };
        if self.written.is_none() {
            inputs.clear();
            muted(&mut inputs, &mut outputs);
        } else {
            json::object(&mut outputs, |o| {
                if let Some(call) = call {
                    self.facts(call, error.is_some(), o);
                }
                if let Some(answer) = answer {
                    let out = o.value("messages");
                    out.push(b'[');
                    out.extend_from_slice(answer);
                    out.push(b']');
                }
            });
        }
        let kind = RunKind::Tool;
        let started = span.and_then(|span| span.start).map(Timestamp::as_millisecond);
        let extra = self.extra(kind, error.is_some(), place.start.millis, |o| {
            if interrupted {
                o.put("ls_is_error_interrupt", true);
            }
            if let Some(call) = call {
                o.put("codex.tool_family", call.family.word());
                let escalation = self.thread.command_of(call).escalation;
                o.flag("codex.escalated", escalation.is_some());
            }
            // The run's own start is that of the model's message, as the plugin has it.
            o.maybe("codex.called_at", started.map(|it| ids::time(it + self.plan.shift)));
        });
        let run = Run {
            place,
            name: name.into(),
            run_type: "tool",
            end,
            error,
            inputs: &[&inputs],
            outputs: &outputs,
            extra: &extra,
            events: b"",
        };
        self.piece(&run, unit);
    }

    /// Writes what is known of a call, under the names of Codex' own events.
    fn facts(&self, call: &ToolCall<'a>, failed: bool, o: &mut Object<'_>) {
        let (rules, extras) = (self.all.rules, call.extras());
        let text = |part, text: &Option<Cow<'a, str>>| {
            text.as_deref().and_then(|text| rules.text(part, text).map(Cow::into_owned))
        };
        let command = self.thread.command_of(call);
        o.maybe("command", text(Part::Tool, &command.line));
        o.maybe("cwd", text(Part::Place, &command.cwd));
        if let Some(code) = call.exit_code {
            o.put("exit_code", code);
            o.put("status", if failed { "failed" } else { "completed" });
        }
        if let Some(success) = call.success {
            o.put("success", success);
        }
        if let Some(took) = call.duration {
            o.object("duration", |o| {
                o.put("secs", took.as_secs());
                o.put("nanos", i64::from(took.subsec_nanos()));
            });
        }
        if let Some((server, tool)) = extras.mcp {
            messages::label(server, rules, o.value("server"));
            messages::label(tool, rules, o.value("tool"));
        }
        for (key, value) in [
            ("process_id", call.process_id),
            ("plugin_id", extras.plugin_id),
            ("script_path", extras.script_path),
        ] {
            if let Some(value) = value {
                messages::label(value, rules, o.value(key));
            }
        }
        if let Some(origin) = &extras.mcp_origin {
            for (key, value) in [
                ("app_name", origin.app_name),
                ("action_name", origin.action_name),
                ("connector_id", origin.connector_id),
                ("environment_id", origin.environment_id),
            ] {
                if let Some(value) = value {
                    messages::label(value, rules, o.value(key));
                }
            }
            o.maybe("read_only_hint", origin.read_only_hint);
        }
        if let Some(agents) = &extras.agents {
            for (key, value) in
                [("model", agents.model), ("reasoning_effort", agents.reasoning_effort)]
            {
                if let Some(value) = value {
                    messages::label(value, rules, o.value(key));
                }
            }
        }
        if rules.keeps(Part::Tool) {
            if let Some(parsed) = call.parsed_cmd {
                put_value("parsed_cmd", parsed, Part::Tool, rules, o);
            }
            if let Some(changes) = extras.changes {
                put_value("changes", changes, Part::Tool, rules, o);
            }
            if let Some(search) = extras.search {
                put_value("action", search, Part::Tool, rules, o);
            }
            if let Some(output) = extras.output_text {
                put_value("aggregated_output", output, Part::Tool, rules, o);
            }
        }
        o.list("spawned", extras.spawned.iter());
    }
}
