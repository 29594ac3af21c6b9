//! Items of the conversation: to which turn they belong, and what they tell
//! about turns, model calls and tool calls.

use codex_rollout::item::response_item::{
    CallOutcome, ImageGenerationCall, ToolCallForm, ToolCallItem, ToolOutputItem, WebSearchCall,
};
use codex_rollout::item::session_meta::DynamicTools;
use codex_rollout::{JsonText, RawJson, ResponseItem};

use crate::diagnostic::Code;
use crate::resolve::author::is_synthetic;
use crate::resolve::tool_call::ToolDraft;
use crate::resolve::turn::MarkKind;
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder, answer, output};
use crate::span::EventKind;
use crate::tool::{ToolCall, ToolFamily};
use crate::trace::{Item, ItemIx, SpanIx};

impl<'a> ThreadBuilder<'a> {
    pub(super) fn take_item(&mut self, body: &ResponseItem<'a>, place: Place) -> Outcome {
        let made = self.made_by_model(body);
        let synthetic = is_synthetic(body);
        // An item may belong to another turn than the open one, if that has
        // not ended; it says so itself.
        self.unsure |= self.outline && self.has_other_open_turn();
        if made && self.open.is_none() && !self.belongs_to_ended_turn(body) {
            self.open_turn_for_model(place);
        } else if !made && self.may_be_typed(body) {
            self.take_unshown_prompt(place);
        }
        match body {
            ResponseItem::Unknown(item) => {
                self.note_unknown(item.kind, place, "an item", "kept as it is");
            }
            ResponseItem::ToolCall(ToolCallItem { raw: Some(raw), .. }) => {
                let kind = CallOutcome::from_raw(*raw).and_then(|it| it.kind);
                self.note_unknown(kind, place, "an item", "taken for a call of that tool");
            }
            ResponseItem::ConfigurationUpdate(update) => self.take_configuration(update),
            _ => {}
        }
        let ix = ItemIx(self.item_count());
        let turn = self.turn_of_item(body);
        self.items.push(Item {
            at: place.at,
            rollout: self.rollout(),
            position: place.position,
            ordinal: place.ordinal,
            // The index of the draft; the span's own once there are spans.
            turn: turn.map(|turn| SpanIx(u32::try_from(turn).unwrap_or(u32::MAX))),
            synthetic,
            made_by_model: made,
            body: *body,
        });
        if let Some(turn) = turn.filter(|turn| !self.turns.has_ended(*turn)) {
            self.mark_item(turn, ix, made, place);
        }
        self.take_tool_item(body, ix, turn, place);
        Outcome::Item
    }

    /// Whether the user may have typed a message: without its text, that is
    /// all that can be told.
    fn may_be_typed(&self, body: &ResponseItem<'a>) -> bool {
        match body {
            ResponseItem::Message(it) if self.outline => it.role.is_none_or(|it| it.is("user")),
            ResponseItem::Message(_) => !is_synthetic(body),
            _ => false,
        }
    }

    fn mark_item(&mut self, turn: usize, ix: ItemIx, made: bool, place: Place) {
        let item = &self.items[ix.0 as usize];
        let kind = match &item.body {
            ResponseItem::ToolOutput(_) => MarkKind::Output,
            _ if made => MarkKind::Made(ix),
            _ => MarkKind::Input(ix),
        };
        let prompts = match &item.body {
            // The parent of a review holds the reviewer's answer.
            ResponseItem::Message(it) => !it.role.is_some_and(|role| role.is("assistant")),
            ResponseItem::AgentMessage(_) => true,
            _ => false,
        };
        if prompts && !made && !item.synthetic && !self.turns[turn].answered {
            self.turns[turn].turn.input.push(ix);
        }
        self.turns[turn].answered |= made;
        // The mark counts the items before the line.
        self.mark(turn, kind, place);
        if let Some(mark) = self.turns[turn].marks.last_mut() {
            mark.items = ix.0;
        }
        if made {
            let answer = matches!(self.items[ix.0 as usize].body, ResponseItem::Message(_));
            self.turns[turn].last_answer = answer.then_some(JsonText::new(b""));
        }
    }

    /// Whether an item came from the model: not so in the parent of a review,
    /// where the reviewer's answer is written down again.
    fn made_by_model(&self, body: &ResponseItem<'a>) -> bool {
        let echo = self.open.is_some_and(|open| self.turns[open].review_done);
        body.is_answer() && !echo
    }

    /// Whether a turn other than the open one waits for its end, which the file
    /// would mark.
    fn has_other_open_turn(&self) -> bool {
        self.n_unended > usize::from(self.open.is_some_and(|open| self.is_awaited(open)))
    }

    fn is_awaited(&self, turn: usize) -> bool {
        !self.turns.has_ended(turn) && self.turns[turn].turn.turn_id.is_some()
    }

