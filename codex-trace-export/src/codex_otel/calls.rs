//! Calls of tools as Codex' telemetry tells of them: which of them it counts, how
//! it spells their names, whether they worked.

use std::time::Duration;

use codex_rollout::item::response_item::ToolCallForm;
use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{Item, ItemIx, Span, SpanKind as Kind, Status, ToolCall, ToolFamily};

use super::record::at_or;
use super::told::ToldTurn;

/// How ids of calls begin that code mode made.
const NESTED: &[u8] = b"exec-";

/// A call that Codex handled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'t, 'a> {
    pub(crate) turn: ToldTurn<'t, 'a>,
    pub(crate) span: &'t Span<'a>,
    pub(crate) tool: &'t ToolCall<'a>,
    /// Whether a script of code mode made it, and not the model.
    pub(crate) is_nested: bool,
}

impl<'t, 'a> Call<'t, 'a> {
    /// Returns the calls of a turn that the live telemetry tells of, in file
    /// order: not those that were cut short, nor those of tools that the provider
    /// runs.
    pub(crate) fn of(turn: ToldTurn<'t, 'a>) -> impl Iterator<Item = Call<'t, 'a>> {
        turn.below().filter_map(move |(_, span)| match &span.kind {
            Kind::ToolCall(call) => Call::told(turn, span, call),
            _ => None,
        })
    }

    fn told(
        turn: ToldTurn<'t, 'a>,
        span: &'t Span<'a>,
        call: &'t ToolCall<'a>,
    ) -> Option<Call<'t, 'a>> {
        let by_provider =
            matches!(call.family, ToolFamily::WebSearch | ToolFamily::ImageGeneration);
        let unheard = call.family == ToolFamily::Mcp && !turn.version.since(98);
        let cut = matches!(span.status, Status::Interrupted { .. } | Status::Incomplete);
        if by_provider || unheard || cut {
            return None;
        }
        let made_by_model = call.call_item.is_some() && call.output_item.is_some();
        let by_script = call.call_id.is_some_and(|id| id.raw().starts_with(NESTED));
        let is_nested = call.call_item.is_none()
            && by_script
            && matches!(call.family, ToolFamily::Command | ToolFamily::Mcp | ToolFamily::Patch);
        (made_by_model || is_nested).then_some(Call { turn, span, tool: call, is_nested })
    }

    /// Returns the tool's name and namespace as logs have them. Until 0.142 the
    /// one stood right before the other.
    pub(crate) fn log_name(&self) -> (String, Option<String>) {
        let (name, namespace) = self.spelled();
        if self.turn.version.since(155) {
            let namespace = namespace.unwrap_or_else(|| "functions".to_owned());
            return (name, Some(namespace));
        }
        (namespace.unwrap_or_default() + &name, None)
    }

    /// Returns the tool's name as metrics have it: the namespace right before it,
    /// in every version.
    pub(crate) fn metric_name(&self) -> String {
        let (name, namespace) = self.spelled();
        namespace.unwrap_or_default() + &name
    }

    fn spelled(&self) -> (String, Option<String>) {
        let texts = &self.turn.told.texts;
        if !self.is_nested {
            let name = texts.label(self.tool.tool);
            let name = name.unwrap_or_else(|| texts.word(&self.span.name));
            return (name, texts.label(self.tool.namespace));
        }
        match (self.tool.family, self.tool.extras().mcp) {
            (ToolFamily::Command, _) => ("exec_command".to_owned(), None),
            (ToolFamily::Patch, _) => ("apply_patch".to_owned(), None),
            (_, Some((server, tool))) => {
                let server = texts.label(Some(server)).unwrap_or_default();
                (texts.label(Some(tool)).unwrap_or_default(), Some(format!("mcp__{server}")))
            }
            _ => (texts.word(&self.span.name), None),
        }
    }

