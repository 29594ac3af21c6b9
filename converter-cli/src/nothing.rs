//! Why nothing was found: which filter leaves nothing, and what there is.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use codex_rollout::RolloutHead;
use codex_trace_model::{Timestamp, Trace};
use rayon::ThreadPool;

use crate::args::SelectArgs;
use crate::config::{selection, zone};
use crate::text::{self, count};
use crate::ui::Ui;
use codex_trace_history::history::{self, History};
use codex_trace_history::pipeline::{self, Event, Look, Sink};
use codex_trace_history::{Watch, repository, select};

/// How many values of a filter are named.
const SHOWN: usize = 8;

/// Whether a filter matches a session: by its head, where it is a candidate, and by its trace.
type Test<'f> = dyn Fn(Option<&RolloutHead>, &Trace<'_>) -> bool + Sync + 'f;

/// One filter, as it was typed.
pub(crate) struct Filter<'f> {
    flag: &'static str,
    typed: String,
    takes: Box<Test<'f>>,
    /// The values of a session that the filter looks at, if they are words.
    values: Option<fn(&Trace<'_>) -> Vec<String>>,
}

impl<'f> Filter<'f> {
    /// Makes a filter that only one command has.
    pub(crate) fn new(
        flag: &'static str,
        value: &str,
        takes: impl Fn(&Trace<'_>) -> bool + Sync + 'f,
        values: Option<fn(&Trace<'_>) -> Vec<String>>,
    ) -> Filter<'f> {
        let typed = format!("{flag} {value}").trim_end().to_owned();
        Filter { flag, typed, takes: Box::new(move |_, trace| takes(trace)), values }
    }
}

impl Filter<'_> {
    /// Returns whether it takes a session, as far as its trace tells.
    pub(crate) fn takes(&self, trace: &Trace<'_>) -> bool {
        (self.takes)(None, trace)
    }
}

/// Says that no session matches, which filter is to blame, and what it could be.
///
/// Reads the history once more, without the filters.
///
/// # Errors
///
/// If the history cannot be read.
pub(crate) fn explain(
    args: &SelectArgs,
    more: Vec<Filter<'_>>,
    pool: &ThreadPool,
    ui: &Ui,
) -> anyhow::Result<()> {
    if ui.settings().quiet {
        return Ok(());
    }
    let mut filters = of_select(args, ui)?;
    filters.extend(more);
    let all = SelectArgs {
        paths: args.paths.clone(),
        files_from: args.files_from.clone().filter(|from| from.as_os_str() != "-"),
        ..SelectArgs::default()
    };
    if filters.is_empty() || (all.paths.is_empty() && args.files_from != all.files_from) {
        // What came through a pipe cannot be read again.
        ui.warn("no session matches the filters");
        return Ok(());
    }
    let history = history::find(&selection(&all, ui.settings())?, &Again(ui), pool)?;
    let seen = look(&filters, &history, pool, ui)?;
    tell(&filters, &seen, args, ui)
}

/// Looks a second time: what is odd was said the first time.
struct Again<'u>(&'u Ui);

impl Watch for Again<'_> {
    fn codex_homes(&self) -> (&[PathBuf], &'static str) {
        self.0.codex_homes()
    }

    fn error(&self, _: String) {}
}

/// What was seen of all sessions.
struct Seen {
    /// How many sessions each filter takes.
    taken: Vec<usize>,
    /// How often each value of a filter is there.
    values: Vec<BTreeMap<String, usize>>,
    /// When the first session began and the last one ended.
    times: Option<(Timestamp, Timestamp)>,
}

