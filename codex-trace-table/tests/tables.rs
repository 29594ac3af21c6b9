//! The tables against the traces that they were made from.

use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch};
use codex_trace_export::content::{Capture, Content, ContentRules};
use codex_trace_export::redact::Redactor;
use codex_trace_history::History;
use codex_trace_table::{Table, Tables};

fn home(name: &str) -> History {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/homes").join(name);
    History::open(&dir).expect("a history")
}

fn tables(name: &str, rules: &ContentRules) -> Vec<(Table, RecordBatch)> {
    let mut batches = Vec::new();
    let mut tables = Tables::new(rules);
    let mut take = |table, batch| {
        batches.push((table, batch));
        true
    };
    for trace in home(name).traces() {
        assert!(tables.add(trace.expect("a trace").get(), &mut take));
    }
    assert!(tables.finish(&mut take));
    batches
}

fn sum(batch: &RecordBatch, column: &str) -> i64 {
    let column = batch.column_by_name(column).expect(column);
    column.as_primitive::<Int64Type>().iter().flatten().sum()
}

#[test]
fn calls_add_up_to_the_usage_of_the_traces() {
    for name in ["sp169", "r144", "r98", "old36", "mini34"] {
        let batches = tables(name, &ContentRules::default());
        let (mut n_calls, mut total, mut n_spans, mut n_items) = (0, 0, 0, 0);
        for trace in home(name).traces() {
            let trace = trace.expect("a trace");
            n_calls += trace.get().model_calls().count();
            total += i64::try_from(trace.get().usage().total_tokens).expect("few");
            n_spans += trace.get().spans.len();
            n_items += trace.get().threads.iter().map(|it| it.items.len()).sum::<usize>();
        }
        let rows = |wanted: Table| {
            let of = batches.iter().filter(|(table, _)| *table == wanted);
            of.map(|(_, batch)| batch.num_rows()).sum::<usize>()
        };
        let tokens = |wanted: Table| {
            let of = batches.iter().filter(|(table, _)| *table == wanted);
            of.map(|(_, batch)| sum(batch, "total_tokens")).sum::<i64>()
        };
        assert_eq!((rows(Table::Calls), rows(Table::Spans)), (n_calls, n_spans), "{name}");
        assert_eq!(rows(Table::Items), n_items, "{name}");
        assert_eq!((tokens(Table::Calls), tokens(Table::Spans)), (total, total), "{name}");
    }
}

#[test]
fn columns_are_those_of_the_schema() {
    for (table, batch) in tables("r169", &ContentRules::default()) {
        assert_eq!(batch.schema(), table.schema(), "{}", table.name());
    }
}

/// A batch does not wait for a session to end.
#[test]
fn who_wants_no_more_gets_no_more() {
    let rules = ContentRules::default();
    let mut tables = Tables::new(&rules);
    let history = home("r169");
    let mut traces = history.traces();
    let trace = traces.next().expect("one").expect("a trace");
    assert!(tables.add(trace.get(), &mut |_, _| true));
    let mut n_taken = 0;
    let mut take = |_, _| {
        n_taken += 1;
        false
    };
    assert!(!tables.finish(&mut take));
    assert_eq!(n_taken, 1);
}

#[test]
fn without_content_no_text_is_left() {
    let redactor = Some(Redactor::default());
    let rules = ContentRules::new(Capture::MetadataOnly, redactor, Content::default());
    for (table, batch) in tables("r169", &rules) {
        for column in ["input", "output", "command", "text", "json", "cwd"] {
            let Some(column) = batch.column_by_name(column) else { continue };
            assert_eq!(column.null_count(), batch.num_rows(), "{}", table.name());
        }
    }
}
