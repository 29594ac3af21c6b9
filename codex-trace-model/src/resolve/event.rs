//! Events: brackets of turns, and details of what happened in them.

use codex_rollout::item::event_msg::{
    EnteredReviewMode, ErrorEvent, ItemCompleted, TaskComplete, TaskStarted, TurnAborted,
    UserMessage,
};
use codex_rollout::item::turn_item::ReviewItem;
use codex_rollout::{EventMsg, JsonText, RawJson, TurnItem};
use std::borrow::Cow;

use crate::resolve::tool_call::Detail;
use crate::resolve::turn::MarkKind;
use crate::resolve::{ECHO, FOREIGN, INHERITED, Outcome, Place, ThreadBuilder, output, stamp};
use crate::span::{Event, EventKind, MessageNotes, Review, ShownTurn, Status};
use crate::trace::Item;

impl<'a> ThreadBuilder<'a> {
    pub(super) fn take_event(&mut self, event: &EventMsg<'a>, place: Place) -> Outcome {
        match event {
            EventMsg::TokenCount(count) => self.take_count(count, place),
            EventMsg::ItemCompleted(done) => self.take_item_completed(done, place),
            EventMsg::UserMessage(message) => self.take_user_message(message, place),
            EventMsg::AgentMessage(message) => self.take_message(
                MessageNotes {
                    id: None,
                    delivery: message.delivery,
                    text: message.message,
                    questions: message.questions,
                    memory_citation: message.memory_citation,
                    moderation: message.moderation,
                },
                place,
            ),
            EventMsg::AgentReasoning(_) => Outcome::Ignored(ECHO),
            EventMsg::TaskStarted(started) => self.take_started(started, place),
            EventMsg::TaskComplete(complete) => self.take_complete(complete, place),
            EventMsg::TurnAborted(aborted) => self.take_aborted(aborted, place),
            EventMsg::ThreadRolledBack(back) => {
                self.take_rollback(back.num_turns.unwrap_or(0), place)
            }
            EventMsg::ContextCompacted => Outcome::Ignored("context_compacted"),
            EventMsg::UndoCompleted => Outcome::Ignored("undo_completed"),
            EventMsg::EnteredReviewMode(entered) => self.take_review_start(entered, place),
            EventMsg::ExitedReviewMode(exited) => {
                self.take_review_end(exited.turn_id, exited.review_output, place)
            }
            EventMsg::ThreadNameUpdated(named) => {
                self.name = named.thread_name.or(self.name);
                match named.thread_name {
                    Some(name) => self.push_event(place, EventKind::ThreadNamed(name)),
                    None => Outcome::Span,
                }
            }
            EventMsg::ThreadGoalUpdated(updated) => match updated.goal {
                Some(goal) => self.push_event(place, EventKind::Goal(goal)),
                None => Outcome::Span,
            },
            EventMsg::ThreadSettingsApplied(applied) => {
                self.take_thread_settings(applied.thread_id, applied.thread_settings)
            }
            EventMsg::Error(error) => self.push_event(
                place,
                EventKind::Error { message: error.message, info: error.codex_error_info },
            ),
            EventMsg::GuardianAssessment(judged) => {
                self.push_event(place, EventKind::GuardianAssessment(*judged))
            }
            EventMsg::Unknown(event) => self.take_unknown(event.kind, place),
            _ => self.take_detail_event(event, place),
        }
    }

    fn take_started(&mut self, started: &TaskStarted<'a>, place: Place) -> Outcome {
        self.prompted = true;
        if let Some(open) = self.open.filter(|_| self.in_review())
            && self.turns[open].turn.turn_id != started.turn_id
        {
            // The reviewer's own turn, forwarded; it is in the reviewer's file.
            // Unless settings follow for it, which a reviewer's are not.
            self.forwarded = Some((*started, place));
            self.turns[open].forwarded = started.turn_id;
            self.turns[open].turn.review.get_or_insert_default().reviewer_turn =
                started.turn_id.map(|turn_id| ShownTurn { turn_id, at: place.at });
            return Outcome::Ignored(FOREIGN);
        }
        self.begin_turn(started, place);
        Outcome::Span
    }

