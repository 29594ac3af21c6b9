//! Details of tool calls that events tell, joined with the calls.

use std::borrow::Cow;

use codex_rollout::item::event_msg::SecurityRiskScore;
use codex_rollout::item::turn_item::{
    CollabCall, CommandExecution, DynamicToolCall, Extension, ImageGeneration, McpToolCall,
    PatchApply, RecordedDuration, SubAgentActivity, ViewImage, WebSearch,
};
use codex_rollout::{EventMsg, JsonText, RawJson, ValueKind};
use jiff::SignedDuration;

use crate::diagnostic::Code;
use crate::resolve::tool_call::{Detail, ToolDraft};
use crate::resolve::turn::TurnDraft;
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder, family, stamp};
use crate::span::EventKind;
use crate::tool::{Agents, McpOrigin, ToolCall, ToolFamily};

impl<'a> ThreadBuilder<'a> {
    /// Takes in an event that details a tool call.
    pub(super) fn take_detail_event(&mut self, event: &EventMsg<'a>, place: Place) -> Outcome {
        let (what, turn_id, detail) = match event {
            EventMsg::ExecCommandEnd(it) => {
                ("exec_command_end", it.turn_id, Detail::of_command(it))
            }
            EventMsg::McpToolCallEnd(it) => ("mcp_tool_call_end", it.turn_id, Detail::of_mcp(it)),
            EventMsg::PatchApplyEnd(it) => ("patch_apply_end", it.turn_id, Detail::of_patch(it)),
            EventMsg::WebSearchEnd(it) => ("web_search_end", None, Detail::of_search(it)),
            EventMsg::ImageGenerationEnd(it) => {
                ("image_generation_end", None, Detail::of_image(it))
            }
            EventMsg::ViewImageToolCall(it) => {
                ("view_image_tool_call", None, Detail::of_image_view(it))
            }
            EventMsg::DynamicToolCallRequest(it) => {
                ("dynamic_tool_call_request", it.turn_id, Detail::of_dynamic(it))
            }
            EventMsg::DynamicToolCallResponse(it) => {
                ("dynamic_tool_call_response", it.turn_id, Detail::of_dynamic(it))
            }
            EventMsg::CollabEnd(it) => {
                let spawning = it.new_thread_id.is_some();
                ("collab_agent_end", None, Detail::of_collab(it, spawning))
            }
            EventMsg::SubAgentActivity(it) => return self.take_activity(it, place),
            _ => return self.take_unknown(None, place),
        };
        self.take_detail(what, turn_id, detail, place)
    }

    /// Joins a detail with its call; without one it is a call of its own.
    pub(super) fn take_detail(
        &mut self,
        what: &'static str,
        turn_id: Option<JsonText<'a>>,
        mut detail: Detail<'a>,
        place: Place,
    ) -> Outcome {
        detail.line = place.line;
        if what != "dynamic_tool_call_request" {
            detail.told.written = place.at;
            detail.told.ended = true;
        }
        let id = detail.call.call_id;
        let known = self.tools.find(id);
        let turn = known.map(|tool| self.tools.calls[tool].turn).or(self.open_turn_of(turn_id));
        let Some(turn) = turn.filter(|turn| !self.turns.has_ended(*turn)) else {
            let known_turn = turn_id.and_then(|id| self.named_turn(id)).is_some();
            if turn.is_none() && !known_turn && self.in_review() {
                return Outcome::Ignored(FOREIGN);
            }
            if turn.is_none() && !known_turn && self.open.is_none() {
                let turn = self.turn_for_work(turn_id, place);
                self.turns[turn].of_detail = true;
                self.wait(turn, detail);
                return Outcome::Span;
            }
            let exit_code = detail.call.exit_code;
            return self.push_event(place, EventKind::Late { what, id, exit_code });
        };
        self.turns[turn].touch(place.line, place.at);
        match known.or_else(|| self.tools.take_nameless(turn, &detail)) {
            Some(tool) => self.tools.enrich(tool, detail),
            None => match self.running_script(turn) {
                // Code mode runs tools that have no items of their own.
                Some(script) if is_nested(&detail) => {
                    let draft = ToolDraft::of_detail(turn, Some(script), detail);
                    let ix = self.tools.add(draft);
                    self.turns[turn].tools.push(ix);
                }
                _ => self.wait(turn, detail),
            },
        }
        Outcome::Span
    }

