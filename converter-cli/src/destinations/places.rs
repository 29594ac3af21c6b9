//! Whether places get in each other's way.

use crate::ui::Ui;
use codex_trace_deliver::delivery::Destination;
use codex_trace_deliver::ledger::Standing;
use codex_trace_history::failure::Failure;

const WAY_OUT: &str =
    "give one of them `own_ids = true` in codex-trace.toml, before anything is uploaded to it";

/// Checks that no two destinations are the same place, where everything would
/// be there twice, nor share ids that can be there only once.
///
/// # Errors
///
/// If two do: which.
pub fn check<'d>(destinations: impl Iterator<Item = &'d Destination>) -> Result<(), Failure> {
    let destinations: Vec<&Destination> = destinations.collect();
    for (nth, destination) in destinations.iter().enumerate() {
        let exporter = &destination.exporter;
        let (name, place) = (&destination.name, &exporter.contract().destination);
        for other in &destinations[..nth] {
            let pair = format!("`{}` and `{name}`", other.name);
            if other.exporter.contract().destination == *place {
                return Err(Failure::new(format!("{pair} are the same place: {place}"))
                    .hint("upload to one of them, or give them projects of their own"));
            }
            let space = exporter.id_space();
            if space.is_some() && space == other.exporter.id_space() {
                let what = "are on one server, where a trace can be in one of them alone";
                return Err(Failure::new(format!("{pair} {what}")).hint(WAY_OUT));
            }
        }
    }
    Ok(())
}

/// Says, before the first upload to a place, that there is another one on its
/// server, where the same sessions may be.
pub fn tell_of_others(destinations: &[Destination], standings: &[Standing], ui: &Ui) {
    for destination in destinations {
        let place = &destination.exporter.contract().destination;
        let Some(space) = destination.exporter.id_space() else { continue };
        let sent = || standings.iter().filter(|standing| standing.sent > 0);
        if sent().any(|standing| standing.destination == *place) {
            continue;
        }
        if let Some(other) = sent().find(|it| it.destination.starts_with(&space.server)) {
            ui.warn(format!(
                "{}: sessions that were uploaded to `{}` are on the same server, where a trace can be in one place alone: they stay there, and do not come here",
                destination.name, other.destination
            ));
            ui.hint(WAY_OUT);
        }
    }
}
