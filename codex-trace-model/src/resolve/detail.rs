//! Details of tool calls that events tell, joined with the calls.

use std::borrow::Cow;

use codex_rollout::item::event_msg::SecurityRiskScore;
use codex_rollout::item::turn_item::SubAgentActivity;
use codex_rollout::{EventMsg, JsonText, RawJson, ValueKind};

use crate::diagnostic::Code;
use crate::resolve::tool_call::{Detail, ToolDraft};
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder};
use crate::span::EventKind;
use crate::tool::{Agents, ToolFamily};

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
        let Some(turn) = turn.filter(|turn| !self.turns[*turn].closed) else {
            let known_turn = turn_id.and_then(|id| self.named_turn(id)).is_some();
            if turn.is_none() && !known_turn && self.in_review() {
                return Outcome::Ignored(FOREIGN);
            }
            if turn.is_none() && !known_turn && self.open.is_none() {
                let turn = self.turn_for_work(turn_id, place);
                self.turns[turn].of_detail = true;
                self.tools.wait(turn, detail);
                return Outcome::Span;
            }
            let exit_code = detail.call.exit_code;
            return self.push_event(place, EventKind::Late { what, id, exit_code });
        };
        self.turns[turn].touch(place.line, place.at);
        match known.or_else(|| self.tools.take_nameless(turn, &detail)) {
            Some(tool) => self.tools.calls[tool].enrich(detail),
            None => match self.running_script(turn) {
                // Code mode runs tools that have no items of their own.
                Some(script) if is_nested(&detail) => {
                    let draft = ToolDraft::of_detail(turn, Some(script), detail);
                    let ix = self.tools.add(draft);
                    self.turns[turn].tools.push(ix);
                }
                _ => self.tools.wait(turn, detail),
            },
        }
        Outcome::Span
    }

    /// Returns the call of code mode that waits for its output.
    fn running_script(&mut self, turn: usize) -> Option<usize> {
        let scripts = &mut self.turns[turn].scripts;
        while scripts.last().is_some_and(|tool| self.tools.calls[*tool].call.output_item.is_some())
        {
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
                    let draft = &mut self.tools.calls[inner];
                    if draft.turn == turn && draft.call.call_item.is_none() {
                        draft.inside = Some(script);
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
        match call.filter(|call| !self.turns[self.tools.calls[*call].turn].closed) {
            Some(call) => {
                self.tools.calls[call].call.risk = Some(Box::new(*risk));
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
            let draft = &mut self.tools.calls[tool];
            let thread: Cow<'a, str> = thread.decode();
            if !self.turns[draft.turn].closed {
                if !draft.call.spawned.contains(&thread) {
                    draft.call.spawned.push(thread);
                }
                let agents = draft.call.agents.get_or_insert_default();
                **agents = Agents {
                    model: activity.model.or(agents.model),
                    reasoning_effort: activity.reasoning_effort.or(agents.reasoning_effort),
                    path: activity.agent_path.or(agents.path),
                    states: agents.states,
                };
            }
        }
        self.push_event(place, EventKind::SubAgentActivity(*activity))
    }

    /// Makes calls of the details that no call claimed: a user's own command,
    /// or a call whose line is lost.
    pub(super) fn settle_details(&mut self) {
        for (turn, detail) in self.tools.unclaimed() {
            let expected = detail.call.source.is_none() && !detail.alone;
            if detail.call.call_id.is_some() && expected {
                let id = detail.call.call_id.map(JsonText::decode).unwrap_or_default();
                let line = detail.line;
                self.diagnose_in(
                    self.turns[turn].rollout,
                    Code::OutputWithoutCall,
                    None,
                    format_args!("line {line}: the end of call `{id}`, which itself is not here"),
                );
            }
            let draft = ToolDraft::of_detail(turn, None, detail);
            let ix = self.tools.add(draft);
            self.turns[turn].tools.push(ix);
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
