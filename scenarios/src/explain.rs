//! A program in words, for people: a listing of its operations, and the state machine of a journey as a graph.
//! In: a program. Out: text, with values from the environment and literal secrets masked.
//! Whoever adds an operation says here, in one place, how it reads ([`describe`]) and where it goes on ([`ways`]).

mod graph;
mod isolation;
mod request;
mod streams;

pub use graph::graph;
pub use isolation::isolation;
pub use request::{Expectations, expectations};

use crate::expr::Template;
use crate::plan::is_secret_name;
use crate::program::{Delay, Halt, Journey, JourneyFlow, Op, Pc, Program};
use crate::units::format_duration;

/// Shorter values from the environment would blot out half of every text; a secret that short is none.
const SHORTEST_SECRET: usize = 4;

/// What one operation does, in one line, templates as written.
pub fn describe(program: &Program, journey: &Journey, op: &Op) -> String {
    let slot = |slot: &crate::expr::Slot| journey.slot_names.get(usize::from(*slot)).map_or("?", String::as_str);
    let text = match op {
        Op::Request(index) => request::line(program, &program.requests[*index]),
        Op::Think(delay) => format!("think {}", delay_in_words(*delay)),
        Op::Set { slot: to, value } => format!("set {} = {}", slot(to), shown(slot(to), value)),
        Op::Jump(to) => format!("go to {to}"),
        Op::JumpUnless { condition, to } => format!("unless {} go to {to}", condition.written()),
        Op::Count { counter, times } => format!("count {counter} from {}", times.written()),
        Op::Round { counter, done } => format!("next round of {counter}, or go to {done}"),
        Op::Choose(branches) => {
            let all: u64 = branches.iter().map(|(weight, _)| u64::from(*weight)).sum();
            let branch = |(weight, to): &(u32, Pc)| format!("{weight} of {all} go to {to}");
            format!("choose: {}", branches.iter().map(branch).collect::<Vec<_>>().join(", "))
        }
        Op::GroupStart(group) => format!("group `{}` starts", program.groups[*group].name),
        Op::GroupEnd(group) => format!("group `{}` ends", program.groups[*group].name),
        Op::Each { list, each } => format!("list {each} is {}", list.written()),
        Op::Next { each, slot: to, done } => format!("next item of list {each} to {}, or go to {done}", slot(to)),
        Op::Log(text) => format!("log {}", text.written()),
        Op::Stop(Halt::Iteration) => "stop this iteration".into(),
        Op::Stop(Halt::User) => "stop this user".into(),
        Op::Stop(Halt::Run) => "stop the run".into(),
        Op::Parallel(requests) => {
            let lines: Vec<_> = requests.iter().map(|i| request::line(program, &program.requests[*i])).collect();
            format!("at one time: {}", lines.join(", "))
        }
        Op::End => "end".into(),
        Op::Socket(op) => streams::socket(program, op),
        Op::Join(name) => format!("join audience {}", name.written()),
        Op::Leave(name) => format!("leave audience {}", name.written()),
        Op::Meet(number) => {
            let meeting = &program.meetings[*number];
            let within = crate::units::format_duration(meeting.within_ns);
            format!("meet at `{}`: {} users, within {within}", meeting.name, meeting.users)
        }
        Op::SwitchAccount => "log out, switch to the next free account, log in".into(),
    };
    masked(program, text)
}

/// Where an operation at `pc` may go on, each with the reason in a few words (empty: it simply goes on).
pub fn ways(pc: Pc, op: &Op) -> Vec<(Pc, String)> {
    let next = (pc + 1, String::new());
    match op {
        Op::Request(_) | Op::Think(_) | Op::Set { .. } | Op::Count { .. } => vec![next],
        Op::Join(_) | Op::Leave(_) | Op::SwitchAccount | Op::Meet(_) => vec![next],
        Op::GroupStart(_) | Op::GroupEnd(_) | Op::Socket(_) => vec![next],
        Op::Jump(to) => vec![(*to, String::new())],
        Op::JumpUnless { to, .. } => vec![(pc + 1, "yes".into()), (*to, "no".into())],
        Op::Round { done, .. } => vec![(pc + 1, "again".into()), (*done, "done".into())],
        Op::Choose(branches) => branches.iter().map(|(weight, to)| (*to, format!("weight {weight}"))).collect(),
        Op::Each { .. } | Op::Log(_) | Op::Parallel(_) => vec![next],
        Op::Next { done, .. } => vec![(pc + 1, "an item".into()), (*done, "done".into())],
        Op::End | Op::Stop(_) => Vec::new(),
    }
}

