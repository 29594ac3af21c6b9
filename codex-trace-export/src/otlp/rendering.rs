//! How sessions become spans, whichever backend they are for: how much content,
//! and with which ids.

use codex_trace_model::{Span as TreeSpan, Trace};

use super::Amount;
use super::spans::{Group, Scene};
use crate::content::ContentRules;
use crate::describe::Description;
use crate::options::common::{FIELD_BYTES, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS};
use crate::{Contract, EncodeError, IdSpace, Settings, UnitBuilder, UnitKey};

/// How sessions become spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rendering {
    /// How much content.
    pub(crate) amount: Amount,
    /// Whether ids are for one place alone.
    own_ids: bool,
}

impl Rendering {
    /// Reads the settings of a destination.
    pub(crate) fn read(settings: &Settings, found: &mut Description) -> Rendering {
        let mut amount = Amount::default();
        amount.llm_input = found.option(&LLM_INPUT, settings).unwrap_or(amount.llm_input);
        for (option, bytes) in
            [(LLM_INPUT_BYTES, &mut amount.llm_input_bytes), (FIELD_BYTES, &mut amount.field_bytes)]
        {
            if let Some(most) = found.option(&option, settings) {
                *bytes = usize::try_from(most).unwrap_or(usize::MAX);
            }
        }
        let own_ids = found.option(&OWN_IDS, settings).unwrap_or_default();
        Rendering { amount, own_ids }
    }

    /// Prepares a session for a destination.
    pub(crate) fn scene<'s, 'a>(
        &self,
        trace: &'s Trace<'a>,
        rules: &'s ContentRules,
        contract: &'s Contract,
    ) -> Scene<'s, 'a> {
        let scene = Scene::new(trace, rules, self.amount);
        scene.for_place(self.own_ids.then_some(contract.destination.as_str()))
    }

    /// Returns where its ids can be there only once, given how the name of every
    /// destination there begins.
    pub(crate) fn id_space(&self, server: String, is_told: bool) -> Option<IdSpace> {
        (!self.own_ids).then_some(IdSpace { server, key: None, is_told })
    }
}

/// Says that a file says no time at all.
pub(crate) fn timeless(span: &TreeSpan<'_>) -> EncodeError {
    let what = "its file does not record when it was, and OTLP requires a time";
    EncodeError { span: span.key.clone(), what: what.to_owned() }
}

/// Returns what the ledger calls a group.
pub(crate) fn key(scene: &Scene<'_, '_>, group: &Group) -> UnitKey {
    let root = scene.trace.span(group.root);
    UnitKey { thread_id: scene.trace.thread_of(root).id.clone(), turn: Some(root.key.clone()) }
}

/// Says of a unit which turns of its group may still go on.
pub(crate) fn mark_open(scene: &Scene<'_, '_>, group: &Group, unit: &mut UnitBuilder<'_>) {
    let trace = scene.trace;
    for span in group.members.iter().map(|ix| trace.span(*ix)).filter(|span| trace.is_open(span)) {
        unit.open_in(&trace.thread_of(span).id);
    }
}
