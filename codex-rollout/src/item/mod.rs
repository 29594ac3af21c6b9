//! The payloads of records, one module for each family.

pub mod compacted;
pub mod event_msg;
pub mod realtime;
pub mod response_item;
pub mod session_meta;
pub mod turn_context;
pub mod turn_item;
pub mod usage;
