use crate::error::{Error, ErrorKind, Result};
use crate::item::compacted::{Compacted, InterAgentCommunication, InterAgentMetadata};
use crate::item::event_msg::{EventMsg, SecurityRiskScore};
use crate::item::realtime::{RealtimeItem, RetainedContext};
use crate::item::response_item::ResponseItem;
use crate::item::session_meta::{DynamicTools, SessionMeta};
use crate::item::turn_context::{TurnContext, WorldState};
use crate::item::usage::TokenUsageRecord;
use crate::legacy;
use crate::position::Position;
use crate::scan::{Cursor, Syntax, ValueKind};
use crate::text::{JsonText, RawJson};
use crate::wire::{Field, fields};

/// One record: a line of a rollout, its envelope and its payload decoded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
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
    /// The record as it is; absent of a bare line (before 0.32).
    pub payload: Option<RawJson<'a>>,
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
    /// What the harness told the model about its surroundings (since 0.143).
    WorldState(WorldState<'a>),
    /// Something of a voice session (since 0.149).
    Realtime(RealtimeItem<'a>),
    /// What is kept beside the history (since 0.154).
    RetainedContext(RetainedContext<'a>),
    /// How risky something was found (since 0.148).
    SecurityRiskScore(SecurityRiskScore<'a>),
    /// The tools that the embedding program offers from here on (since 0.166).
    DynamicTools(DynamicTools<'a>),
    /// What the next message from another agent is for.
    InterAgentMetadata(InterAgentMetadata),
    /// A message between agents (0.140 to 0.142).
    InterAgentCommunication(InterAgentCommunication<'a>),
    /// A record that is known and of no concern to a trace: tool lists,
    /// scores. By name.
    Bookkeeping(JsonText<'a>),
    /// A record of a type that this version does not know; its bytes are intact.
    Unknown(JsonText<'a>),
}

/// The line types that are known and say nothing about turns, calls or usage.
pub(crate) const BOOKKEEPING: &[&str] = &["session_state", "rollout_reference"];

/// What the envelope held beside the fields of the line.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<JsonText<'a>>,
    /// Whether the payload is decoded: not so if its type came after it.
    has_item: bool,
}

impl<'a> RolloutLine<'a> {
    /// Decodes one line.
    ///
    /// # Errors
    ///
    /// If the line is not JSON in UTF-8, nests too deep, or is no record.
    pub fn decode(bytes: &'a [u8], position: Position) -> Result<RolloutLine<'a>> {
        let mut line = RolloutLine::empty(position);
        match line.read(&mut Cursor::new(bytes)) {
            Ok(()) => Ok(line),
            Err(Syntax { kind, offset }) => Err(Error::at_column(kind, position, offset)),
        }
    }

    /// Returns whether it says whose rollout it is.
    pub(crate) fn is_meta(&self) -> bool {
        matches!(self.item, RolloutItem::SessionMeta(_))
    }

    /// Decodes the first line of `text` without looking for its end first, into
    /// an empty record; says whether it is one.
    ///
    /// What an error says must come from [`decode`](Self::decode), which knows
    /// where the line ends.
    pub(crate) fn decode_first(&mut self, text: &'a [u8]) -> bool {
        self.read(&mut Cursor::first_line(text)).is_ok()
    }

    /// Decodes the record at the beginning of `text`, if there is one with an
    /// envelope; what comes behind it does not matter.
    pub(crate) fn decode_front(text: &'a [u8], position: Position) -> Option<RolloutLine<'a>> {
        let mut line = RolloutLine::empty(position);
        line.read_enveloped(&mut Cursor::first_value(text)).ok().filter(|enveloped| *enveloped)?;
        Some(line)
    }

    /// Decodes the payload of a record that has all but that; `text` begins with
    /// it. Returns `false` if that is no object with which the record ends.
    pub(crate) fn decode_payload(&mut self, kind: JsonText<'a>, text: &'a [u8]) -> bool {
        let mut cursor = Cursor::at_depth(text, 1);
        if text.first() != Some(&b'{') || decode_item(kind, &mut cursor, &mut self.item).is_err() {
            return false;
        }
        self.payload = Some(cursor.since(0));
        &text[cursor.offset()..] == b"}"
            && (!cursor.has_non_ascii() || simdutf8::basic::from_utf8(self.bytes).is_ok())
    }

    /// Makes a record of no type, to be read into.
    pub fn empty(position: Position) -> RolloutLine<'a> {
        RolloutLine {
            position,
            bytes: &[],
            ordinal: None,
            timestamp: None,
            payload: None,
            item: RolloutItem::Unknown(JsonText::default()),
        }
    }

    /// Makes it as [`empty`](Self::empty) as one that is new.
    pub(crate) fn clear(&mut self, position: Position) {
        self.position = position;
        self.bytes = &[];
        self.ordinal = None;
        self.timestamp = None;
        self.payload = None;
        self.item = RolloutItem::Unknown(JsonText::default());
    }

    fn read(&mut self, cursor: &mut Cursor<'a>) -> std::result::Result<(), Syntax> {
        if self.read_enveloped(cursor)? {
            return Ok(());
        }
        let lifted = legacy::lift(self.bytes)?;
        self.item = lifted.ok_or(Syntax { kind: ErrorKind::NotARecord, offset: 0 })?;
        Ok(())
    }

    /// Reads into what is there: a record is large, and every move is a copy.
    /// Returns false if there is no payload: a bare line, or no record.
    fn read_enveloped(&mut self, cursor: &mut Cursor<'a>) -> std::result::Result<bool, Syntax> {
        let is_object = cursor.kind()? == ValueKind::Object;
        let mut envelope = Envelope::default();
        if is_object {
            self.read_envelope(cursor, &mut envelope)?;
        } else {
            cursor.skip()?;
        }
        self.bytes = cursor.whole()?;
        if cursor.has_non_ascii() && simdutf8::basic::from_utf8(self.bytes).is_err() {
            let valid = simdutf8::compat::from_utf8(self.bytes);
            let offset = valid.map_or_else(|err| err.valid_up_to(), str::len);
            return Err(Syntax { kind: ErrorKind::InvalidUtf8, offset });
        }
        match (envelope.kind, self.payload) {
            _ if envelope.has_item => Ok(true),
            (Some(kind), Some(payload)) => {
                decode_item(kind, &mut payload.cursor(), &mut self.item).map(|()| true)
            }
            (_, None) if is_object => Ok(false),
            _ => Err(Syntax { kind: ErrorKind::NotARecord, offset: 0 }),
        }
    }

    /// Reads the envelope; the payload is decoded in the same pass if its type
    /// came first, as Codex writes it.
    fn read_envelope(
        &mut self,
        cursor: &mut Cursor<'a>,
        envelope: &mut Envelope<'a>,
    ) -> std::result::Result<(), Syntax> {
        if !cursor.open_object()? {
            return Ok(());
        }
        fields!(cursor, {
            b"timestamp" => self.timestamp = RawJson::read(cursor)?,
            b"ordinal" => self.ordinal = u64::read(cursor)?,
            b"type" => {
                envelope.kind = JsonText::read(cursor)?;
                envelope.has_item = false;
            },
            b"payload" => {
                let start = cursor.offset_of_value();
                match envelope.kind {
                    Some(kind) => decode_item(kind, cursor, &mut self.item)?,
                    None => cursor.skip()?,
                }
                envelope.has_item = envelope.kind.is_some();
                self.payload = Some(cursor.since(start));
            },
        });
        Ok(())
    }
}

fn decode_item<'a>(
    kind: JsonText<'a>,
    payload: &mut Cursor<'a>,
    item: &mut RolloutItem<'a>,
) -> std::result::Result<(), Syntax> {
    *item = RolloutItem::Unknown(kind);
    match kind.raw() {
        b"response_item" => {
            put(item, RolloutItem::ResponseItem, ResponseItem::decode(payload)?);
        }
        b"event_msg" => put(item, RolloutItem::EventMsg, EventMsg::decode(payload)?),
        b"turn_context" => put(item, RolloutItem::TurnContext, TurnContext::read(payload)?),
        b"token_usage_record" => {
            put(item, RolloutItem::TokenUsageRecord, TokenUsageRecord::read(payload)?);
        }
        b"session_meta" => put(item, RolloutItem::SessionMeta, SessionMeta::read(payload)?),
        b"compacted" => put(item, RolloutItem::Compacted, Compacted::read(payload)?),
        b"realtime_item" => put(item, RolloutItem::Realtime, RealtimeItem::read(payload)?),
        b"retained_context" => {
            put(item, RolloutItem::RetainedContext, RetainedContext::read(payload)?);
        }
        b"security_risk_score" => {
            put(item, RolloutItem::SecurityRiskScore, SecurityRiskScore::read(payload)?);
        }
        b"dynamic_tools_updated" => {
            put(item, RolloutItem::DynamicTools, DynamicTools::read(payload)?);
        }
        b"world_state" => put(item, RolloutItem::WorldState, WorldState::read(payload)?),
        b"inter_agent_communication_metadata" => {
            put(item, RolloutItem::InterAgentMetadata, InterAgentMetadata::read(payload)?);
        }
        b"inter_agent_communication" => {
            let message = InterAgentCommunication::read(payload)?;
            put(item, RolloutItem::InterAgentCommunication, message);
        }
        _ => {
            payload.skip()?;
            if BOOKKEEPING.iter().any(|name| kind.is(name)) {
                *item = RolloutItem::Bookkeeping(kind);
            }
        }
    }
    Ok(())
}

/// Puts what was read in its place, if it was of the right shape.
#[inline]
fn put<'a, T>(item: &mut RolloutItem<'a>, wrap: fn(T) -> RolloutItem<'a>, read: Option<T>) {
    if let Some(read) = read {
        *item = wrap(read);
    }
}
