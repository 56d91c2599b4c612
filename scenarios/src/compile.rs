//! Plan to program: names become indexes and slots, text becomes templates, steps become flat operations.
//! In: [`Plan`]. Out: [`Program`], or every mistake that only shows once names are resolved.

mod around;
mod assignment;
mod auth;
mod canary;
mod fields;
mod gate;
mod guard;
mod hosts;
mod journeys;
mod meetings;
mod names;
mod objectives;
mod requests;
mod review;
mod streams;
mod templates;
mod trail;
mod types;

use crate::around::Around;
use crate::dealing;
use crate::diagnostic::{self, Diagnostic, Span, suggestion};
use crate::plan::{Plan, RolePlan, TargetPlan};
use crate::program::{Control, DataTable, Group, Journey, Profile, Program, Request, Role, Step, Target};
use crate::syntax::Scalar;
use names::Visible;
use trail::Trail;

/// Compiles a plan. A plan that [`crate::parse`] accepted always compiles.
pub fn compile(plan: &Plan) -> Result<Program, Vec<Diagnostic>> {
    let (program, diagnostics) = lower(plan, false);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostic::finish(diagnostics, &plan.files));
    }
    Ok(program)
}

/// Compiles as far as possible, so that one mistake hides no other. What depends on the whole file is looked at only if
/// there is no mistake before, and only to tell of it: `is_whole` says that it is wanted and that reading the file found none.
pub(crate) fn lower(plan: &Plan, is_whole: bool) -> (Program, Vec<Diagnostic>) {
    let mut around = around::Both::lower(plan);
    let mut lowering = Lowering::new(plan, around.given());
    let roles = lowering.roles();
    let journeys = lowering.journeys();
    lowering.probe_controls(&journeys);
    around.join(&journeys, &lowering.trails, &mut lowering.called);
    lowering.unused_fragments();
    let (meetings, places): (Vec<_>, Vec<_>) = lowering.meetings.into_iter().unzip();
    let mut program = Program {
        name: plan.name.clone(),
        targets: targets(plan.targets.iter().chain(&lowering.foreign)),
        roles,
        data: data(plan),
        journeys,
        steps: lowering.steps,
        requests: lowering.requests,
        groups: lowering.groups,
        profiles: profiles(plan),
        objectives: Vec::new(),
        secrets: plan.secrets.iter().cloned().chain(lowering.secrets).chain(around.secrets()).collect(),
        abort_rules: Vec::new(),
        gate: None,
        sockets: lowering.sockets,
        meetings,
        around: Around::default(),
    };
    let mut diagnostics = lowering.diagnostics;
    diagnostics.extend(around.diagnostics());
    let trails = lowering.trails;
    canary::lower(plan, &mut program, &mut diagnostics);
    program.objectives = objectives::lower(plan, &program, &mut diagnostics);
    program.abort_rules = objectives::abort_rules(plan, &program, &mut diagnostics);
    gate::waive(plan, &mut program.objectives, &mut diagnostics);
    program.gate = gate::lower(plan, &mut diagnostics);
    diagnostics.extend(too_few_rows(plan, &program));
    diagnostics.extend(meetings::too_few_users(plan, &program, &places));
    let logins = plan.targets.iter().filter_map(|t| t.transport.proxy.as_ref()?.login.as_ref());
    program.secrets.extend(logins.map(|(_, password)| password.clone()).filter(|p| !p.is_empty()));
    if is_whole && !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.extend(review::review(plan, &program, &trails, &around.read()));
    }
    fields::finish(&mut program);
    hide_secrets(&mut program);
    program.around = around.finish();
    (program, diagnostics)
}

/// Names go into every table and file; a secret of the environment that is part of one is not shown.
fn hide_secrets(program: &mut Program) {
    let secrets = &program.secrets;
    let hide = |name: &mut String| {
        for secret in secrets {
            if name.contains(secret) {
                *name = name.replace(secret, "***");
            }
        }
    };
    program.steps.iter_mut().for_each(|step| hide(&mut step.name));
    program.steps.iter_mut().flat_map(|step| &mut step.fields).for_each(hide);
    program.groups.iter_mut().for_each(|group| hide(&mut group.name));
    for objective in &mut program.objectives {
        hide(&mut objective.id);
        objective.of.steps.iter_mut().for_each(hide);
    }
}

