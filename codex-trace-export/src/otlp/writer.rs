use prost::Message;
use prost::encoding::{self, WireType, encode_key, encode_varint};

use super::attributes::Attributes;
use super::proto::{self, InstrumentationScope, Resource};
use super::{Added, Encoding, Group, Scene, Vocabulary, json, key, mark_open, settings, timeless};
use crate::{EncodeError, UnitBuilder, Units};

/// A piece, the smallest part of a request, is no larger than this in spans…
const PIECE_SPANS: u32 = 16;
/// … and not much larger than this in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes groups of spans, piece by piece.
pub(crate) struct Writer<'w, 's, 'a> {
    scene: &'s Scene<'s, 'a>,
    vocabulary: &'w dyn Vocabulary,
    encoding: Encoding,
    resource: Resource,
    scope: InstrumentationScope,
    added: &'w [(String, String)],
}

impl<'w, 's, 'a> Writer<'w, 's, 'a> {
    /// Makes a writer for a session.
    pub(crate) fn new(
        scene: &'s Scene<'s, 'a>,
        vocabulary: &'w dyn Vocabulary,
        added: &'w Added,
        encoding: Encoding,
    ) -> Writer<'w, 's, 'a> {
        let resource = settings::resource(scene, &added.resource);
        let scope = InstrumentationScope {
            name: "codex-trace".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Writer { scene, vocabulary, encoding, resource, scope, added: &added.spans }
    }

    /// Says where the spans come from in other words.
    pub(crate) fn saying(self, resource: Resource, scope: InstrumentationScope) -> Self {
        Writer { resource, scope, ..self }
    }

    /// Hands out the spans of a group in pieces, each of them a part of a
    /// request: what appends it, and the number of its spans.
    pub(crate) fn pieces(
        &self,
        group: &Group,
        mut piece: impl FnMut(&dyn Fn(&mut Vec<u8>), u32),
    ) -> Result<(), EncodeError> {
        let identity = self.scene.identity(group, self.vocabulary.reuses_recorded_ids());
        let around = Around::new(&self.resource, &self.scope);
        let mut spans = Spans::default();
        for &ix in &group.members {
            let room = spans.room();
            let span = self.scene.encode(group, &identity, ix, self.vocabulary, room);
            let mut span = span.ok_or_else(|| timeless(self.scene.trace.span(ix)))?;
            self.add_to(&mut span);
            spans.push(span);
            if spans.all.len() >= PIECE_SPANS as usize || spans.len >= PIECE_BYTES {
                self.end_piece(&around, &spans, &mut piece);
                spans.clear();
            }
        }
        if !spans.all.is_empty() {
            self.end_piece(&around, &spans, &mut piece);
        }
        Ok(())
    }

    fn add_to(&self, span: &mut proto::Span) {
        for (key, value) in self.added {
            if !span.attributes.iter().any(|it| it.key == *key) {
                let value = Some(proto::Value::String(value.clone()).into());
                span.attributes.push(proto::KeyValue { key: key.clone().into(), value });
            }
        }
    }

    fn end_piece(
        &self,
        around: &Around,
        spans: &Spans,
        piece: &mut impl FnMut(&dyn Fn(&mut Vec<u8>), u32),
    ) {
        let n = u32::try_from(spans.all.len()).unwrap_or(PIECE_SPANS);
        match self.encoding {
            Encoding::Proto => piece(&|out| around.write(spans, out), n),
            Encoding::Json => {
                let spans = || spans.all.iter().map(|(span, _)| span);
                piece(&|out| json::resource_spans(out, &self.resource, &self.scope, spans()), n);
            }
        }
    }

