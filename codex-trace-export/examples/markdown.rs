//! An exporter of your own: the prompts and answers of a rollout as Markdown,
//! redacted: `cargo run -p codex-trace-export --example markdown -- ROLLOUT`.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use codex_rollout::{ResponseItem, RolloutHead, RolloutPath, Source};
use codex_trace_export::content::{Capture, Content, ContentRules, Part};
use codex_trace_export::redact::Redactor;
use codex_trace_model::{RolloutInput, Trace, resolve};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "only the library may not touch the world")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which rollout?")?;
    let head = RolloutHead::read(&RolloutPath::from_file(Path::new(&path)))?;
    let source = Source::open(&head.rollout)?;
    let label = path.to_string_lossy();
    let trace = resolve(&[RolloutInput::new(&label, &head.thread_id, &source)]);
    let rules = ContentRules::new(Capture::Full, Some(Redactor::default()), Content::default());
    io::stdout().write_all(markdown(&trace, &rules).as_bytes())?;
    Ok(())
}

/// What was said, by whom; nothing leaves but what the rules let through.
fn markdown(trace: &Trace<'_>, rules: &ContentRules) -> String {
    let mut out = format!("# {}\n", trace.session_id());
    for item in trace.threads.iter().flat_map(|thread| &thread.items) {
        let ResponseItem::Message(message) = &item.body else { continue };
        let role = message.role.map_or_else(String::new, |role| role.decode().into_owned());
        // What comes out of the rules is JSON as before.
        let content = message.content.and_then(|content| rules.json_value(Part::Message, content));
        let content: Value =
            serde_json::from_slice(&content.unwrap_or_default()).unwrap_or_default();
        let texts = content.as_array().into_iter().flatten().filter_map(|it| it["text"].as_str());
        for text in texts {
            out.extend(["\n**", &role, "**\n\n", text, "\n"]);
        }
    }
    out
}
