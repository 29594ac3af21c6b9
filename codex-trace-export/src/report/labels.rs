//! Names and titles of a session as they may stand in the report.

use std::borrow::Cow;

use codex_rollout::{JsonText, SessionMeta};
use codex_trace_model::{SpanKind, Thread, Trace, Turn, request};

use super::Options;
use crate::content::Part;
use crate::json::{self, Object};
use crate::otlp::messages::{ItemReader, Part as Piece, quoted};
use crate::texts::{Raw, Texts};

/// How much of a name, a path or a title is kept, in bytes.
const LABEL: usize = 300;

/// Reads what a report says of one session.
pub(super) struct Reader<'r> {
    pub(super) texts: Texts<'r>,
    limit: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(options: &'r Options<'_>) -> Reader<'r> {
        let limit = options.amount.text_bytes();
        Reader { texts: Texts::new(&options.rules, limit), limit }
    }

    /// Returns a recorded name or path.
    pub(super) fn label<'a>(&self, text: Option<JsonText<'a>>) -> Option<Raw<'a>> {
        let reader = self.texts.reader(LABEL);
        reader.text(Part::Label, text?).filter(|text| !text.is_empty())
    }

    /// Returns a name that is made of several.
    pub(super) fn made<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        Some(shortened(self.texts.rules().text(part, text)?, LABEL))
    }

    /// Returns why something did not end as it should.
    pub(super) fn reason<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        Some(shortened(self.texts.rules().reason(part, text)?, self.limit.max(LABEL)))
    }

    /// Returns the beginning of what the session was asked.
    pub(super) fn title(&self, trace: &Trace<'_>) -> Option<Vec<u8>> {
        let turn = trace.spans.iter().find_map(|span| match &span.kind {
            SpanKind::Turn(turn) if span.thread.0 == 0 => Some(turn),
            _ => None,
        })?;
        let prompt = prompt_of(&self.texts.reader(usize::MAX), trace.root(), turn)?;
        let prompt = request(JsonText::new(&prompt)).prefix(LABEL);
        (!prompt.is_empty()).then(|| prompt.raw().to_vec())
    }
}

fn shortened(text: Cow<'_, str>, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => text,
    }
}

/// Returns the first text of a turn's input.
fn prompt_of<'a>(reader: &ItemReader<'_>, thread: &Thread<'a>, turn: &Turn<'a>) -> Option<Raw<'a>> {
    let items = turn.input.iter().filter_map(|ix| thread.item(*ix));
    let mut texts = items.filter_map(|item| reader.message(&item.body)).flat_map(|it| it.parts);
    let first = texts.find_map(|part| match part {
        Piece::Text(text) if !text.starts_with(b"<image") && !text.is_empty() => Some(text),
        _ => None,
    });
    first.or_else(|| reader.text(Part::Message, turn.prompt?))
}

/// Writes a text that is raw JSON text already.
pub(super) fn put(o: &mut Object<'_>, key: &str, text: Option<impl AsRef<[u8]>>) {
    if let Some(text) = text {
        json::raw_text(text.as_ref(), o.value(key));
    }
}

/// Writes, as an element of an array, a text that is raw JSON text already.
pub(super) fn quoted_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&quoted(text));
}

/// Returns the address of a repository by host and path, without scheme, user
/// and ending: however it was cloned, it is one project.
pub(super) fn repository(meta: &SessionMeta<'_>) -> Option<String> {
    let address = meta.git?.repository_url?.decode();
    let address = address.trim().trim_end_matches('/');
    let address = address.strip_suffix(".git").unwrap_or(address);
    let host_and =
        |host: &str, path: &str| format!("{}/{path}", host.rsplit('@').next().unwrap_or(host));
    let short = match (address.split_once("://"), address.split_once(':')) {
        (Some((_, rest)), _) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            host_and(host, path)
        }
        // As in `git@host:path`.
        (None, Some((host, path))) if !host.contains('/') => host_and(host, path),
        _ => address.to_owned(),
    };
    Some(short).filter(|it| !it.is_empty())
}
