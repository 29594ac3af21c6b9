//! The messages of opentelemetry-proto (logs v1) that we write, declared by hand
//! as those of traces are.

use prost::Message;

use super::proto::{InstrumentationScope, KeyValue, Resource};

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`: two of them
/// one after the other are one.
#[derive(Clone, PartialEq, Message)]
pub struct ExportLogsServiceRequest {
    /// Records by resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// Records of one resource.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceLogs {
    /// What produced them.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// Records by scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

/// Records of one scope.
#[derive(Clone, PartialEq, Message)]
pub struct ScopeLogs {
    /// What wrote them.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<InstrumentationScope>,
    /// The records.
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// A record. Codex' own has no body.
#[derive(Clone, PartialEq, Message)]
pub struct LogRecord {
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "1")]
    pub time_unix_nano: u64,
    /// How severe it is: 9 is INFO.
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    /// The same as a word.
    #[prost(string, tag = "3")]
    pub severity_text: String,
    /// What is known of it.
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    /// 1 where the trace was sampled.
    #[prost(fixed32, tag = "8")]
    pub flags: u32,
    /// 16 bytes; empty where there is none.
    #[prost(bytes = "vec", tag = "9")]
    pub trace_id: Vec<u8>,
    /// What kind of event it is.
    #[prost(string, tag = "12")]
    pub event_name: String,
}
