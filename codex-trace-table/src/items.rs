//! The table of items.

use codex_rollout::JsonText;
use codex_trace_export::wire::jsonl;
use codex_trace_model::{Item, Thread, Trace};

use crate::batch::{Batch, Column, Kind};
use crate::common::{self, About};

#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    ("home", Kind::Text, false),
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
    ("bytes", Kind::Int, false),
    ("text", Kind::Text, false),
    ("json", Kind::Text, false),
];

/// Adds the row of an item.
pub(crate) fn add(
    trace: &Trace<'_>,
    thread: &Thread<'_>,
    (index, item): (usize, &Item<'_>),
    about: &About<'_>,
    batch: &mut Batch,
) {
    let texts = about.texts;
    let head = texts.item_head(&item.body);
    batch.row(|row| {
        row.text("home", about.home);
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
        row.int("bytes", about.whole.item(&item.body).map(|it| JsonText::new(&it).decode().len()));
        row.text("text", common::decoded(texts.item(&item.body)));
        let json = || jsonl::item_json(trace, thread, (index, item), texts.rules());
        row.text("json", about.has_json.then(json).flatten());
    });
}
