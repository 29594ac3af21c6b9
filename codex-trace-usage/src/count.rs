//! Counts tokens: every model call once, under the key that was asked for.
//!
//! The calls are those of the span trees. Which lines of a file stand for a
//! call is the model's to say, not this module's.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use codex_rollout::RecordedPath;
use codex_trace_export::json::Object;
use codex_trace_export::wire::jsonl::usage_fields;
use codex_trace_history::account::Account;
use codex_trace_history::history::History;
use codex_trace_history::pipeline::Lost;
use codex_trace_history::{Selection, Watch, repository};
use codex_trace_model::{Timestamp, TokenUsage};
use rayon::ThreadPool;

use crate::by::By;
use crate::facts::{Call, Facts, Kind};
use crate::prices::{Dollars, NoPrice, PriceTable, UNKNOWN};
use crate::zone::Zone;

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
    /// What a row stands for: one key for each.
    pub by: Vec<By>,
    /// Where days begin.
    pub zone: Zone,
    /// Which sessions, and which of their calls.
    pub selection: Selection,
    /// What tokens cost.
    pub prices: PriceTable,
}

/// What tells a session from others, for people.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Where its root thread worked.
    pub cwd: Option<String>,
    /// Its name, else the beginning of its first prompt.
    pub title: Option<String>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Report {
    /// The rows by their keys.
    pub rows: BTreeMap<Vec<String>, Counts>,
    /// What there is to say of sessions, if they are keys.
    pub sessions: BTreeMap<String, Session>,
    /// What has no price: calls and tokens.
    pub unpriced: BTreeMap<NoPrice, (usize, u64)>,
    /// What the run came to.
    pub account: Account,
    /// The sessions of which nothing came; they are not in the account.
    pub lost: Vec<Lost>,
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
        self.sessions.extend(other.sessions);
        for (what, (calls, tokens)) in other.unpriced {
            let sum = self.unpriced.entry(what).or_default();
            sum.0 += calls;
            sum.1 += tokens;
        }
        self.account += other.account;
        self.lost.extend(other.lost);
    }

    /// Adds up what several threads have counted.
    pub fn sum(reports: Vec<Report>, query: &Query) -> Report {
        let mut sum = Report::default();
        for report in reports {
            sum.merge(report);
        }
        if query.by.contains(&By::Directory) {
            sum.rows = one_row_each(sum.rows, &query.by);
        }
        sum
    }
}

impl Query {
    /// Returns how much of a session has to be known.
    pub fn kind(&self) -> Kind {
        // A title is content, which the fast way passes over.
        if self.by.contains(&By::Session) { Kind::Whole } else { Kind::Calls }
    }

    /// Counts the calls of one session.
    ///
    /// The filters that say when and which model hold for each call; the
    /// others have chosen the session.
    pub fn add(&self, mut facts: Facts, report: &mut Report) {
        if !self.selection.may_stand(&facts.outline()) {
            return;
        }
        let mut counted = 0;
        let mut dates = Dates::default();
        let of_session: Vec<Option<String>> =
            self.by.iter().map(|by| session_key(*by, &facts)).collect();
        // Calls one after the other that have the same keys are added up first.
        let mut run: Option<(&Call, Counts)> = None;
        for call in &facts.calls {
            if !self.takes(call.at, facts.model(call)) {
                continue;
            }
            counted += 1;
            let counts = self.counts(&facts, call, report);
            match &mut run {
                Some((first, sum)) if is_of_row(first, call) => *sum += &counts,
                _ => {
                    if let Some((first, sum)) = run.replace((call, counts)) {
                        let keys = self.keys(&facts, first, &of_session, &mut dates);
                        *report.rows.entry(keys).or_default() += &sum;
                    }
                }
            }
        }
        if let Some((first, sum)) = run {
            let keys = self.keys(&facts, first, &of_session, &mut dates);
            *report.rows.entry(keys).or_default() += &sum;
        }
        if counted > 0 || self.takes_all_calls() {
            // Of the spans, only model calls are looked at.
            facts.account.spans = 0;
            report.account += std::mem::take(&mut facts.account);
        }
        if counted > 0 && self.by.contains(&By::Session) {
            let session = Session {
                started_at: facts.started_at.or(facts.started_at_local),
                cwd: facts.cwd,
                title: facts.name.or(facts.prompt),
            };
            report.sessions.insert(facts.session_id, session);
        }
    }