fn look(
    filters: &[Filter<'_>],
    history: &History,
    pool: &ThreadPool,
    ui: &Ui,
) -> anyhow::Result<Seen> {
    let roots: HashMap<&str, &RolloutHead> =
        history.sessions.iter().map(|it| (it.root_thread_id.as_str(), history.root(it))).collect();
    let job = |trace: &Trace<'_>, _: &Sink<'_, _>| {
        let root = roots.get(trace.session_id()).copied();
        let taken: Vec<bool> = filters.iter().map(|it| (it.takes)(root, trace)).collect();
        let values: Vec<Vec<String>> =
            filters.iter().map(|it| it.values.map(|of| of(trace)).unwrap_or_default()).collect();
        let begin = trace.started_at().or_else(|| select::local_start(trace));
        Some((taken, values, begin.map(|begin| (begin, trace.ended_at().unwrap_or(begin)))))
    };
    let mut seen = Seen {
        taken: vec![0; filters.len()],
        values: vec![BTreeMap::new(); filters.len()],
        times: None,
    };
    ui.start("reading", history.sessions.len());
    pipeline::run(history, pool, &AtomicBool::new(false), Look::Facts, job, |event| {
        ui.step();
        let Event::End(Ok(Some((taken, values, times)))) = event else { return Ok(()) };
        for (nth, taken) in taken.into_iter().enumerate() {
            seen.taken[nth] += usize::from(taken);
        }
        for (nth, values) in values.into_iter().enumerate() {
            for value in values {
                *seen.values[nth].entry(value).or_default() += 1;
            }
        }
        if let Some((begin, end)) = times {
            let (first, last) = seen.times.unwrap_or((begin, end));
            seen.times = Some((first.min(begin), last.max(end)));
        }
        Ok::<_, anyhow::Error>(())
    })?;
    ui.stop();
    Ok(seen)
}

fn tell(filters: &[Filter<'_>], seen: &Seen, args: &SelectArgs, ui: &Ui) -> anyhow::Result<()> {
    let blamed: Vec<usize> = (0..filters.len()).filter(|nth| seen.taken[*nth] == 0).collect();
    if blamed.is_empty() {
        let each: Vec<String> = filters
            .iter()
            .zip(&seen.taken)
            .map(|(it, n)| format!("`{}` matches {}", it.typed, count(*n, "session")))
            .collect();
        ui.warn("no session matches all of the filters");
        ui.hint(format!("each by itself: {}", each.join(", ")));
        return Ok(());
    }
    for nth in blamed {
        let Filter { flag, typed, .. } = &filters[nth];
        ui.warn(format!("no session matches `{typed}`"));
        let mut values: Vec<(&String, &usize)> = seen.values[nth].iter().collect();
        values.sort_by_key(|(value, n)| (std::cmp::Reverse(**n), (*value).clone()));
        let mut named: Vec<String> = values
            .iter()
            .take(SHOWN)
            .map(|(value, n)| format!("{} ({n})", text::one_line(value)))
            .collect();
        if values.len() > SHOWN {
            named.push(format!("and {} more", values.len() - SHOWN));
        }
        match (*flag, seen.times) {
            ("--since" | "--until" | "--last", Some((first, last))) => {
                let zone = zone(args, ui.settings())?;
                ui.hint(format!(
                    "the sessions are from {} to {} ({})",
                    zone.minute(first),
                    zone.minute(last),
                    zone.label()
                ));
            }
            _ if filters[nth].values.is_none() => {}
            _ if named.is_empty() => ui.hint(nothing_recorded(flag)),
            _ if flag.starts_with("--failed-tools") => {
                ui.hint(format!("tools with failed calls: {}", named.join(", ")));
            }
            _ => ui.hint(format!("there are: {}", named.join(", "))),
        }
    }
    Ok(())
}

/// Says that no session has what a filter looks at.
fn nothing_recorded(flag: &str) -> &'static str {
    match flag {
        "--cwd" => "none of the sessions has recorded its directory",
        "--model" => "none of the sessions has called a model",
        "--source" => "none of the sessions has recorded what started it",
        "--branch" => "none of the sessions was started on a git branch",
        "--repo" => "none of the sessions was started in a git repository with a remote",
        "--tool" => "none of the sessions has called a tool",
        "--failed-tools" | "--failed-tools --tool" => "no tool call failed in any of the sessions",
        _ => "none of the sessions has recorded it",
    }
}

/// Takes the filters of every command apart.
fn of_select<'f>(args: &SelectArgs, ui: &Ui) -> anyhow::Result<Vec<Filter<'f>>> {
    let none = || SelectArgs { timezone: args.timezone.clone(), ..SelectArgs::default() };
    let mut filters = Vec::new();
    let mut add = |flag, value: Option<String>, only: SelectArgs, values| {
        let Some(value) = value else { return Ok(()) };
        let selection = selection(&only, ui.settings())?;
        let takes = move |root: Option<&RolloutHead>, trace: &Trace<'_>| {
            root.is_none_or(|root| selection.may_take(root)) && selection.takes(trace)
        };
        filters.push(Filter {
            flag,
            typed: format!("{flag} {value}"),
            takes: Box::new(takes),
            values,
        });
        Ok::<_, anyhow::Error>(())
    };
    let a = args.clone();
    add("--since", a.since.clone(), SelectArgs { since: a.since, ..none() }, None)?;
    add("--until", a.until.clone(), SelectArgs { until: a.until, ..none() }, None)?;
    let cwd = a.cwd.as_ref().map(|cwd| cwd.display().to_string());
    add("--cwd", cwd, SelectArgs { cwd: a.cwd, ..none() }, Some(directories))?;
    add("--model", a.model.clone(), SelectArgs { model: a.model, ..none() }, Some(select::models))?;
    add("--source", a.source.clone(), SelectArgs { source: a.source, ..none() }, Some(sources))?;
    add("--branch", a.branch.clone(), SelectArgs { branch: a.branch, ..none() }, Some(branches))?;
    add("--repo", a.repo.clone(), SelectArgs { repo: a.repo, ..none() }, Some(repositories))?;
    let status = a.status.iter().map(|it| it.word()).collect::<Vec<_>>().join(" --status ");
    let status = Some(status).filter(|status| !status.is_empty());
    add("--status", status, SelectArgs { status: a.status, ..none() }, Some(statuses))?;
    Ok(filters)
}

fn directories(trace: &Trace<'_>) -> Vec<String> {
    trace.root().meta.cwd.map(|cwd| cwd.decode().into_owned()).into_iter().collect()
}

fn sources(trace: &Trace<'_>) -> Vec<String> {
    trace.root().meta.source.map(|it| codex_rollout::source_word(&it)).into_iter().collect()
}

fn branches(trace: &Trace<'_>) -> Vec<String> {
    let branch = trace.root().meta.git.and_then(|git| git.branch);
    branch.map(|branch| branch.decode().into_owned()).into_iter().collect()
}

fn repositories(trace: &Trace<'_>) -> Vec<String> {
    let url = trace.root().meta.git.and_then(|git| git.repository_url);
    url.map(|url| repository::name(&url.decode())).into_iter().collect()
}

fn statuses(trace: &Trace<'_>) -> Vec<String> {
    vec![trace.standing().word().to_owned()]
}
