//! Reads Codex CLI rollouts: one thread's history, one JSON record a line.
//!
//! [`discover`] finds them, [`Source::open`] opens one, [`Source::lines`] reads
//! its records:
//!
//! ```
//! use std::path::Path;
//!
//! use codex_rollout::{EventMsg, RolloutItem, Source, discover};
//!
//! let mut prompts = 0; // As the versions before 0.148 record them.
//! for rollout in discover(Path::new("../testdata/tree")) {
//!     let source = Source::open(&rollout?)?;
//!     // A line that cannot be read is an error with its place, and no end.
//!     for line in source.lines().flatten() {
//!         if let RolloutItem::EventMsg(EventMsg::UserMessage(prompt)) = &line.item {
//!             assert!(prompt.message.is_some_and(|text| !text.decode().is_empty()));
//!             prompts += 1;
//!         }
//!     }
//! }
//! assert_eq!(prompts, 14);
//! # Ok::<(), codex_rollout::Error>(())
//! ```
//!
//! # What it promises
//!
//! * **Nothing is lost.** A line of a type unknown to this version is yielded
//!   too, bytes intact.
//! * **Everything has a place.** Lines and errors carry a [`Position`].
//! * **Memory is bounded.** Large files are mapped, if asked for by
//!   [`map_large_files`]; large compressed ones are decompressed to a nameless
//!   file and mapped; [`LineStream`] holds one line.
//! * **Strings stay as they are.** A [`JsonText`] is the raw text of the line
//!   until somebody decodes it.
//! * **No surprises.** No network, clock, environment or thread; no state but
//!   the fault guard of mapped files, and that only where it was asked for.
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

mod copies;
mod discover;
mod error;
mod head;
mod identity;
mod index;
pub mod item;
mod legacy;
mod line;
mod magic;
mod mapped;
mod piped;
mod position;
mod reader;
mod recorded;
mod reviews;
mod room;
mod scan;
mod search;
mod skim;
mod source;
mod stream;
mod strings;
mod text;
mod uri;
mod wire;

pub use copies::{Branch, Copies, Copy, Share, compare_set};
pub use discover::{Encoding, Layout, RolloutPath, codex_name, is_codex_home, session_dirs};
pub use error::{Error, ErrorKind, Result};
pub use head::{Content, RolloutHead, parent_of, source_word};
pub use identity::FileId;
pub use index::{SessionIndex, home_of};
pub use item::event_msg::EventMsg;
pub use item::response_item::ResponseItem;
pub use item::session_meta::SessionMeta;
pub use item::turn_item::TurnItem;
pub use item::usage::TokenUsage;
pub use line::{RolloutItem, RolloutLine};
pub use mapped::map_large_files;
pub use piped::Piped;
pub use position::Position;
pub use reader::{ReadRecords, RolloutReader};
pub use recorded::RecordedPath;
pub use reviews::find_reviewed;
pub use room::share_room;
pub use scan::{Cursor, Syntax, ValueKind};
pub use search::{Found, PassedOver, discover, search};
pub use skim::{SkimReader, Strings};
pub use source::Source;
pub use stream::LineStream;
pub use text::{JsonText, RawJson, into_text};
pub use uri::{file_uri_path, percent_decoded};