struct Lowering<'p> {
    plan: &'p Plan,
    diagnostics: Vec<Diagnostic>,
    steps: Vec<Step>,
    requests: Vec<Request>,
    groups: Vec<Group>,
    /// What each ordinary request asks for, to find the positive controls of probes.
    routes: Vec<Route>,
    /// Probes whose positive control is not yet known.
    probes: Vec<(usize, Route, Span)>,
    /// Which fragments some journey calls.
    called: Vec<bool>,
    sockets: Vec<crate::streams::Socket>,
    /// Hosts of whole URLs that are none of the targets; numbered behind them.
    foreign: Vec<TargetPlan>,
    /// What the journey at hand has set and read so far.
    trail: Trail,
    /// The trails of the journeys before.
    trails: Vec<Trail>,
    /// Literal secrets of the file.
    secrets: Vec<String>,
    /// Where users wait for one another, and the first step that says so.
    meetings: Vec<(crate::program::Meeting, Span)>,
    /// Variables that the run's `setup` leaves to every journey.
    given: Vec<String>,
}

/// Journey, normalised `METHOD path` template, and the step that it is recorded under.
#[derive(Clone)]
struct Route {
    journey: usize,
    text: String,
    step: usize,
}

impl<'p> Lowering<'p> {
    fn new(plan: &'p Plan, given: Vec<String>) -> Self {
        Self {
            plan,
            diagnostics: Vec::new(),
            steps: Vec::new(),
            requests: Vec::new(),
            groups: Vec::new(),
            routes: Vec::new(),
            probes: Vec::new(),
            called: vec![false; plan.fragments.len()],
            sockets: Vec::new(),
            foreign: Vec::new(),
            trail: Trail::default(),
            trails: Vec::new(),
            secrets: Vec::new(),
            meetings: Vec::new(),
            given,
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The index of a name that another part of the file defines.
    fn find<'a>(&mut self, name: &Scalar, what: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
        let found = known.clone().position(|k| k == name.text);
        if found.is_none() {
            self.push(unknown(name, what, known));
        }
        found
    }

    fn find_target(&mut self, name: &Scalar) -> Option<usize> {
        let plan = self.plan;
        if plan.targets.is_empty() {
            // That there is none has been said; each use of one is no mistake of its own.
            return None;
        }
        self.find(name, "target", plan.targets.iter().map(|t| t.name.text.as_str()))
    }

    fn find_role(&mut self, name: &Scalar) -> Option<usize> {
        let plan = self.plan;
        self.find(name, "role", plan.roles.iter().map(|r| r.name.text.as_str()))
    }

    fn roles(&mut self) -> Vec<Role> {
        let plan = self.plan;
        let mut roles = Vec::new();
        for (reader, role) in plan.roles.iter().enumerate() {
            let mut may_see = Vec::new();
            for (owner, condition) in &role.may_see {
                let Some(owner) = self.find_role(owner) else {
                    continue;
                };
                let names = Visible::may_see(plan, reader, owner);
                if let Some(condition) = self.condition(condition, &names) {
                    may_see.push((owner, condition));
                }
            }
            roles.push(built_role(role, may_see));
        }
        roles
    }

    fn journeys(&mut self) -> Vec<Journey> {
        let plan = self.plan;
        let weights = self.weights();
        plan.journeys.iter().enumerate().map(|(i, journey)| journeys::lower(self, i, journey, weights[i])).collect()
    }

    /// Shares of the mix; without one, all journeys alike.
    fn weights(&mut self) -> Vec<u32> {
        let plan = self.plan;
        let Some(mix) = &plan.mix else {
            return vec![1; plan.journeys.len()];
        };
        let before = self.diagnostics.len();
        let mut weights = vec![0; plan.journeys.len()];
        let mut named = vec![false; plan.journeys.len()];
        for (name, weight) in mix {
            let known = plan.journeys.iter().map(|j| j.name.text.as_str());
            if let Some(i) = self.find(name, "journey", known) {
                weights[i] = *weight;
                named[i] = true;
            }
        }
        if self.diagnostics.len() > before {
            return weights;
        }
        for (journey, _) in plan.journeys.iter().zip(named).filter(|(_, named)| !named) {
            let name = &journey.name;
            self.push(
                Diagnostic::warning(
                    "unplayed",
                    name.span,
                    format!("nobody plays `{}`: `mix` does not name it", name.text),
                )
                .help(format!("add `{}: 10` to `mix`", name.text)),
            );
        }
        weights
    }

    /// Finds each probe's positive control: the same request of the stranger for itself.
    fn probe_controls(&mut self, journeys: &[Journey]) {
        for (request, route, span) in std::mem::take(&mut self.probes) {
            let role = self.requests[request].probe.as_ref().map(|p| p.role);
            let found = self
                .routes
                .iter()
                .filter(|r| r.text == route.text)
                .filter(|r| journeys.get(r.journey).and_then(|j| j.role) == role)
                .max_by_key(|r| {
                    let own = matches!(self.steps[r.step].control, Some(Control::Own | Control::Latest));
                    (own, r.journey == route.journey)
                })
                .map(|r| r.step);
            if found.is_none() {
                self.push(
                    Diagnostic::warning(
                        "no-control",
                        span,
                        "this probe can never run: nobody makes its request for their own data",
                    )
                    .help(format!(
                        "add the step `{}` with `expect: {{ marker: own }}` to a journey of that role",
                        route.text
                    ))
                    .note("a probe runs only once its stranger has got an own marker from the same request"),
                );
            }
            if let Some(probe) = &mut self.requests[request].probe {
                probe.control_step = found;
            }
        }
    }

    fn unused_fragments(&mut self) {
        let plan = self.plan;
        // A file of fragments for many scenarios holds more than each of them calls.
        let own = |name: &Scalar| plan.files.part(name.span.start).is_none();
        let called = plan.fragments.iter().zip(self.called.clone());
        for (fragment, _) in called.filter(|(fragment, called)| !called && own(&fragment.name)) {
            let name = &fragment.name;
            let message = format!("no journey calls the fragment `{}`", name.text);
            self.push(
                Diagnostic::warning("unused", name.span, message)
                    .help("remove it, or call it; its variables are checked where it is called"),
            );
        }
    }
}

/// A name that nothing in the file defines.
fn unknown<'a>(name: &Scalar, what: &str, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    Diagnostic::error("unknown-name", name.span, format!("there is no {what} `{}`", name.shown()))
        .maybe_help(suggestion(&name.text, known))
}