    fn wait(&mut self, turn: usize, detail: Detail<'a>) {
        let waiting = self.tools.wait(turn, detail);
        self.turns[turn].details.extend(waiting);
    }

    /// Returns the call of code mode that waits for its output.
    fn running_script(&mut self, turn: usize) -> Option<usize> {
        let scripts = &mut self.turns[turn].scripts;
        while scripts.last().is_some_and(|tool| self.tools.is_answered(*tool)) {
            scripts.pop();
        }
        scripts.last().copied()
    }

    /// Puts the calls that a script made inside of it, as Codex lists them;
    /// without a list it is by their places.
    pub(super) fn take_executed(&mut self, listed: RawJson<'a>, script: usize) {
        let turn = self.tools.calls[script].turn;
        for id in ids_of(listed) {
            match self.tools.find(Some(id)) {
                Some(inner) => {
                    let draft = self.tools.draft(inner);
                    let inner = draft.filter(|it| it.turn == turn && it.call.call_item.is_none());
                    if let Some(inner) = inner {
                        inner.inside = Some(script);
                    }
                }
                None => {
                    if let Some(detail) = self.tools.take_waiting(id, turn) {
                        let ix = self.tools.add(ToolDraft::of_detail(turn, Some(script), detail));
                        self.turns[turn].tools.push(ix);
                    }
                }
            }
        }
    }

    /// Takes in how risky something was found.
    pub(super) fn take_risk(&mut self, risk: &SecurityRiskScore<'a>, place: Place) -> Outcome {
        let call = self.tools.find(risk.call_id);
        let call = call.filter(|call| !self.turns.has_ended(self.tools.calls[*call].turn));
        match call.and_then(|call| self.tools.draft(call)) {
            Some(draft) => {
                draft.call.extras_mut().risk = Some(*risk);
                Outcome::Span
            }
            None => self.push_event(place, EventKind::SecurityRiskScore(*risk)),
        }
    }

    pub(super) fn take_activity(
        &mut self,
        activity: &SubAgentActivity<'a>,
        place: Place,
    ) -> Outcome {
        let started = activity.kind.is_some_and(|kind| kind.is("started"));
        if let Some(tool) = self.tools.find(activity.id).filter(|_| started)
            && let Some(thread) = activity.agent_thread_id
        {
            let thread: Cow<'a, str> = thread.decode();
            let has_ended = self.turns.has_ended(self.tools.calls[tool].turn);
            if let Some(draft) = self.tools.draft(tool).filter(|_| !has_ended) {
                let extras = draft.call.extras_mut();
                if !extras.spawned.contains(&thread) {
                    extras.spawned.push(thread);
                }
                let agents = extras.agents.get_or_insert_default();
                *agents = Agents {
                    model: activity.model.or(agents.model),
                    reasoning_effort: activity.reasoning_effort.or(agents.reasoning_effort),
                    path: activity.agent_path.or(agents.path),
                    states: agents.states,
                };
            }
        }
        self.push_event(place, EventKind::SubAgentActivity(*activity))
    }

    /// Makes calls of the details of a turn that no call claimed: a user's own
    /// command, or a call whose line is lost.
    pub(super) fn settle_details(&mut self, turn: usize, draft: &mut TurnDraft<'a>) {
        for waiting in std::mem::take(&mut draft.details) {
            let Some(detail) = self.tools.take_unclaimed(waiting) else { continue };
            let expected = detail.call.extras().source.is_none() && !detail.alone;
            if detail.call.call_id.is_some() && expected {
                let id = detail.call.call_id.map(JsonText::decode).unwrap_or_default();
                let line = detail.line;
                self.diagnose_written(
                    |written| &mut written.of_details,
                    draft.rollout,
                    Code::OutputWithoutCall,
                    format_args!("line {line}: the end of call `{id}`, which itself is not here"),
                );
            }
            draft.tools.push(self.tools.push(ToolDraft::of_detail(turn, None, detail)));
        }
    }
}

