//! Whether the user has let Codex call: Codex notes a digest of each hook that
//! was confirmed, and asks anew for one that has changed since.

use std::path::Path;

use codex_trace_export::Fingerprint;
use serde_json::json;
use sha2::{Digest, Sha256};
use toml::Table;

/// What was confirmed of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmed {
    No,
    /// Another form of it, as far as the digest of 0.144 and 0.171 tells.
    Before,
    Yes,
}

/// Looks in the user's config.toml.
///
/// * `place` is the file, the event as Codex writes it in keys, the number of the
///   group and that of the handler.
pub(super) fn confirmed(
    user: &Table,
    (path, event, group, nth): (&Path, &str, usize, usize),
    command: &str,
) -> Confirmed {
    let place = format!("{}:{event}:{group}:{nth}", path.display());
    let state = user.get("hooks").and_then(|it| it.get("state")?.get(&place));
    match state.and_then(|it| it.get("trusted_hash")?.as_str()) {
        None => Confirmed::No,
        Some(noted) if noted == digest(event, command) => Confirmed::Yes,
        Some(_) => Confirmed::Before,
    }
}

/// Returns the digest of a hook as `install` writes it.
fn digest(event: &str, command: &str) -> String {
    // How many seconds Codex gives it.
    let timeout = if matches!(event, "interrupt" | "session_end") { 1 } else { 600 };
    let handler =
        json!({"async": false, "command": command, "timeout": timeout, "type": "command"});
    // With its keys in alphabetical order.
    let hook = json!({"event_name": event, "hooks": [handler]}).to_string();
    let digest: [u8; 32] = Sha256::digest(hook).into();
    format!("sha256:{:?}", Fingerprint(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `hooks/list` of `codex app-server` says, in 0.171; of those that it
    /// has, in 0.144.5.
    #[test]
    fn digests_are_those_of_codex() {
        let cases = [
            ("session_start", "9ef4d3ab425867841116876fb5ee0340a913d35f05bf3e3384c42a258356b340"),
            ("session_end", "75042523cade0e9f78682b52b50d6e38de27e638b9883c2fb3858aa7bab90fba"),
            ("subagent_stop", "b065995276d7ae28a9f68d86adbc1015e0886f23fb913c3bad6ff84eb450c369"),
            ("stop", "a8eaea617afff86c511ef217ee40f493ffa2b7899bfae9206a58c3f6e8ca457b"),
            ("interrupt", "baa7ce4d2a50c498ed255d5ab9e8c7101dd334c7a290d4ce0e4bbb2c0b42243f"),
        ];
        for (event, wanted) in cases {
            assert_eq!(digest(event, "codex-trace hook"), format!("sha256:{wanted}"), "{event}");
        }
        let wanted = "7b412478b238387bdbd1472f6635fd9ba2b8ae708b4065de37d0e43c5db86339";
        assert_eq!(digest("stop", "'/opt/a b/codex-trace' hook"), format!("sha256:{wanted}"));
    }
}
