//! What the model saw and said: the items of the Responses API.

use crate::scan::{Cursor, Syntax};
use crate::text::{JsonText, RawJson};
use crate::wire::{Field, Tag, take_tag, wire};

/// A line of type `response_item`, or a bare item of the first versions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResponseItem<'a> {
    /// A message of the user, the assistant, the developer or the system.
    Message(Message<'a>),
    /// What the model thought.
    Reasoning(Reasoning<'a>),
    /// A call of a function tool, of the provider's shell or of the tool search.
    ToolCall(ToolCallItem<'a>),
    /// The answer to a tool call.
    ToolOutput(ToolOutputItem<'a>),
    /// A web search that the provider ran; has no output item.
    WebSearchCall(WebSearchCall<'a>),
    /// An image that the provider made; has no output item.
    ImageGenerationCall(ImageGenerationCall<'a>),
    /// The opaque result of a compaction, or the order to compact.
    Compaction(CompactionItem<'a>),
    /// A message from another agent.
    AgentMessage(AgentMessageItem<'a>),
    /// A list of tools given to the model as an item.
    AdditionalTools(AdditionalToolsItem<'a>),
    /// A change of settings inside the history.
    ConfigurationUpdate(ConfigurationUpdateItem<'a>),
    /// Bookkeeping of the undo function; the model never saw it.
    GhostSnapshot,
    /// An item of a type that this version does not know.
    Unknown(OtherItem<'a>),
}

wire! {
    /// A message.
    pub struct Message<'a> {
        /// The provider's or Codex's id.
        pub id: JsonText<'a> = b"id",
        /// `user`, `assistant`, `developer`, `system`.
        pub role: JsonText<'a> = b"role",
        /// An array of content items.
        pub content: RawJson<'a> = b"content",
        /// `commentary`, `final_answer`, `partial_answer` (since 0.95).
        pub phase: JsonText<'a> = b"phase",
        /// The turn it belongs to (since 0.141), and who wrote it (since 0.150).
        pub turn: MessageMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// A stretch of reasoning.
    pub struct Reasoning<'a> {
        /// The provider's id.
        pub id: JsonText<'a> = b"id",
        /// An array of summary parts.
        pub summary: RawJson<'a> = b"summary",
        /// An array of raw reasoning parts, seldom present.
        pub content: RawJson<'a> = b"content",
        /// The reasoning as only the provider can read it.
        pub encrypted_content: JsonText<'a> = b"encrypted_content",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

/// Which of the call items a [`ToolCallItem`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ToolCallForm {
    /// `function_call`: arguments are JSON text in a string.
    #[default]
    Function,
    /// `custom_tool_call`: the input is free text.
    Custom,
    /// `local_shell_call`: the provider's own shell tool.
    LocalShell,
    /// `tool_search_call`: a search for tools.
    ToolSearch,
    /// Any other type that ends in `_call`.
    Other,
}

/// A call of a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ToolCallItem<'a> {
    /// Which item it is.
    pub form: ToolCallForm,
    /// The whole item, if its type is one that this version does not know.
    pub raw: Option<RawJson<'a>>,
    /// Its fields. Of an unknown type: its name is that of the type, if it has
    /// none, and its arguments are the whole item, if it has none.
    pub fields: ToolCallFields<'a>,
}

wire! {
    /// What the item of a tool that the provider ran itself may say of its end.
    pub struct CallOutcome<'a> {
        /// The item's type.
        pub kind: JsonText<'a> = b"type",
        /// What it gave back.
        pub output: RawJson<'a> = b"output" | b"outputs" | b"results",
        /// Why it failed.
        pub error: RawJson<'a> = b"error",
    }
}

wire! {
    /// The fields of all call items.
    pub struct ToolCallFields<'a> {
        /// The provider's id of the item; another space than `call_id`.
        pub id: JsonText<'a> = b"id",
        /// What the output refers to; unique within a thread, equal in copies of it.
        pub call_id: JsonText<'a> = b"call_id",
        /// The tool's name.
        pub name: JsonText<'a> = b"name",
        /// The tool's namespace (since 0.115).
        pub namespace: JsonText<'a> = b"namespace",
        /// The arguments of a function call (a string that should hold JSON)
        /// or of a tool search (any JSON).
        pub arguments: RawJson<'a> = b"arguments",
        /// The input of a custom tool.
        pub input: JsonText<'a> = b"input",
        /// What the provider's shell is to run.
        pub action: RawJson<'a> = b"action",
        /// `completed`, `in_progress`, `incomplete`.
        pub status: JsonText<'a> = b"status",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// The answer to a tool call: `function_call_output`,
    /// `custom_tool_call_output` or `tool_search_output`.
    pub struct ToolOutputItem<'a> {
        /// Codex's id of the item.
        pub id: JsonText<'a> = b"id",
        /// The call answered; absent for what the harness itself put in (since 0.150).
        pub call_id: JsonText<'a> = b"call_id",
        /// The tool's name, if the item says so.
        pub name: JsonText<'a> = b"name",
        /// The tool's namespace, if the item says so (since 0.150).
        pub namespace: JsonText<'a> = b"namespace",
        /// A string or an array of content items.
        pub output: RawJson<'a> = b"output",
        /// The tools found by a tool search.
        pub tools: RawJson<'a> = b"tools",
        /// The turn it belongs to (since 0.141).
        pub turn: OutputMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// A web search by the provider.
    pub struct WebSearchCall<'a> {
        /// The provider's id.
        pub id: JsonText<'a> = b"id",
        /// `completed`, …
        pub status: JsonText<'a> = b"status",
        /// What was searched, opened or looked for.
        pub action: RawJson<'a> = b"action",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// An image by the provider.
    pub struct ImageGenerationCall<'a> {
        /// The provider's id.
        pub id: JsonText<'a> = b"id",
        /// `completed`, …
        pub status: JsonText<'a> = b"status",
        /// The prompt as the provider rewrote it.
        pub revised_prompt: JsonText<'a> = b"revised_prompt",
        /// The image in base64, megabytes long.
        pub result: JsonText<'a> = b"result",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// The result of a remote compaction.
    pub struct CompactionItem<'a> {
        /// The provider's id.
        pub id: JsonText<'a> = b"id",
        /// The summary as only the provider can read it.
        pub encrypted_content: JsonText<'a> = b"encrypted_content",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// A message from another agent (since 0.138).
    pub struct AgentMessageItem<'a> {
        /// Codex's id.
        pub id: JsonText<'a> = b"id",
        /// The sender's path.
        pub author: JsonText<'a> = b"author",
        /// The receiver's path.
        pub recipient: JsonText<'a> = b"recipient",
        /// An array of content items, some of them encrypted.
        pub content: RawJson<'a> = b"content",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// A change of settings inside the history (since 0.154).
    pub struct ConfigurationUpdateItem<'a> {
        /// Codex's id.
        pub id: JsonText<'a> = b"id",
        /// How the model is to reason from here on.
        pub reasoning: ReasoningSettings<'a> = b"reasoning",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// How the model is to reason.
    pub struct ReasoningSettings<'a> {
        /// The reasoning effort: `low`, `high`, …
        pub effort: JsonText<'a> = b"effort",
    }
}

wire! {
    /// A list of tools (written since 0.163).
    pub struct AdditionalToolsItem<'a> {
        /// Codex's id.
        pub id: JsonText<'a> = b"id",
        /// The tools with their descriptions and parameters, as recorded.
        pub tools: RawJson<'a> = b"tools",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

wire! {
    /// An item whose content is of no concern here.
    pub struct OtherItem<'a> {
        /// Its type.
        pub kind: JsonText<'a> = b"type",
        /// Its id.
        pub id: JsonText<'a> = b"id",
        /// The turn it belongs to (since 0.141).
        pub turn: ItemMetadata<'a> = b"internal_chat_message_metadata_passthrough" | b"metadata",
    }
}

impl<'a> OtherItem<'a> {
    fn tagged(tag: &Tag<'a>, cursor: &mut Cursor<'a>) -> Result<Option<OtherItem<'a>>, Syntax> {
        Ok(tag.read(cursor)?.map(|read| OtherItem { kind: Some(tag.name), ..read }))
    }
}

wire! {
    /// What Codex notes beside an item.
    pub struct ItemMetadata<'a> {
        /// The turn it belongs to; the most reliable link there is. May be a
        /// word such as `auto-compact-1` for what Codex put in itself.
        pub turn_id: JsonText<'a> = b"turn_id",
    }
}

wire! {
    /// What Codex notes beside a message.
    pub struct MessageMetadata<'a> {
        /// As in [`ItemMetadata`].
        pub turn_id: JsonText<'a> = b"turn_id",
        /// What each part of the content is (since 0.150).
        pub content_item_kinds: RawJson<'a> = b"content_item_kinds",
        /// More about each part of the content (since 0.163).
        pub content_item_metadata: RawJson<'a> = b"content_item_metadata",
    }
}

wire! {
    /// What Codex notes about a part of a message.
    pub struct ContentItemMetadata<'a> {
        /// Where the part comes from.
        pub provenance: Provenance<'a> = b"provenance",
    }
}

wire! {
    /// Where a part of a message comes from.
    pub struct Provenance<'a> {
        /// `user`, `harness`, `tool`, `skills`, `agents_md`.
        pub kind: JsonText<'a> = b"type",
    }
}

impl<'a> MessageMetadata<'a> {
    /// Returns what the parts of the content are, as far as it is noted:
    /// `user.text`, `environments.environment_context`, `unknown`, …
    pub fn kinds(&self) -> Vec<JsonText<'a>> {
        elements(self.content_item_kinds)
    }

    /// Returns where the parts of the content come from, as far as it is noted:
    /// `user`, `harness`, `tool`, …
    pub fn provenances(&self) -> Vec<JsonText<'a>> {
        let parts: Vec<ContentItemMetadata<'a>> = elements(self.content_item_metadata);
        parts.into_iter().filter_map(|part| part.provenance?.kind).collect()
    }
}

