use std::borrow::Cow;
use std::path::PathBuf;

use codex_rollout::item::session_meta::ThreadOrigin;
use codex_rollout::{JsonText, ReadRecords, Source};
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::diagnostic::{Code, Diagnostic};
use crate::group::BranchOf;
use crate::resolve::{ResolvedThread, ThreadBuilder, keep_within};
use crate::span::{Link, Relation, SpanKind};
use crate::trace::{RolloutIx, SpanIx, ThreadIx, Trace, span_ix};

/// What is known of a file of a session beside its lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct RolloutFile<'a> {
    /// What to call the file in provenance and diagnostics.
    pub path: &'a str,
    /// The thread, unless no `session_meta` of the file has its id.
    pub thread_id: &'a str,
    /// The thread's name as the home's index has it.
    pub name: Option<JsonText<'a>>,
    /// Other files that have nothing else.
    pub copies: &'a [PathBuf],
    /// Other paths of the file.
    pub links: &'a [PathBuf],
    /// The lines after which other files leave this one, in rising order.
    pub forks: &'a [u64],
    /// Where it leaves another file that is resolved before it, if it does.
    pub branch: Option<&'a BranchOf>,
}

/// One opened file of a session.
#[derive(Clone, Copy, Debug)]
pub struct RolloutInput<'a> {
    /// What is known of it.
    pub file: RolloutFile<'a>,
    /// Its bytes.
    pub source: &'a Source,
    /// The file whose history this one continues or holds a copy of.
    pub ancestor: Option<&'a Source>,
}

impl<'a> RolloutInput<'a> {
    /// Makes the input of a file of which all is read.
    pub fn new(path: &'a str, thread_id: &'a str, source: &'a Source) -> RolloutInput<'a> {
        let file = RolloutFile { path, thread_id, ..RolloutFile::default() };
        RolloutInput { file, source, ancestor: None }
    }
}

/// Resolves the files of one session, as [`group`](crate::group) put them
/// together, into its trace: the root thread's files first, each thread's in
/// the order written.
///
/// Never fails: what cannot be used becomes a diagnostic.
///
/// # Panics
///
/// If there is no file at all.
pub fn resolve<'a>(rollouts: &[RolloutInput<'a>]) -> Trace<'a> {
    let mut order: Vec<&str> = Vec::new();
    let mut builders: HashMap<&str, ThreadBuilder<'a>> = HashMap::new();
    for rollout in rollouts {
        let id = rollout.file.thread_id;
        let builder = builders.entry(id).or_insert_with(|| {
            order.push(id);
            ThreadBuilder::new(id)
        });
        builder.read(rollout);
    }
    link(&order, builders)
}

/// One file of a session, for [`resolve_usage`].
#[derive(Debug)]
pub struct UsageInput<'a, I> {
    /// What is known of the file.
    pub file: RolloutFile<'a>,
    /// The file's lines. All but those about turns, settings and usage may
    /// lack their content: an item of the conversation is as good as any other
    /// of its kind (the model's, a tool's output, or whoever else's), and an
    /// event that says nothing of turns may be no more than its name.
    pub lines: I,
}

impl<'a, I> UsageInput<'a, I> {
    /// Makes the input of a file of which all is read.
    pub fn new(path: &'a str, thread_id: &'a str, lines: I) -> UsageInput<'a, I> {
        UsageInput { file: RolloutFile { path, thread_id, ..RolloutFile::default() }, lines }
    }
}