    /// Returns the MCP server, if the tool is one of such.
    pub(crate) fn server(&self) -> Option<String> {
        let texts = &self.turn.told.texts;
        if let Some((server, _)) = self.tool.extras().mcp {
            return texts.label(Some(server));
        }
        if self.tool.family != ToolFamily::Mcp {
            return None;
        }
        let (name, namespace) = self.spelled();
        let text = namespace.unwrap_or(name);
        let server = text.strip_prefix("mcp__")?;
        Some(server.split("__").next().unwrap_or(server).to_owned())
    }

    /// Returns whether the live telemetry called it a success; `None` where that
    /// is not known.
    ///
    /// Since unified exec it does so of a command that fails: it was run. Of what
    /// came between the first version and that, nothing was measured.
    pub(crate) fn success(&self) -> Option<bool> {
        let version = self.turn.version;
        let failed_itself = self.tool.exit_code.is_some_and(|code| code != 0);
        match self.span.status {
            Status::Error { .. } if failed_itself && version.since(110) => Some(true),
            Status::Error { .. } if failed_itself && version.since(45) => None,
            Status::Error { .. } => {
                let answered = self.tool.family == ToolFamily::Mcp && !version.since(142);
                Some(answered)
            }
            _ => Some(true),
        }
    }

    /// Returns about how long it took: as recorded, or from the call to its output.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let recorded = || self.tool.duration.and_then(|it| Duration::try_from(it).ok());
        // Call and output were written together.
        if self.is_nested || !self.turn.version.since(98) {
            return recorded();
        }
        let called = self.item(self.tool.call_item).and_then(|item| item.at);
        let answered = self.output_item().and_then(|item| item.at);
        let between = called.zip(answered).map(|(from, to)| to.duration_since(from));
        between.and_then(|it| Duration::try_from(it).ok()).or_else(recorded)
    }

    /// Returns when its output was there, in nanoseconds since 1970; `fallback`
    /// where the file does not say.
    pub(crate) fn ended_at(&self, fallback: u64) -> u64 {
        let output = self.output_item().and_then(|item| item.at);
        at_or(output.or(self.span.end), fallback)
    }

    fn item(&self, ix: Option<ItemIx>) -> Option<&'t Item<'a>> {
        self.turn.thread.item(ix?)
    }

    fn output_item(&self) -> Option<&'t Item<'a>> {
        self.item(self.tool.output_item)
    }

    /// Returns what it gave back.
    pub(crate) fn output(&self) -> Option<RawJson<'a>> {
        match self.output_item().map(|item| &item.body) {
            Some(ResponseItem::ToolOutput(output)) => output.output.or(output.tools),
            _ => self.tool.extras().output_text,
        }
    }

    /// Returns what it was given, if that may be sent.
    pub(crate) fn arguments(&self) -> Option<String> {
        let texts = &self.turn.told.texts;
        if let Some(ResponseItem::ToolCall(item)) =
            self.item(self.tool.call_item).map(|item| &item.body)
        {
            let fields = &item.fields;
            return match item.form {
                ToolCallForm::Custom => texts.tool(fields.input?),
                ToolCallForm::LocalShell => texts.tool_value(fields.action?),
                _ => match fields.arguments {
                    Some(raw) => {
                        raw.as_text().map_or_else(|| texts.tool_value(raw), |text| texts.tool(text))
                    }
                    None => texts.tool(fields.input?),
                },
            };
        }
        match self.tool.family {
            ToolFamily::Command => {
                let command = texts.tool_text(&self.turn.thread.command_of(self.tool).line?)?;
                Some(serde_json::json!({ "cmd": command }).to_string())
            }
            // Of a patch that a script applied, only the effect is there.
            ToolFamily::Patch => None,
            _ => texts.tool_value(self.tool.extras().arguments?),
        }
    }

    /// Returns the call's id.
    pub(crate) fn id(&self) -> Option<JsonText<'a>> {
        self.tool.call_id
    }
}

impl Call<'_, '_> {
    /// Returns the arguments of a function call, as the model wrote them.
    pub(crate) fn arguments_of<'a>(item: &Item<'a>) -> Option<JsonText<'a>> {
        match &item.body {
            ResponseItem::ToolCall(it) => it.fields.arguments?.as_text(),
            _ => None,
        }
    }
}
