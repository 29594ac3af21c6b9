use prost::Message as _;

use super::proto::{
    self, ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans,
};
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
        let mut spans = Vec::new();
        let mut len = 0;
        for &ix in &group.members {
            let span = self.scene.encode(group, &identity, ix, self.vocabulary);
            let mut span = span.ok_or_else(|| timeless(self.scene.trace.span(ix)))?;
            self.add_to(&mut span);
            len += span.encoded_len();
            spans.push(span);
            if spans.len() >= PIECE_SPANS as usize || len >= PIECE_BYTES {
                self.end_piece(std::mem::take(&mut spans), &mut piece);
                len = 0;
            }
        }
        if !spans.is_empty() {
            self.end_piece(spans, &mut piece);
        }
        Ok(())
    }

    fn add_to(&self, span: &mut proto::Span) {
        for (key, value) in self.added {
            if !span.attributes.iter().any(|it| it.key == *key) {
                let value = Some(proto::Value::String(value.clone()).into());
                span.attributes.push(proto::KeyValue { key: key.clone(), value });
            }
        }
    }

    fn end_piece(
        &self,
        spans: Vec<proto::Span>,
        piece: &mut impl FnMut(&dyn Fn(&mut Vec<u8>), u32),
    ) {
        let n = u32::try_from(spans.len()).unwrap_or(PIECE_SPANS);
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![ScopeSpans { scope: Some(self.scope.clone()), spans }],
        };
        match self.encoding {
            Encoding::Proto => {
                let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
                let len = request.encoded_len();
                let append = |out: &mut Vec<u8>| {
                    // At once, so that nothing of a large span is copied again.
                    out.reserve(len);
                    request.encode(out).expect("a vector takes everything");
                };
                piece(&append, n);
            }
            Encoding::Json => piece(&|out| json::resource_spans(out, &resource_spans), n),
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
