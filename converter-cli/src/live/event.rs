//! What Codex says when it calls: the payload of `notify`, and that of hooks.

use std::fmt;

use codex_trace_history::ids;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// The characters of an id of a thread.
const ID_LEN: usize = 36;

/// The longest text that is kept of a payload, in bytes.
const LONGEST: usize = 256;

/// What has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A session has started or was resumed: what earlier ones left is looked for.
    SessionStarted,
    /// A turn, a subagent or a session has ended, or is about to.
    Ended,
    /// Something else, or nothing that could be read.
    #[default]
    Other,
}

/// A call, as far as it is of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What has happened.
    pub occasion: Occasion,
    /// A thread of the session that it is about, if the payload names one.
    pub thread: Option<String>,
}

impl Event {
    /// Reads a payload. Whatever it is, there is an event: of what cannot be read
    /// in full, the fields before the fault count.
    ///
    /// Hooks send `hook_event_name` and `session_id`, which is the root thread's
    /// since the middle of 2026; `notify` has `type` and `thread-id`.
    pub fn read(payload: &[u8]) -> Event {
        let payload = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
        let mut fields = Fields::default();
        let mut json = serde_json::Deserializer::from_slice(payload);
        // What was found before a fault is in `fields`.
        (&mut fields).deserialize(&mut json).ok();
        let is_id = |id: &String| id.len() == ID_LEN && ids::is_prefix(id);
        let thread = [fields.session, fields.thread].into_iter().flatten().find(is_id);
        Event {
            occasion: fields.name.as_deref().map_or(Occasion::Other, occasion),
            thread: thread.map(|id| id.to_ascii_lowercase()),
        }
    }
}

fn occasion(name: &str) -> Occasion {
    match name {
        "SessionStart" => Occasion::SessionStarted,
        "agent-turn-complete" | "Stop" | "SubagentStop" | "SessionEnd" | "Interrupt" => {
            Occasion::Ended
        }
        _ => Occasion::Other,
    }
}

#[derive(Debug, Default)]
struct Fields {
    name: Option<String>,
    session: Option<String>,
    thread: Option<String>,
}

impl<'de> DeserializeSeed<'de> for &mut Fields {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let field = match &*key {
                "hook_event_name" | "type" => &mut self.name,
                "session_id" => &mut self.session,
                "thread-id" | "thread_id" => &mut self.thread,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value::<Word>()?.0;
        }
        Ok(())
    }
}

/// A short text, or nothing where there is something else.
struct Word(Option<String>);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Word, E> {
                Ok(Word((text.len() <= LONGEST).then(|| text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Word, E> {
                Ok(Word(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Word, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Word, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Word(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a228bd-4f88-7d03-8d21-fd8961c2ecd6";

    fn event(occasion: Occasion, thread: Option<&str>) -> Event {
        Event { occasion, thread: thread.map(str::to_owned) }
    }

    /// As released versions send them.
    #[test]
    fn payloads_of_every_form() {
        let notify_0_98 = format!(
            r#"{{"type":"agent-turn-complete","thread-id":"{ID}","turn-id":"0","cwd":"/w","input-messages":["hi"],"last-assistant-message":"x"}}"#
        );
        let notify = format!(
            r#"{{"type":"agent-turn-complete","thread-id":"{ID}","turn-id":"01a228bc-e62a-7fc3-bff8-b4666194d385","cwd":"/w","client":"codex_exec","input-messages":["hi"],"last-assistant-message":null}}"#
        );
        let hook = |name: &str| {
            format!(
                r#"{{"session_id":"{ID}","transcript_path":"/h/sessions/2026/11/29/rollout-2026-11-29T19-17-05-{ID}.jsonl","cwd":"/w","hook_event_name":"{name}","model":"gpt-5","permission_mode":"default","source":"startup"}}"#
            )
        };
        let ended = event(Occasion::Ended, Some(ID));
        for payload in [&notify_0_98, &notify] {
            assert_eq!(Event::read(payload.as_bytes()), ended);
        }
        for name in ["Stop", "SubagentStop", "SessionEnd", "Interrupt"] {
            assert_eq!(Event::read(hook(name).as_bytes()), ended, "{name}");
        }
        let started = event(Occasion::SessionStarted, Some(ID));
        assert_eq!(Event::read(hook("SessionStart").as_bytes()), started);
        let other = event(Occasion::Other, Some(ID));
        assert_eq!(Event::read(hook("PreToolUse").as_bytes()), other);
    }

    #[test]
    fn whatever_comes_is_an_event() {
        let none = event(Occasion::Other, None);
        let deep = format!("{{\"session_id\":{}", "[".repeat(1_000_000));
        let long = format!("{{\"session_id\":\"{}\"}}", "a".repeat(1 << 20));
        let odd: [&[u8]; 12] = [
            b"",
            b"null",
            b"[]",
            b"17",
            b"{",
            b"\xFF\xFE{\0",
            b"{\"session_id\":17,\"hook_event_name\":{\"a\":[1,null,true,1.5]}}",
            b"{\"session_id\":\"../../../../etc/passwd0000000000000\"}",
            b"{\"session_id\":\"/dev/zero\",\"thread-id\":\"\"}",
            b"{\"type\":\"something new\"}",
            deep.as_bytes(),
            long.as_bytes(),
        ];
        for payload in odd {
            assert_eq!(Event::read(payload), none, "{}", String::from_utf8_lossy(payload).len());
        }
    }

    #[test]
    fn what_comes_before_a_fault_counts() {
        let cut = format!("{{\"session_id\":\"{ID}\",\"hook_event_name\":\"Stop\",\"last\":\"cut");
        assert_eq!(Event::read(cut.as_bytes()), event(Occasion::Ended, Some(ID)));
        let odd = format!("\u{feff}{{\"session_id\":\"{}\",\"x\":tru", ID.to_uppercase());
        assert_eq!(Event::read(odd.as_bytes()), event(Occasion::Other, Some(ID)));
    }
}
