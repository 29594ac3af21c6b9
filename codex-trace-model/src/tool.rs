use std::borrow::Cow;

use codex_rollout::item::event_msg::SecurityRiskScore;
use codex_rollout::{JsonText, RawJson, ResponseItem, Syntax, ValueKind};
use jiff::SignedDuration;

use crate::resolve::family;
use crate::span::Turn;
use crate::trace::{ItemIx, SpanIx, Thread};

/// What is known of a tool call.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// What joins call and output; absent where the provider gives none.
    pub call_id: Option<JsonText<'a>>,
    /// The tool as the model named it.
    pub tool: Option<JsonText<'a>>,
    /// The tool's namespace, if it has one other than `functions`.
    pub namespace: Option<JsonText<'a>>,
    /// What family of tools it belongs to.
    pub family: ToolFamily,
    /// The call: an index into the thread's items. Absent for what ran inside
    /// another tool.
    pub call_item: Option<ItemIx>,
    /// The output: an index into the thread's items.
    pub output_item: Option<ItemIx>,
    /// What an item of the user interface says that it printed or answered
    /// (paginated rollouts only), whether or not there is an output item, which
    /// says it in the words that the model saw.
    pub reported_output: Option<RawJson<'a>>,
    /// The command that an event or an item says was run, a string or an array of
    /// words, and where. The call may say so itself: [`Thread::command_of`].
    pub reported_command: Option<RawJson<'a>>,
    /// Where an event or an item says that the command ran.
    pub reported_cwd: Option<JsonText<'a>>,
    /// The exit code.
    pub exit_code: Option<i64>,
    /// Whether the tool says that it worked.
    pub success: Option<bool>,
    /// How long it took, as recorded; neither approval nor waiting is in it.
    pub duration: Option<SignedDuration>,
    /// What the command does, as Codex reads it: a list of `read`,
    /// `list_files`, `search`, `unknown`, each with its path or query.
    pub parsed_cmd: Option<RawJson<'a>>,
    /// The process of the command, as `write_stdin` names it.
    pub process_id: Option<JsonText<'a>>,
    /// What is known of few calls.
    pub(crate) extras: Option<Box<ToolExtras<'a>>>,
}

/// What is known of few tool calls.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ToolExtras<'a> {
    /// The arguments where there is no call item.
    pub arguments: Option<RawJson<'a>>,
    /// What it printed or answered where there is no output item.
    pub output_text: Option<RawJson<'a>>,
    /// The session of a command that still ran when the call returned.
    pub running_session: Option<Cow<'a, str>>,
    /// The MCP server and its tool.
    pub mcp: Option<(JsonText<'a>, JsonText<'a>)>,
    /// The files that a patch changed: a map of path to change.
    pub changes: Option<RawJson<'a>>,
    /// What a web search did.
    pub search: Option<RawJson<'a>>,
    /// The threads that it spawned.
    pub spawned: Vec<Cow<'a, str>>,
    /// Who ran it, if not the model: `user_shell`.
    pub source: Option<JsonText<'a>>,
    /// The plugin that the command or the MCP server belongs to.
    pub plugin_id: Option<JsonText<'a>>,
    /// The plugin's script that the command is.
    pub script_path: Option<JsonText<'a>>,
    /// Where the MCP tool comes from.
    pub mcp_origin: Option<McpOrigin<'a>>,
    /// The agents that it concerned.
    pub agents: Option<Agents<'a>>,
    /// How risky it was found.
    pub risk: Option<SecurityRiskScore<'a>>,
}

/// The extras of all calls that have none.
const NO_EXTRAS: &ToolExtras<'static> = &ToolExtras {
    arguments: None,
    output_text: None,
    running_session: None,
    mcp: None,
    changes: None,
    search: None,
    spawned: Vec::new(),
    source: None,
    plugin_id: None,
    script_path: None,
    mcp_origin: None,
    agents: None,
    risk: None,
};

