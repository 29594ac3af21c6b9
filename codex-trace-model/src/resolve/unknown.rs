//! Records and items of types that are not known here: kept, and reported once.

use codex_rollout::JsonText;

use super::{Outcome, Place, ThreadBuilder};
use crate::diagnostic::Code;
use crate::span::EventKind;

/// How many unknown types are told apart.
const MOST_TYPES: usize = 256;

/// How much of the name of an unknown type is shown, in bytes.
const LONGEST_TYPE: usize = 64;

/// How many records of unknown types a thread keeps as events.
const MOST_UNKNOWN: usize = 1000;

impl<'a> ThreadBuilder<'a> {
    pub(super) fn take_unknown(&mut self, kind: Option<JsonText<'a>>, place: Place) -> Outcome {
        self.note_unknown(kind, place, "a record", "kept as an event");
        self.n_unknown += 1;
        if self.n_unknown > MOST_UNKNOWN {
            return Outcome::Ignored("record of an unknown type beyond the first 1000");
        }
        self.push_event(place, EventKind::Unknown { kind })
    }

    /// Reports the first record of an unknown type; every record of the types
    /// that there is no room for.
    pub(super) fn note_unknown(
        &mut self,
        kind: Option<JsonText<'a>>,
        place: Place,
        what: &str,
        made_of_it: &str,
    ) {
        let name = kind.map_or(&b""[..], JsonText::raw);
        if self.unknown_types.get(name).is_some() {
            return;
        }
        if self.unknown_types.len() < MOST_TYPES {
            self.unknown_types.insert(name, ());
        }
        let shown = String::from_utf8_lossy(&name[..name.len().min(LONGEST_TYPE)]);
        let more = if name.len() > LONGEST_TYPE { "…" } else { "" };
        self.diagnose(
            Code::UnknownType,
            Some(place.position),
            format_args!("{what} of the unknown type `{shown}{more}`; {made_of_it}"),
        );
    }
}
