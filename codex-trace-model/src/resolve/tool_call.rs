//! Tool calls: calls joined with their outputs, and with what the user
//! interface was told of them.

use std::borrow::Cow;

use codex_rollout::item::response_item::{CallOutcome, ToolCallForm, ToolCallItem};
use codex_rollout::{JsonText, RawJson};
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::resolve::family;
use crate::resolve::ids::IdTable;
use crate::resolve::output::Outcome;
use crate::tool::{ToolCall, ToolFamily};
use crate::trace::ItemIx;

/// A tool call while its turn is read.
#[derive(Debug)]
pub(crate) struct ToolDraft<'a> {
    pub(crate) turn: usize,
    /// The key and the name of the span, made while the lines are at hand.
    pub(crate) key: String,
    pub(crate) name: Cow<'a, str>,
    /// The span's own in the end, so that it stays where it is.
    pub(crate) call: Box<ToolCall<'a>>,
    pub(crate) form: ToolCallForm,
    pub(crate) first_line: u64,
    pub(crate) last_line: u64,
    /// The lines of call and output.
    pub(crate) called: Option<Timestamp>,
    pub(crate) answered: Option<Timestamp>,
    /// When a response was counted, if that was the last count before the call.
    pub(crate) counted: Option<Timestamp>,
    /// What the output says of the call.
    pub(crate) outcome: Outcome<'a>,
    /// What the user interface was told, as far as it is not in the call.
    pub(crate) told: Told<'a>,
    /// The session of a running command that the call wrote to.
    pub(crate) session: Option<String>,
    /// The call of code mode that it ran inside of.
    pub(crate) inside: Option<usize>,
    /// Whether the provider ran it itself: its item is its end, too.
    pub(crate) whole: bool,
    /// What it did, if that is all that joins it with its end.
    pub(crate) deed: Option<Deed<'a>>,
}

/// What a tool of the provider did. From 0.30 to 0.141 the items of such tools
/// had no ids, although their end events did.
pub(crate) type Deed<'a> = (ToolFamily, &'a [u8]);

/// What an event or an item says of a call, beyond call and output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail<'a> {
    pub(crate) line: u64,
    /// Whether no call is to be expected: an extension of the harness acted.
    pub(crate) alone: bool,
    /// What was given and what came back, in case no items say it.
    pub(crate) arguments: Option<RawJson<'a>>,
    pub(crate) output: Option<RawJson<'a>>,
    pub(crate) told: Told<'a>,
    pub(crate) call: ToolCall<'a>,
    /// What a tool of the provider did.
    pub(crate) deed: Option<Deed<'a>>,
}

/// How a call went, as an event or an item says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told<'a> {
    /// By the item's own clock.
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
    /// When the line was written, which is right after the end.
    pub(crate) written: Option<Timestamp>,
    /// Whether it is told of the call's end, not of its begin.
    pub(crate) ended: bool,
    pub(crate) failed: Option<Cow<'a, str>>,
    pub(crate) declined: bool,
    /// Whether it is said to have worked.
    pub(crate) worked: bool,
    pub(crate) succeeded: Option<bool>,
}

/// What stays known of a tool call.
#[derive(Debug)]
pub(crate) struct KnownCall<'a> {
    pub(crate) turn: usize,
    pub(crate) item: Option<ItemIx>,
    /// All else, until the call has its span.
    draft: Option<Box<ToolDraft<'a>>>,
}

/// Every tool call of a thread, found by its id.
#[derive(Debug, Default)]
pub(crate) struct ToolTable<'a> {
    pub(crate) calls: Vec<KnownCall<'a>>,
    by_id: IdTable<&'a [u8], usize>,
    /// Details that came before their call, with the turn they came in; `None`
    /// where the call has come.
    waiting: Vec<Option<(usize, Detail<'a>)>>,
    waiting_by_id: IdTable<&'a [u8], usize>,
    /// Details that wait, and calls without an id that have not ended, by what
    /// was done; the nearest last.
    waiting_by_deed: HashMap<Deed<'a>, Vec<usize>>,
    nameless: HashMap<Deed<'a>, Vec<usize>>,
}

impl<'a> ToolTable<'a> {
    /// Returns the call with an id.
    pub(crate) fn find(&self, id: Option<JsonText<'a>>) -> Option<usize> {
        self.by_id.get(id?.raw())
    }