    fn begin_turn(&mut self, started: &TaskStarted<'a>, place: Place) {
        let recorded = stamp::recorded_elsewhen(started.started_at, place.at);
        let place = Place { at: recorded.or(place.at), ..place };
        let turn = self.open_turn(started.turn_id, true, place);
        self.turns[turn].restamped = recorded.is_some();
        let turn = &mut self.turns[turn].turn;
        turn.model_context_window = started.model_context_window;
        turn.trace_id = started.trace_id;
        turn.collaboration_mode = started.collaboration_mode_kind;
        let cause = started.attribution.unwrap_or_default();
        turn.root_turn_id = started.root_turn_id.or(cause.root_turn_id);
        turn.parent_turn_id = cause.parent_turn_id;
        turn.trigger = cause.turn_trigger;
        turn.initiating_agent_path = cause.initiating_agent_path;
    }

    /// A turn that seemed the reviewer's is the thread's own if it has settings:
    /// the review before it was killed.
    pub(super) fn leave_review(&mut self, turn_id: Option<JsonText<'a>>) {
        let own = |(started, _): &(TaskStarted<'a>, Place)| {
            turn_id.is_some() && started.turn_id == turn_id
        };
        if let Some((started, place)) = self.forwarded.take_if(|forwarded| own(forwarded))
            && self.in_review()
        {
            if let Some(open) = self.open {
                self.turns[open].forwarded = None;
                self.turns[open].turn.review.get_or_insert_default().reviewer_turn = None;
            }
            self.begin_turn(&started, place);
        }
    }

    /// Finds the turn that an end belongs to; opens one if nothing is open.
    /// `None` if that turn has ended before.
    fn turn_to_end(&mut self, turn_id: Option<JsonText<'a>>, place: Place) -> Option<usize> {
        if let Some(open) = self.open_turn_of(turn_id) {
            return Some(open);
        }
        if turn_id.and_then(|id| self.named_turn(id)).is_some() {
            return None;
        }
        Some(self.open.unwrap_or_else(|| self.open_turn(turn_id, true, place)))
    }

    /// Whether an end ends nothing: it is of a turn that was copied, and of
    /// which the copy breaks off; or a migration made it, around the beginning
    /// of a review that goes on.
    fn not_an_end(&self, turn_id: Option<JsonText<'a>>) -> Option<Outcome> {
        let id = turn_id?;
        if self.named_turn(id).is_none() && self.copied_turn.is_some_and(|it| it.turn_id == id) {
            return Some(Outcome::Ignored(INHERITED));
        }
        let open = self.open.map(|open| self.turns[open].turn.turn_id == turn_id);
        let made = open == Some(true) && self.in_review() && id.raw().starts_with(b"rollout-");
        made.then_some(Outcome::Ignored("end made by a migration"))
    }

    fn take_complete(&mut self, complete: &TaskComplete<'a>, place: Place) -> Outcome {
        if let Some(outcome) = self.not_an_end(complete.turn_id) {
            return outcome;
        }
        let Some(turn) = self.turn_to_end(complete.turn_id, place) else {
            return self.late("task_complete", complete.turn_id, place);
        };
        let draft = &mut self.turns[turn];
        let mut place = place;
        if draft.restamped {
            let recorded = stamp::from_seconds(complete.completed_at);
            place.at = recorded.or(draft.after(complete.duration_ms));
        }
        draft.turn.last_agent_message = complete.last_agent_message;
        draft.turn.duration_ms = complete.duration_ms;
        draft.turn.time_to_first_token_ms = complete.time_to_first_token_ms;
        if let Some(error) = complete.error {
            draft.status = Status::Error { message: told(&error) };
        }
        self.end_turn(turn, place)
    }