/// Returns the ids of the calls in a list of objects.
fn ids_of(calls: RawJson<'_>) -> Vec<JsonText<'_>> {
    let mut ids = Vec::new();
    let read = calls.cursor().array(|call| {
        if call.kind()? == ValueKind::Object {
            call.object(|key, value| {
                let is_id = matches!(key, b"id" | b"call_id" | b"item_id" | b"tool_call_id");
                if is_id && value.kind()? == ValueKind::String {
                    ids.push(value.text()?);
                }
                Ok(())
            })?;
        }
        Ok(())
    });
    if read.is_err() {
        ids.clear();
    }
    ids
}

/// Whether a detail is of a tool that ran inside a script: Codex gives those
/// ids of its own.
fn is_nested(detail: &Detail<'_>) -> bool {
    detail.call.call_id.is_none_or(|id| id.raw().starts_with(b"exec-"))
        || detail.call.family != ToolFamily::WebSearch
}

/// Makes a detail of a record with the same few fields as all others.
fn detail<'a>(id: Option<JsonText<'a>>, tool: &'static str, family: ToolFamily) -> Detail<'a> {
    Detail {
        call: ToolCall {
            call_id: id,
            tool: Some(JsonText::new(tool.as_bytes())),
            family,
            ..ToolCall::default()
        },
        ..Detail::default()
    }
}

fn duration(recorded: Option<RecordedDuration>) -> Option<SignedDuration> {
    let recorded = recorded?;
    let secs = i64::try_from(recorded.secs?).ok()?;
    let nanos =
        i32::try_from(recorded.nanos.unwrap_or(0)).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(SignedDuration::new(secs, nanos))
}

/// Reads `completed`, `failed`, `declined`.
fn set_status<'a>(detail: &mut Detail<'a>, status: Option<JsonText<'a>>) {
    match status.map(JsonText::raw) {
        Some(b"failed") => detail.told.failed = Some("failed".into()),
        Some(b"declined") => detail.told.declined = true,
        Some(b"completed") => detail.told.worked = true,
        _ => {}
    }
}

