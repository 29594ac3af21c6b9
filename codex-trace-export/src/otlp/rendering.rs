//! How sessions become spans, whichever backend they are for: how much content,
//! and with which ids.

use codex_trace_model::Trace;

use super::Amount;
use super::spans::Scene;
use crate::content::ContentRules;
use crate::describe::Description;
use crate::options::common::{FIELD_BYTES, LLM_INPUT, LLM_INPUT_BYTES, OWN_IDS};
use crate::{Contract, IdSpace, Settings};

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