    fn take_aborted(&mut self, aborted: &TurnAborted<'a>, place: Place) -> Outcome {
        let rollout = self.rollout();
        if let Some(outcome) = self.not_an_end(aborted.turn_id) {
            return outcome;
        }
        let Some(turn) = self.turn_to_end(aborted.turn_id, place) else {
            return self.late("turn_aborted", aborted.turn_id, place);
        };
        let draft = &mut self.turns[turn];
        let mut place = place;
        if draft.restamped {
            place.at = draft.after(aborted.duration_ms);
        }
        draft.turn.duration_ms = aborted.duration_ms;
        if !aborted.reason.is_some_and(|reason| reason.is("review_ended")) {
            let reason = aborted.reason.map_or("interrupted".into(), JsonText::decode);
            draft.status = Status::Interrupted { reason };
        }
        if let Some(error) = aborted.error {
            let kind = EventKind::Error { message: error.message, info: error.codex_error_info };
            draft.events.push(Event { at: place.at, rollout, line: place.line, kind });
        }
        self.end_turn(turn, place)
    }

    fn end_turn(&mut self, turn: usize, place: Place) -> Outcome {
        let draft = &mut self.turns[turn];
        draft.touch(place.line, place.at);
        draft.end = place.at;
        draft.closed = true;
        self.n_unended -= usize::from(draft.turn.turn_id.is_some());
        // The file told where it ends, wherever it began.
        draft.turn.marked |= draft.turn.turn_id.is_some();
        if self.open == Some(turn) {
            self.open = None;
        }
        Outcome::Span
    }

    fn late(&mut self, what: &'static str, id: Option<JsonText<'a>>, place: Place) -> Outcome {
        self.push_event(place, EventKind::Late { what, id, exit_code: None })
    }

    fn take_user_message(&mut self, message: &UserMessage<'a>, place: Place) -> Outcome {
        self.prompted = true;
        if self.in_review() {
            return Outcome::Ignored(FOREIGN);
        }
        if message.kind.is_some_and(|kind| !kind.is("plain")) {
            return Outcome::Ignored("user_message of the harness");
        }
        let text = message.message.filter(|text| !text.is_empty());
        let typed = text.is_some() || message.local_images.is_some_and(|it| it.raw() != b"[]");
        if !typed {
            // An image that `view_image` put in, or nothing at all.
            return Outcome::Ignored("user_message without text");
        }
        self.confirm_prompt(text);
        match self.open {
            Some(open) if self.turns[open].turn.marked => self.take_prompt(open, text, place),
            _ => self.open_prompted(text, place),
        }
    }

    /// The first message of a marked turn is its prompt, a later one steers it.
    fn take_prompt(&mut self, turn: usize, text: Option<JsonText<'a>>, place: Place) -> Outcome {
        let draft = &mut self.turns[turn];
        draft.touch(place.line, place.at);
        match text {
            Some(text) if draft.turn.prompt.is_some() => {
                self.push_event(place, EventKind::Steering(text))
            }
            _ => {
                draft.turn.prompt = text;
                Outcome::Ignored(ECHO)
            }
        }
    }

    /// Before turns were marked, the user's message began one. The harness'
    /// messages and the user's own, right before the event, belong to it.
    fn open_prompted(&mut self, text: Option<JsonText<'a>>, place: Place) -> Outcome {
        let first = self.take_back_inputs();
        // The context may have been written when the session was opened, long
        // before the user typed.
        let typed = self.items[first..].iter().find(|item| !item.synthetic);
        let start = typed.and_then(|item| item.at).or(place.at);
        let line = self.items.get(first).map_or(place.line, |item| item.position.line());
        let turn = self.open_turn(None, false, place);
        self.turns[turn].first_line = line;
        self.turns[turn].start = start;
        self.adopt(first, turn);
        self.turns[turn].own_inputs = self.item_count();
        self.turns[turn].turn.prompt = text;
        Outcome::Span
    }

