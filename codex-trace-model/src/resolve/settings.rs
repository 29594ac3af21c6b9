//! What requests are made with: the model, how it reasons, where it is asked.
//!
//! Codex records it in pieces, and not all of them in every version: a
//! `turn_context` for each turn (before 0.107 for each request), the settings
//! of the thread when they change (since 0.144), and in the middle of a turn a
//! `world_state` that names another model, and a `configuration_update` that
//! names another effort.

use codex_rollout::JsonText;
use codex_rollout::item::response_item::ConfigurationUpdateItem;
use codex_rollout::item::turn_context::{ThreadSettings, TurnContext, WorldState};

use crate::resolve::turn::Settings;
use crate::resolve::{FOREIGN, Outcome, ThreadBuilder};

/// The settings of a thread while its lines are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Current<'a> {
    /// What the next request is made with.
    pub(super) next: Settings<'a>,
    /// The effort that was asked for: the one of a `configuration_update` holds
    /// until another one is asked for, and is not repeated.
    asked_effort: Option<JsonText<'a>>,
    /// The thread's settings that hold from the next turn on.
    of_next_turn: Option<ThreadSettings<'a>>,
}

impl<'a> Current<'a> {
    /// Sets model and effort as asked for. What stays the same stays in the
    /// same place in memory, whatever line says it again.
    fn ask(&mut self, model: Option<JsonText<'a>>, effort: Option<JsonText<'a>>) {
        self.set_model(model);
        if self.asked_effort != effort {
            self.asked_effort = effort;
            self.next.effort = effort;
        }
    }

    fn set_model(&mut self, model: Option<JsonText<'a>>) {
        if self.next.model != model {
            self.next.model = model;
        }
    }

    pub(super) fn take_context(&mut self, context: &TurnContext<'a>) {
        self.ask(context.model, context.effort);
    }

    fn take_thread(&mut self, settings: &ThreadSettings<'a>) {
        self.ask(settings.model, settings.reasoning_effort);
        self.next.service_tier = settings.service_tier;
        self.next.provider = settings.model_provider_id;
    }

    /// Begins a turn: what was set while the last one ran holds now.
    pub(super) fn begin_turn(&mut self) {
        if let Some(settings) = self.of_next_turn.take() {
            self.take_thread(&settings);
        }
    }
}

impl<'a> ThreadBuilder<'a> {
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
            self.settings.next.effort = Some(effort);
        }
    }
}
