use std::path::Path;

use anyhow::Context;

use crate::args::RedactArgs;
use codex_trace_export::redact::Redactor;

/// Makes the redactor asked for, if there is to be one.
///
/// # Errors
///
/// If a rule cannot be read.
pub fn redactor(args: &RedactArgs, by_default: bool) -> anyhow::Result<Option<Redactor>> {
    if !redacts(args, by_default) {
        return Ok(None);
    }
    let mut redactor = Redactor::default();
    for rule in &args.redact_pattern {
        redactor.add(rule)?;
    }
    if let Some(path) = &args.redact_rules {
        redactor.add_file(&read(path)?)?;
    }
    Ok(Some(redactor))
}

/// Returns whether there is to be one.
pub fn redacts(args: &RedactArgs, by_default: bool) -> bool {
    let named = !args.redact_pattern.is_empty() || args.redact_rules.is_some();
    args.redact || named || by_default && !args.no_redact
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}