    /// Takes the inputs at the end of the open turn out of it again; returns
    /// the first of them.
    pub(super) fn take_back_inputs(&mut self) -> usize {
        let mut first = self.items.len();
        if let Some(open) = self.open {
            let own = self.turns[open].own_inputs as usize;
            let marks = &mut self.turns[open].marks;
            while let Some(MarkKind::Input(ix)) = marks.last().map(|mark| mark.kind) {
                if (ix.0 as usize) < own {
                    break; // What opened the turn, though nothing answered it.
                }
                first = ix.0 as usize;
                marks.pop();
            }
            let input = &mut self.turns[open].turn.input;
            input.retain(|ix| (ix.0 as usize) < first);
            self.turns[open].forget_last_inputs();
            return first;
        }
        let file = self.rollout();
        let is_loose = |item: &Item<'a>| item.turn.is_none() && item.rollout == file;
        while first > 0 && is_loose(&self.items[first - 1]) {
            first -= 1;
        }
        first
    }

    /// Takes in what the user interface shows of a message: the answer, unless
    /// it came by itself while the agent worked on.
    fn take_message(&mut self, notes: MessageNotes<'a>, place: Place) -> Outcome {
        let noted = notes.questions.or(notes.memory_citation).or(notes.moderation).is_some();
        if notes.delivery.is_none() && !noted {
            return self.take_answer(notes.text);
        }
        let text = notes.text.filter(|_| notes.delivery.is_some());
        if notes.delivery.is_none() {
            self.take_answer(notes.text);
        }
        self.push_event(place, EventKind::MessageNotes(MessageNotes { text, ..notes }))
    }

    pub(super) fn take_answer(&mut self, text: Option<JsonText<'a>>) -> Outcome {
        if let Some(open) = self.open.filter(|_| !self.in_review()) {
            self.turns[open].last_answer = text;
        }
        Outcome::Ignored(ECHO)
    }

    pub(super) fn in_review(&self) -> bool {
        self.open.is_some_and(|open| {
            self.turns[open].turn.review.is_some() && !self.turns[open].review_done
        })
    }

    fn take_review_start(&mut self, entered: &EnteredReviewMode<'a>, place: Place) -> Outcome {
        self.begin_review(entered.turn_id, entered.user_facing_hint, place)
    }

    fn begin_review(
        &mut self,
        turn_id: Option<JsonText<'a>>,
        hint: Option<JsonText<'a>>,
        place: Place,
    ) -> Outcome {
        self.prompted = true;
        let own = |turn: usize, this: &Self| this.turns[turn].turn.marked;
        let open = self.open_turn_of(turn_id).filter(|open| own(*open, self));
        let turn = open.unwrap_or_else(|| self.open_turn(turn_id, false, place));
        self.turns[turn].touch(place.line, place.at);
        self.turns[turn].turn.review.get_or_insert_default().hint = hint;
        Outcome::Span
    }

    fn take_review_end(
        &mut self,
        turn_id: Option<JsonText<'a>>,
        findings: Option<RawJson<'a>>,
        place: Place,
    ) -> Outcome {
        // A migration gives it the id of the reviewer's turn.
        let reviewers = self.forwarded.is_some_and(|(started, _)| started.turn_id == turn_id);
        let review = self.open.filter(|_| reviewers && self.in_review());
        let Some(turn) = self.open_turn_of(turn_id).or(review) else { return Outcome::Span };
        let draft = &mut self.turns[turn];
        draft.touch(place.line, place.at);
        let review: &mut Review<'a> = draft.turn.review.get_or_insert_default();
        review.output = findings.or(review.output);
        draft.review_done = true;
        Outcome::Span
    }

