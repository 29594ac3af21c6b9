//! What happened in a voice session, and what Codex keeps beside the history.

use crate::text::{JsonText, RawJson};
use crate::wire::wire;

wire! {
    /// A line of type `realtime_item` (since 0.149): something of a voice session.
    pub struct RealtimeItem<'a> {
        /// What: `realtime_session_started`, `frame`, `transcript_segment` (before
        /// 0.171), `turn_input_accepted`, `session_end_input_saved`,
        /// `realtime_session_closed`, …
        pub kind: JsonText<'a> = b"type",
        /// The item.
        pub id: JsonText<'a> = b"id",
        /// The voice session.
        pub session_id: JsonText<'a> = b"realtime_session_id",
        /// When, in Unix milliseconds (since 0.171).
        pub observed_at_ms: i64 = b"observed_at_ms",
        /// What was heard in a frame (since 0.171).
        pub channels: RealtimeChannels<'a> = b"channels",
        /// Who said a segment: `user`, `assistant`.
        pub role: JsonText<'a> = b"role",
        /// What was said in a segment.
        pub text: JsonText<'a> = b"text",
        /// The turn that an input began.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// How the voice session ended.
        pub outcome: JsonText<'a> = b"outcome",
    }
}

wire! {
    /// What was heard at one time.
    pub struct RealtimeChannels<'a> {
        /// What was said.
        pub voice_transcript: VoiceTranscript<'a> = b"voice_transcript",
    }
}

wire! {
    /// Something that was said.
    pub struct VoiceTranscript<'a> {
        /// `user`, `assistant`.
        pub role: JsonText<'a> = b"role",
        /// The words.
        pub text: JsonText<'a> = b"text",
    }
}

impl<'a> RealtimeItem<'a> {
    /// Returns what was said, and by whom, whatever version wrote it down.
    pub fn said(&self) -> VoiceTranscript<'a> {
        let segment = VoiceTranscript { role: self.role, text: self.text };
        self.channels.and_then(|channels| channels.voice_transcript).unwrap_or(segment)
    }
}

wire! {
    /// A line of type `retained_context` (since 0.154): what Codex keeps for the
    /// model whatever becomes of the history.
    pub struct RetainedContext<'a> {
        /// What: `verified_answer`, `delivered_assistant_message`,
        /// `accepted_file_audio`.
        pub kind: JsonText<'a> = b"type",
        /// The call that asked the user.
        pub call_id: JsonText<'a> = b"call_id",
        /// The turn.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// What the user was asked and answered.
        pub questions: RawJson<'a> = b"questions",
        /// The message that was delivered.
        pub text: JsonText<'a> = b"text",
    }
}
