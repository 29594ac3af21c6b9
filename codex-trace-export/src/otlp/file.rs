use codex_trace_model::Trace;

use super::{Amount, Encoding, Options, SEMCONV, encode_json, encode_proto};
use crate::EncodeError;
use crate::content::{Capture, ContentRules};
use crate::file::{FileEncoder, FileFormat, FileSettings, Layout};
use crate::options::OptionSpec;
use crate::options::common::LLM_INPUT;

const OPTIONS: &[OptionSpec] = &[SEMCONV.spec, LLM_INPUT.spec];

/// Requests as lines of JSON.
pub const JSON_FILE: FileFormat = FileFormat {
    name: "otlp-json",
    summary: "OTLP/JSON, one request per line, as a collector's file receiver reads it",
    endings: &["jsonl", "ndjson", "json", "txt"],
    is_text: true,
    layout: Layout::Joined,
    options: OPTIONS,
    open: |settings| Ok(Box::new(Requests::new(Encoding::Json, settings))),
};

/// One request in protobuf.
pub const PROTO_FILE: FileFormat = FileFormat {
    name: "otlp-proto",
    summary: "OTLP protobuf: one request, to be posted to a collector",
    endings: &["pb", "binpb", "bin", "protobuf"],
    is_text: false,
    layout: Layout::Joined,
    options: OPTIONS,
    open: |settings| Ok(Box::new(Requests::new(Encoding::Proto, settings))),
};

struct Requests {
    encoding: Encoding,
    options: Options,
    rules: ContentRules,
}

impl Requests {
    fn new(encoding: Encoding, settings: FileSettings) -> Requests {
        let said = &settings.options;
        let semconv = said.get(&SEMCONV).map(|said| said.value).unwrap_or_default();
        let llm_input = said.get(&LLM_INPUT).map(|said| said.value).unwrap_or_default();
        let amount = Amount { llm_input, ..Amount::default() };
        let options = Options { semconv, amount, ..Options::default() };
        let rules = ContentRules::new(Capture::Full, settings.redactor, settings.content);
        Requests { encoding, options, rules }
    }
}

impl FileEncoder for Requests {
    fn encode(
        &self,
        trace: &Trace<'_>,
        out: &mut Vec<u8>,
        pass: &mut dyn FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<(), EncodeError> {
        let encode = match self.encoding {
            Encoding::Json => encode_json,
            Encoding::Proto => encode_proto,
        };
        encode(trace, &self.rules, &self.options, out, pass)
    }
}