    fn belongs_to_ended_turn(&self, body: &ResponseItem<'a>) -> bool {
        body.turn_id().and_then(|id| self.named_turn(id)).is_some()
    }

    /// Where no events show what the user typed, a message after an answer
    /// begins the next turn (rollout-format §7.1: eras T and A, and files of
    /// other tools).
    fn take_unshown_prompt(&mut self, place: Place) {
        let between = self.open.is_none_or(|open| {
            let turn = &self.turns[open];
            !turn.turn.marked && turn.answered
        });
        if self.prompted || !between || (self.open.is_none() && !place.bare) {
            return;
        }
        if self.outline {
            // Whether the user typed it is in what is left out.
            self.unsure = true;
            return;
        }
        let first = self.take_back_inputs();
        let start = self.items.get(first).map_or(place, place_of);
        let turn = self.open_turn(None, false, start);
        self.adopt(first, turn);
    }

    /// Opens a turn where the model speaks outside of any. In files that mark
    /// no turns and show no events, the user's message before it was the start.
    fn open_turn_for_model(&mut self, place: Place) {
        // The item itself may say that it belongs to a turn that has ended.
        self.unsure |= self.outline;
        let first = self.trailing_inputs_outside();
        let start = self.items.get(first).map_or(place, place_of);
        let turn = self.open_turn(None, false, start);
        self.adopt(first, turn);
    }

    /// Returns the first of the last items that belong to no turn, model-made
    /// items excluded.
    fn trailing_inputs_outside(&self) -> usize {
        let file = self.rollout();
        let is_input = |item: &Item<'a>| {
            item.turn.is_none() && item.rollout == file && !self.made_by_model(&item.body)
        };
        self.items.iter().rposition(|item| !is_input(item)).map_or(0, |last| last + 1)
    }

    /// Gives the items from `first` on to a turn that has just been opened.
    pub(super) fn adopt(&mut self, first: usize, turn: usize) {
        let draft = &mut self.turns[turn];
        draft.first_item = draft.first_item.min(u32::try_from(first).unwrap_or(u32::MAX));
        for ix in first..self.items.len() {
            let item = &mut self.items[ix];
            item.turn = Some(SpanIx(u32::try_from(turn).unwrap_or(u32::MAX)));
            let place = place_of(item);
            self.mark_item(turn, ItemIx(u32::try_from(ix).unwrap_or(u32::MAX)), false, place);
        }
    }

    /// Returns the turn of an item: the one it names, else the open one.
    fn turn_of_item(&self, body: &ResponseItem<'a>) -> Option<usize> {
        let id = body.turn_id();
        self.open_turn_of(id).or_else(|| self.named_turn(id?)).or(self.open)
    }

    fn take_tool_item(
        &mut self,
        body: &ResponseItem<'a>,
        ix: ItemIx,
        turn: Option<usize>,
        place: Place,
    ) {
        if self.outline {
            return;
        }
        match body {
            ResponseItem::ToolOutput(output) => return self.take_output(output, ix, place),
            ResponseItem::AdditionalTools(_) => return self.take_tools(ix, turn),
            _ => {}
        }
        let Some(turn) = turn else { return };
        let draft = match body {
            ResponseItem::ToolCall(call) => ToolDraft::of_item(turn, ix, call),
            ResponseItem::WebSearchCall(call) => web_search(call, ix, turn),
            ResponseItem::ImageGenerationCall(call) => image(call, ix, turn),
            _ => return,
        };
        if self.turns.has_ended(turn) {
            let (what, id) = ("tool_call", draft.call.call_id);
            self.push_event(place, EventKind::Late { what, id, exit_code: None });
            return;
        }
        self.add_call(draft, place);
    }

    /// Takes in a list of tools, which holds from here on.
    fn take_tools(&mut self, ix: ItemIx, turn: Option<usize>) {
        self.tools_item = Some(ix);
        if let Some(turn) = turn {
            self.turn_mut(turn).tools = Some(ix);
        }
    }

    /// Takes in the tools that the embedding program offers from here on.
    pub(super) fn take_dynamic_tools(&mut self, it: &DynamicTools<'a>, place: Place) -> Outcome {
        if !self.is_own(it.thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let Some(tools) = it.tools else { return Outcome::Span };
        self.dynamic_tools = Some(tools);
        if let Some(open) = self.open {
            self.turns[open].turn.dynamic_tools = Some(tools);
        }
        self.push_event(place, EventKind::DynamicTools(tools))
    }

    /// Adds a call, unless it is one written twice. Some providers give the
    /// same ids again and again: such a call is one of its own.
    fn add_call(&mut self, mut draft: ToolDraft<'a>, place: Place) {
        draft.first_line = place.line;
        draft.last_line = place.line;
        draft.called = place.at;
        if draft.whole {
            draft.answered = place.at;
        }
        draft.counted = self.turns[draft.turn].counted;
        let known = self.tools.find(draft.call.call_id).map(|known| self.tools.calls[known].item);
        if known.is_some_and(|known| self.is_written_again(known, draft.call.call_item)) {
            self.diagnose(
                Code::DuplicateId,
                Some(place.position),
                "a call that was written before; the first one stands",
            );
            return;
        }
        let turn = draft.turn;
        let script = draft.call.family == ToolFamily::CodeMode;
        let ix = self.tools.add(draft);
        self.turns[turn].tools.push(ix);
        if script {
            self.turns[turn].scripts.push(ix);
        }
    }

    /// Whether two calls of one id are one: what the model said is the same,
    /// or the first is known by its end only.
    fn is_written_again(&self, known: Option<ItemIx>, again: Option<ItemIx>) -> bool {
        let body = |item: Option<ItemIx>| {
            let item = item.map(|ix| &self.items[ix.0 as usize].body);
            match item {
                Some(ResponseItem::ToolCall(call)) => {
                    let it = call.fields;
                    Some((it.name, it.arguments, it.input.map(JsonText::raw), it.action))
                }
                Some(ResponseItem::WebSearchCall(call)) => Some((None, None, None, call.action)),
                Some(ResponseItem::ImageGenerationCall(call)) => {
                    Some((None, None, call.result.map(JsonText::raw), None))
                }
                _ => None,
            }
        };
        body(known).is_none() || body(known) == body(again)
    }

    /// Returns what the file tells about answers as such.
    fn scene(&self) -> answer::Scene<'a> {
        let meta = self.meta.unwrap_or_default();
        answer::Scene {
            paginated: meta.history_mode.is_some_and(|mode| mode.is("paginated")),
            dynamic_tools: self.dynamic_tools.or(meta.dynamic_tools),
        }
    }

    fn take_output(&mut self, item: &ToolOutputItem<'a>, ix: ItemIx, place: Place) {
        let Some(tool) = self.tools.find(item.call_id) else {
            if item.call_id.is_some() {
                self.diagnose(
                    Code::OutputWithoutCall,
                    Some(place.position),
                    "an output whose call is not here; kept as an event",
                );
            }
            let (call_id, name) = (item.call_id, item.name);
            self.push_event(place, EventKind::OrphanOutput { call_id, name, item: ix });
            return;
        };
        if self.turns.has_ended(self.tools.calls[tool].turn) {
            let what = "tool_output";
            self.push_event(place, EventKind::Late { what, id: item.call_id, exit_code: None });
            return;
        }
        let scene = self.scene();
        let Some(draft) = self.tools.draft(tool) else { return };
        draft.answered = place.at;
        draft.last_line = draft.last_line.max(place.line);
        draft.call.output_item = Some(ix);
        draft.outcome = item.output.or(item.tools).map(output::outcome).unwrap_or_default();
        let complaint = item
            .output
            .and_then(|output| answer::complaint(&draft.call, output, &draft.outcome, scene));
        if complaint.is_some() {
            draft.outcome.more().complaint = complaint;
        }
        if let Some(listed) = item.turn.and_then(|turn| turn.executed_tool_calls) {
            self.take_executed(listed, tool);
        }
    }
}

