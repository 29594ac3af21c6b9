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
        /// When commands need approval: a word or an object.
        pub approval_policy: RawJson<'a> = b"approval_policy",
        /// Who approves (since 0.144).
        pub approvals_reviewer: JsonText<'a> = b"approvals_reviewer",
        /// What commands may touch.
        pub sandbox_policy: SandboxPolicy<'a> = b"sandbox_policy",
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
    }
}
