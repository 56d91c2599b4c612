//! `hit`: one request, again and again, through the same engine as a whole scenario; figures and no verdict.
//! In: flags. Out: figures on the screen, or one JSON object. Nothing is stored.

mod address;
mod figures;
mod histogram;
mod json;
mod order;
mod summary;

use crate::args::Hit;
use crate::live::{Display, is_coloured};
use crate::outcome::Problem;
use crate::{screen, signals};
use engine::run_result::Ending;
use engine::{HeaderFacts, RunError, Setup, Stop};
use figures::Figures;
use order::Order;
use reports::exit_codes::{COULD_NOT_RUN, GO, INTERRUPTED};
use std::io::{stderr, stdout};
use std::sync::Arc;

/// Hits.
///
/// # Errors
/// A flag makes no sense, or the target is not there.
pub fn hit(args: &Hit) -> Result<u8, Problem> {
    let order = Order::new(args)?;
    let program = &order.program;
    let health_requests = engine::preflight(&program.targets).map_err(|e| {
        let help = if e.0.contains("tls") && !args.insecure { " (--insecure accepts any certificate)" } else { "" };
        Problem::run(format!("{e}{help}"))
    })?;
    let stop = Arc::new(Stop::default());
    signals::watch(Arc::clone(&stop));
    let setup = Setup {
        profile: 0,
        facts: HeaderFacts { version: env!("CARGO_PKG_VERSION").into(), ..HeaderFacts::default() },
        seed: u64::from(rand::random::<u32>()),
        workers: workers(args),
        key: rand::random(),
        folder: None,
        stop: Arc::clone(&stop),
        health_requests,
    };
    let mut display = Display::brief(program, order.requests, args.no_tui, stop);
    let finished = engine::run_at_most(program, setup, order.requests, &mut display).map_err(|e| match e {
        RunError::Setup(why) => Problem::usage(why),
        other => Problem::run(other),
    })?;
    display.finish();
    let result = finished.result;
    let verdict = reports::judge(&result, &[]);
    let figures =
        Figures::new(&order, &result, &verdict).ok_or_else(|| Problem::run("the run came back without a step"))?;
    if args.json {
        screen::err(&summary::summary(&figures, is_coloured(&stderr())));
        screen::out(&json::json(&figures));
    } else {
        screen::out(&summary::summary(&figures, is_coloured(&stdout())));
    }
    if result.ending == Ending::Interrupted {
        return Ok(INTERRUPTED);
    }
    if figures.answered() == 0 {
        screen::err("error: nothing was ever answered\n");
        return Ok(COULD_NOT_RUN);
    }
    Ok(GO)
}

fn workers(args: &Hit) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    args.workers.and_then(|n| usize::try_from(n).ok()).unwrap_or(processors)
}
