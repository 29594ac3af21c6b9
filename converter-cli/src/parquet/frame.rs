//! Batches on their way from workers to the sink, as bytes.

use std::io;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use codex_trace_table::Table;

/// The day of a session that does not say when it began.
pub(super) const NO_DAY: &str = "unknown";

/// Appends a batch: the table, the day, the length, Arrow's own stream.
pub(super) fn write(table: Table, day: &str, batch: &RecordBatch, out: &mut Vec<u8>) {
    let at = Table::ALL.iter().position(|it| *it == table).expect("all of them");
    out.push(u8::try_from(at).expect("a few"));
    out.push(u8::try_from(day.len()).expect("a date is short"));
    out.extend_from_slice(day.as_bytes());
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    let mut writer = StreamWriter::try_new(&mut *out, &batch.schema()).expect("plain types");
    writer.write(batch).and_then(|()| writer.finish()).expect("memory takes everything");
    drop(writer);
    let len = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&len.to_le_bytes());
}

/// Reads the batches of a unit.
pub(super) fn read(
    mut bytes: &[u8],
    mut take: impl FnMut(Table, &str, &RecordBatch) -> io::Result<()>,
) -> io::Result<()> {
    while let [table, day_len, rest @ ..] = bytes {
        let (day, rest) = rest.split_at(usize::from(*day_len));
        let (len, rest) = rest.split_at(8);
        let len = u64::from_le_bytes(len.try_into().expect("eight bytes"));
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let (stream, rest) = rest.split_at(len);
        bytes = rest;
        let day = std::str::from_utf8(day).map_err(io::Error::other)?;
        for batch in StreamReader::try_new(stream, None).map_err(io::Error::other)? {
            take(Table::ALL[usize::from(*table)], day, &batch.map_err(io::Error::other)?)?;
        }
    }
    Ok(())
}