impl<'a> ToolCall<'a> {
    /// Returns what is known of few calls.
    pub fn extras(&self) -> &ToolExtras<'a> {
        self.extras.as_deref().unwrap_or(NO_EXTRAS)
    }

    pub(crate) fn extras_mut(&mut self) -> &mut ToolExtras<'a> {
        self.extras.get_or_insert_default()
    }

    /// Puts something among the extras, if there is something.
    pub(crate) fn put<T>(&mut self, it: Option<T>, put: impl FnOnce(&mut ToolExtras<'a>, T)) {
        if let Some(it) = it {
            put(self.extras_mut(), it);
        }
    }

    /// Takes over the extras that another telling of the call has, but for its
    /// arguments and its output.
    pub(crate) fn take_extras(&mut self, told: ToolCall<'a>) {
        let Some(told) = told.extras else { return };
        let extras = self.extras_mut();
        extras.mcp = told.mcp.or(extras.mcp);
        extras.changes = told.changes.or(extras.changes);
        extras.search = told.search.or(extras.search);
        extras.source = told.source.or(extras.source);
        extras.plugin_id = told.plugin_id.or(extras.plugin_id);
        extras.script_path = told.script_path.or(extras.script_path);
        extras.mcp_origin = told.mcp_origin.or(extras.mcp_origin);
        extras.agents = told.agents.or(extras.agents);
        for spawned in told.spawned {
            if !extras.spawned.contains(&spawned) {
                extras.spawned.push(spawned);
            }
        }
    }
}

/// What a command was to do.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Command<'a> {
    /// The command: what a shell ran, or all words of it.
    pub line: Option<Cow<'a, str>>,
    /// Where it ran.
    pub cwd: Option<Cow<'a, str>>,
    /// That the model asked to run it outside of the sandbox, and why.
    pub escalation: Option<Escalation<'a>>,
}

/// Where an MCP tool comes from, as far as that is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct McpOrigin<'a> {
    /// The app that offers it.
    pub app_name: Option<JsonText<'a>>,
    /// What the app calls it.
    pub action_name: Option<JsonText<'a>>,
    /// The connector to the app.
    pub connector_id: Option<JsonText<'a>>,
    /// Whether the server says that it changes nothing.
    pub read_only_hint: Option<bool>,
    /// The environment that the server runs in.
    pub environment_id: Option<JsonText<'a>>,
}

/// What is recorded of the agents that a call concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Agents<'a> {
    /// The model of the agent.
    pub model: Option<JsonText<'a>>,
    /// The reasoning effort of the agent.
    pub reasoning_effort: Option<JsonText<'a>>,
    /// The path of the agent.
    pub path: Option<JsonText<'a>>,
    /// How each agent stood in the end: a map of thread to a word or an object.
    pub states: Option<RawJson<'a>>,
}

/// That the model asked to run something outside of the sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Escalation<'a> {
    /// Why, in the model's words.
    pub justification: Option<Cow<'a, str>>,
}

/// What family of tools a call belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolFamily {
    /// A function of the harness or of the embedding program.
    #[default]
    Function,
    /// A shell command.
    Command,
    /// Input to a command that still runs.
    CommandInput,
    /// A patch.
    Patch,
    /// A tool of an MCP server.
    Mcp,
    /// A search on the web.
    WebSearch,
    /// An image made.
    ImageGeneration,
    /// An image looked at.
    ImageView,
    /// A plan made or changed.
    Plan,
    /// A tool that concerns other agents.
    Agents,
    /// A script of code mode, which runs other tools.
    CodeMode,
    /// A search for tools.
    ToolSearch,
    /// A tool that this version does not know, told by the item's type.
    Unknown,
}

impl ToolFamily {
    /// Returns the word for it, as in the neutral output.
    pub fn word(self) -> &'static str {
        match self {
            ToolFamily::Function => "function",
            ToolFamily::Command => "command",
            ToolFamily::CommandInput => "command_input",
            ToolFamily::Patch => "patch",
            ToolFamily::Mcp => "mcp",
            ToolFamily::WebSearch => "web_search",
            ToolFamily::ImageGeneration => "image_generation",
            ToolFamily::ImageView => "image_view",
            ToolFamily::Plan => "plan",
            ToolFamily::Agents => "agents",
            ToolFamily::CodeMode => "code_mode",
            ToolFamily::ToolSearch => "tool_search",
            ToolFamily::Unknown => "unknown",
        }
    }
}

