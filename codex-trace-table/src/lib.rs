//! Traces as Arrow tables: [`Table::Spans`] has a row for each span,
//! [`Table::Calls`] one for each model call with all that questions about usage
//! need, [`Table::Items`] one for each entry of a conversation.
//!
//! Tokens are on model calls alone: those of a turn or a session are the sum of
//! its calls, and a column that also held the sums would count each token three
//! times. What is not recorded is null.
//!
//! # What it promises
//!
//! * **A function.** Same trace, same rules, same rows, in the order of the trace.
//! * **Bounded.** A batch is handed on once it holds about 8 MiB or 8192 rows.
//! * **Plain types** that every reader knows: strings, integers of 64 bits,
//!   booleans, timestamps in microseconds of UTC.
//!
//! # What it leaves out
//!
//! Files, and any format of them; cost.

mod batch;
mod calls;
mod common;
mod items;
mod spans;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use codex_trace_export::content::ContentRules;
use codex_trace_export::texts::Texts;
use codex_trace_model::Trace;

use batch::Batch;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// A row for each span.
    Spans,
    /// A row for each model call.
    Calls,
    /// A row for each item.
    Items,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 3] = [Table::Spans, Table::Calls, Table::Items];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Spans => "spans",
            Table::Calls => "calls",
            Table::Items => "items",
        }
    }

    /// Returns its columns.
    pub fn schema(self) -> SchemaRef {
        batch::schema(self.columns())
    }

    fn columns(self) -> &'static [batch::Column] {
        match self {
            Table::Spans => spans::COLUMNS,
            Table::Calls => calls::COLUMNS,
            Table::Items => items::COLUMNS,
        }
    }
}

/// Turns traces into batches of rows.
#[derive(Debug)]
pub struct Tables<'r> {
    rules: &'r ContentRules,
    spans: Batch,
    calls: Batch,
    items: Batch,
}

/// Takes a batch; returns `false` if no more are wanted.
pub type Take<'t> = dyn FnMut(Table, RecordBatch) -> bool + 't;

impl<'r> Tables<'r> {
    /// Makes tables whose texts go through the rules for content.
    pub fn new(rules: &'r ContentRules) -> Tables<'r> {
        Tables {
            rules,
            spans: Batch::new(spans::COLUMNS),
            calls: Batch::new(calls::COLUMNS),
            items: Batch::new(items::COLUMNS),
        }
    }

    /// Adds the rows of a session, and hands on batches that are full. Returns
    /// `false` if no more are wanted.
    pub fn add(&mut self, trace: &Trace<'_>, take: &mut Take<'_>) -> bool {
        let texts = &Texts::new(self.rules, usize::MAX);
        let turns = common::turns(trace);
        for (ix, span) in trace.iter() {
            spans::add(trace, (ix, span), &turns, texts, &mut self.spans);
            calls::add(trace, (ix, span), &turns, texts, &mut self.calls);
            if !self.pass(false, take) {
                return false;
            }
        }
        for thread in &trace.threads {
            for (index, item) in thread.items.iter().enumerate() {
                items::add(trace, thread, (index, item), texts, &mut self.items);
                if !self.pass(false, take) {
                    return false;
                }
            }
        }
        true
    }

    /// Hands on what is left. Returns `false` if no more are wanted.
    pub fn finish(&mut self, take: &mut Take<'_>) -> bool {
        self.pass(true, take)
    }

    fn pass(&mut self, all: bool, take: &mut Take<'_>) -> bool {
        let batches = [
            (Table::Spans, &mut self.spans),
            (Table::Calls, &mut self.calls),
            (Table::Items, &mut self.items),
        ];
        for (table, batch) in batches {
            if (batch.is_full() || all && !batch.is_empty()) && !take(table, batch.take()) {
                return false;
            }
        }
        true
    }
}
