//! The ids of rows, as `bt` derives them since 0.16, live and in its importer:
//! what it sends and what we send meet in the same rows.

use crate::uuid::Uuid;

/// The namespace that Braintrust's tracer of coding agents uses.
const NAMESPACE: Uuid = Uuid::from_bytes([
    0x8f, 0x2b, 0x4e, 0x11, 0x9c, 0x7a, 0x4d, 0x3e, 0xb6, 0xa1, 0x5f, 0x0c, 0x2d, 0x84, 0x71, 0xae,
]);

/// What stands between the parts of a name.
const BETWEEN: &str = "\u{1f}";

/// Returns the id of a row, which is its span id, too: of the root thread's id
/// and of what the row is, `root`, `turn:<turn id>`, `tool:<call id>`.
pub(super) fn row_id(session: &str, key: &str) -> Uuid {
    Uuid::v5(NAMESPACE, &["codex", BETWEEN, session, BETWEEN, key])
}

/// Returns the id that `bt` gives a session in the names of its own files.
pub(super) fn session_id(session: &str) -> String {
    Uuid::v5(NAMESPACE, &["codex", BETWEEN, session]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0199a8d4-7c3e-7b10-9f00-3a5c1d2e4f60";

    /// Computed by another implementation; the rows of `bt` have them, too.
    /// Changing any of these uploads everybody's history a second time.
    #[test]
    fn ids_never_change() {
        let cases = [
            ("root", "8e52a8e9-68c4-5859-8c6b-157ef1f7e09a"),
            ("turn:0199a8d4-8000-7b10-8aaa-111122223333", "891e7c58-f831-5e22-9859-35943bc95e9e"),
            ("llm:0199a8d4-8000-7b10-8aaa-111122223333:0", "ce04e2b5-ae3f-512c-8fb8-a66f9af4ec34"),
            (
                "llm:0199a8d4-8000-7b10-8aaa-111122223333:compaction",
                "a2d8ffb4-78fa-5924-bbe5-6d6e82d56089",
            ),
            ("tool:call_abc123", "76b24e82-42ac-5b0c-a4a2-e95d8df991dc"),
            (
                "subagent:0199a8d4-9000-7b10-8bbb-444455556666",
                "17965930-aa34-5c16-aa11-c7685e8b44f7",
            ),
            ("turn:turn-1", "2c84479a-21f7-5d10-b32d-3f4c07daf8fe"),
        ];
        for (key, id) in cases {
            assert_eq!(row_id(SESSION, key).to_string(), id, "{key}");
        }
    }
}
