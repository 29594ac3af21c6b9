//! Counts model calls: their tokens, and what these cost at list prices, by
//! day, model, directory and more; and tool calls by the tool.
//!
//! [`count::count`] and [`tools::count`] count a history; [`when`] and [`zone`] read times as people
//! type them, [`prices`] knows what tokens cost.
//!
//! # What it promises
//!
//! * **Every call once.** What a call is, `codex-trace-model` says.
//! * **No half sums.** An interrupted count is none.
//! * **Exact.** Money is counted in whole numbers.

pub mod by;
pub mod content;
pub mod count;
pub mod facts;
pub mod prices;
pub mod prompt;
mod rows;
pub mod stored;
pub mod tools;
pub mod when;
pub mod zone;

pub use by::By;
pub use count::{Query, Report};
pub use facts::Facts;
pub use prices::PriceTable;
pub use rows::Row;
pub use zone::Zone;
