//! The only module that prints: data to stdout, words for people to stderr.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use codex_trace_history::Watch;

use crate::config::Settings;
use crate::progress::{HowFar, Pace, Screen, Unit};
use crate::text;
use codex_trace_history::failure::Failure;

/// How a piece of text is meant, for those who see color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// The main thing.
    Strong,
    /// A side remark.
    Faint,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// Returns the text, escaped, in color if there is to be color.
    pub fn paint(self, text: &str, color: bool) -> String {
        let text = text::escape(text);
        let code = match self {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Plain => return text.into_owned(),
        };
        if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into_owned() }
    }
}

impl Watch for Ui {
    fn codex_homes(&self) -> (&[PathBuf], &'static str) {
        (&self.settings.codex_homes, self.settings.codex_homes_from)
    }

    fn detail(&self, text: String) {
        if self.settings.verbose {
            self.say(text);
        }
    }

    fn warn(&self, text: String) {
        Ui::warn(self, text);
    }

    fn error(&self, text: String) {
        Ui::error(self, text);
    }

    fn start(&self, what: &'static str, steps: usize) {
        Ui::start(self, what, steps);
    }

    fn step(&self) {
        Ui::step(self);
    }

    fn stop(&self) {
        Ui::stop(self);
    }
}

/// Stdout and stderr, and how to use them.
#[derive(Debug)]
pub struct Ui {
    settings: Settings,
    screen: Screen,
    done: Arc<AtomicU64>,
}

impl Ui {
    /// Takes hold of the standard streams.
    pub fn new(settings: Settings) -> Ui {
        Ui { settings, screen: Screen::default(), done: Arc::default() }
    }

    /// Returns what holds for every command.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns stdout, for data only. Flush it: what is lost on drop is lost.
    pub fn out(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(1 << 16, io::stdout().lock())
    }

    /// Shows how far a job of `n` steps is, if somebody looks and it takes a
    /// while; see [`step`](Self::step).
    pub fn start(&self, what: &'static str, n: usize) {
        self.begin(what, n as u64, Unit::Steps);
    }

    /// As [`start`](Self::start), of a job whose steps are of different sizes, in
    /// bytes; see [`advance`](Self::advance).
    pub fn start_bytes(&self, what: &'static str, bytes: u64) {
        self.begin(what, bytes, Unit::Bytes);
    }

    fn begin(&self, doing: &'static str, total: u64, unit: Unit) {
        self.done.store(0, Ordering::Relaxed);
        let (counter, mut pace) = (Arc::clone(&self.done), Pace::default());
        self.start_drawn(move |elapsed, width| {
            let done = counter.load(Ordering::Relaxed);
            let rate = pace.rate(elapsed, done);
            vec![HowFar { doing, done, total, unit, rate }.line(None, width)]
        });
    }

    /// Shows the lines that `draw` makes of the time since the start and the width
    /// of the terminal, again and again until [`stop`](Self::stop), if somebody
    /// looks and it takes a while.
    pub fn start_drawn(
        &self,
        mut draw: impl FnMut(Duration, usize) -> Vec<String> + Send + 'static,
    ) {
        let width = self.settings.message_width.filter(|_| self.settings.progress);
        if let Some(width) = width {
            self.screen.show(move |elapsed| draw(elapsed, width));
        }
    }

    /// Returns what can take the progress away, from any thread.
    pub fn screen(&self) -> Screen {
        self.screen.clone()
    }

    /// Counts one step.
    pub fn step(&self) {
        self.advance(1);
    }

    /// Counts a step of so many bytes.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes the progress away.
    pub fn stop(&self) {
        self.screen.clear();
    }

    /// Says what a run came to, or how things stand.
    pub fn say(&self, text: impl Display) {
        self.line("", Tone::Plain, &text);
    }

    /// Says what was odd but did not stop anything.
    pub fn warn(&self, text: impl Display) {
        self.line("warning: ", Tone::Warn, &text);
    }

    /// Says what failed while the rest went on.
    pub fn error(&self, text: impl Display) {
        self.line("error: ", Tone::Bad, &text);
    }

    /// Says what to do next.
    pub fn hint(&self, text: impl Display) {
        self.line("hint: ", Tone::Good, &text);
    }

    /// Says why nothing more was done.
    pub fn failure(&self, err: &anyhow::Error) {
        self.stop();
        self.error(format!("{err:#}"));
        let Some(failure) = err.downcast_ref::<Failure>() else { return };
        for line in failure.detail_lines() {
            self.line("  ", Tone::Plain, line);
        }
        if let Some(hint) = failure.hint_line() {
            self.hint(hint);
        }
    }

    fn line(&self, head: &str, tone: Tone, text: &dyn Display) {
        let (taken, head) = (text::width(head), tone.paint(head, self.settings.color_err));
        let text = text.to_string();
        let lines = text.lines().map(text::escape);
        // What was cut is not to look like another message.
        let line: Vec<String> = match self.settings.message_width {
            Some(width) => {
                let taken = |nth| if nth == 0 { taken } else { 2 };
                let lines = lines.enumerate();
                lines.flat_map(|(nth, line)| text::wrap(&line, width, taken(nth), 2)).collect()
            }
            None => lines.map(std::borrow::Cow::into_owned).collect(),
        };
        self.screen.aside(|| {
            // Nobody is left to be told that stderr is closed.
            // A line that is not the first is not to look like another message.
            writeln!(io::stderr(), "{head}{}", line.join("\n  ")).ok();
        });
    }
}

/// Prints what the argument parser says: help and version to stdout, faults to
/// stderr. Returns whether it was a fault.
pub fn usage(err: &clap::Error) -> bool {
    // As above: a closed stream has nobody behind it.
    err.print().ok();
    err.use_stderr()
}
