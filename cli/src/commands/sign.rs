//! `sign`: records that somebody answers for a part of the gate that no machine can judge.
//! In: the folder of a suite. Out: a line of `signoffs.jsonl`, and the suite's report with it.

use super::suite::{self, SIGNOFFS};
use crate::args::Sign;
use crate::outcome::Problem;
use reports::exit_codes::GO;
use reports::suite::SignOff;
use std::io::Write;

/// Signs.
///
/// # Errors
/// The folder holds no suite, the gate does not ask for this sign-off, or it cannot be stored.
pub fn sign(args: &Sign) -> Result<u8, Problem> {
    if !suite::is_suite(&args.dir) {
        return Err(Problem::usage(format!(
            "{} is no suite: only the results of `run --all` or of several profiles are signed",
            args.dir.display()
        )));
    }
    let gate = suite::facts(&args.dir)?.gate;
    let asked = gate.map_or_else(Vec::new, |g| g.signoffs);
    if !asked.contains(&args.name) {
        let all = if asked.is_empty() { "none".into() } else { asked.join(", ") };
        return Err(Problem::usage(format!("the gate asks for no sign-off `{}`; it asks for {all}", args.name)));
    }
    if args.by.trim().is_empty() {
        return Err(Problem::usage("--by is empty: a sign-off without a name binds nobody"));
    }
    let signed = SignOff {
        name: args.name.clone(),
        by: args.by.clone(),
        note: args.note.clone(),
        at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    };
    let path = args.dir.join(SIGNOFFS);
    let mut line = serde_json::to_string(&signed).map_err(Problem::run)?;
    line.push('\n');
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(|e| Problem::run(format!("{}: {e}", path.display())))?;
    suite::report(&args.dir, false, false, &|header| Ok(header.objectives.clone()))?;
    Ok(GO)
}