/// Reads the elements of an array that are of the expected type.
fn elements<'a, T: Field<'a>>(array: Option<RawJson<'a>>) -> Vec<T> {
    let mut found = Vec::new();
    if let Some(array) = array {
        let read = array.cursor().array(|element| {
            found.extend(T::read(element)?);
            Ok(())
        });
        // What is no array has no elements.
        read.ok();
    }
    found
}

wire! {
    /// What Codex notes beside an output.
    pub struct OutputMetadata<'a> {
        /// The turn it belongs to.
        pub turn_id: JsonText<'a> = b"turn_id",
        /// The calls that a script of code mode made.
        pub executed_tool_calls: RawJson<'a> = b"executed_tool_calls",
    }
}

impl<'a> ResponseItem<'a> {
    /// Whether it is of a kind that a model answers with. Where the parent of a
    /// review repeats the reviewer's answer, another model than its own does.
    pub fn is_answer(&self) -> bool {
        match self {
            ResponseItem::Message(message) => message.role.is_some_and(|role| role.is("assistant")),
            ResponseItem::Reasoning(_)
            | ResponseItem::ToolCall(_)
            | ResponseItem::WebSearchCall(_)
            | ResponseItem::ImageGenerationCall(_) => true,
            _ => false,
        }
    }

    /// Reads a list of items, such as what a compaction put in the place of a
    /// history: each as it was written, and what it is (`None` if it does not
    /// say). What comes after something malformed is not read.
    pub fn list(items: RawJson<'a>) -> Vec<(RawJson<'a>, Option<ResponseItem<'a>>)> {
        let mut list = Vec::new();
        let read = items.cursor().array(|element| {
            let raw = element.raw()?;
            list.push((raw, ResponseItem::decode(&mut raw.cursor())?));
            Ok(())
        });
        // The items before the fault are good.
        read.ok();
        list
    }

