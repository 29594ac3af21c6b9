//! Counts tokens: every model call once, under the key that was asked for.
//!
//! The calls are those of the span trees. Which lines of a file stand for a
//! call is the model's to say, not this module's.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use codex_rollout::{JsonText, RecordedPath};
use codex_trace_model::{ModelCall, Span, SpanKind, Timestamp, TokenUsage, Trace};
use jiff::tz::TimeZone;
use rayon::ThreadPool;

use crate::account::Account;
use crate::args::By;
use crate::config::Selection;
use crate::prices::{Dollars, NoPrice, PriceTable, Request};
use crate::ui::Ui;
use codex_trace_export::json::Object;
use codex_trace_export::wire::jsonl::usage_fields;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::Lost;
use codex_trace_history::{panics, skim};

/// The key of what does not say where it belongs.
const UNKNOWN: &str = "unknown";

/// Model calls and what they used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// How many calls.
    pub model_calls: usize,
    /// The sum of their usage.
    pub usage: TokenUsage,
    /// What those of them cost that have a list price; `None` if none has.
    pub cost: Option<Dollars>,
    /// The tokens whose price is not known.
    pub unpriced_tokens: u64,
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        self.model_calls += other.model_calls;
        self.usage += other.usage;
        self.unpriced_tokens += other.unpriced_tokens;
        if let Some(cost) = other.cost {
            *self.cost.get_or_insert_default() += cost;
        }
    }
}

impl Counts {
    /// Writes the fields that scripts rely on.
    pub fn fields(&self, o: &mut Object<'_>) {
        usage_fields(o, self.model_calls, &self.usage);
        o.maybe("cost_usd", self.cost);
        o.maybe("unpriced_tokens", Some(self.unpriced_tokens).filter(|tokens| *tokens > 0));
    }
}

/// What is to be counted, and how.
#[derive(Debug)]
pub struct Query {
    /// What a row stands for.
    pub by: By,
    /// Where days begin.
    pub zone: TimeZone,
    /// Which sessions, and which of their calls.
    pub selection: Selection,
    /// What tokens cost, if that was asked for.
    pub prices: Option<PriceTable>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Report {
    /// The rows by their keys.
    pub rows: BTreeMap<String, Counts>,
    /// What has no price: calls and tokens.
    pub unpriced: BTreeMap<NoPrice, (usize, u64)>,
    /// What the run came to.
    pub account: Account,
    /// The sessions of which nothing came.
    lost: Vec<Lost>,
}

impl Report {
    /// Returns the sum of all rows.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for row in self.rows.values() {
            total += row;
        }
        total
    }

    fn merge(&mut self, other: Report) {
        for (key, row) in &other.rows {
            *self.rows.entry(key.clone()).or_default() += row;
        }
        for (what, (calls, tokens)) in other.unpriced {
            let sum = self.unpriced.entry(what).or_default();
            sum.0 += calls;
            sum.1 += tokens;
        }
        self.account += other.account;
        self.lost.extend(other.lost);
    }
}

impl Query {
    /// Counts the calls of one session.
    ///
    /// The filters that say when and which model hold for each call; the
    /// others have chosen the session.
    pub fn add(&self, trace: &Trace<'_>, report: &mut Report) {
        if !self.selection.may_stand(trace) {
            return;
        }
        let mut counted = 0;
        let session = self.session_key(trace);
        for span in trace.model_calls() {
            let SpanKind::ModelCall(call) = &span.kind else { continue };
            let at = trace.made_at(span);
            let model = call.model.map(JsonText::decode);
            if !self.takes(at, model.as_deref()) {
                continue;
            }
            counted += 1;
            let counts = self.counts(span, call, at, report);
            let key = match (&session, self.by) {
                (Some(session), _) => session.clone(),
                (None, By::Model) => model.as_deref().unwrap_or(UNKNOWN).to_owned(),
                (None, _) => at.map_or_else(|| UNKNOWN.to_owned(), |at| self.date_key(at)),
            };
            *report.rows.entry(key).or_default() += &counts;
        }
        if counted > 0 || self.takes_all_calls() {
            // Of the spans, only model calls are looked at.
            report.account += Account { spans: 0, ..Account::of(trace) };
        }
    }

    fn takes_all_calls(&self) -> bool {
        let it = &self.selection;
        it.since.is_none() && it.until.is_none() && it.model.is_none()
    }

    fn takes(&self, at: Option<Timestamp>, model: Option<&str>) -> bool {
        let it = &self.selection;
        it.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && it.until.is_none_or(|until| at.is_some_and(|at| at < until))
            && it.model.as_ref().is_none_or(|wanted| {
                model.is_some_and(|model| model.to_lowercase().contains(wanted))
            })
    }

