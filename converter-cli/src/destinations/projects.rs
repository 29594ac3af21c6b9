//! What the files of projects say of where their own sessions go. Another
//! project or experiment of the same server is followed; another server is not,
//! and such sessions are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use codex_trace_deliver::companions::PlaceOfProject;
use codex_trace_deliver::delivery::{Destination, Goes, Takes, cwd_of};
use codex_trace_export::{Address, Origin, Said};
use codex_trace_history::history::History;

use super::Named;
use crate::ui::Ui;

/// Gives a destination the sessions that go there, and returns one more for each
/// other project that files of the sessions' own projects name. Says which files
/// are not followed, if anybody wants to know.
///
/// # Errors
///
/// If one of those cannot be connected, as `connect` has it.
pub fn follow<'g>(
    destination: &mut Destination,
    named: &Named<'g>,
    history: &History,
    connect: impl Fn(&Named<'g>, &str) -> anyhow::Result<Destination>,
    ui: Option<&Ui>,
) -> anyhow::Result<Vec<Destination>> {
    let Some(companion) = &destination.companion else { return Ok(Vec::new()) };
    let mut by_cwd: HashMap<String, Goes> = HashMap::new();
    let mut more: BTreeMap<String, Option<Destination>> = BTreeMap::new();
    let mut told: BTreeSet<String> = BTreeSet::new();
    for cwd in history.sessions.iter().filter_map(|group| cwd_of(history, group)) {
        let of = companion.project(Path::new(cwd));
        let is_open = of.left_out.is_none() && of.refused.is_none();
        let Some(place) = of.place.filter(|it| is_open && !named.trusts(&it.file)) else {
            continue;
        };
        let shown = place.file.display();
        if is_elsewhere(&place, destination.exporter.server()) {
            if named.is_for_all() {
                told.insert(not_followed(&place));
                continue;
            }
            let why = format!(
                "`{shown}` ({}) names another place for the sessions below it: they are left out (`--endpoint` or `--project` names one place for all)",
                place.names()
            );
            by_cwd.insert(cwd.to_owned(), Goes::Nowhere(why));
            continue;
        }
        let Some((key, project)) = place.project.clone() else { continue };
        if !more.contains_key(&project) {
            let from = Origin::file(false, &place.file, key);
            let other = named.for_project(Said::new(project.clone(), from));
            let own = &destination.exporter.contract().destination;
            let places = other.connect()?;
            // Something stronger says where all go.
            let is_other = places.iter().any(|(_, it)| it.contract().destination != *own);
            if !is_other && !own.contains(&project) {
                told.insert(not_followed(&place));
            }
            let name = format!("{}#{}", named.name, plain(&project));
            let connected = is_other.then(|| connect(&other, &name)).transpose()?;
            more.insert(project.clone(), connected);
        }
        if more.get(&project).is_some_and(Option::is_some) {
            by_cwd.insert(cwd.to_owned(), Goes::To(project));
        }
    }
    for (ui, what) in ui.into_iter().flat_map(|ui| told.iter().map(move |what| (ui, what))) {
        ui.warn(format!("{}: {what}", named.name));
    }
    let by_cwd = Arc::new(by_cwd);
    destination.takes = Takes { by_cwd: Arc::clone(&by_cwd), project: None };
    let more = more.into_iter().filter_map(|(project, destination)| Some((project, destination?)));
    Ok(more
        .map(|(project, destination)| Destination {
            takes: Takes { by_cwd: Arc::clone(&by_cwd), project: Some(project) },
            ..destination
        })
        .collect())
}

/// Whether a file names another server than that of the upload, or access to one:
/// all but its address may be about another one.
fn is_elsewhere(place: &PlaceOfProject, server: Option<&Address>) -> bool {
    let same = match (&place.server, server) {
        (None, _) => true,
        (Some(named), Some(server)) => Address::unchecked(named).is_same(server),
        (Some(_), None) => false,
    };
    !same || place.more.len() > usize::from(place.server.is_some())
}

fn not_followed(place: &PlaceOfProject) -> String {
    format!(
        "`{}` ({}) is not followed for the sessions below it: they go where all others go",
        place.file.display(),
        place.names()
    )
}

/// Returns a project's name for use in the name of a file.
fn plain(project: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    project.chars().map(plain).take(64).collect()
}