    /// Reads an item from its JSON object.
    ///
    /// # Errors
    ///
    /// If the text is not a well-formed value.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Option<ResponseItem<'a>>, Syntax> {
        let start = cursor.offset_of_value();
        let Some(tag) = take_tag(cursor)? else {
            cursor.skip()?;
            return Ok(None);
        };
        let item = match tag.name.raw() {
            b"message" => tag.read(cursor)?.map(ResponseItem::Message),
            b"reasoning" => tag.read(cursor)?.map(ResponseItem::Reasoning),
            b"function_call" => call(ToolCallForm::Function, &tag, cursor)?,
            b"custom_tool_call" => call(ToolCallForm::Custom, &tag, cursor)?,
            b"local_shell_call" => call(ToolCallForm::LocalShell, &tag, cursor)?,
            b"tool_search_call" => call(ToolCallForm::ToolSearch, &tag, cursor)?,
            b"function_call_output" | b"custom_tool_call_output" | b"tool_search_output" => {
                tag.read(cursor)?.map(ResponseItem::ToolOutput)
            }
            b"web_search_call" => tag.read(cursor)?.map(ResponseItem::WebSearchCall),
            b"image_generation_call" => tag.read(cursor)?.map(ResponseItem::ImageGenerationCall),
            b"compaction"
            | b"compaction_summary"
            | b"context_compaction"
            | b"compaction_trigger" => tag.read(cursor)?.map(ResponseItem::Compaction),
            b"agent_message" => tag.read(cursor)?.map(ResponseItem::AgentMessage),
            b"additional_tools" => tag.read(cursor)?.map(ResponseItem::AdditionalTools),
            b"configuration_update" => tag.read(cursor)?.map(ResponseItem::ConfigurationUpdate),
            b"ghost_snapshot" => {
                tag.skip(cursor)?;
                Some(ResponseItem::GhostSnapshot)
            }
            kind if kind.ends_with(b"_call") => other_call(&tag, start, cursor)?,
            kind if kind.ends_with(b"_call_output") => {
                tag.read(cursor)?.map(ResponseItem::ToolOutput)
            }
            _ => OtherItem::tagged(&tag, cursor)?.map(ResponseItem::Unknown),
        };
        Ok(item)
    }

    /// Returns the turn that the item says it belongs to.
    pub fn turn_id(&self) -> Option<JsonText<'a>> {
        let metadata = match self {
            ResponseItem::Message(item) => return item.turn.and_then(|turn| turn.turn_id),
            ResponseItem::Reasoning(item) => item.turn,
            ResponseItem::ToolCall(item) => item.fields.turn,
            ResponseItem::ToolOutput(item) => return item.turn.and_then(|turn| turn.turn_id),
            ResponseItem::WebSearchCall(item) => item.turn,
            ResponseItem::ImageGenerationCall(item) => item.turn,
            ResponseItem::Compaction(item) => item.turn,
            ResponseItem::AgentMessage(item) => item.turn,
            ResponseItem::ConfigurationUpdate(item) => item.turn,
            ResponseItem::AdditionalTools(item) => item.turn,
            ResponseItem::Unknown(item) => item.turn,
            ResponseItem::GhostSnapshot => None,
        };
        metadata.and_then(|metadata| metadata.turn_id)
    }
}