    /// Returns a call that has no span yet.
    pub(crate) fn draft(&mut self, call: usize) -> Option<&mut ToolDraft<'a>> {
        self.calls[call].draft.as_deref_mut()
    }

    /// Takes a call out, to make a span of it.
    pub(crate) fn take(&mut self, call: usize) -> Option<Box<ToolDraft<'a>>> {
        self.calls[call].draft.take()
    }

    /// Whether a call has its output.
    pub(crate) fn is_answered(&self, call: usize) -> bool {
        self.calls[call].draft.as_ref().is_none_or(|draft| draft.call.output_item.is_some())
    }

    /// Adds what an event or item says of a call that has no span yet.
    pub(crate) fn enrich(&mut self, call: usize, detail: Detail<'a>) {
        if let Some(draft) = self.draft(call) {
            draft.enrich(detail);
        }
    }

    /// Adds a call; takes up a detail that came before it.
    pub(crate) fn add(&mut self, mut draft: ToolDraft<'a>) -> usize {
        let ix = self.calls.len();
        if let Some(deed) = draft.deed.filter(|_| draft.call.call_id.is_none()) {
            match self.take_end(deed, draft.turn) {
                Some(detail) => {
                    draft.call.call_id = detail.call.call_id;
                    draft.enrich(detail);
                }
                None => self.nameless.entry(deed).or_default().push(ix),
            }
        }
        if let Some(id) = draft.call.call_id {
            self.by_id.insert(id.raw(), ix);
            // What came in another turn stays there: that may have ended.
            let here = |(turn, _): &mut (usize, Detail<'a>)| *turn == draft.turn;
            let early = self.waiting_by_id.get(id.raw());
            let detail = early.and_then(|early| self.waiting[early].take_if(here));
            if let Some((_, detail)) = detail {
                self.waiting_by_id.remove(id.raw());
                draft.enrich(detail);
            }
        }
        self.push(draft)
    }

    /// Adds a call that is joined with nothing.
    pub(crate) fn push(&mut self, mut draft: ToolDraft<'a>) -> usize {
        draft.key = match draft.call.call_id {
            Some(id) => ["tool:", &id.decode()].concat(),
            None => format!("tool:@{}", draft.first_line),
        };
        draft.name = draft.call.tool.map_or(Cow::Borrowed("tool"), JsonText::decode);
        let (turn, item) = (draft.turn, draft.call.call_item);
        self.calls.push(KnownCall { turn, item, draft: Some(Box::new(draft)) });
        self.calls.len() - 1
    }

    /// Takes the nearest detail of a turn that waits for what was done.
    fn take_end(&mut self, deed: Deed<'a>, turn: usize) -> Option<Detail<'a>> {
        let ends = self.waiting_by_deed.get_mut(&deed)?;
        while let Some(ix) = ends.pop() {
            // It may have found its call, and other turns may have ended.
            if let Some((_, detail)) = self.waiting[ix].take_if(|(of, _)| *of == turn) {
                if let Some(id) = detail.call.call_id {
                    self.waiting_by_id.remove(id.raw());
                }
                return Some(detail);
            }
        }
        None
    }

    /// Takes the nearest call of a turn that has no id and did what a detail
    /// with an id tells; from now on it is known by that id.
    pub(crate) fn take_nameless(&mut self, turn: usize, detail: &Detail<'a>) -> Option<usize> {
        let id = detail.call.call_id?;
        let calls = self.nameless.get_mut(&detail.deed?)?;
        let ix = std::iter::from_fn(|| calls.pop()).find(|ix| self.calls[*ix].turn == turn)?;
        self.draft(ix)?.call.call_id = Some(id);
        self.by_id.insert(id.raw(), ix);
        Some(ix)
    }

    /// Takes a detail of a turn that waits under an id.
    pub(crate) fn take_waiting(&mut self, id: JsonText<'a>, turn: usize) -> Option<Detail<'a>> {
        let ix = self.waiting_by_id.get(id.raw())?;
        let (_, detail) = self.waiting[ix].take_if(|(of, _)| *of == turn)?;
        self.waiting_by_id.remove(id.raw());
        Some(detail)
    }

    /// Keeps a detail until its call comes; returns its index if it is new.
    pub(crate) fn wait(&mut self, turn: usize, detail: Detail<'a>) -> Option<usize> {
        if let Some(id) = detail.call.call_id {
            let known = self.waiting_by_id.get(id.raw());
            if let Some(Some((of, earlier))) = known.map(|ix| &mut self.waiting[ix])
                && *of == turn
            {
                // Items may be written again with the same id; the last one counts.
                *earlier = detail;
                return None;
            }
            self.waiting_by_id.insert(id.raw(), self.waiting.len());
        }
        if let Some(deed) = detail.deed {
            self.waiting_by_deed.entry(deed).or_default().push(self.waiting.len());
        }
        self.waiting.push(Some((turn, detail)));
        Some(self.waiting.len() - 1)
    }

    /// Takes a detail whose call never came.
    pub(crate) fn take_unclaimed(&mut self, waiting: usize) -> Option<Detail<'a>> {
        self.waiting[waiting].take().map(|(_, detail)| detail)
    }
}

impl<'a> ToolDraft<'a> {
    /// Makes a draft of a call of which nothing else is known.
    pub(crate) fn new(turn: usize, call: ToolCall<'a>) -> ToolDraft<'a> {
        ToolDraft {
            turn,
            key: String::new(),
            name: Cow::Borrowed(""),
            call: Box::new(call),
            form: ToolCallForm::default(),
            first_line: 0,
            last_line: 0,
            called: None,
            answered: None,
            counted: None,
            outcome: Outcome::default(),
            told: Told::default(),
            session: None,
            inside: None,
            whole: false,
            deed: None,
        }
    }

    /// Makes a draft of a call item.
    pub(crate) fn of_item(turn: usize, item: ItemIx, call: &ToolCallItem<'a>) -> ToolDraft<'a> {
        let fields = &call.fields;
        let namespace = fields.namespace.filter(|namespace| !namespace.is("functions"));
        let tool = fields.name.or(match call.form {
            ToolCallForm::LocalShell => Some(JsonText::new(b"local_shell")),
            ToolCallForm::ToolSearch => Some(JsonText::new(b"tool_search")),
            ToolCallForm::Function | ToolCallForm::Custom | ToolCallForm::Other => None,
        });
        let arguments = fields.arguments.or(fields.action);
        let family = family::family(call.form, tool, namespace, arguments);
        let end = call.raw.and_then(CallOutcome::from_raw).unwrap_or_default();
        let mut told = Told::default();
        if end.error.is_some()
            || fields.status.is_some_and(|it| call.raw.is_some() && it.is("failed"))
        {
            let why = end.error.and_then(family::error_text);
            told.failed = Some(why.unwrap_or(Cow::Borrowed("failed")));
        }
        // What the provider ran itself has ended when it is written down.
        let running = fields.status.is_none_or(|status| status.is("in_progress"));
        let mut facts = ToolCall {
            call_id: fields.call_id.or(fields.id),
            tool,
            namespace,
            family,
            call_item: Some(item),
            ..ToolCall::default()
        };
        let mcp = family::mcp(family, tool, namespace);
        facts.put(mcp, |extras, it| extras.mcp = Some(it));
        facts.put(end.output, |extras, it| extras.output_text = Some(it));
        ToolDraft {
            whole: call.raw.is_some() && !running,
            told,
            form: call.form,
            session: family::input_session(family, arguments),
            ..ToolDraft::new(turn, facts)
        }
    }

    /// Makes a draft of something that ran without an item of its own: inside
    /// of code mode, or at the user's own command.
    pub(crate) fn of_detail(
        turn: usize,
        inside: Option<usize>,
        detail: Detail<'a>,
    ) -> ToolDraft<'a> {
        let call = ToolCall {
            call_id: detail.call.call_id,
            tool: detail.call.tool,
            namespace: detail.call.namespace,
            family: detail.call.family,
            ..ToolCall::default()
        };
        let mut draft = ToolDraft {
            inside,
            first_line: detail.line,
            last_line: detail.line,
            ..ToolDraft::new(turn, call)
        };
        draft.enrich(detail);
        draft
    }

    /// Takes in what an event or item says of the call; the last one counts.
    pub(crate) fn enrich(&mut self, detail: Detail<'a>) {
        let told = detail.call;
        let call = &mut self.call;
        call.exit_code = told.exit_code.or(call.exit_code);
        call.duration = told.duration.or(call.duration);
        call.parsed_cmd = told.parsed_cmd.or(call.parsed_cmd);
        call.process_id = told.process_id.or(call.process_id);
        call.reported_output = told.reported_output.or(call.reported_output);
        call.reported_command = call.reported_command.or(told.reported_command);
        call.reported_cwd = call.reported_cwd.or(told.reported_cwd);
        if call.call_item.is_none() {
            call.put(detail.arguments, |extras, it| extras.arguments = Some(it));
        }
        if call.call_item.is_none() || self.whole {
            call.put(detail.output, |extras, it| extras.output_text = Some(it));
        }
        call.take_extras(told);
        if call.extras().mcp.is_some() {
            call.family = ToolFamily::Mcp;
        }
        self.last_line = self.last_line.max(detail.line);
        let started = detail.told.started.or(self.told.started);
        let ended = detail.told.ended || self.told.ended;
        self.told = Told { started, ended, ..detail.told };
    }
}
