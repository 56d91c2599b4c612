//! Moments of a run that its profile names, and the commands that were started at them, in words and in JSON.
//! In: the header of a run. Out: lines for people; `marks` of result.json.

use crate::figures;
use engine::run_result::RunResult;
use serde_json::{Value, json};

/// The marks that the run reached, by their time from the start of the load, in seconds.
pub fn times_s(result: &RunResult) -> Vec<f64> {
    reached(result).map(|(_, at_s)| at_s).collect()
}

fn reached(result: &RunResult) -> impl Iterator<Item = (&str, f64)> {
    let marks = result.header.marks.iter().map(|mark| (mark.name.as_str(), mark.at_ns as f64 / 1e9));
    marks.filter(|(_, at_s)| *at_s <= result.duration_s)
}

/// A line for each command: when, what, and what became of it.
pub fn lines(result: &RunResult) -> Vec<String> {
    let commands = &result.header.commands;
    let of_commands = commands.iter().map(|c| {
        let at = figures::duration(c.started_ns as f64 / 1e9);
        let said = if c.last_line.is_empty() { String::new() } else { format!("; its last line: {}", c.last_line) };
        format!("{} at {at}: `{}`, {}{said}", c.mark, c.command, c.outcome)
    });
    of_commands.collect()
}

/// All marks that were reached, each with its command if it has one.
pub fn json(result: &RunResult) -> Value {
    let marks = reached(result).map(|(name, at_s)| {
        let mut mark = json!({"mark": name, "t_s": at_s});
        let same = |at_ns: u64| (at_ns as f64 / 1e9 - at_s).abs() < 1e-9;
        if let Some(command) = result.header.commands.iter().find(|c| c.mark == name && same(c.at_ns)) {
            mark["command"] = json!({
                "run": command.command,
                "started_s": command.started_ns as f64 / 1e9,
                "exit_code": command.exit_code,
                "outcome": command.outcome,
                "last_line": command.last_line,
            });
        }
        mark
    });
    marks.collect()
}