/// The whole program as a listing: each journey's operations with their numbers, each request with all its parts.
pub fn listing(program: &Program) -> String {
    let mut out = String::new();
    for journey in &program.journeys {
        let role = journey.role.map_or("nobody in particular", |r| &program.roles[r].name);
        out.push_str(&format!("journey {} (played by {role}, weight {})\n", journey.name, journey.weight));
        if !journey.slot_names.is_empty() {
            out.push_str(&format!("  variables: {}\n", journey.slot_names.join(", ")));
        }
        if let Some(pace) = journey.flow.pace {
            out.push_str(&format!("  pace: {}\n", delay_in_words(pace)));
        }
        if let Some(again) = again(&journey.flow) {
            out.push_str(&format!("  before: again {again}\n"));
        }
        for (pc, op) in (0..).zip(&journey.ops) {
            if let Some(title) = section_at(journey, pc) {
                out.push_str(&format!("  {title}:\n"));
            }
            out.push_str(&format!("    {pc:>4}  {}\n", describe(program, journey, op)));
            let requests = match op {
                Op::Request(index) => std::slice::from_ref(index),
                Op::Parallel(requests) => requests,
                _ => &[],
            };
            for index in requests {
                for part in request::parts(program, &program.requests[*index]) {
                    out.push_str(&format!("            {}\n", masked(program, part)));
                }
            }
        }
        out.push('\n');
    }
    for once in [&program.around.setup, &program.around.teardown].into_iter().flatten() {
        out.push_str(&listing(once));
    }
    out
}

/// When `before` is played again, if ever.
fn again(flow: &JourneyFlow) -> Option<String> {
    let mut when = Vec::new();
    when.extend(flow.again_ns.map(|ns| format!("after {}", format_duration(ns))));
    if !flow.again_on.is_empty() {
        when.push(format!("on status {}", request::statuses(&flow.again_on)));
    }
    (!when.is_empty()).then(|| when.join(" and "))
}

/// The section that starts at `pc`, unless it is empty and another one starts there too.
fn section_at(journey: &Journey, pc: Pc) -> Option<&'static str> {
    [(journey.before, "before"), (journey.steps, "steps"), (journey.after, "after")]
        .into_iter()
        .find_map(|(start, title)| (start == pc).then_some(title))
}

/// A time that is drawn, as the file would write it.
pub fn delay_in_words(delay: Delay) -> String {
    match delay {
        Delay::Fixed(ns) => format_duration(ns),
        Delay::Uniform(low, high) => format!("{}..{}", format_duration(low), format_duration(high)),
        Delay::Normal { mean_ns, deviation_ns } => {
            format!("normal({}, {})", format_duration(mean_ns as u64), format_duration(deviation_ns as u64))
        }
        Delay::Exponential(mean_ns) => format!("exponential({})", format_duration(mean_ns as u64)),
    }
}

/// A template as written; a constant under a name that says secret is masked.
fn shown(name: &str, template: &Template) -> String {
    let lower = name.to_lowercase();
    let is_secret = is_secret_name(name) || ["cookie", "api-key", "apikey"].iter().any(|word| lower.contains(word));
    if is_secret && template.as_constant().is_some() { "***".into() } else { template.written().to_owned() }
}

fn masked(program: &Program, mut text: String) -> String {
    for secret in program.secrets.iter().filter(|s| s.len() >= SHORTEST_SECRET) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "***");
        }
    }
    text
}
