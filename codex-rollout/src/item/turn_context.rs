//! The settings of a turn.

use crate::text::{JsonText, RawJson};
use crate::wire::wire;

wire! {
    /// A line of type `turn_context`: one for each model request before 0.107,
    /// one for each turn since.
    pub struct TurnContext<'a> {
        /// The turn (since 0.100).
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The user's turn that led to it, in whichever thread (since 0.153).
        pub root_turn_id: JsonText<'a> = b"root_turn_id",
        /// The working directory.
        pub cwd: JsonText<'a> = b"cwd",
        /// The model: the only place that names it turn by turn.
        pub model: JsonText<'a> = b"model",
        /// The reasoning effort asked for.
        pub effort: JsonText<'a> = b"effort",
        /// How reasoning is summed up: `auto`, `concise`, `detailed`, `none`.
        pub summary: JsonText<'a> = b"summary",
        /// The tone of the agent, if one was chosen (since 0.89).
        pub personality: JsonText<'a> = b"personality",
        /// What the agent is to do: plan, or work (since 0.88).
        pub collaboration_mode: CollaborationMode<'a> = b"collaboration_mode",
        /// When commands need approval: a word or an object.
        pub approval_policy: RawJson<'a> = b"approval_policy",
        /// Who approves (since 0.144).
        pub approvals_reviewer: JsonText<'a> = b"approvals_reviewer",
        /// What commands may touch.
        pub sandbox_policy: SandboxPolicy<'a> = b"sandbox_policy",
        /// The program under which the model may help with security work
        /// (since 0.151).
        pub cyber_access_program: JsonText<'a> = b"cyber_access_program",
        /// The plugins that are switched off: an array (since 0.156).
        pub disabled_plugin_ids: RawJson<'a> = b"disabled_plugin_ids",
        /// The W3C trace id of the turn (0.112 to 0.131).
        pub trace_id: JsonText<'a> = b"trace_id",
    }
}

wire! {
    /// What commands may touch.
    pub struct SandboxPolicy<'a> {
        /// `danger-full-access`, `read-only`, `workspace-write`, `external-sandbox`.
        pub kind: JsonText<'a> = b"type" | b"mode",
    }
}

wire! {
    /// `event_msg` of type `thread_settings_applied` (since 0.144).
    pub struct ThreadSettingsApplied<'a> {
        /// The thread concerned.
        pub thread_id: JsonText<'a> = b"thread_id",
        /// What holds from here on.
        pub thread_settings: ThreadSettings<'a> = b"thread_settings",
    }
}

wire! {
    /// The settings of a thread.
    pub struct ThreadSettings<'a> {
        /// The model.
        pub model: JsonText<'a> = b"model",
        /// The model provider.
        pub model_provider_id: JsonText<'a> = b"model_provider_id",
        /// The service tier asked for.
        pub service_tier: JsonText<'a> = b"service_tier",
        /// The reasoning effort asked for.
        pub reasoning_effort: JsonText<'a> = b"reasoning_effort",
        /// How reasoning is summed up.
        pub reasoning_summary: JsonText<'a> = b"reasoning_summary",
        /// The tone of the agent, if one was chosen.
        pub personality: JsonText<'a> = b"personality",
        /// What the agent is to do: plan, or work.
        pub collaboration_mode: CollaborationMode<'a> = b"collaboration_mode",
    }
}

wire! {
    /// What the agent is to do.
    pub struct CollaborationMode<'a> {
        /// `plan`, `default`; before 0.95 also `code`, `pair_programming`,
        /// `execute`, `custom`.
        pub mode: JsonText<'a> = b"mode",
    }
}

wire! {
    /// A line of type `world_state` (since 0.143): all that the harness told the
    /// model about its surroundings, or what has changed of it.
    pub struct WorldState<'a> {
        /// Whether it is all of it, and not a change.
        pub full: bool = b"full",
        /// What the model was told.
        pub state: WorldFacts<'a> = b"state",
    }
}

wire! {
    /// What the model was told about its surroundings, as far as it matters here.
    pub struct WorldFacts<'a> {
        /// The model that is asked: its name, or an object with it. The one
        /// place that tells of another model in the middle of a turn.
        pub model: RawJson<'a> = b"model",
    }
}

wire! {
    /// The model among the facts, where it is an object.
    pub struct WorldModel<'a> {
        /// Its name.
        pub model: JsonText<'a> = b"model",
    }
}

impl<'a> WorldState<'a> {
    /// Returns the model that requests go to from here on, if the record says.
    pub fn model(&self) -> Option<JsonText<'a>> {
        let model = self.state?.model?;
        model.as_text().or_else(|| WorldModel::from_raw(model)?.model)
    }
}
