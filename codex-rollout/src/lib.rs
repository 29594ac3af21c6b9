//! Reads Codex CLI rollouts: one thread's history, one JSON record a line.
//!
//! Start with [`discover`], open what it finds with [`Source::open`], and
//! iterate over [`Source::lines`].
//!
//! ```
//! use codex_rollout::{RolloutItem, RolloutReader};
//!
//! let bytes = br#"{"timestamp":"2026-01-02T03:04:05Z","type":"novel","payload":{}}"#;
//! let line = RolloutReader::new(bytes).next().unwrap()?;
//! assert!(matches!(line.item, RolloutItem::Unknown(kind) if kind.is("novel")));
//! assert_eq!(line.position.line(), 1);
//! # Ok::<(), codex_rollout::Error>(())
//! ```
//!
//! # What it promises
//!
//! * **Nothing is lost.** A line of a type unknown to this version is yielded
//!   too, bytes intact.
//! * **Everything has a place.** Lines and errors carry a [`Position`].
//! * **Memory is bounded.** Large files are mapped; large compressed ones are
//!   decompressed to a nameless file and mapped; [`LineStream`] holds one line.
//! * **Strings stay as they are.** A [`JsonText`] is the raw text of the line
//!   until somebody decodes it.
//! * **No surprises.** No network, clock, environment or thread; no state but
//!   the list of mapped files that the fault guard needs.
//!
//! # Which reader to take
//!
//! [`Source::lines`] for a trace, which keeps content; [`SkimReader`] where
//! turns and usage are all that is wanted; [`RolloutHead`] to know whose file
//! it is.
//!
//! # What it leaves out
//!
//! Pairing calls with outputs, durations, spans: see `codex-trace-model`.

mod discover;
mod error;
mod head;
pub mod item;
mod legacy;
mod line;
mod mapped;
mod position;
mod reader;
mod scan;
mod skim;
mod source;
mod stream;
mod strings;
mod text;
mod wire;

pub use discover::{Encoding, Layout, RolloutPath, discover, is_codex_home};
pub use error::{Error, ErrorKind, Result};
pub use head::{RolloutHead, parent_of, source_word};
pub use item::event_msg::EventMsg;
pub use item::response_item::ResponseItem;
pub use item::session_meta::SessionMeta;
pub use item::turn_item::TurnItem;
pub use item::usage::TokenUsage;
pub use line::{RolloutItem, RolloutLine};
pub use position::Position;
pub use reader::RolloutReader;
pub use scan::{Cursor, Syntax, ValueKind};
pub use skim::{SkimReader, Strings};
pub use source::Source;
pub use stream::LineStream;
pub use text::{JsonText, RawJson};