/// As [`resolve`], for the model calls alone: reads each file once, from front
/// to back, and keeps none of the content. By the same rules, so that the
/// session's usage, its model calls with their times and models, and its
/// status come out the same. There are no tool calls and no events, and model
/// calls lack their names and keys; subagents hang where nothing of that would
/// be needed to tell.
///
/// Returns `None` if one of the files needs more than its lines one by one:
/// the bytes of an ancestor, or what an item says of itself; and if a model
/// call is known by its items alone, which nothing of what was read vouches
/// for. [`resolve`] reads those. Also if there is no file at all.
pub fn resolve_usage<'a, I>(
    rollouts: impl IntoIterator<Item = UsageInput<'a, I>>,
) -> Option<Trace<'a>>
where
    I: ReadRecords<'a>,
{
    let mut order: Vec<&str> = Vec::new();
    let mut builders: HashMap<&str, ThreadBuilder<'a>> = HashMap::new();
    for rollout in rollouts {
        let id = rollout.file.thread_id;
        let builder = builders.entry(id).or_insert_with(|| {
            order.push(id);
            ThreadBuilder::outline(id)
        });
        if !builder.read_outline(&rollout.file, rollout.lines) {
            return None;
        }
    }
    let trace = (!order.is_empty()).then(|| link(&order, builders))?;
    // Lines without content may hide damage. Where a count or a record stands
    // for each call, an item more or less makes no call.
    let vouched_for = trace.model_calls().all(|call| call.usage.is_some());
    vouched_for.then_some(trace)
}

