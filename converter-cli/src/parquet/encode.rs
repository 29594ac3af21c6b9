use codex_trace_export::content::{Capture, ContentRules};
use codex_trace_export::{EncodeError, FileEncoder, FileSettings, Sink};
use codex_trace_model::Trace;
use codex_trace_table::Tables;

use super::sink::Files;
use super::{Partition, frame};

/// Turns sessions into batches.
pub(super) struct Rows {
    rules: ContentRules,
    partition: Option<Partition>,
}

impl Rows {
    pub(super) fn new(settings: FileSettings, partition: Option<Partition>) -> Rows {
        let rules = ContentRules::new(Capture::Full, settings.redactor, settings.content);
        Rows { rules, partition }
    }
}

impl FileEncoder for Rows {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        let day = match self.partition {
            Some(Partition::Day) => trace.started_at().map(|at| at.to_string()[..10].to_owned()),
            None => Some(String::new()),
        };
        let day = day.as_deref().unwrap_or(frame::NO_DAY);
        let mut tables = Tables::new(&self.rules);
        let mut take = |table, batch| {
            frame::write(table, day, &batch, out);
            pass(out)
        };
        let _ = tables.add(trace, &mut take) && tables.finish(&mut take);
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Files::default())
    }
}
