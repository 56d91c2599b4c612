//! The events of a trace as text. In: [`Event`]s. Out: lines, coloured on a terminal.

use engine::run_result::{RunResult, Tier};
use engine::trace::{Answer, Body, Event, Request};
use scenarios::Program;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

/// Turns events into text.
#[derive(Debug)]
pub struct Printer {
    is_coloured: bool,
    waits: bool,
}

impl Printer {
    /// `waits`: think times are waited for.
    pub fn new(is_coloured: bool, waits: bool) -> Self {
        Self { is_coloured, waits }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        paint(self.is_coloured, code, text)
    }

    /// Who plays what.
    pub fn head(&self, program: &Program, journey: usize) -> String {
        let journey = &program.journeys[journey];
        let who = match journey.role {
            None => "an anonymous user".into(),
            Some(role) => {
                format!("{} {}", program.roles[role].name, program.account_name(program.first_account(role)))
            }
        };
        let think = if self.waits { "" } else { "; think times are not waited for (--think)" };
        format!("{}, played by {who}{think}\n", self.paint(BOLD, &format!("journey {}", journey.name)))
    }

    /// One event.
    pub fn event(&self, event: &Event) -> String {
        match event {
            Event::Section(title) => format!("\n{}\n", self.paint(BOLD, &format!("── {title} ──"))),
            Event::Operation { what, outcome, .. } => {
                let outcome = if outcome.is_empty() { String::new() } else { format!(": {outcome}") };
                format!("{}\n", self.paint(DIM, &format!("· {what}{outcome}")))
            }
            Event::Request(request) => self.request(request),
            Event::Answer(answer) => self.answer(answer),
            Event::Log(line) => format!("{} {line}\n", self.paint(YELLOW, "log")),
            Event::Problem(why) => format!("{} {why}\n", self.paint(RED, "✗")),
            Event::IterationOver { number, gave_up: false } => format!("\niteration {number} completed\n"),
            Event::IterationOver { number, gave_up: true } => {
                format!("\n{}\n", self.paint(RED, &format!("iteration {number} given up: a step failed")))
            }
        }
    }

    fn request(&self, request: &Request) -> String {
        let line = self.paint(CYAN, &format!("→ {}", request.line));
        let mut text = format!("\n{line}   {} {}\n", request.target, request.url);
        if !request.line.ends_with(&request.step) && request.step != request.line {
            text.push_str(&self.paint(DIM, &format!("    step {}\n", request.step)));
        }
        if let Some(stranger) = &request.stranger {
            text.push_str(&format!("    a probe: it asks for data of {stranger} and must be refused\n"));
        }
        text.push_str(&self.headers(&request.headers));
        text.push_str(&self.body(&request.body));
        match request.planted {
            0 => {}
            1 => text.push_str("    plants a marker\n"),
            n => text.push_str(&format!("    plants {n} markers\n")),
        }
        text
    }

    fn answer(&self, answer: &Answer) -> String {
        let colour = if answer.broken.is_some() || answer.status >= 400 { RED } else { GREEN };
        let head = match (&answer.broken, answer.status) {
            (Some(why), 0) => why.clone(),
            (Some(why), status) => format!("{status}, then {why}"),
            (None, status) => status.to_string(),
        };
        let mut times = vec![ms(answer.service_ns.unwrap_or(answer.response_ns))];
        times.extend(answer.connect_ns.map(|ns| format!("connecting {}", ms(ns))));
        let mut text = format!("{}   {}\n", self.paint(colour, &format!("← {head}")), times.join(", "));
        text.push_str(&self.headers(&answer.headers));
        text.push_str(&self.body(&answer.body));
        for check in &answer.checks {
            let (code, sign) = match check.holds {
                Some(true) => (GREEN, "✓"),
                Some(false) => (RED, "✗"),
                None => (DIM, "?"),
            };
            let detail = match (&check.holds, check.detail.as_str()) {
                (None, _) => ": not looked at".into(),
                (_, "") => String::new(),
                (_, detail) => format!(": {detail}"),
            };
            text.push_str(&format!("    {} {}{detail}\n", self.paint(code, sign), check.what));
        }
        for (name, value) in &answer.saved {
            text.push_str(&format!("    saved {name} = {value}\n"));
        }
        for marker in &answer.seen {
            let whose = format!("    saw a marker of {} in {}", marker.owner, marker.place);
            text.push_str(&match marker.allowed {
                true => format!("{whose}\n"),
                false => format!("{}\n", self.paint(RED, &format!("{whose}: a LEAK"))),
            });
        }
        text
    }

    fn headers(&self, headers: &[(String, String)]) -> String {
        let line = |(name, value): &(String, String)| self.paint(DIM, &format!("    {name}: {value}")) + "\n";
        headers.iter().map(line).collect()
    }

    fn body(&self, body: &Body) -> String {
        if body.bytes == 0 {
            return String::new();
        }
        let mut text: String = body.text.lines().map(|line| format!("    {line}\n")).collect();
        if body.text.ends_with(" …") {
            text.push_str(&self.paint(DIM, &format!("    ({} bytes in all)", body.bytes)));
            text.push('\n');
        }
        text
    }
}

/// What the detectors found, if anything.
pub fn findings(result: &RunResult, is_coloured: bool) -> String {
    let mut lines = String::new();
    for group in &result.isolation.groups {
        let (code, tier) = match group.key.tier {
            Tier::Proven => (RED, "leak"),
            Tier::Suspect => (YELLOW, "suspect"),
            Tier::Risk => (YELLOW, "risk"),
            Tier::Correctness => (RED, "wrong answer"),
        };
        let title = paint(is_coloured, code, &format!("{tier}, {}", group.key.detector));
        let why = group.examples.first().map_or("", |leak| leak.why.as_str());
        let step = result.header.steps.get(group.key.step).map_or("", |step| step.name.as_str());
        lines.push_str(&format!("{title} at {step}, in {}, {} times: {why}\n", group.key.place, group.count));
    }
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn ms(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

fn paint(is_on: bool, code: &str, text: &str) -> String {
    if is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
}
