//! Trace and span ids: recorded ones where Codex had telemetry on, else SHA-256
//! of what the span is, so that a second upload meets the first.

use std::fmt;

use codex_rollout::JsonText;
use sha2::{Digest, Sha256};

/// A W3C trace id.
pub type TraceId = [u8; 16];
/// A W3C span id.
pub type SpanId = [u8; 8];

/// What the ids of the live tools are hashed with begins with the tool's name;
/// ours does with this. Changing it uploads everybody's history again.
const TOOL: &str = "codex-trace";

/// Returns the first `N` bytes of the SHA-256 of `domain` and of each part with
/// a zero byte before it.
///
/// This is also how the live Logfire exporter makes its ids.
pub fn derive<const N: usize>(domain: &str, parts: &[&str]) -> [u8; N] {
    let mut hasher = Sha256::new();
    hasher.update(domain.as_bytes());
    for part in parts {
        hasher.update([0]);
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    std::array::from_fn(|at| digest[at])
}

/// Returns the id of the trace of a turn. `turn` is Codex' id of it, or the key
/// of its span where it has none.
pub fn trace_id(thread_id: &str, turn: &str) -> TraceId {
    derive(&format!("{TOOL}:trace:v1"), &[thread_id, turn])
}

/// Returns the id of a span: its own thread, the turn whose trace it is in, and
/// its key.
pub fn span_id(thread_id: &str, turn: &str, key: &str) -> SpanId {
    derive(&format!("{TOOL}:span:v1"), &[thread_id, turn, key])
}

/// Returns another id, for a copy of what has `id` at one place alone.
pub fn copied<const N: usize>(id: [u8; N], place: &str) -> [u8; N] {
    derive(&format!("{TOOL}:copy:v1"), &[&Hex(&id).to_string(), place])
}

/// Returns the trace id that Codex recorded, if it is one: 32 hex digits, not
/// all of them zero.
pub fn recorded(text: JsonText<'_>) -> Option<TraceId> {
    let raw = text.raw();
    let mut id = [0; 16];
    if raw.len() != 32 {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(raw.chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    (id != [0; 16]).then_some(id)
}

/// Writes bytes in lower-case hex.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0199a8d4-7c3e-7b10-9f00-3a5c1d2e4f60";
    const TURN: &str = "0199a8d4-8000-7b10-8aaa-111122223333";

    /// Made by the live exporter's own script.
    #[test]
    fn hashes_as_the_live_logfire_exporter_does() {
        let trace: [u8; 16] = derive("logfire-exporter:trace:v1", &[SESSION]);
        let turn: [u8; 8] = derive("logfire-exporter:turn-span:v1", &[SESSION, TURN]);
        let tool: [u8; 8] =
            derive("logfire-exporter:tool-span:v1", &[SESSION, TURN, "call_abc123"]);
        assert_eq!(Hex(&trace).to_string(), "d0212dd1ea4e47fc39d47839bc498e13");
        assert_eq!(Hex(&turn).to_string(), "2020a193d588bbc1");
        assert_eq!(Hex(&tool).to_string(), "abc6e36f7c5dce2a");
    }

    /// Made with `sha256sum`. Changing either uploads everybody's history a
    /// second time.
    #[test]
    fn ids_never_change() {
        let key = "tool:call_abc123";
        assert_eq!(Hex(&trace_id(SESSION, TURN)).to_string(), "c90e6ab8c43052516cbadb2ad9705a59");
        assert_eq!(Hex(&span_id(SESSION, TURN, key)).to_string(), "398a3585e606092b");
        let copy = copied(trace_id(SESSION, TURN), "mlflow http://m#two");
        assert_eq!(Hex(&copy).to_string(), "30bb00641a85a98437885a0953016a7d");
    }

    #[test]
    fn only_a_valid_recorded_id_is_taken() {
        let read = |text: &'static str| recorded(JsonText::new(text.as_bytes()));
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(Hex(&read(id).unwrap()).to_string(), id);
        assert_eq!(read("00000000000000000000000000000000"), None);
        assert_eq!(read("0af7651916cd43dd8448eb211c80319"), None);
        assert_eq!(read("0af7651916cd43dd8448eb211c80319g"), None);
    }
}
