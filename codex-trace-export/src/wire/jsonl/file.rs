use std::borrow::Cow;

use codex_trace_model::Trace;

use crate::EncodeError;
use crate::file::{FileEncoder, FileFormat, FileSettings, Layout};
use crate::redact::Redactor;

/// The neutral format, as `convert` writes it.
pub const FILE: FileFormat = FileFormat {
    name: "spans",
    summary: "JSON lines of the format codex-trace/v1",
    endings: &["jsonl", "ndjson", "json", "txt"],
    is_text: true,
    layout: Layout::Joined,
    options: &[],
    open: |settings| Ok(Box::new(Lines(settings))),
};

struct Lines(FileSettings);

impl FileEncoder for Lines {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        let mut redacted = out.len();
        super::encode(trace, self.0.content, out, |out| {
            redact_from(redacted, self.0.redactor.as_ref(), out);
            let go_on = pass(out);
            redacted = out.len();
            go_on
        });
        Ok(())
    }
}

/// Redacts the lines from `start` on: any text in them, whatever its field.
fn redact_from(start: usize, redactor: Option<&Redactor>, out: &mut Vec<u8>) {
    if let Some(redactor) = redactor
        && let Cow::Owned(redacted) = redactor.json(&out[start..])
    {
        out.truncate(start);
        out.extend_from_slice(&redacted);
    }
}