fn link<'i, 'a>(order: &[&'i str], mut builders: HashMap<&'i str, ThreadBuilder<'a>>) -> Trace<'a> {
    let threads: Vec<ResolvedThread<'a>> =
        order.iter().filter_map(|id| builders.remove(id)).map(ThreadBuilder::finish).collect();
    assert!(!threads.is_empty(), "a session has at least one file");
    Linker::new(threads).link()
}

/// Where a thread hangs: a span of another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    thread: usize,
    span: SpanIx,
}

/// Puts the threads of a session together.
struct Linker<'a> {
    threads: Vec<ResolvedThread<'a>>,
    /// By thread; `None` for the root.
    places: Vec<Option<Place>>,
    /// By thread, one above it as far as threads have their places; itself if
    /// there is none.
    uppers: Vec<usize>,
    by_id: HashMap<String, usize>,
    /// The calls that say that they spawned a thread, by its id.
    spawning: HashMap<String, Vec<Place>>,
    /// By thread, the first call that spawned an agent of a path.
    named: HashMap<usize, HashMap<Cow<'a, str>, SpanIx>>,
    /// The first turn of an id, by thread and id.
    turns: HashMap<(usize, &'a [u8]), SpanIx>,
    /// The turns that one of the user's led to, by thread and that one's id.
    led_to: HashMap<(usize, &'a [u8]), Vec<SpanIx>>,
    /// The turns that are reviews, by thread.
    reviews: HashMap<usize, Vec<SpanIx>>,
    /// The reviews that a reviewer's first turn shows in, by the id of that.
    forwarded: HashMap<&'a [u8], Vec<Place>>,
}

impl<'a> Linker<'a> {
    fn new(threads: Vec<ResolvedThread<'a>>) -> Linker<'a> {
        let by_id = threads.iter().enumerate().map(|(ix, it)| (it.thread.id.clone(), ix)).collect();
        let mut linker = Linker {
            places: vec![None; threads.len()],
            uppers: (0..threads.len()).collect(),
            by_id,
            spawning: HashMap::new(),
            named: HashMap::new(),
            turns: HashMap::new(),
            led_to: HashMap::new(),
            reviews: HashMap::new(),
            forwarded: HashMap::new(),
            threads,
        };
        // One alone hangs nowhere.
        for thread in 0..linker.threads.len() {
            if linker.threads.len() > 1 {
                linker.index(thread);
            }
        }
        linker
    }

    /// Notes what a thread says of others, so that none has to search for it.
    fn index(&mut self, thread: usize) {
        let it = &self.threads[thread];
        for (ix, span) in it.spans.iter().enumerate() {
            let SpanKind::ToolCall(call) = &span.kind else { continue };
            for id in &call.extras().spawned {
                let place = Place { thread, span: span_ix(ix) };
                self.spawning.entry(id.to_string()).or_default().push(place);
            }
        }
        for (span, path) in &it.named_agents {
            let named = self.named.entry(thread).or_default();
            named.entry(path.clone()).or_insert(*span);
        }
        for turn in &it.turns {
            if let Some(id) = turn.turn_id {
                self.turns.entry((thread, id.raw())).or_insert(turn.span);
            }
            if let Some(id) = turn.root_turn_id {
                self.led_to.entry((thread, id.raw())).or_default().push(turn.span);
            }
            if let Some(id) = turn.forwarded {
                let place = Place { thread, span: turn.span };
                self.forwarded.entry(id.raw()).or_default().push(place);
            }
            if turn.review {
                self.reviews.entry(thread).or_default().push(turn.span);
            }
        }
    }

    fn link(mut self) -> Trace<'a> {
        for child in 1..self.threads.len() {
            let place = self.place_of(child);
            let root = Place { thread: 0, span: SpanIx(0) };
            let place = if self.top_of(place.thread) == child { root } else { place };
            self.places[child] = Some(place);
            self.uppers[child] = place.thread;
        }
        self.note_missing();
        self.flatten()
    }

    /// Finds the span that a thread hangs under: the call that spawned it by
    /// its own word, by the agent's path, or at least the turn or the thread.
    fn place_of(&self, child: usize) -> Place {
        let it = &self.threads[child].thread;
        let parent = it.parent_thread_id.as_deref().and_then(|id| self.by_id.get(id)).copied();
        let named = self.spawning_call(parent, child);
        if let Some(place) = named.or_else(|| self.forwarding_review(child)) {
            return place;
        }
        let thread = parent.unwrap_or(0);
        let span = self
            .named_call(thread, child)
            .or_else(|| self.spawning_turn(thread, child))
            .or_else(|| self.review_turn(thread, child))
            .unwrap_or(SpanIx(0));
        Place { thread, span }
    }

    /// The call that says that it spawned a thread: the parent's, else the first.
    fn spawning_call(&self, parent: Option<usize>, child: usize) -> Option<Place> {
        let calls = self.spawning.get(self.threads[child].thread.id.as_str())?;
        let others = || calls.iter().find(|place| place.thread != child);
        calls.iter().find(|place| Some(place.thread) == parent).or_else(others).copied()
    }

    /// The spawning call whose output names the child's path (before 0.139).
    fn named_call(&self, thread: usize, child: usize) -> Option<SpanIx> {
        let meta = &self.threads[child].thread.meta;
        let spawned = match meta.source {
            Some(ThreadOrigin::Spawned(spawn)) => spawn.agent_path,
            _ => None,
        };
        let path = meta.agent_path.or(spawned)?.decode();
        self.named.get(&thread)?.get(path.as_ref()).copied()
    }

    /// The turn that a child's turns name as the one that spawned it, or as the
    /// user's turn that led to it (since 0.153).
    fn spawning_turn(&self, thread: usize, child: usize) -> Option<SpanIx> {
        let turns = &self.threads[child].turns;
        let named = |id: JsonText<'a>| self.turns.get(&(thread, id.raw())).copied();
        let parent = turns.iter().filter_map(|turn| turn.parent_turn_id).find_map(named);
        let roots = || turns.iter().filter_map(|turn| turn.root_turn_id);
        parent.or_else(|| roots().find_map(named)).or_else(|| {
            // The user's turn was in a thread above both.
            let led_to = roots().find_map(|id| self.led_to.get(&(thread, id.raw())))?;
            let created = self.threads[child].thread.created;
            let running =
                |span: &&SpanIx| created.is_some_and(|at| self.runs_at(thread, **span, at));
            led_to.iter().find(running).or(led_to.first()).copied()
        })
    }

    /// Whether a span of a thread had begun at a time and had not ended.
    fn runs_at(&self, thread: usize, span: SpanIx, at: Timestamp) -> bool {
        let span = &self.threads[thread].spans[span.index()];
        span.start.is_some_and(|start| start <= at) && span.end.is_none_or(|end| at <= end)
    }

    /// The review in which the first turn of a reviewer's thread shows.
    fn forwarding_review(&self, child: usize) -> Option<Place> {
        let first = self.threads[child].turns.first()?.turn_id?;
        let places = self.forwarded.get(first.raw())?;
        places.iter().find(|place| place.thread != child).copied()
    }

    /// The review during which a reviewer's thread was made.
    fn review_turn(&self, thread: usize, child: usize) -> Option<SpanIx> {
        let it = &self.threads[child].thread;
        let reviewer =
            matches!(it.meta.source, Some(ThreadOrigin::Subagent(what)) if what.is("review"));
        let created = it.created.filter(|_| reviewer)?;
        let reviews = self.reviews.get(&thread)?;
        reviews.iter().copied().find(|span| self.runs_at(thread, *span, created))
    }

    /// Returns the thread that a thread hangs under in the end, so far.
    fn top_of(&mut self, thread: usize) -> usize {
        let mut at = thread;
        while self.uppers[at] != at {
            // Shorter for the next one.
            self.uppers[at] = self.uppers[self.uppers[at]];
            at = self.uppers[at];
        }
        at
    }

    /// Links to threads whose files are not here.
    fn note_missing(&mut self) {
        for ix in 0..self.threads.len() {
            let by_id = &self.by_id;
            let it = &mut self.threads[ix];
            let path = it.thread.rollouts[0].path.clone();
            let mut missing = |what: String| {
                it.diagnostics.push(RolloutIx(0), Code::MissingThread, None, || Diagnostic {
                    code: Code::MissingThread,
                    path: path.clone(),
                    position: None,
                    column: None,
                    text: what,
                    count: 1,
                });
            };
            for span in &mut it.spans {
                let SpanKind::ToolCall(call) = &span.kind else { continue };
                let spawned = call.extras().spawned.iter();
                let gone: Vec<_> =
                    spawned.filter(|id| !by_id.contains_key(id.as_ref())).cloned().collect();
                for thread_id in gone {
                    let key = &span.key;
                    missing(format!("thread {thread_id}, which `{key}` spawned, is not here"));
                    let link = Link { relation: Relation::Spawned, thread_id, turn: None };
                    span.extras_mut().links.push(link);
                }
            }
            let parent = it.thread.parent_thread_id.clone();
            if let Some(id) = parent.clone().filter(|id| !by_id.contains_key(id)) {
                missing(format!("thread {id}, which spawned this one, is not here"));
                let thread_id = Cow::Owned(id);
                it.spans[0].extras_mut().links.push(Link {
                    relation: Relation::SpawnedBy,
                    thread_id,
                    turn: None,
                });
            }
            let forked = it.thread.forked_from_id.map(JsonText::decode);
            if let Some(thread_id) = forked.filter(|id| Some(id.as_ref()) != parent.as_deref()) {
                let turn = it.thread.forked_at;
                it.spans[0].extras_mut().links.push(Link {
                    relation: Relation::ForkedFrom,
                    thread_id,
                    turn,
                });
            }
        }
    }

    /// Puts all spans into one list, each thread's right after the span that
    /// it hangs under.
    fn flatten(mut self) -> Trace<'a> {
        let mut below: HashMap<(usize, u32), Vec<usize>> = HashMap::new();
        for (child, place) in self.places.iter().enumerate() {
            if let Some(place) = place {
                below.entry((place.thread, place.span.0)).or_default().push(child);
            }
        }
        if let [alone] = self.threads.as_mut_slice() {
            // As most are; the list of spans is right as it is.
            let spans = std::mem::take(&mut alone.spans);
            let flat =
                Flat { maps: HashMap::from([(0, identity(spans.len()))]), ..Flat::default() };
            return Flat { spans, order: vec![0], ..flat }.finish(self.threads);
        }
        let n_spans = self.threads.iter().map(|it| it.spans.len()).sum();
        let mut flat = Flat { spans: Vec::with_capacity(n_spans), ..Flat::default() };
        let mut spans: Vec<_> =
            self.threads.iter_mut().map(|it| std::mem::take(&mut it.spans).into_iter()).collect();
        // A thread, its new index, and the new indices of its spans so far.
        let mut stack = vec![(0, None, Vec::new())];
        while let Some((thread, opened, mut map)) = stack.pop() {
            let new = opened.unwrap_or_else(|| flat.open(thread));
            map.reserve(spans[thread].len());
            let mut children = None;
            for mut span in spans[thread].by_ref() {
                span.thread = new;
                span.parent = match span.parent {
                    Some(parent) => map.get(parent.index()).copied(),
                    None => flat.outer.get(&thread).copied(),
                };
                let at = flat.push(span);
                children = below.remove(&(thread, span_ix(map.len()).0)).map(|it| (at, it));
                map.push(at);
                if children.is_some() {
                    break;
                }
            }
            let Some((at, children)) = children else {
                flat.maps.insert(thread, map);
                continue;
            };
            stack.push((thread, Some(new), map));
            for &child in children.iter().rev() {
                flat.outer.insert(child, at);
                stack.push((child, None, Vec::new()));
            }
        }
        flat.finish(self.threads)
    }
}

fn identity(n_spans: usize) -> Vec<SpanIx> {
    (0..n_spans).map(span_ix).collect()
}

/// The flat list of spans while it grows.
#[derive(Default)]
struct Flat<'a> {
    spans: Vec<crate::Span<'a>>,
    /// Threads in the order of their spans.
    order: Vec<usize>,
    /// The span that a thread hangs under.
    outer: HashMap<usize, SpanIx>,
    maps: HashMap<usize, Vec<SpanIx>>,
}

