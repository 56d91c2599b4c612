//! `report`: judge and render again from what is stored.

use super::{load, suite};
use crate::args::Report;
use crate::live::is_coloured;
use crate::outcome::Problem;
use crate::screen;
use engine::run_result::RunHeader;
use scenarios::objective::Objective;
use std::io::stdout;
use std::path::{Path, PathBuf};

/// Reads, judges, renders.
///
/// # Errors
/// The folder holds no run, the file of `--sla` is wrong, or the folder cannot be written.
pub fn report(args: &Report) -> Result<u8, Problem> {
    let objectives = args.sla.as_deref().map(objectives).transpose()?;
    let judged_by = |header: &RunHeader| match &objectives {
        Some(objectives) => fit(objectives, header),
        None => Ok(header.objectives.clone()),
    };
    if suite::is_suite(&args.dir) {
        return suite::report(&args.dir, args.require_signoffs, args.quiet, &judged_by);
    }
    let mut causes = Vec::new();
    for folder in runs(&args.dir) {
        let result = engine::read_for(&folder, judged_by)?;
        let verdict = reports::judge(&result, &result.header.objectives);
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

/// The run in `dir`, or the runs below it: the rounds of a series (`01/`, or `01/<profile>/`), or what is left of a suite
/// whose `suite.json` is gone.
fn runs(dir: &Path) -> Vec<PathBuf> {
    if dir.join("run.json").exists() {
        return vec![dir.to_path_buf()];
    }
    let folders: Vec<_> = below(dir)
        .into_iter()
        .flat_map(|folder| if folder.join("run.json").exists() { vec![folder] } else { below(&folder) })
        .filter(|folder| folder.join("run.json").exists())
        .collect();
    if folders.is_empty() { vec![dir.to_path_buf()] } else { folders }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<_> = entries.map(|e| e.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn objectives(file: &Path) -> Result<Vec<Objective>, Problem> {
    Ok(load::load(load::read(file)?, &[])?.program.objectives)
}

/// Points the objectives of another file at the steps of the stored run, by their names.
fn fit(objectives: &[Objective], header: &RunHeader) -> Result<Vec<Objective>, Problem> {
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
