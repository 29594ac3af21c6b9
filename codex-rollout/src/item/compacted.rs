//! Replacements of the model's history, and messages between agents.

use crate::text::{JsonText, RawJson};
use crate::wire::wire;

wire! {
    /// A line of type `compacted`: what the model sees from here on.
    pub struct Compacted<'a> {
        /// The summary of a local compaction; empty for a remote one.
        pub message: JsonText<'a> = b"message",
        /// The whole new history (since 0.59): copies, not new items.
        pub replacement_history: RawJson<'a> = b"replacement_history",
        /// The provider's id of the compacting response (since 0.153).
        pub compaction_response_id: JsonText<'a> = b"compaction_response_id",
        /// The number of the new context window (since 0.142).
        pub window_number: u64 = b"window_number",
        /// The id of the new context window (since 0.142).
        pub window_id: JsonText<'a> = b"window_id",
        /// The id of the context window that it replaces (since 0.142).
        pub previous_window_id: JsonText<'a> = b"previous_window_id",
        /// The id of the thread's first context window (since 0.142).
        pub first_window_id: JsonText<'a> = b"first_window_id",
    }
}

wire! {
    /// A line of type `inter_agent_communication_metadata`: precedes the
    /// `agent_message` that it describes.
    pub struct InterAgentMetadata {
        /// Whether the delivery starts a turn of the receiver.
        pub trigger_turn: bool = b"trigger_turn",
    }
}

wire! {
    /// A line of type `inter_agent_communication` (0.140 to 0.142).
    pub struct InterAgentCommunication<'a> {
        /// The sender's path.
        pub author: JsonText<'a> = b"author",
        /// The receiver's path.
        pub recipient: JsonText<'a> = b"recipient",
        /// The message.
        pub content: JsonText<'a> = b"content",
        /// Whether the delivery starts a turn of the receiver.
        pub trigger_turn: bool = b"trigger_turn",
    }
}
