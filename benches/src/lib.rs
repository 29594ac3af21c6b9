//! What the benches share: the same facts, extracted from the same bytes in
//! several ways, a history to extract them from, the targets of speed, and how
//! cost grows.

pub mod facts;
pub mod growth;
pub mod history;
pub mod targets;
pub mod yardstick;