impl<'a> Flat<'a> {
    fn open(&mut self, thread: usize) -> ThreadIx {
        self.order.push(thread);
        ThreadIx(u32::try_from(self.order.len() - 1).expect("fewer than 2^32 threads"))
    }

    /// Adds a span; a thread's is marked if it goes on after what it hangs under.
    fn push(&mut self, mut span: crate::Span<'a>) -> SpanIx {
        if let (SpanKind::Thread, Some(parent)) = (&span.kind, span.parent) {
            let parent = &self.spans[parent.index()];
            if let (Some(outer), Some(start)) = (parent.start, span.start)
                && start < outer
            {
                let recorded = (span.start, span.end);
                span.extras_mut().recorded.get_or_insert(recorded);
                span.start = Some(outer);
                span.end = span.end.map(|end| end.max(outer));
            }
            let last = span.end.or(span.start);
            span.outlives_parent = parent.end.zip(last).is_some_and(|(outer, end)| end > outer);
        } else if let Some(parent) = span.parent {
            keep_within(&mut span, self.spans[parent.index()].start, None);
        }
        self.spans.push(span);
        span_ix(self.spans.len() - 1)
    }

    fn finish(mut self, threads: Vec<ResolvedThread<'a>>) -> Trace<'a> {
        let ends = self.spans.iter().filter_map(|span| span.end.or(span.start)).max();
        // The session lasts as long as its longest thread.
        if self.spans[0].end.is_some() {
            self.spans[0].end = self.spans[0].end.max(ends);
        }
        let mut diagnostics = Vec::new();
        let mut resolved: HashMap<usize, ResolvedThread<'a>> =
            threads.into_iter().enumerate().collect();
        let mut out = Vec::with_capacity(self.order.len());
        for ix in std::mem::take(&mut self.order) {
            let Some(mut it) = resolved.remove(&ix) else { continue };
            let map = self.maps.remove(&ix).unwrap_or_default();
            it.thread.span = map[0];
            for item in &mut it.thread.items {
                item.turn = item.turn.map(|turn| map[turn.index()]);
            }
            diagnostics.extend(it.diagnostics.finish(&it.thread.rollouts));
            out.push(it.thread);
        }
        let mut trace = Trace { threads: out, spans: self.spans, diagnostics };
        trace.set_depths();
        trace
    }
}
