use std::collections::BTreeMap;
use std::io;

use arrow_array::RecordBatch;
use codex_trace_export::{OutputFiles, Sink};
use codex_trace_table::Table;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::frame;

/// How much memory a row group may take before it is written, in bytes.
const ROW_GROUP: usize = 8 << 20;

/// The columns of long texts.
const TEXTS: &[&str] = &["text", "json", "input", "output"];

/// How many files of parts are under way at once: sessions come by their age, so
/// that a day is over soon.
const OPEN: usize = 10;

/// The files of a run.
#[derive(Default)]
pub(super) struct Files {
    /// Those under way, by table and day; no day where there are no parts.
    open: BTreeMap<(String, Table), File>,
    /// How many parts each day of a table has so far.
    parts: BTreeMap<(String, Table), usize>,
}

struct File {
    name: String,
    writer: ArrowWriter<Vec<u8>>,
}

impl File {
    fn create(name: String, table: Table) -> io::Result<File> {
        let level = ZstdLevel::try_new(1).map_err(io::Error::other)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(concat!("codex-trace ", env!("CARGO_PKG_VERSION")).to_owned());
        // No two of them are the same.
        let properties = TEXTS
            .iter()
            .fold(properties, |properties, column| {
                properties.set_column_dictionary_enabled((*column).into(), false)
            })
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), table.schema(), Some(properties));
        Ok(File { name, writer: writer.map_err(io::Error::other)? })
    }

    fn write(&mut self, batch: &RecordBatch, files: &mut dyn OutputFiles) -> io::Result<()> {
        self.writer.write(batch).map_err(io::Error::other)?;
        if self.writer.memory_size() >= ROW_GROUP {
            self.writer.flush().map_err(io::Error::other)?;
        }
        let bytes = self.writer.inner_mut();
        files.file(&self.name)?.write_all(bytes)?;
        bytes.clear();
        Ok(())
    }

    fn finish(self, files: &mut dyn OutputFiles) -> io::Result<String> {
        let rest = self.writer.into_inner().map_err(io::Error::other)?;
        files.file(&self.name)?.write_all(&rest)?;
        Ok(self.name)
    }
}

impl Files {
    fn create(&mut self, table: Table, day: &str) -> io::Result<File> {
        if day.is_empty() {
            return File::create(format!("{}.parquet", table.name()), table);
        }
        let part = self.parts.entry((day.to_owned(), table)).or_default();
        *part += 1;
        File::create(format!("{}/day={day}/part-{part}.parquet", table.name()), table)
    }
}

impl Sink for Files {
    /// Without parts there is a file of each table, even without rows.
    fn unit(&mut self, bytes: &[u8], files: &mut dyn OutputFiles) -> io::Result<()> {
        frame::read(bytes, |table, day, batch| {
            let key = (day.to_owned(), table);
            if !self.open.contains_key(&key) {
                if self.open.len() >= OPEN
                    && let Some((_, oldest)) = self.open.pop_first()
                {
                    let name = oldest.finish(files)?;
                    files.done(&name)?;
                }
                let file = self.create(table, day)?;
                self.open.insert(key.clone(), file);
            }
            let file = self.open.get_mut(&key).expect("it was just made");
            file.write(batch, files)
        })
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        let no_parts = self.parts.is_empty();
        for table in Table::ALL {
            // A reader that looks for a table finds it, with rows or without.
            if no_parts && !self.open.contains_key(&(String::new(), table)) {
                let file = self.create(table, "")?;
                self.open.insert((String::new(), table), file);
            }
        }
        std::mem::take(&mut self.open).into_values().try_for_each(|file| {
            file.finish(files)?;
            Ok(())
        })
    }
}
