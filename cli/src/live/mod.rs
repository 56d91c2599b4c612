//! The live view: what a run looks like while it goes. A few lines redrawn each second on a terminal,
//! one plain line every ten seconds without one.
//! In: events of the collector. Out: stderr; and the end of the run, with `--fail-fast`, at the first proven leak.

mod state;
mod view;

use crate::args::How;
use engine::run_result::{LeakRecord, Tier};
use engine::{Interval, Observer, Stop};
use scenarios::program::{Profile, Program};
use state::State;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;

/// Seconds between plain lines.
const PLAIN_EVERY: u64 = 10;

/// Whether text for `stream` may have colours.
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Redrawn in place.
    Live,
    /// A line every ten seconds.
    Plain,
    /// Nothing.
    Quiet,
}

/// Shows a run while it goes.
#[derive(Debug)]
pub struct Display {
    style: Style,
    state: State,
    stop: Arc<Stop>,
    fail_fast: bool,
    /// Lines drawn last, to be drawn over.
    drawn: usize,
}

impl Display {
    /// A display for a profile.
    pub fn new(program: &Program, profile: &Profile, how: &How, stop: Arc<Stop>) -> Self {
        let style = match (how.quiet, stderr().is_terminal() && !how.no_tui) {
            (true, _) => Style::Quiet,
            (false, true) => Style::Live,
            (false, false) => Style::Plain,
        };
        Self { style, state: State::new(program, profile), stop, fail_fast: how.fail_fast, drawn: 0 }
    }

    /// Takes the live lines away, so that the summary stands alone.
    pub fn finish(&mut self) {
        if self.style == Style::Live {
            self.draw(&[]);
        }
    }

    fn draw(&mut self, lines: &[String]) {
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        text.push_str("\x1b[0J");
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        // A terminal that went away must not end the run.
        let _ = stderr().write_all(text.as_bytes());
    }
}

impl Observer for Display {
    fn interval(&mut self, interval: &Interval) {
        self.state.add(interval);
        match self.style {
            Style::Live => {
                let (width, height) = crossterm::terminal::size().unwrap_or((80, 24));
                let lines = view::live(&self.state, usize::from(width), usize::from(height), is_coloured(&stderr()));
                self.draw(&lines);
            }
            Style::Plain if (interval.second + 1).is_multiple_of(PLAIN_EVERY) => {
                let _ = writeln!(stderr(), "{}", view::plain(&self.state));
            }
            Style::Plain | Style::Quiet => {}
        }
    }

    fn leak(&mut self, record: &LeakRecord) {
        let is_first = self.state.first_leak.is_none();
        if record.tier != Tier::Proven {
            return;
        }
        if is_first {
            self.state.first_leak = Some(view::leak(record));
            if self.style == Style::Plain {
                let _ = writeln!(stderr(), "LEAK at {:.1} s: {}", record.t_s, view::leak(record));
            }
        }
        if self.fail_fast {
            self.stop.abort("a leak was proven (--fail-fast)");
        }
    }
}