    fn take_item_completed(&mut self, done: &ItemCompleted<'a>, place: Place) -> Outcome {
        if !self.is_own(done.thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let Some(item) = &done.item else { return self.take_unknown(None, place) };
        let (what, mut detail) = match item {
            TurnItem::CommandExecution(it) => ("CommandExecution", Detail::of_command(it)),
            TurnItem::FileChange(it) => ("FileChange", Detail::of_patch(it)),
            TurnItem::McpToolCall(it) => ("McpToolCall", Detail::of_mcp(it)),
            TurnItem::DynamicToolCall(it) => ("DynamicToolCall", Detail::of_dynamic(it)),
            TurnItem::CollabAgentToolCall(it) => {
                let spawning = it.tool.is_some_and(|tool| tool.is("spawn_agent"));
                ("CollabAgentToolCall", Detail::of_collab(it, spawning))
            }
            TurnItem::WebSearch(it) => ("WebSearch", Detail::of_search(it)),
            TurnItem::ImageView(it) => ("ImageView", Detail::of_image_view(it)),
            TurnItem::ImageGeneration(it) => ("ImageGeneration", Detail::of_image(it)),
            TurnItem::Extension(it) => ("Extension", Detail::of_extension(it)),
            _ => return self.take_plain_item(item, done, place),
        };
        detail.told.started = stamp::from_millis(done.started_at_ms);
        detail.told.completed = stamp::from_millis(done.completed_at_ms);
        detail.call.reported_output = detail.output;
        self.take_detail(what, done.turn_id, detail, place)
    }

    /// Takes in an item that is not about a tool.
    fn take_plain_item(
        &mut self,
        item: &TurnItem<'a>,
        done: &ItemCompleted<'a>,
        place: Place,
    ) -> Outcome {
        match item {
            TurnItem::UserMessage(message) => {
                let text = message.content.and_then(output::first_text);
                match self.open_turn_of(done.turn_id) {
                    Some(turn) if !self.in_review() => {
                        self.confirm_prompt(text);
                        self.take_prompt(turn, text, place)
                    }
                    _ => Outcome::Ignored(ECHO),
                }
            }
            TurnItem::AgentMessage(message) => self.take_message(
                MessageNotes {
                    id: message.id,
                    delivery: message.delivery,
                    text: message.content.and_then(output::first_text),
                    questions: message.questions,
                    memory_citation: message.memory_citation,
                    moderation: message.moderation,
                },
                place,
            ),
            TurnItem::Reasoning(_) | TurnItem::FunctionCallOutput(_) => Outcome::Ignored(ECHO),
            TurnItem::Plan(plan) => match plan.text {
                Some(text) => self.push_event(place, EventKind::Plan(text)),
                None => Outcome::Span,
            },
            TurnItem::HookPrompt(hook) => {
                self.push_event(place, EventKind::HookPrompt(hook.fragments.or(hook.content)))
            }
            TurnItem::SubAgentActivity(activity) => self.take_activity(activity, place),
            TurnItem::EnteredReviewMode(ReviewItem { user_facing_hint, .. }) => {
                self.begin_review(done.turn_id, *user_facing_hint, place)
            }
            TurnItem::ExitedReviewMode(ReviewItem { review_output, .. }) => {
                self.take_review_end(done.turn_id, *review_output, place)
            }
            TurnItem::ContextCompaction(_) => {
                let open = self.open_turn_of(done.turn_id);
                let draft = open.and_then(|turn| self.turns[turn].compactions.last_mut());
                if let Some(compaction) = draft {
                    compaction.started = stamp::from_millis(done.started_at_ms);
                    compaction.completed = stamp::from_millis(done.completed_at_ms);
                }
                Outcome::Span
            }
            TurnItem::Unknown(item) => self.take_unknown(item.kind, place),
            _ => self.take_unknown(None, place),
        }
    }
}

/// Returns what an error says: its message, more of it, Codex' code for it.
fn told<'a>(error: &ErrorEvent<'a>) -> Cow<'a, str> {
    let code = |info: RawJson<'a>| match info.as_text() {
        Some(word) => word.decode(),
        None => String::from_utf8_lossy(info.raw()),
    };
    let message = error.message.map_or("failed".into(), JsonText::decode);
    let details = error.additional_details.map(JsonText::decode);
    let more = details.into_iter().chain(error.codex_error_info.map(code));
    more.filter(|it| !it.is_empty()).fold(message, |all, it| format!("{all} — {it}").into())
}
