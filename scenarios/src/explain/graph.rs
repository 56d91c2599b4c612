//! The compiled state machine of a journey as a Mermaid flowchart.
//! In: a program and the name of a journey. Out: text that Mermaid draws (`flowchart TD`).

use super::{describe, ways};
use crate::program::{Op, Pc, Program};

/// Longest text in a node, in characters.
const LONGEST_LABEL: usize = 80;

/// The journey of this name as Mermaid; `None` when there is none.
pub fn graph(program: &Program, journey: &str) -> Option<String> {
    let journey = program.journeys.iter().find(|j| j.name == journey)?;
    let mut out = String::from("flowchart TD\n");
    let sections = [
        ("before", journey.before, journey.steps),
        ("steps", journey.steps, journey.after),
        ("after", journey.after, journey.ops.len() as Pc),
    ];
    for (title, start, stop) in sections {
        // A section that only ends is left out.
        if stop <= start + 1 && title != "steps" {
            continue;
        }
        out.push_str(&format!("  subgraph {title}_section[\"{title}\"]\n    {title}_start((\" \"))\n"));
        for pc in start..stop {
            let op = &journey.ops[pc as usize];
            if !matches!(op, Op::Jump(_)) {
                let label = escaped(&describe(program, journey, op));
                let (open, close) = shape(op);
                out.push_str(&format!("    op{pc}{open}\"{pc} {label}\"{close}\n"));
            }
        }
        out.push_str("  end\n");
        out.push_str(&format!("  {title}_start --> op{}\n", landing(&journey.ops, start)));
        for pc in start..stop {
            let op = &journey.ops[pc as usize];
            if matches!(op, Op::Jump(_)) {
                continue;
            }
            for (to, reason) in ways(pc, op) {
                let to = landing(&journey.ops, to);
                let reason = if reason.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&reason)) };
                out.push_str(&format!("  op{pc} -->{reason} op{to}\n"));
            }
        }
    }
    Some(out)
}

/// Jumps are drawn as arrows: where one that starts at `pc` ends. A circle of jumps alone ends where it began.
fn landing(ops: &[Op], mut pc: Pc) -> Pc {
    for _ in 0..ops.len() {
        match ops.get(pc as usize) {
            Some(Op::Jump(to)) => pc = *to,
            _ => break,
        }
    }
    pc
}

/// Requests are boxes, decisions rhombs, ends circles, all else round.
fn shape(op: &Op) -> (&'static str, &'static str) {
    match op {
        Op::Request(_) => ("[", "]"),
        Op::End => ("((", "))"),
        op if ways(0, op).len() > 1 => ("{", "}"),
        _ => ("(", ")"),
    }
}

/// Text as it may stand between quotes: Mermaid reads `#…;` as a character and `<` as the start of a tag.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST_LABEL {
            out.push('…');
            break;
        }
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | ';' | '\\' | '{' | '}' | '|' => {
                out.push_str(&format!("#{};", c as u32))
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
