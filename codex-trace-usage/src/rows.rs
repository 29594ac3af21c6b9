//! The rows of a report in their order, and as JSON.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use codex_trace_export::choice::Choice as _;
use codex_trace_export::json;

use crate::by::By;
use crate::count::{Counts, Query, Report};

/// A row: one key for each thing it stands for, and what was counted.
pub type Row<'r> = (&'r Vec<String>, &'r Counts);

/// The sum of no calls.
static NOTHING: LazyLock<(Vec<String>, Counts)> =
    LazyLock::new(|| (vec!["total".to_owned()], Counts::default()));

impl Report {
    /// Returns the rows in order: time goes on, everything else by the size of
    /// what has the same keys so far. A total is there even if it is 0.
    pub fn sorted(&self, by: &[By]) -> Vec<Row<'_>> {
        if by == [By::Total] && self.rows.is_empty() {
            return vec![(&NOTHING.0, &NOTHING.1)];
        }
        let mut sizes: BTreeMap<&[String], u64> = BTreeMap::new();
        for (keys, counts) in &self.rows {
            for end in 1..=keys.len() {
                *sizes.entry(&keys[..end]).or_default() += counts.usage.total_tokens;
            }
        }
        let mut rows: Vec<Row<'_>> = self.rows.iter().collect();
        rows.sort_by_cached_key(|(keys, _)| {
            let place = |(nth, by): (usize, &By)| {
                let size = if by.is_time() { 0 } else { sizes[&keys[..=nth]] };
                (Reverse(size), keys[nth].clone())
            };
            by.iter().enumerate().map(place).collect::<Vec<_>>()
        });
        rows
    }

    /// Returns the total and the rows as the JSON object that scripts rely on,
    /// on one line.
    pub fn json(&self, query: &Query) -> Vec<u8> {
        let mut text = Vec::new();
        json::object(&mut text, |o| {
            o.object("total", |o| self.total().fields(o));
            o.array("rows", &self.sorted(&query.by), |(keys, counts), out| {
                json::object(out, |o| {
                    o.put("key", keys.join(" / "));
                    self.keys(query, keys, o);
                    counts.fields(o);
                });
            });
        });
        text.push(b'\n');
        text
    }

    fn keys(&self, query: &Query, keys: &[String], o: &mut json::Object<'_>) {
        for (by, key) in query.by.iter().zip(keys).filter(|(by, _)| **by != By::Total) {
            o.put(by.word(), key);
            if let Some(session) = self.sessions.get(key).filter(|_| *by == By::Session) {
                o.maybe("started_at", session.started_at);
                o.maybe("cwd", session.cwd.as_ref());
                o.maybe("title", session.title.as_ref());
            }
        }
    }
}
