use std::path::PathBuf;

use anyhow::Context;

use codex_trace_deliver::private;
use codex_trace_export::redact::Redactor;

/// What to redact, as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Whether to redact at all, if anybody says.
    pub on: Option<bool>,
    /// Rules besides those built in.
    pub patterns: Vec<String>,
    /// A file of such rules.
    pub rules: Option<PathBuf>,
}

impl Redaction {
    /// Returns whether anything is redacted. Rules are there to be used.
    pub fn redacts(&self, by_default: bool) -> bool {
        let named = !self.patterns.is_empty() || self.rules.is_some();
        self.on == Some(true) || named || by_default && self.on.is_none()
    }

    /// Makes the redactor asked for, if there is to be one.
    ///
    /// # Errors
    ///
    /// If a rule cannot be read.
    pub fn redactor(&self, by_default: bool) -> anyhow::Result<Option<Redactor>> {
        if !self.redacts(by_default) {
            return Ok(None);
        }
        let mut redactor = Redactor::default();
        for rule in &self.patterns {
            redactor.add(rule)?;
        }
        if let Some(path) = &self.rules {
            let text = private::text_that_is_there(path);
            let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
            redactor.add_file(&text)?;
        }
        Ok(Some(redactor))
    }
}
