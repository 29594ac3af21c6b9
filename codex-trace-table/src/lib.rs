//! Traces as Arrow tables: [`Table::Spans`] has a row for each span,
//! [`Table::Calls`] one for each model call with all that questions about usage
//! need, [`Table::Items`] one for each entry of a conversation,
//! [`Table::Sessions`] one for each session, [`Table::Problems`] one for each
//! thing that was odd.
//!
//! Tokens of single calls are on model calls alone: in the tables of spans and
//! calls those of a turn are the sum of its calls, and a column that also held
//! the sums would count each token three times. What is not recorded is null.
//!
//! # What it promises
//!
//! * **A function.** Same trace, same rules, same rows, in the order of the trace.
//! * **Bounded.** A batch is handed on once it holds about 1 MiB or 8192 rows.
//! * **Plain types** that every reader knows: strings, integers and fractions of
//!   64 bits, booleans, timestamps in microseconds of UTC.
//!
//! # What it leaves out
//!
//! Files, and any format of them; where prices come from.

mod batch;
mod calls;
mod common;
mod items;
mod problems;
mod sessions;
mod spans;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use codex_trace_export::content::ContentRules;
use codex_trace_export::texts::Texts;
use codex_trace_model::Trace;

use batch::Batch;
use common::About;
pub use common::Prices;
pub use problems::Problem;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// A row for each span.
    Spans,
    /// A row for each model call.
    Calls,
    /// A row for each item.
    Items,
    /// A row for each session.
    Sessions,
    /// A row for each thing that was odd.
    Problems,
}

impl Table {
    /// All of them, in order.
    pub const ALL: [Table; 5] =
        [Table::Spans, Table::Calls, Table::Items, Table::Sessions, Table::Problems];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Spans => "spans",
            Table::Calls => "calls",
            Table::Items => "items",
            Table::Sessions => "sessions",
            Table::Problems => "problems",
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
            Table::Sessions => sessions::COLUMNS,
            Table::Problems => problems::COLUMNS,
        }
    }
}

/// Turns traces into batches of rows.
pub struct Tables<'r> {
    rules: &'r ContentRules,
    home: Option<&'r str>,
    prices: Option<&'r Prices<'r>>,
    limit: usize,
    /// The tables that are wanted, with what they hold so far.
    batches: Vec<(Table, Batch)>,
}

/// Takes a batch; returns `false` if no more are wanted.
pub type Take<'t> = dyn FnMut(Table, RecordBatch) -> bool + 't;

impl std::fmt::Debug for Tables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tables").field("batches", &self.batches).finish_non_exhaustive()
    }
}

impl<'r> Tables<'r> {
    /// Makes all tables; their texts go through the rules for content.
    pub fn new(rules: &'r ContentRules) -> Tables<'r> {
        let batches = Table::ALL.map(|table| (table, Batch::new(table.columns()))).into();
        Tables { rules, home: None, prices: None, limit: usize::MAX, batches }
    }

    /// Makes only this table: the others get no rows.
    #[must_use]
    pub fn only(mut self, table: Table) -> Tables<'r> {
        self.batches.retain(|it| it.0 == table);
        self
    }

    /// Names the home that the rows are of.
    #[must_use]
    pub fn of_home(mut self, home: Option<&'r str>) -> Tables<'r> {
        self.home = home;
        self
    }

    /// Says what a call cost, in US dollars; without, nothing has a price.
    #[must_use]
    pub fn prices(mut self, cost: &'r Prices<'r>) -> Tables<'r> {
        self.prices = Some(cost);
        self
    }

    /// Cuts texts to so many bytes, and leaves out what has all of them (`json`).
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Tables<'r> {
        self.limit = limit;
        self
    }

    fn batch(&mut self, table: Table) -> Option<&mut Batch> {
        self.batches.iter_mut().find(|it| it.0 == table).map(|it| &mut it.1)
    }

    /// Adds the rows of a session, and hands on batches that are full. Returns
    /// `false` if no more are wanted.
    pub fn add(&mut self, trace: &Trace<'_>, take: &mut Take<'_>) -> bool {
        let plain = ContentRules::default();
        let (texts, whole) = (Texts::new(self.rules, self.limit), Texts::new(&plain, usize::MAX));
        let about = &About {
            home: self.home,
            texts: &texts,
            whole: &whole,
            prices: self.prices,
            has_json: self.limit == usize::MAX,
        };
        if let Some(batch) = self.batch(Table::Sessions) {
            sessions::add(trace, about, batch);
        }
        if self.batches.iter().any(|it| matches!(it.0, Table::Spans | Table::Calls)) {
            let turns = common::turns(trace);
            for (ix, span) in trace.iter() {
                if let Some(batch) = self.batch(Table::Spans) {
                    spans::add(trace, (ix, span), &turns, about, batch);
                }
                if let Some(batch) = self.batch(Table::Calls) {
                    calls::add(trace, (ix, span), &turns, about, batch);
                }
                if !self.pass(false, take) {
                    return false;
                }
            }
        }
        if self.batch(Table::Items).is_some() {
            for thread in &trace.threads {
                for (index, item) in thread.items.iter().enumerate() {
                    if let Some(batch) = self.batch(Table::Items) {
                        items::add(trace, thread, (index, item), about, batch);
                    }
                    if !self.pass(false, take) {
                        return false;
                    }
                }
            }
        }
        let odd = trace.diagnostics.iter();
        let mut odd = odd.map(|it| Problem::of(it, Some(trace.session_id())));
        odd.all(|problem| self.add_problem(&problem, take))
    }

    /// Adds the row of something that was odd outside of any trace. Returns
    /// `false` if no more are wanted.
    pub fn add_problem(&mut self, problem: &Problem<'_>, take: &mut Take<'_>) -> bool {
        let texts = Texts::new(self.rules, usize::MAX);
        let (home, prices) = (self.home, self.prices);
        let about = &About { home, texts: &texts, whole: &texts, prices, has_json: false };
        if let Some(batch) = self.batch(Table::Problems) {
            problems::add(problem, about, batch);
        }
        self.pass(false, take)
    }

    /// Hands on what is left. Returns `false` if no more are wanted.
    pub fn finish(&mut self, take: &mut Take<'_>) -> bool {
        self.pass(true, take)
    }

    fn pass(&mut self, all: bool, take: &mut Take<'_>) -> bool {
        for (table, batch) in &mut self.batches {
            if (batch.is_full() || all && !batch.is_empty()) && !take(*table, batch.take()) {
                return false;
            }
        }
        true
    }
}