    /// Calls `f` with every group; the first failure comes last.
    pub(crate) fn for_each(
        &self,
        mut f: impl FnMut(&Group) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut failed = None;
        for group in self.scene.groups() {
            if let Err(err) = f(&group) {
                failed.get_or_insert(err);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Hands out the unit of a group.
    pub(crate) fn unit(
        &self,
        group: &Group,
        route: usize,
        units: &mut dyn Units,
    ) -> Result<(), EncodeError> {
        // Before the first piece: it may be on its way before the last one is written.
        if let Some(&ix) = group.members.iter().find(|ix| !self.scene.has_time(**ix)) {
            return Err(timeless(self.scene.trace.span(ix)));
        }
        let mut builder = UnitBuilder::new(key(self.scene, group), route, units);
        builder.starts_at(self.scene.starts_at(group));
        mark_open(self.scene, group, &mut builder);
        self.pieces(group, |piece, spans| {
            piece(builder.body());
            builder.end_piece(spans);
        })?;
        builder.finish();
        Ok(())
    }
}

/// The spans of a piece, each with the length of its message: that is asked for more
/// than once, and takes a look at everything in it.
#[derive(Default)]
struct Spans {
    all: Vec<(proto::Span, usize)>,
    /// The lengths together.
    len: usize,
    /// Attributes of spans that are written: fresh ones for each span would cost as much
    /// as what is put into them.
    spare: Vec<Attributes>,
}

impl Spans {
    fn push(&mut self, span: proto::Span) {
        let len = span.encoded_len();
        self.len += len;
        self.all.push((span, len));
    }

    /// Returns room for the attributes of a span.
    fn room(&mut self) -> Attributes {
        self.spare.pop().unwrap_or_default()
    }

    fn clear(&mut self) {
        for (span, _) in self.all.drain(..) {
            let mut attributes = span.attributes;
            attributes.clear();
            self.spare.push(Attributes(attributes));
        }
        self.len = 0;
    }
}

/// What stands around the spans of every piece, in protobuf.
struct Around {
    /// The field of `ResourceSpans`.
    resource: Vec<u8>,
    /// The field of `ScopeSpans`.
    scope: Vec<u8>,
}

// The tags of what the three messages around spans hold: a test of the whole decodes
// them with the project's own crate.
/// Of `ExportTraceServiceRequest`.
const RESOURCE_SPANS: u32 = 1;
/// Of `ResourceSpans`, beside its resource.
const SCOPE_SPANS: u32 = 2;
/// Of `ScopeSpans`, beside its scope.
const SPANS: u32 = 2;
/// Of the two, in front of the spans.
const RESOURCE_OR_SCOPE: u32 = 1;

impl Around {
    fn new(resource: &Resource, scope: &InstrumentationScope) -> Around {
        Around {
            resource: field(RESOURCE_OR_SCOPE, resource),
            scope: field(RESOURCE_OR_SCOPE, scope),
        }
    }

    /// Appends an `ExportTraceServiceRequest`.
    fn write(&self, spans: &Spans, out: &mut Vec<u8>) {
        let of_scope = self.scope.len()
            + spans.all.iter().map(|(_, len)| header_len(SPANS, *len) + len).sum::<usize>();
        let of_resource = self.resource.len() + header_len(SCOPE_SPANS, of_scope) + of_scope;
        // At once, so that nothing of a large span is copied again.
        out.reserve(header_len(RESOURCE_SPANS, of_resource) + of_resource);
        header(RESOURCE_SPANS, of_resource, out);
        out.extend_from_slice(&self.resource);
        header(SCOPE_SPANS, of_scope, out);
        out.extend_from_slice(&self.scope);
        for (span, len) in &spans.all {
            header(SPANS, *len, out);
            span.encode_raw(out);
        }
    }
}

/// Begins a message that is a field of another one.
fn header(tag: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn header_len(tag: u32, len: usize) -> usize {
    encoding::key_len(tag) + encoding::encoded_len_varint(len as u64)
}

/// Returns a message as a field of another one.
fn field(tag: u32, message: &impl Message) -> Vec<u8> {
    let mut out = Vec::new();
    encoding::message::encode(tag, message, &mut out);
    out
}
