//! The live view: what a run looks like while it goes. A few lines redrawn each second on a terminal,
//! one plain line every ten seconds without one.
//! In: events of the collector. Out: stderr; and the end of the run, with `--fail-fast`, at the first proven leak.

mod brief;
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

/// What is shown.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Everything.
    Full,
    /// One request without objectives; by its number of requests, if that ends the run.
    Brief(Option<u64>),
}

/// Shows a run while it goes.
#[derive(Debug)]
pub struct Display {
    style: Style,
    shape: Shape,
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
        let state = State::new(program, profile);
        Self { style, shape: Shape::Full, state, stop, fail_fast: how.fail_fast, drawn: 0 }
    }

    /// A display for a program of one request, whose name is all that its title says.
    pub fn brief(program: &Program, requests: Option<u64>, no_tui: bool, stop: Arc<Stop>) -> Self {
        let style = if stderr().is_terminal() && !no_tui { Style::Live } else { Style::Plain };
        let mut state = State::new(program, &program.profiles[0]);
        state.title.clone_from(&program.name);
        Self { style, shape: Shape::Brief(requests), state, stop, fail_fast: false, drawn: 0 }
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
                let (width, height) = (usize::from(width), usize::from(height));
                let lines = match self.shape {
                    Shape::Full => view::live(&self.state, width, height, is_coloured(&stderr())),
                    Shape::Brief(requests) => brief::live(&self.state, requests, width, height),
                };
                self.draw(&lines);
            }
            Style::Plain if (interval.second + 1).is_multiple_of(PLAIN_EVERY) => {
                let line = match self.shape {
                    Shape::Full => view::plain(&self.state),
                    Shape::Brief(requests) => brief::plain(&self.state, requests),
                };
                let _ = writeln!(stderr(), "{line}");
            }
            Style::Plain | Style::Quiet => {}
        }
    }

    fn not_stored(&mut self, why: &str) {
        // Also with --quiet: what is lost now cannot be had again.
        let warning = format!("the results folder cannot be written: {why}; measuring goes on");
        if self.style == Style::Live {
            self.draw(&[]);
        }
        let _ = writeln!(stderr(), "{warning}");
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
