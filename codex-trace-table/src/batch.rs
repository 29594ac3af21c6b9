//! Rows on their way into a batch.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use codex_trace_model::Timestamp;

/// A batch is full at so many rows, or so many bytes of texts.
const ROWS: usize = 8192;
const BYTES: usize = 1 << 20;

/// A column: its name, its type, and whether every row has a value.
pub(crate) type Column = (&'static str, Kind, bool);

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Float,
    Bool,
    Time,
}

/// Returns the schema of columns.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|(name, kind, always)| {
        let kind = match kind {
            Kind::Text => DataType::Utf8,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(*name, kind, !always)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Text => Builder::Text(StringBuilder::new()),
            Kind::Int => Builder::Int(Int64Builder::new()),
            Kind::Float => Builder::Float(Float64Builder::new()),
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Time => Builder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(it) => ArrayBuilder::finish(it),
            Builder::Int(it) => ArrayBuilder::finish(it),
            Builder::Float(it) => ArrayBuilder::finish(it),
            Builder::Bool(it) => ArrayBuilder::finish(it),
            Builder::Time(it) => ArrayBuilder::finish(it),
        }
    }
}

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct Batch {
    columns: &'static [Column],
    schema: SchemaRef,
    builders: Vec<Builder>,
    n_rows: usize,
    n_bytes: usize,
}

impl Batch {
    pub(crate) fn new(columns: &'static [Column]) -> Batch {
        Batch {
            columns,
            schema: schema(columns),
            builders: columns.iter().map(|column| Builder::new(column.1)).collect(),
            n_rows: 0,
            n_bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.n_rows >= ROWS || self.n_bytes >= BYTES
    }

    /// Adds a row: every column, in order.
    pub(crate) fn row(&mut self, fill: impl FnOnce(&mut Row<'_>)) {
        let mut row = Row { batch: self, at: 0 };
        fill(&mut row);
        let at = row.at;
        assert_eq!(at, self.columns.len(), "a row has all columns");
        self.n_rows += 1;
    }

    /// Takes the rows away as a batch.
    pub(crate) fn take(&mut self) -> RecordBatch {
        (self.n_rows, self.n_bytes) = (0, 0);
        let arrays = self.builders.iter_mut().map(Builder::finish).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("the columns have the types of the schema, and values where it wants them")
    }
}

/// A row being filled.
pub(crate) struct Row<'b> {
    batch: &'b mut Batch,
    at: usize,
}

impl Row<'_> {
    fn next(&mut self, name: &str) -> &mut Builder {
        let at = self.at;
        assert_eq!(self.batch.columns[at].0, name, "columns come in order");
        self.at += 1;
        &mut self.batch.builders[at]
    }

    pub(crate) fn text(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        self.batch.n_bytes += value.as_ref().map_or(0, |it| it.as_ref().len());
        let Builder::Text(it) = self.next(name) else { panic!("`{name}` is no text") };
        it.append_option(value);
    }

    pub(crate) fn int(&mut self, name: &str, value: Option<impl TryInto<i64>>) {
        let Builder::Int(it) = self.next(name) else { panic!("`{name}` is no number") };
        // What no reader can hold is not known to it.
        it.append_option(value.and_then(|value| value.try_into().ok()));
    }

    pub(crate) fn float(&mut self, name: &str, value: Option<f64>) {
        let Builder::Float(it) = self.next(name) else { panic!("`{name}` is no fraction") };
        it.append_option(value);
    }

    pub(crate) fn bool(&mut self, name: &str, value: Option<bool>) {
        let Builder::Bool(it) = self.next(name) else { panic!("`{name}` is no boolean") };
        it.append_option(value);
    }

    pub(crate) fn time(&mut self, name: &str, value: Option<Timestamp>) {
        let Builder::Time(it) = self.next(name) else { panic!("`{name}` is no time") };
        it.append_option(value.map(Timestamp::as_microsecond));
    }
}