fn place_of(item: &Item<'_>) -> Place {
    Place {
        line: item.position.line(),
        position: item.position,
        ordinal: item.ordinal,
        at: item.at,
        bare: false,
    }
}

fn web_search<'a>(call: &WebSearchCall<'a>, ix: ItemIx, turn: usize) -> ToolDraft<'a> {
    let mut facts = ToolCall {
        call_id: call.id,
        tool: Some(JsonText::new(b"web_search")),
        family: ToolFamily::WebSearch,
        call_item: Some(ix),
        ..ToolCall::default()
    };
    facts.put(call.action, |extras, it| extras.search = Some(it));
    whole_call(facts, call.action.map_or(b"", RawJson::raw), call.status, turn)
}

fn image<'a>(call: &ImageGenerationCall<'a>, ix: ItemIx, turn: usize) -> ToolDraft<'a> {
    let facts = ToolCall {
        call_id: call.id,
        tool: Some(JsonText::new(b"image_generation")),
        family: ToolFamily::ImageGeneration,
        call_item: Some(ix),
        ..ToolCall::default()
    };
    whole_call(facts, call.revised_prompt.map_or(b"", JsonText::raw), call.status, turn)
}

/// A call that the provider ran itself: its item is its end, too.
fn whole_call<'a>(
    call: ToolCall<'a>,
    deed: &'a [u8],
    status: Option<JsonText<'a>>,
    turn: usize,
) -> ToolDraft<'a> {
    let deed = Some((call.family, deed));
    let mut draft = ToolDraft { whole: true, deed, ..ToolDraft::new(turn, call) };
    draft.form = ToolCallForm::Custom;
    if status.is_some_and(|status| status.is("failed") || status.is("incomplete")) {
        draft.told.failed = status.map(JsonText::decode);
    }
    draft
}
