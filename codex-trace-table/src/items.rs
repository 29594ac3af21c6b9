//! The table of items.

use codex_trace_export::texts::Texts;
use codex_trace_export::wire::jsonl;
use codex_trace_model::{Item, Thread, Trace};

use crate::batch::{Batch, Column, Kind};
use crate::common;

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("session_id", Kind::Text, true),
    ("thread_id", Kind::Text, true),
    ("index", Kind::Int, true),
    ("turn_key", Kind::Text, false),
    ("kind", Kind::Text, true),
    ("role", Kind::Text, false),
    ("name", Kind::Text, false),
    ("call_id", Kind::Text, false),
    ("at", Kind::Time, false),
    ("synthetic", Kind::Bool, true),
    ("file", Kind::Text, false),
    ("line", Kind::Int, true),
    ("text", Kind::Text, false),
    ("json", Kind::Text, false),
];

/// Adds the row of an item.
pub(crate) fn add(
    trace: &Trace<'_>,
    thread: &Thread<'_>,
    (index, item): (usize, &Item<'_>),
    texts: &Texts<'_>,
    batch: &mut Batch,
) {
    let head = texts.item_head(&item.body);
    batch.row(|row| {
        row.text("session_id", Some(trace.session_id()));
        row.text("thread_id", Some(&thread.id));
        row.int("index", Some(index));
        row.text("turn_key", item.turn.map(|turn| &trace.span(turn).key));
        row.text("kind", Some(jsonl::item_kind(&item.body)));
        row.text("role", common::label(texts, head.role));
        row.text("name", common::label(texts, head.name));
        row.text("call_id", common::label(texts, head.call_id));
        row.time("at", item.at);
        row.bool("synthetic", Some(item.synthetic));
        row.text("file", thread.rollout(item.rollout).map(|rollout| &rollout.path));
        row.int("line", Some(item.position.line()));
        row.text("text", common::decoded(texts.item(&item.body)));
        row.text("json", jsonl::item_json(trace, thread, (index, item), texts.rules()));
    });
}
