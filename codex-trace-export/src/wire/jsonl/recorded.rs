use codex_rollout::JsonText;

use crate::json::{self, Object};

/// Writes texts as they were recorded. Only this format does: its lines stay on
/// the machine, and whoever wants them redacted has whole lines redacted.
pub(super) trait Recorded {
    /// Writes a field, if there is a text.
    fn recorded<'t>(&mut self, key: &str, text: impl Into<Option<JsonText<'t>>>);
}

impl Recorded for Object<'_> {
    fn recorded<'t>(&mut self, key: &str, text: impl Into<Option<JsonText<'t>>>) {
        if let Some(text) = text.into() {
            json::raw_text(text.raw(), self.value(key));
        }
    }
}