impl<'a> Detail<'a> {
    pub(crate) fn of_command(it: &CommandExecution<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "exec_command", ToolFamily::Command);
        set_status(&mut detail, it.status);
        detail.told.completed = stamp::from_millis(it.completed_at_ms);
        // -1 is what Codex writes for a process that it killed.
        detail.call.exit_code = it.exit_code;
        detail.call.duration = duration(it.duration);
        detail.call.reported_command = it.command.filter(|words| words.raw() != b"[]");
        detail.call.reported_cwd = it.cwd;
        let of_user = it.source.filter(|source| source.is("user_shell"));
        detail.call.put(of_user, |extras, it| extras.source = Some(it));
        detail.call.parsed_cmd = it.parsed_cmd.filter(|parsed| parsed.raw() != b"[]");
        detail.call.process_id = it.process_id;
        detail.call.put(it.plugin_id, |extras, it| extras.plugin_id = Some(it));
        detail.call.put(it.script_path, |extras, it| extras.script_path = Some(it));
        detail.arguments = it.command;
        detail.output = it.aggregated_output;
        detail
    }

    pub(crate) fn of_patch(it: &PatchApply<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "apply_patch", ToolFamily::Patch);
        set_status(&mut detail, it.status);
        detail.told.succeeded = it.success;
        if it.success == Some(false) || detail.told.failed.is_some() {
            let stderr = it.stderr.filter(|text| !text.is_empty());
            detail.told.failed = Some(stderr.map_or("failed".into(), JsonText::decode));
        }
        detail.call.put(it.changes, |extras, it| extras.changes = Some(it));
        detail.output = it.stdout;
        detail
    }

    pub(crate) fn of_mcp(it: &McpToolCall<'a>) -> Detail<'a> {
        let invocation = it.invocation.unwrap_or_default();
        let tool = it.tool.or(invocation.tool);
        let mut detail = detail(it.id, "mcp", ToolFamily::Mcp);
        set_status(&mut detail, it.status);
        let failure = it.error.and_then(|error| error.message).map(JsonText::decode);
        detail.told.failed =
            failure.or_else(|| family::mcp_failure(it.result)).or(detail.told.failed);
        detail.call.tool = tool.or(detail.call.tool);
        let mcp = it.server.or(invocation.server).zip(tool);
        detail.call.put(mcp, |extras, it| extras.mcp = Some(it));
        detail.call.duration = duration(it.duration);
        detail.arguments = it.arguments.or(invocation.arguments);
        detail.output = it.result;
        detail.call.put(it.plugin_id, |extras, it| extras.plugin_id = Some(it));
        let origin = McpOrigin {
            app_name: it.app_name,
            action_name: it.action_name,
            connector_id: it.connector_id,
            read_only_hint: it.read_only_hint,
            environment_id: it.environment_id,
        };
        let origin = Some(origin).filter(|it| *it != McpOrigin::default());
        detail.call.put(origin, |extras, it| extras.mcp_origin = Some(it));
        detail
    }

    pub(crate) fn of_dynamic(it: &DynamicToolCall<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "dynamic_tool", ToolFamily::Function);
        set_status(&mut detail, it.status);
        detail.told.started = stamp::from_millis(it.started_at_ms);
        detail.told.completed = stamp::from_millis(it.completed_at_ms);
        detail.told.succeeded = it.success;
        let failure = it.error.and_then(RawJson::as_text).map(JsonText::decode);
        detail.told.failed = failure.or((it.success == Some(false)).then(|| "failed".into()));
        detail.call.tool = it.tool.or(detail.call.tool);
        detail.call.namespace = it.namespace;
        detail.call.duration = duration(it.duration);
        detail.arguments = it.arguments;
        detail
    }

    pub(crate) fn of_collab(it: &CollabCall<'a>, spawning: bool) -> Detail<'a> {
        let mut detail = detail(it.id, "agents", ToolFamily::Agents);
        if it.tool.is_some() {
            set_status(&mut detail, it.status.and_then(RawJson::as_text));
        } else {
            // Events say how the agents stand, and Codex tells by that.
            let stands = it.status.and_then(family::agent_failure);
            detail.told.failed = stands.or_else(|| family::any_agent_failure(it.statuses?));
        }
        detail.told.completed = stamp::from_millis(it.completed_at_ms);
        detail.call.tool = it.tool.or(detail.call.tool);
        let agents = Agents {
            model: it.model,
            reasoning_effort: it.reasoning_effort,
            path: None,
            states: it.agents_states.or(it.statuses).filter(|states| states.raw() != b"{}"),
        };
        let agents = Some(agents).filter(|it| *it != Agents::default());
        detail.call.put(agents, |extras, it| extras.agents = Some(it));
        if spawning {
            let spawned = &mut detail.call.extras_mut().spawned;
            spawned.extend(it.new_thread_id.map(JsonText::decode));
            spawned.extend(family::texts(it.receiver_thread_ids));
        }
        detail
    }

    pub(crate) fn of_search(it: &WebSearch<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "web_search", ToolFamily::WebSearch);
        detail.call.put(it.action, |extras, it| extras.search = Some(it));
        detail.output = it.results;
        detail.deed = Some((ToolFamily::WebSearch, it.action.map_or(b"", RawJson::raw)));
        detail
    }

    pub(crate) fn of_image_view(it: &ViewImage<'a>) -> Detail<'a> {
        detail(it.id, "view_image", ToolFamily::ImageView)
    }

    pub(crate) fn of_image(it: &ImageGeneration<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "image_generation", ToolFamily::ImageGeneration);
        set_status(&mut detail, it.status);
        detail.deed =
            Some((ToolFamily::ImageGeneration, it.revised_prompt.map_or(b"", JsonText::raw)));
        detail
    }

    pub(crate) fn of_extension(it: &Extension<'a>) -> Detail<'a> {
        let mut detail = detail(it.id, "extension", ToolFamily::Function);
        detail.alone = true;
        detail.call.family = match it.kind.map(JsonText::raw) {
            Some(b"web.search") => ToolFamily::WebSearch,
            Some(b"image_gen.generation") => ToolFamily::ImageGeneration,
            _ => ToolFamily::Function,
        };
        detail.call.tool = it.kind.or(detail.call.tool);
        detail
    }
}