    /// Returns the keys of the row that a call is counted in.
    fn keys(
        &self,
        facts: &Facts,
        call: &Call,
        of_session: &[Option<String>],
        dates: &mut Dates,
    ) -> Vec<String> {
        let key = |(by, of_session): (&By, &Option<String>)| match (of_session, by) {
            (Some(session), _) => session.clone(),
            (None, By::Model) => facts.model(call).unwrap_or(UNKNOWN).to_owned(),
            (None, by) => {
                let key_of = |at| dates.key_of(*by, at, |at| self.date_key(*by, at));
                call.at.map_or_else(|| UNKNOWN.to_owned(), key_of)
            }
        };
        self.by.iter().zip(of_session).map(key).collect()
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

    fn counts(&self, facts: &Facts, call: &Call, report: &mut Report) -> Counts {
        let mut counts = Counts { model_calls: 1, usage: call.usage, ..Counts::default() };
        match facts.cost(call, &self.prices) {
            Ok(cost) => counts.cost = cost,
            Err(lacking) => {
                counts.unpriced_tokens = call.usage.total_tokens;
                let sum = report.unpriced.entry(lacking).or_default();
                sum.0 += 1;
                sum.1 += call.usage.total_tokens;
            }
        }
        counts
    }

    fn date_key(&self, by: By, at: Timestamp) -> String {
        let at = self.zone.at(at);
        let date = at.date();
        match by {
            By::Hour => at.strftime("%Y-%m-%d %H:00").to_string(),
            By::Week => {
                let week = date.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            By::Month => format!("{:04}-{:02}", date.year(), date.month()),
            _ => date.to_string(),
        }
    }
}

/// The last keys that were made of times: calls of one session come soon after
/// one another.
#[derive(Debug, Default)]
struct Dates(Vec<(By, i64, String)>);

impl Dates {
    /// The clocks of no zone go by less than this, in seconds.
    const STEP: i64 = 15 * 60;

    fn step(at: Timestamp) -> i64 {
        at.as_second().div_euclid(Dates::STEP)
    }

    fn key_of(&mut self, by: By, at: Timestamp, make: impl FnOnce(Timestamp) -> String) -> String {
        let step = Dates::step(at);
        if let Some((.., key)) = self.0.iter().find(|it| (it.0, it.1) == (by, step)) {
            return key.clone();
        }
        let key = make(at);
        self.0.retain(|it| it.0 != by);
        self.0.push((by, step, key.clone()));
        key
    }
}

/// Whether two calls of a session have the same keys, whatever rows are by.
fn is_of_row(one: &Call, other: &Call) -> bool {
    one.model == other.model && one.at.map(Dates::step) == other.at.map(Dates::step)
}

/// Returns the key of all of a session's calls, if they have one.
fn session_key(by: By, facts: &Facts) -> Option<String> {
    let cwd = || facts.cwd.as_deref().filter(|cwd| !cwd.is_empty());
    let directory = || cwd().map(directory_key);
    let key = match by {
        By::Total => Some("total".to_owned()),
        By::Session => Some(facts.session_id.clone()),
        By::Directory => directory(),
        By::Branch => facts.branch.clone(),
        // Outside of a repository, or in one without a remote, the place is the name.
        By::Repository => facts
            .repository_url
            .as_deref()
            .map(repository::name)
            .filter(|name| !name.is_empty())
            .or_else(directory),
        By::Source => facts.source.clone(),
        By::Hour | By::Day | By::Week | By::Month | By::Model | By::Tool => return None,
    };
    Some(key.unwrap_or_else(|| UNKNOWN.to_owned()))
}

/// Returns a directory as its own system writes it.
fn directory_key(cwd: &str) -> String {
    let path = RecordedPath::new(cwd);
    if path.is_absolute() { path.to_string() } else { cwd.to_owned() }
}

/// Puts the rows of one directory together, however it is written: under the
/// first of its names, in which capitals come before small letters.
fn one_row_each(rows: BTreeMap<Vec<String>, Counts>, by: &[By]) -> BTreeMap<Vec<String>, Counts> {
    let mut names: BTreeMap<RecordedPath, String> = BTreeMap::new();
    let mut folded: BTreeMap<Vec<String>, Counts> = BTreeMap::new();
    for (mut keys, counts) in rows {
        for (key, _) in keys.iter_mut().zip(by).filter(|(_, by)| **by == By::Directory) {
            key.clone_from(names.entry(RecordedPath::new(key)).or_insert_with(|| key.clone()));
        }
        *folded.entry(keys).or_default() += &counts;
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
    ui: &dyn Watch,
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
            match Facts::read(history, &history.sessions[session], query.kind()) {
                Ok(facts) => query.add(facts, &mut report),
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
    let reports = reports.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut sum = Report::sum(reports, query);
    sum.account.failed += history.n_failures;
    Some(sum)
}
