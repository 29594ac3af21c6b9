use crate::error::{Error, ErrorKind, Result};
use crate::item::compacted::{Compacted, InterAgentCommunication, InterAgentMetadata};
use crate::item::event_msg::EventMsg;
use crate::item::response_item::ResponseItem;
use crate::item::session_meta::SessionMeta;
use crate::item::turn_context::TurnContext;
use crate::item::usage::TokenUsageRecord;
use crate::legacy;
use crate::position::Position;
use crate::scan::{Cursor, Syntax, ValueKind};
use crate::text::{JsonText, RawJson};
use crate::wire::Field;

/// One record: a line of a rollout, its envelope and its payload decoded.
#[derive(Clone, Copy, Debug)]
pub struct RolloutLine<'a> {
    /// Where the line starts.
    pub position: Position,
    /// The line as it is, without its newline.
    pub bytes: &'a [u8],
    /// Its logical place in the thread's lineage (paginated rollouts only);
    /// may repeat, so never sort by it.
    pub ordinal: Option<u64>,
    /// When it was written: RFC 3339 in UTC by Codex, a number by some others;
    /// absent before 0.32.
    pub timestamp: Option<RawJson<'a>>,
    /// The record.
    pub item: RolloutItem<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one line; a box would allocate"
)]
pub enum RolloutItem<'a> {
    /// Whose rollout it is, or what changed about that.
    SessionMeta(SessionMeta<'a>),
    /// The settings of a turn.
    TurnContext(TurnContext<'a>),
    /// What the model saw or said.
    ResponseItem(ResponseItem<'a>),
    /// What the user interface saw.
    EventMsg(EventMsg<'a>),
    /// The model's history was replaced.
    Compacted(Compacted<'a>),
    /// The usage of one model response.
    TokenUsageRecord(TokenUsageRecord<'a>),
    /// What the next message from another agent is for.
    InterAgentMetadata(InterAgentMetadata),
    /// A message between agents (0.140 to 0.142).
    InterAgentCommunication(InterAgentCommunication<'a>),
    /// A record that is known and of no concern to a trace: the state of the
    /// world, tool lists, scores. By name.
    Bookkeeping(JsonText<'a>),
    /// A record of a type that this version does not know; its bytes are intact.
    Unknown(JsonText<'a>),
}

/// The line types that are known and say nothing about turns, calls or usage.
pub(crate) const BOOKKEEPING: &[&str] = &[
    "world_state",
    "session_state",
    "retained_context",
    "security_risk_score",
    "realtime_item",
    "dynamic_tools_updated",
    "rollout_reference",
];

#[derive(Default)]
struct Envelope<'a> {
    kind: Option<JsonText<'a>>,
    ordinal: Option<u64>,
    timestamp: Option<RawJson<'a>>,
    item: Option<RolloutItem<'a>>,
    /// A payload that came before its type.
    payload: Option<RawJson<'a>>,
    has_payload: bool,
}

impl<'a> RolloutLine<'a> {
    /// Decodes one line.
    ///
    /// # Errors
    ///
    /// If the line is not JSON in UTF-8, nests too deep, or is no record.
    pub fn decode(bytes: &'a [u8], position: Position) -> Result<RolloutLine<'a>> {
        let mut cursor = Cursor::new(bytes);
        decode_envelope(bytes, position, &mut cursor)
            .map_err(|Syntax { kind, offset }| Error::at_column(kind, position, offset))
    }
}

fn decode_envelope<'a>(
    bytes: &'a [u8],
    position: Position,
    cursor: &mut Cursor<'a>,
) -> std::result::Result<RolloutLine<'a>, Syntax> {
    let is_object = cursor.kind()? == ValueKind::Object;
    let envelope = if is_object { read_envelope(cursor)? } else { Envelope::default() };
    if !is_object {
        cursor.skip()?;
    }
    cursor.end()?;
    if cursor.has_non_ascii() && simdutf8::basic::from_utf8(bytes).is_err() {
        let offset =
            simdutf8::compat::from_utf8(bytes).map_or_else(|err| err.valid_up_to(), str::len);
        return Err(Syntax { kind: ErrorKind::InvalidUtf8, offset });
    }
    let item = match (envelope.kind, envelope.payload, envelope.item) {
        (_, _, Some(item)) => Some(item),
        (Some(kind), Some(payload), None) => Some(decode_item(kind, &mut payload.cursor())?),
        _ if is_object && !envelope.has_payload => legacy::lift(bytes)?,
        _ => None,
    };
    let Some(item) = item else { return Err(Syntax { kind: ErrorKind::NotARecord, offset: 0 }) };
    let Envelope { ordinal, timestamp, .. } = envelope;
    Ok(RolloutLine { position, bytes, ordinal, timestamp, item })
}

/// Reads the envelope; the payload is decoded in the same pass if its type
/// came first, as Codex writes it.
fn read_envelope<'a>(cursor: &mut Cursor<'a>) -> std::result::Result<Envelope<'a>, Syntax> {
    let mut envelope = Envelope::default();
    cursor.object(|key, value| {
        match key {
            b"timestamp" => envelope.timestamp = RawJson::read(value)?,
            b"ordinal" => envelope.ordinal = u64::read(value)?,
            b"type" => envelope.kind = JsonText::read(value)?,
            b"payload" => {
                envelope.has_payload = true;
                match envelope.kind {
                    Some(kind) => envelope.item = Some(decode_item(kind, value)?),
                    None => envelope.payload = Some(value.raw()?),
                }
            }
            _ => value.skip()?,
        }
        Ok(())
    })?;
    Ok(envelope)
}

fn decode_item<'a>(
    kind: JsonText<'a>,
    payload: &mut Cursor<'a>,
) -> std::result::Result<RolloutItem<'a>, Syntax> {
    let item = match kind.raw() {
        b"response_item" => ResponseItem::decode(payload)?.map(RolloutItem::ResponseItem),
        b"event_msg" => EventMsg::decode(payload)?.map(RolloutItem::EventMsg),
        b"turn_context" => TurnContext::read(payload)?.map(RolloutItem::TurnContext),
        b"token_usage_record" => {
            TokenUsageRecord::read(payload)?.map(RolloutItem::TokenUsageRecord)
        }
        b"session_meta" => SessionMeta::read(payload)?.map(RolloutItem::SessionMeta),
        b"compacted" => Compacted::read(payload)?.map(RolloutItem::Compacted),
        b"inter_agent_communication_metadata" => {
            InterAgentMetadata::read(payload)?.map(RolloutItem::InterAgentMetadata)
        }
        b"inter_agent_communication" => {
            InterAgentCommunication::read(payload)?.map(RolloutItem::InterAgentCommunication)
        }
        _ => {
            payload.skip()?;
            let known = BOOKKEEPING.iter().any(|name| kind.is(name));
            known.then_some(RolloutItem::Bookkeeping(kind))
        }
    };
    Ok(item.unwrap_or(RolloutItem::Unknown(kind)))
}