/// What a model is told of a tool: the entry of a list of tools, or one of the
/// tools of such an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ToolDefinition<'a> {
    /// All of it, as recorded.
    pub raw: Option<RawJson<'a>>,
    /// What the tool is for.
    pub description: Option<JsonText<'a>>,
    /// The schema of its arguments.
    pub parameters: Option<RawJson<'a>>,
    name: Option<JsonText<'a>>,
    kind: Option<JsonText<'a>>,
    /// The tools of a namespace.
    tools: Option<RawJson<'a>>,
}

impl<'a> ToolDefinition<'a> {
    fn read(raw: RawJson<'a>) -> Result<ToolDefinition<'a>, Syntax> {
        let mut it = ToolDefinition { raw: Some(raw), ..ToolDefinition::default() };
        raw.cursor().object(|key, value| {
            let kind = value.kind()?;
            match (key, kind) {
                (b"type", ValueKind::String) => it.kind = Some(value.text()?),
                (b"name", ValueKind::String) => it.name = Some(value.text()?),
                (b"description", ValueKind::String) => it.description = Some(value.text()?),
                (b"parameters" | b"inputSchema", ValueKind::Object) => {
                    it.parameters = Some(value.raw()?);
                }
                (b"tools", ValueKind::Array) => it.tools = Some(value.raw()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(it)
    }

    /// Finds a tool in a list.
    fn find(
        list: RawJson<'a>,
        namespace: Option<JsonText<'_>>,
        name: JsonText<'_>,
    ) -> Option<ToolDefinition<'a>> {
        let mut found = None;
        let read = list.cursor().array(|entry| {
            if found.is_some() || entry.kind()? != ValueKind::Object {
                return Ok(());
            }
            let entry = ToolDefinition::read(entry.raw()?)?;
            match entry.tools {
                Some(tools) => {
                    let wanted = namespace.unwrap_or(JsonText::new(b"functions"));
                    if entry.name.is_some_and(|it| it == wanted) {
                        found = ToolDefinition::find(tools, None, name);
                    }
                }
                None if entry.name == Some(name) => found = Some(entry),
                None => {}
            }
            Ok(())
        });
        read.ok().and(found)
    }
}

impl<'a> Thread<'a> {
    /// Returns the list of tools that the model was given in a turn, if it was
    /// given one there: an array of definitions, as recorded.
    pub fn tools_of(&self, turn: &Turn<'a>) -> Option<RawJson<'a>> {
        let item = self.item(turn.tools?)?;
        match &item.body {
            ResponseItem::AdditionalTools(list) => list.tools,
            _ => None,
        }
    }

    /// Returns that list on the turn that it was written in, whose span this is:
    /// it is long, and holds for the turns after it.
    pub fn new_tools(&self, turn: &Turn<'a>, span: SpanIx) -> Option<RawJson<'a>> {
        let item = self.items.get(turn.tools?.0 as usize)?;
        let here = item.turn.map_or(turn.number == 1, |turn| turn == span);
        self.tools_of(turn).filter(|_| here)
    }

    /// Returns what a command was to do: by the call, else by what was reported.
    /// Reads the call's arguments, so ask once.
    pub fn command_of(&self, call: &ToolCall<'a>) -> Command<'a> {
        let said = match call.call_item.and_then(|ix| self.item(ix)).map(|item| &item.body) {
            Some(ResponseItem::ToolCall(item)) => family::command(call.family, item),
            _ => Command::default(),
        };
        Command {
            line: said.line.or_else(|| family::words(call.reported_command?)),
            cwd: said.cwd.or_else(|| call.reported_cwd.map(family::path)),
            escalation: said.escalation,
        }
    }

    /// Returns what the model was told of the tool that it called.
    pub fn definition_of(
        &self,
        turn: &Turn<'a>,
        call: &ToolCall<'a>,
    ) -> Option<ToolDefinition<'a>> {
        let name = call.tool?;
        let find = |list| ToolDefinition::find(list, call.namespace, name);
        let dynamic = turn.dynamic_tools.or(self.meta.dynamic_tools);
        self.tools_of(turn).and_then(find).or_else(|| dynamic.and_then(find))
    }
}