    fn counts(
        &self,
        span: &Span<'_>,
        call: &ModelCall<'_>,
        at: Option<Timestamp>,
        report: &mut Report,
    ) -> Counts {
        let usage = span.usage.unwrap_or_default();
        let mut counts = Counts { model_calls: 1, usage, ..Counts::default() };
        let Some(prices) = self.prices.as_ref().filter(|_| !usage.is_empty()) else {
            return counts;
        };
        match price_of(prices, span, call, at) {
            Ok(cost) => counts.cost = Some(cost),
            Err(lacking) => {
                counts.unpriced_tokens = usage.total_tokens;
                let sum = report.unpriced.entry(lacking).or_default();
                sum.0 += 1;
                sum.1 += usage.total_tokens;
            }
        }
        counts
    }

    /// Returns the key of all of a session's calls, if they have one.
    fn session_key(&self, trace: &Trace<'_>) -> Option<String> {
        let meta = &trace.root().meta;
        match self.by {
            By::Session => Some(trace.session_id().to_owned()),
            By::Directory => {
                let cwd = meta.cwd.map(JsonText::decode).filter(|cwd| !cwd.is_empty());
                Some(cwd.map_or_else(|| UNKNOWN.to_owned(), |cwd| directory_key(&cwd)))
            }
            By::Source => Some(
                meta.source
                    .map_or_else(|| UNKNOWN.to_owned(), |it| codex_rollout::source_word(&it)),
            ),
            By::Day | By::Week | By::Month | By::Model => None,
        }
    }

    fn date_key(&self, at: Timestamp) -> String {
        let date = at.to_zoned(self.zone.clone()).date();
        match self.by {
            By::Week => {
                let week = date.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            By::Month => format!("{:04}-{:02}", date.year(), date.month()),
            _ => date.to_string(),
        }
    }
}

/// Returns what a call cost.
///
/// # Errors
///
/// If there is no price for it.
pub fn cost(
    prices: &PriceTable,
    trace: &Trace<'_>,
    span: &Span<'_>,
    call: &ModelCall<'_>,
) -> Result<Dollars, NoPrice> {
    price_of(prices, span, call, trace.made_at(span))
}

fn price_of(
    prices: &PriceTable,
    span: &Span<'_>,
    call: &ModelCall<'_>,
    at: Option<Timestamp>,
) -> Result<Dollars, NoPrice> {
    let [model, provider, tier] =
        [call.model, call.provider, call.service_tier].map(|it| it.map(JsonText::decode));
    prices.cost(&Request {
        model: model.as_deref().unwrap_or(UNKNOWN),
        provider: provider.as_deref(),
        tier: tier.as_deref(),
        at,
        usage: &span.usage.unwrap_or_default(),
    })
}

/// Returns a directory as its own system writes it.
fn directory_key(cwd: &str) -> String {
    let path = RecordedPath::new(cwd);
    if path.is_absolute() { path.to_string() } else { cwd.to_owned() }
}

/// Puts the rows of one directory together, however it is written: under the
/// first of its names, in which capitals come before small letters.
fn one_row_each(rows: BTreeMap<String, Counts>) -> BTreeMap<String, Counts> {
    let mut names: BTreeMap<RecordedPath, String> = BTreeMap::new();
    let mut folded: BTreeMap<String, Counts> = BTreeMap::new();
    for (name, counts) in rows {
        let name = names.entry(RecordedPath::new(&name)).or_insert(name);
        *folded.entry(name.clone()).or_default() += &counts;
    }
    folded
}

/// Counts every session of `history` on the threads of `pool`; `None` if
/// `interrupted` was set meanwhile: half a sum is none.
pub fn count(
    query: &Query,
    history: &History,
    pool: &ThreadPool,
    interrupted: &AtomicBool,
    ui: &Ui,
) -> Option<Report> {
    let order = history.largest_first();
    let next = AtomicUsize::new(0);
    let reports: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    ui.start("counting", order.len());
    let work = || {
        let mut report = Report::default();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(&session) = order.get(nth).filter(|_| !interrupted.load(Ordering::Relaxed))
            else {
                break;
            };
            let session = &history.sessions[session];
            let mut own = Report::default();
            let outcome = panics::catch(|| {
                skim::with_calls(history, session, |trace| query.add(trace, &mut own))
                    .map_err(Lost::Unreadable)
            });
            let fault =
                |message| Lost::Fault { session_id: session.root_thread_id.clone(), message };
            match outcome.map_err(fault).flatten() {
                Ok(()) => report.merge(own),
                Err(lost) => report.lost.push(lost),
            }
            ui.step();
        }
        reports.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(report);
    };
    pool.in_place_scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| work());
        }
    });
    ui.stop();
    if interrupted.load(Ordering::Relaxed) {
        return None;
    }
    let mut sum = Report::default();
    for report in reports.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        sum.merge(report);
    }
    if query.by == By::Directory {
        sum.rows = one_row_each(sum.rows);
    }
    sum.account.failed += history.n_failures;
    for lost in std::mem::take(&mut sum.lost) {
        sum.account.lose(&lost, ui);
    }
    Some(sum)
}
