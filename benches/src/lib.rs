//! What the benches share: the same facts, extracted from the same bytes in
//! several ways, a history to extract them from, and the targets of speed.

pub mod facts;
pub mod history;
pub mod targets;
pub mod yardstick;
