//! `report`: judge and render again from what is stored.

use super::load;
use crate::args::Report;
use crate::live::is_coloured;
use crate::outcome::Problem;
use crate::screen;
use engine::run_result::RunResult;
use scenarios::objective::Objective;
use std::io::stdout;
use std::path::{Component, Path, PathBuf};

/// Reads, judges, renders.
///
/// # Errors
/// The folder holds no run, the file of `--sla` is wrong, or the folder cannot be written.
pub fn report(args: &Report) -> Result<u8, Problem> {
    let objectives = args.sla.as_deref().map(objectives).transpose()?;
    let mut causes = Vec::new();
    for folder in runs(&args.dir) {
        let result = engine::read(&folder).map_err(Problem::run)?;
        let judged_by = match &objectives {
            Some(objectives) => fit(objectives, &result)?,
            None => result.header.objectives.clone(),
        };
        let verdict = reports::judge(&result, &judged_by);
        let written = reports::write(&result, &verdict, &folder)
            .map_err(|e| Problem::run(format!("the report cannot be written: {e}")))?;
        screen::out(&if args.quiet {
            format!("{}\n", verdict.outcome.words())
        } else {
            let summary = reports::terminal_summary(&result, &verdict, is_coloured(&stdout()));
            format!("{summary}\nReport: {}\n", written.report.display())
        });
        causes.push(reports::exit_codes::cause(&verdict, &result));
    }
    Ok(reports::exit_codes::combine(causes).code())
}

/// The run in `dir`, or the runs of the suite in it.
fn runs(dir: &Path) -> Vec<PathBuf> {
    let suite = std::fs::read_to_string(dir.join("suite.json")).ok();
    let suite: Option<serde_json::Value> = suite.and_then(|text| serde_json::from_str(&text).ok());
    let folders: Vec<_> = suite
        .iter()
        .flat_map(|s| s["profiles"].as_array().into_iter().flatten())
        .filter_map(|p| p["dir"].as_str())
        // A path from a file must not lead out of the folder.
        .filter(|name| Path::new(name).components().all(|c| matches!(c, Component::Normal(_))))
        // A round that could not run left nothing to judge.
        .filter(|name| dir.join(name).join("run.json").exists())
        .map(|name| dir.join(name))
        .collect();
    match (folders.is_empty(), dir.join("run.json").exists()) {
        (false, _) => folders,
        (true, true) => vec![dir.to_path_buf()],
        (true, false) => unfinished_suite(dir),
    }
}

/// A suite that was killed has the folders of its profiles, and nothing that lists them.
fn unfinished_suite(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<_> = entries.map(|e| e.path()).filter(|path| path.join("run.json").exists()).collect();
    folders.sort();
    if folders.is_empty() { vec![dir.to_path_buf()] } else { folders }
}

fn objectives(file: &Path) -> Result<Vec<Objective>, Problem> {
    Ok(load::load(load::read(file)?, &[])?.program.objectives)
}

/// Points the objectives of another file at the steps of the stored run, by their names.
fn fit(objectives: &[Objective], result: &RunResult) -> Result<Vec<Objective>, Problem> {
    let header = &result.header;
    objectives
        .iter()
        .map(|objective| {
            let mut fitted = objective.clone();
            let of = &mut fitted.of;
            if !of.tags.is_empty() {
                return Err(Problem::usage(format!(
                    "`{}`: tags are not stored with a run; select by target, journey or step",
                    objective.id
                )));
            }
            let chosen = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
            of.step_ids = (0..header.steps.len())
                .filter(|&i| {
                    let step = &header.steps[i];
                    chosen(&of.targets, &header.targets[step.target].name)
                        && chosen(&of.journeys, &header.journeys[step.journey])
                        && chosen(&of.steps, &step.name)
                        && !(step.probe && objective.stat.is_time())
                })
                .collect();
            if of.step_ids.is_empty() && !of.is_everything() {
                return Err(Problem::usage(format!("`{}`: the stored run has no such step", objective.id)));
            }
            Ok(fitted)
        })
        .collect()
}
