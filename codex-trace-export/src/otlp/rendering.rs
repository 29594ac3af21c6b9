//! How sessions become spans, whichever backend they are for: how much content,
//! and with which ids.

use codex_trace_model::Trace;

use super::spans::Scene;
use super::{Amount, LlmInput};
use crate::choice::Choice;
use crate::content::ContentRules;
use crate::describe::Description;
use crate::{ConfigError, Contract, IdSpace, Settings};

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
    pub(crate) fn read(
        settings: &Settings,
        found: &mut Description,
    ) -> Result<Rendering, ConfigError> {
        let mut amount = Amount::default();
        if let Some(word) = found.text("llm-input", settings.said_option("llm-input")) {
            amount.llm_input = LlmInput::from_word(&word).ok_or_else(|| {
                ConfigError::new(format!("`{word}` is no amount of history"))
                    .hint("say `full`, `turn`, `delta` or `none`")
            })?;
        }
        for (name, bytes) in [
            ("llm-input-bytes", &mut amount.llm_input_bytes),
            ("field-bytes", &mut amount.field_bytes),
        ] {
            if let Some(text) = found.text(name, settings.said_option(name)) {
                *bytes = text
                    .parse()
                    .map_err(|_| ConfigError::new(format!("`{name}` is no number: `{text}`")))?;
            }
        }
        let own_ids = settings.option("own_ids").map(|said| said.map(|word| word == "true"));
        let own_ids = found.take("own_ids", own_ids, bool::to_string).unwrap_or_default();
        Ok(Rendering { amount, own_ids })
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