fn call<'a>(
    form: ToolCallForm,
    tag: &Tag<'a>,
    cursor: &mut Cursor<'a>,
) -> Result<Option<ResponseItem<'a>>, Syntax> {
    let fields = tag.read(cursor)?;
    let call = |fields| ToolCallItem { form, raw: None, fields };
    Ok(fields.map(|fields| ResponseItem::ToolCall(call(fields))))
}

/// Reads an item of an unknown type that ends in `_call`: the call of a tool
/// if something can join it with its end, or tells that.
fn other_call<'a>(
    tag: &Tag<'a>,
    start: usize,
    cursor: &mut Cursor<'a>,
) -> Result<Option<ResponseItem<'a>>, Syntax> {
    let Some(mut fields) = tag.read::<ToolCallFields<'a>>(cursor)? else { return Ok(None) };
    if fields.call_id.or(fields.id).or(fields.status).is_none() {
        let other = OtherItem { kind: Some(tag.name), turn: fields.turn, ..OtherItem::default() };
        return Ok(Some(ResponseItem::Unknown(other)));
    }
    let name = tag.name.raw().strip_suffix(b"_call").unwrap_or(tag.name.raw());
    fields.name = fields.name.or(Some(JsonText::new(name)));
    let raw = Some(cursor.since(start));
    if fields.input.is_none() {
        fields.arguments = fields.arguments.or(fields.action).or(raw);
    }
    Ok(Some(ResponseItem::ToolCall(ToolCallItem { form: ToolCallForm::Other, raw, fields })))
}
