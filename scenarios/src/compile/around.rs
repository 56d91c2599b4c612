//! `setup` and `teardown` to programs of one journey each.
//! In: [`OncePlan`], and the variables that the setup leaves behind. Out: [`Program`], what was read and called in it,
//! and every mistake.

use super::trail::Trail;
use super::{Lowering, Program, data, hide_secrets, journeys, targets};
use crate::around::Around;
use crate::conditions::Fresh;
use crate::diagnostic::Diagnostic;
use crate::faults::Faults;
use crate::plan::{OncePlan, Plan};
use crate::program::{Load, Op, Profile, Stage};
use crate::shape::Shape;
use crate::syntax::Scalar;
use std::sync::Arc;

/// A program that is played once.
pub(super) struct Once {
    program: Program,
    trail: Trail,
    called: Vec<bool>,
    diagnostics: Vec<Diagnostic>,
}

/// Both, as far as the file has them.
pub(super) struct Both {
    setup: Option<Once>,
    teardown: Option<Once>,
}

impl Both {
    /// Compiles both.
    pub fn lower(plan: &Plan) -> Self {
        let setup = plan.setup.as_ref().map(|once| lower(plan, once, Vec::new()));
        let given = setup.as_ref().map_or(Vec::new(), |setup| setup.program.journeys[0].slot_names.clone());
        let teardown = plan.teardown.as_ref().map(|once| lower(plan, once, given));
        Self { setup, teardown }
    }

    /// The variables that every journey finds there.
    pub fn given(&self) -> Vec<String> {
        self.setup.as_ref().map_or(Vec::new(), |setup| setup.program.journeys[0].slot_names.clone())
    }

    /// What the journeys read of the setup's variables is read, and the fragments called here are called.
    pub fn join(&mut self, journeys: &[crate::program::Journey], trails: &[Trail], called: &mut [bool]) {
        for once in self.each() {
            called.iter_mut().zip(&once.called).for_each(|(any, here)| *any |= here);
        }
        let teardown = self.teardown.as_ref();
        let last = teardown.iter().map(|once| (&once.program.journeys[0], &once.trail));
        let mut read = Vec::new();
        for (journey, trail) in journeys.iter().zip(trails).chain(last) {
            read.extend(
                journey.flow.given.iter().filter(|(slot, _)| trail.reads.contains(slot)).map(|(_, from)| *from),
            );
        }
        if let Some(setup) = &mut self.setup {
            setup.trail.reads.extend(read);
        }
    }

    fn each(&self) -> impl Iterator<Item = &Once> {
        [&self.setup, &self.teardown].into_iter().flatten()
    }

    /// The programs with what was read in each.
    pub fn read(&self) -> Vec<(&Program, &Trail)> {
        self.each().map(|once| (&once.program, &once.trail)).collect()
    }

    pub fn diagnostics(&mut self) -> Vec<Diagnostic> {
        let all = [&mut self.setup, &mut self.teardown].into_iter().flatten();
        all.flat_map(|once| std::mem::take(&mut once.diagnostics)).collect()
    }

    pub fn secrets(&self) -> impl Iterator<Item = String> {
        self.each().flat_map(|once| once.program.secrets.clone())
    }

    /// What the engine plays.
    pub fn finish(self) -> Around {
        let done = |once: Option<Once>| once.map(|once| Arc::new(once.program));
        Around { setup: done(self.setup), teardown: done(self.teardown) }
    }
}

fn lower(plan: &Plan, once: &OncePlan, given: Vec<String>) -> Once {
    let mut lowering = Lowering::new(plan, given);
    let roles = lowering.roles();
    // The load's own compilation tells of them.
    lowering.diagnostics.clear();
    let journey = journeys::lower(&mut lowering, 0, &once.journey, 1);
    lowering.probe_controls(std::slice::from_ref(&journey));
    mistakes(&mut lowering, once, &journey.ops);
    let mut program = Program {
        name: plan.name.clone(),
        targets: targets(plan.targets.iter().chain(&lowering.foreign)),
        roles,
        data: data(plan),
        journeys: vec![journey],
        steps: lowering.steps,
        requests: lowering.requests,
        groups: lowering.groups,
        profiles: vec![profile(once)],
        objectives: Vec::new(),
        secrets: plan.secrets.iter().cloned().chain(lowering.secrets).collect(),
        abort_rules: Vec::new(),
        gate: None,
        sockets: lowering.sockets,
        meetings: Vec::new(),
        around: Around::default(),
    };
    hide_secrets(&mut program);
    Once {
        program,
        trail: lowering.trails.pop().unwrap_or_default(),
        called: lowering.called,
        diagnostics: lowering.diagnostics,
    }
}

/// What has no meaning for one user who plays once.
fn mistakes(lowering: &mut Lowering<'_>, once: &OncePlan, ops: &[Op]) {
    let name: &Scalar = &once.journey.name;
    let alone = ops.iter().find_map(|op| match op {
        Op::Meet(_) => Some("rendezvous"),
        Op::SwitchAccount => Some("switch_account"),
        _ => None,
    });
    if let Some(step) = alone {
        let message = format!("`{step}` needs other users, and `{}` is played by one alone", name.text);
        lowering.push(Diagnostic::error("bad-step", name.span, message).help("move it to a journey"));
    }
    if once.journey.role.is_none() && lowering.requests.iter().any(|request| request.plants_marker) {
        let message =
            format!("a `marker` says whose data it is, and `{}` is played by nobody in particular", name.text);
        lowering.push(Diagnostic::error("no-role", name.span, message).help(format!(
            "say whose it is to be, `{}: {{ as: ROLE, steps: […] }}`, or leave the marker out: what is there for everybody is no leak",
            name.text
        )));
    }
}

/// One user, once, and no longer than this.
fn profile(once: &OncePlan) -> Profile {
    Profile {
        name: once.journey.name.text.clone(),
        load: Load::Closed(vec![Stage { level: 1.0, duration_ns: once.within_ns, ramp_ns: 0 }]),
        shape: Shape::Plain,
        warm_up_ns: 0,
        graceful_stop_ns: 0,
        isolation_required: false,
        faults: Faults::default(),
        cool_down_ns: 0,
        fresh: Fresh::default(),
        network: None,
        moments: Vec::new(),
        canary: None,
        share_connections: None,
    }
}
