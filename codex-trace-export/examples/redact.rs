//! Takes secrets out of a text: `… | cargo run -p codex-trace-export --example redact`.

use std::io::{self, Read, Write};

use codex_trace_export::redact::Redactor;

#[expect(clippy::disallowed_methods, reason = "only the library may not touch the world")]
fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let redactor = Redactor::default();
    io::stdout().write_all(redactor.text(&text).as_bytes())
}
