//! What requests are made with: the model, how it reasons, where it is asked.
//!
//! Codex records it in pieces, and not all of them in every version: a
//! `turn_context` for each turn (before 0.107 for each request), the settings
//! of the thread when they change (since 0.144), and in the middle of a turn a
//! `world_state` that names another model, and a `configuration_update` that
//! names another effort.

use codex_rollout::item::response_item::ConfigurationUpdateItem;
use codex_rollout::item::turn_context::{ThreadSettings, TurnContext, WorldState};
use codex_rollout::{JsonText, RawJson};

use crate::resolve::turn::{MarkKind, Settings};
use crate::resolve::{FOREIGN, Outcome, Place, ThreadBuilder};

/// The settings of a thread while its lines are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Current<'a> {
    /// What the next request is made with.
    next: Settings<'a>,
    /// How often that has changed: as long as it has not, nobody needs to
    /// compare it with what it was.
    n_changes: u32,
    /// The effort that was asked for: the one of a `configuration_update` holds
    /// until another one is asked for, and is not repeated.
    asked_effort: Option<JsonText<'a>>,
    /// The thread's settings that hold from the next turn on.
    of_next_turn: Option<ThreadSettings<'a>>,
}

impl<'a> Current<'a> {
    /// Returns what the next request is made with, and how often that has changed.
    pub(super) fn next(&self) -> (&Settings<'a>, u32) {
        (&self.next, self.n_changes)
    }

    /// Goes back to what was set at an earlier place.
    pub(super) fn go_back(&mut self, earlier: &Current<'a>) {
        let n_changes = self.n_changes.wrapping_add(1);
        *self = Current { n_changes, ..earlier.clone() };
    }

    fn set_effort(&mut self, effort: Option<JsonText<'a>>) {
        self.next.effort = effort;
        self.n_changes = self.n_changes.wrapping_add(1);
    }

    /// Sets model and effort as asked for. What stays the same stays in the
    /// same place in memory, whatever line says it again.
    fn ask(&mut self, model: Option<JsonText<'a>>, effort: Option<JsonText<'a>>) {
        self.set_model(model);
        if self.asked_effort != effort {
            self.asked_effort = effort;
            self.set_effort(effort);
        }
    }

    fn set_model(&mut self, model: Option<JsonText<'a>>) {
        if self.next.model != model {
            self.next.model = model;
            self.n_changes = self.n_changes.wrapping_add(1);
        }
    }

    pub(super) fn take_context(&mut self, context: &TurnContext<'a>) {
        self.ask(context.model, context.effort);
    }

    fn take_thread(&mut self, settings: &ThreadSettings<'a>) {
        self.ask(settings.model, settings.reasoning_effort);
        self.next.service_tier = settings.service_tier;
        self.next.provider = settings.model_provider_id;
        self.next.personality = settings.personality;
        self.next.reasoning_summary = settings.reasoning_summary;
        self.n_changes = self.n_changes.wrapping_add(1);
    }

    /// Begins a turn: what was set while the last one ran holds now.
    pub(super) fn begin_turn(&mut self) {
        if let Some(settings) = self.of_next_turn.take() {
            self.take_thread(&settings);
        }
    }
}

impl<'a> ThreadBuilder<'a> {
    /// Takes in the settings of a turn.
    pub(super) fn take_context(
        &mut self,
        context: &TurnContext<'a>,
        payload: Option<RawJson<'a>>,
        place: Place,
    ) -> Outcome {
        self.settings.take_context(context);
        self.leave_review(context.turn_id);
        let Some(turn) = self.open_turn_of(context.turn_id) else { return Outcome::Span };
        self.mark(turn, MarkKind::Context, place);
        let turn = &mut self.turns[turn].turn;
        turn.context = payload.or(turn.context);
        turn.model = context.model.and(self.settings.next.model).or(turn.model);
        turn.effort = context.effort.or(turn.effort);
        turn.personality = context.personality.or(turn.personality);
        turn.reasoning_summary = context.summary.or(turn.reasoning_summary);
        let mode = context.collaboration_mode.and_then(|it| it.mode);
        turn.collaboration_mode = mode.or(turn.collaboration_mode);
        turn.cyber_access_program = context.cyber_access_program.or(turn.cyber_access_program);
        let disabled = context.disabled_plugin_ids.filter(|ids| ids.raw() != b"[]");
        turn.disabled_plugins = disabled.or(turn.disabled_plugins);
        turn.cwd = context.cwd.or(turn.cwd);
        turn.approval_policy = context.approval_policy.or(turn.approval_policy);
        turn.approvals_reviewer = context.approvals_reviewer.or(turn.approvals_reviewer);
        turn.sandbox = context.sandbox_policy.and_then(|policy| policy.kind).or(turn.sandbox);
        turn.root_turn_id = context.root_turn_id.or(turn.root_turn_id);
        turn.trace_id = context.trace_id.or(turn.trace_id);
        Outcome::Span
    }

    /// Takes in the settings of a thread. A turn that has begun to answer keeps
    /// its own.
    pub(super) fn take_thread_settings(
        &mut self,
        thread_id: Option<JsonText<'a>>,
        settings: Option<ThreadSettings<'a>>,
    ) -> Outcome {
        if !self.is_own(thread_id) {
            return Outcome::Ignored(FOREIGN);
        }
        let Some(settings) = settings else { return Outcome::Span };
        let answering = self.open.is_some_and(|open| {
            let turn = &self.turns[open];
            turn.turn.marked && turn.answered
        });
        if answering {
            self.settings.of_next_turn = Some(settings);
        } else {
            self.settings.take_thread(&settings);
        }
        Outcome::Span
    }

    pub(super) fn take_world(&mut self, world: &WorldState<'a>) -> Outcome {
        let Some(model) = world.model() else { return Outcome::Ignored("world_state") };
        self.settings.set_model(Some(model));
        Outcome::Span
    }

    pub(super) fn take_configuration(&mut self, update: &ConfigurationUpdateItem<'a>) {
        if let Some(effort) = update.reasoning.and_then(|it| it.effort) {
            self.settings.set_effort(Some(effort));
        }
    }
}