fn targets<'a>(plans: impl Iterator<Item = &'a TargetPlan>) -> Vec<Target> {
    plans
        .map(|t| Target {
            name: t.name.text.clone(),
            url: t.url.clone(),
            timeout_ns: t.timeout_ns,
            connect_timeout_ns: t.connect_timeout_ns,
            health: t.health.clone(),
            insecure: t.insecure,
            ca: t.ca.clone(),
            watch: t.watch.clone(),
            transport: t.transport.clone(),
        })
        .collect()
}

fn built_role(role: &RolePlan, may_see: Vec<(usize, crate::expr::Expr)>) -> Role {
    let (columns, accounts) = role.accounts.clone().unwrap_or_default();
    let secret = columns.iter().map(|c| role.secret.contains(c) || crate::plan::is_secret_name(c)).collect();
    Role { name: role.name.text.clone(), columns, secret, accounts, wrap: role.wrap, may_see }
}

fn data(plan: &Plan) -> Vec<DataTable> {
    plan.data
        .iter()
        .map(|d| {
            let (columns, rows) = d.rows.clone().unwrap_or_default();
            DataTable { name: d.name.text.clone(), columns, rows, order: d.order }
        })
        .collect()
}

fn profiles(plan: &Plan) -> Vec<Profile> {
    plan.profiles
        .iter()
        .map(|p| Profile {
            name: p.name.text.clone(),
            load: p.load.clone(),
            shape: p.shape,
            warm_up_ns: p.warm_up_ns,
            graceful_stop_ns: p.graceful_stop_ns,
            isolation_required: p.isolation_required,
            faults: p.faults.clone(),
            cool_down_ns: p.cool_down_ns,
            fresh: p.fresh,
            network: p.network,
            moments: p.moments.clone(),
            canary: None,
            share_connections: p.share_connections,
        })
        .collect()
}

/// Profiles that would need more accounts than a role has.
fn too_few_rows(plan: &Plan, program: &Program) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for (profile, compiled) in plan.profiles.iter().zip(&program.profiles) {
        for shortage in dealing::shortages(program, compiled) {
            // Accounts that could not be read have been reported already.
            if plan.roles[shortage.role].accounts.is_none() {
                continue;
            }
            mistakes.push(
                Diagnostic::error("too-few-accounts", profile.name.span, shortage.message(program))
                    .help("add accounts, lower the users, or let users share rows: `reuse: wrap` in the role"),
            );
        }
    }
    mistakes
}
