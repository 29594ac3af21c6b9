use std::io;

use codex_trace_model::Trace;

use super::{BEGIN, END};
use crate::EncodeError;
use crate::content::{Capture, ContentRules};
use crate::file::{FileEncoder, FileFormat, FileSettings, Layout, OutputFiles, Sink};

/// Chrome's JSON trace format, as `convert` writes it.
pub const FILE: FileFormat = FileFormat {
    name: "perfetto",
    summary: "Chrome trace JSON, for ui.perfetto.dev, chrome://tracing and speedscope",
    endings: &["json", "trace"],
    is_text: true,
    layout: Layout::Joined,
    options: &[],
    open: |settings| Ok(Box::new(Traces::new(settings))),
};

struct Traces(ContentRules);

impl Traces {
    fn new(settings: FileSettings) -> Traces {
        Traces(ContentRules::new(Capture::Full, settings.redactor, settings.content))
    }
}

impl FileEncoder for Traces {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        super::encode(trace, &self.0, out, pass);
        Ok(())
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(Framed)
    }
}

/// Puts all events into one array.
struct Framed;

impl Sink for Framed {
    fn begin(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        files.file("")?.write_all(BEGIN)
    }

    fn unit(&mut self, bytes: &[u8], files: &mut dyn OutputFiles) -> io::Result<()> {
        files.file("")?.write_all(bytes)
    }

    fn finish(&mut self, files: &mut dyn OutputFiles) -> io::Result<()> {
        files.file("")?.write_all(END)
    }
}
