//! A journey's steps to flat operations: three sections, loops with counters, branches with jumps, fragments inlined.
//! In: [`JourneyPlan`]. Out: [`Journey`]; its requests and steps go into the program's lists.

use super::Lowering;
use super::auth::Token;
use super::names::{Role, Visible};
use super::requests::Section;
use super::trail::Trail;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, Slot, Template};
use crate::plan::{JourneyPlan, StepKind, StepPlan};
use crate::program::{Delay, Group, Journey, JourneyFlow, Op, Pc};
use crate::syntax::{Node, Scalar};
use crate::value::Value;

/// Most operations of a journey once its fragments are inlined.
const MAX_OPS: usize = 100_000;
/// Deepest nesting of calls.
const MAX_CALLS: usize = 64;

/// Compiles one journey.
pub(super) fn lower(lowering: &mut Lowering<'_>, index: usize, plan: &JourneyPlan, weight: u32) -> Journey {
    let role = plan.role.as_ref().and_then(|r| lowering.find_role(r));
    let target = match &plan.target {
        Some(name) => lowering.find_target(name),
        None => (lowering.plan.targets.len() == 1).then_some(0),
    };
    let slots = variables(lowering, plan);
    lowering.trail = Trail::default();
    let mut builder = Builder {
        lowering,
        index,
        plan,
        role,
        played_by: match role {
            Some(role) => Role::Known(role),
            None if plan.role.is_some() => Role::Unknown,
            None => Role::Nobody,
        },
        target_missed: false,
        target,
        slots,
        ops: Vec::new(),
        counters: 0,
        calls: Vec::new(),
        section: Section::Before,
        full: false,
        entry: 0,
        pace: None,
        lists: 0,
        items: Vec::new(),
        continues: None,
        socket: None,
        tokens: Vec::new(),
    };
    let before = builder.section(Section::Before, &plan.before);
    let steps = builder.section(Section::Steps, &plan.steps);
    let after = builder.section(Section::After, &plan.after);
    let trail = std::mem::take(&mut builder.lowering.trail);
    let keeps = trail.keeps;
    let given = (builder.lowering.given.iter().zip(0..)).map(|(name, from)| (builder.slot(name), from)).collect();
    builder.lowering.trails.push(trail);
    Journey {
        name: plan.name.text.clone(),
        role,
        weight,
        before,
        steps,
        after,
        slots: builder.slots.len(),
        slot_names: builder.slots,
        counters: builder.counters,
        ops: builder.ops,
        after_failure_ns: plan.after_failure_ns,
        flow: JourneyFlow {
            pace: builder.pace,
            lists: builder.lists,
            again_ns: plan.again_ns,
            again_on: plan.again_on.clone(),
            given,
        },
        fresh: plan.fresh,
        keeps,
    }
}

/// Every variable that a step of the journey saves or sets, in order of appearance.
fn variables(lowering: &mut Lowering<'_>, plan: &JourneyPlan) -> Vec<String> {
    let mut found = Variables { names: Vec::new(), visited: vec![false; lowering.plan.fragments.len()] };
    for steps in [&plan.before, &plan.steps, &plan.after] {
        found.steps(lowering, steps);
    }
    lowering.given.iter().for_each(|name| found.add(name));
    if found.names.len() > usize::from(Slot::MAX) {
        let message = "a journey has at most 65535 variables";
        lowering.push(Diagnostic::error("too-large", plan.name.span, message));
        found.names.truncate(usize::from(Slot::MAX));
    }
    found.names
}

struct Variables {
    names: Vec<String>,
    visited: Vec<bool>,
}

impl Variables {
    fn add(&mut self, name: &str) {
        if !self.names.iter().any(|n| n == name) {
            self.names.push(name.to_owned());
        }
    }

    fn steps(&mut self, lowering: &Lowering<'_>, steps: &[StepPlan]) {
        let mut waiting: Vec<&StepPlan> = steps.iter().rev().collect();
        while let Some(step) = waiting.pop() {
            match &step.kind {
                StepKind::Request(request) => {
                    request.saves.iter().for_each(|save| self.add(&save.name.text));
                }
                StepKind::Set(values) => values.iter().for_each(|(name, _)| self.add(&name.text)),
                StepKind::Repeat { steps, .. } | StepKind::While { steps, .. } | StepKind::Group { steps, .. } => {
                    waiting.extend(steps.iter().rev())
                }
                StepKind::ForEach { name, steps, .. } => {
                    self.add(&name.text);
                    waiting.extend(steps.iter().rev());
                }
                StepKind::If { then, otherwise, .. } => waiting.extend(then.iter().chain(otherwise).rev()),
                StepKind::Parallel(branches) => waiting.extend(branches.iter().rev()),
                StepKind::Choose(branches) => {
                    waiting.extend(branches.iter().flat_map(|(_, steps)| steps).rev());
                }
                StepKind::Call(name) => {
                    let plan = lowering.plan;
                    let found = plan.fragments.iter().position(|f| f.name.text == name.text);
                    if let Some(i) = found.filter(|i| !self.visited[*i]) {
                        self.visited[i] = true;
                        waiting.extend(plan.fragments[i].steps.iter().rev());
                    } else if found.is_none() {
                        // A misspelt call is one mistake: what any fragment saves counts as saved.
                        for (i, fragment) in plan.fragments.iter().enumerate() {
                            if !std::mem::replace(&mut self.visited[i], true) {
                                waiting.extend(fragment.steps.iter().rev());
                            }
                        }
                    }
                }
                StepKind::Websocket { steps, .. } => waiting.extend(steps.iter().rev()),
                StepKind::Receive(receive) => receive.saves.iter().for_each(|save| self.add(&save.name.text)),
                StepKind::Probe { .. }
                | StepKind::Think(_)
                | StepKind::Pace(_)
                | StepKind::Log(_)
                | StepKind::Stop(_)
                | StepKind::Send(_)
                | StepKind::Close(_)
                | StepKind::Join(_)
                | StepKind::Leave(_)
                | StepKind::SwitchAccount
                | StepKind::Rendezvous { .. } => {}
            }
        }
    }
}

/// A journey being compiled.
pub(super) struct Builder<'l, 'p> {
    pub lowering: &'l mut Lowering<'p>,
    pub index: usize,
    pub plan: &'l JourneyPlan,
    pub role: Option<usize>,
    pub played_by: Role,
    /// Whether it has been said that requests go nowhere.
    pub target_missed: bool,
    pub target: Option<usize>,
    pub slots: Vec<String>,
    ops: Vec<Op>,
    counters: usize,
    calls: Vec<usize>,
    pub section: Section,
    full: bool,
    /// Where the present section starts.
    entry: Pc,
    pace: Option<Delay>,
    /// Number of lists to go through, and the names of the items of those that are open.
    lists: usize,
    items: Vec<String>,
    /// What the innermost group that says so wants after a failure.
    pub continues: Option<bool>,
    /// The WebSocket whose steps are compiled: index into `Lowering::sockets`.
    pub socket: Option<usize>,
    /// Tokens that some request of the journey needs.
    pub(super) tokens: Vec<Token>,
}

impl<'p> Builder<'_, 'p> {
    fn section(&mut self, section: Section, steps: &[StepPlan]) -> Pc {
        self.section = section;
        let entry = self.here();
        self.entry = entry;
        if section == Section::Before {
            self.journey_token();
        }
        self.steps(steps);
        self.ops.push(Op::End);
        self.lowering.trail.ops = self.ops.len();
        entry
    }

    pub(super) fn is_before(&self) -> bool {
        self.section == Section::Before
    }

    pub(super) fn here(&self) -> Pc {
        self.ops.len() as Pc
    }

    pub(super) fn emit(&mut self, op: Op) -> usize {
        if self.ops.len() >= MAX_OPS && !self.full {
            self.full = true;
            self.lowering.push(
                Diagnostic::error(
                    "too-large",
                    self.plan.name.span,
                    format!("this journey has more than {MAX_OPS} operations once its fragments are put in"),
                )
                .help("use `repeat` instead of calling a fragment many times"),
            );
        }
        self.ops.push(op);
        self.lowering.trail.ops = self.ops.len();
        self.ops.len() - 1
    }

    pub(super) fn steps(&mut self, steps: &[StepPlan]) {
        for step in steps {
            if self.full {
                return;
            }
            self.step(step);
        }
    }

    fn condition(&mut self, condition: &Scalar) -> Expr {
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
        match self.lowering.condition(condition, &names) {
            Some(expr) => expr,
            // Already reported; the program is thrown away.
            None => Expr::compile("true", &names).expect("`true` is an expression"),
        }
    }

    fn step(&mut self, step: &StepPlan) {
        match &step.kind {
            StepKind::Request(request) => {
                let number = self.request(request, step.span, None);
                self.emit(Op::Request(number));
                if let Some(again) = self.repetition(request, step.span, number) {
                    self.emit(Op::Request(again));
                }
            }
            StepKind::Probe { request, stranger } => self.probe(request, stranger.as_ref(), step.span),
            StepKind::Think(delay) => {
                self.emit(Op::Think(*delay));
            }
            StepKind::Repeat { times, steps } => self.repeat(times, steps),
            StepKind::While { condition, most, steps } => self.while_loop(condition, *most, steps),
            StepKind::If { condition, then, otherwise } => self.branch(condition, then, otherwise),
            StepKind::Choose(branches) => self.choose(branches),
            StepKind::Set(values) => self.set(values),
            StepKind::Group { name, steps, continue_on_failure } => {
                let group = self.group(name);
                let outside = self.continues;
                self.continues = continue_on_failure.or(outside);
                self.emit(Op::GroupStart(group));
                self.steps(steps);
                self.emit(Op::GroupEnd(group));
                self.continues = outside;
            }
            StepKind::Pace(delay) => self.pace(*delay, step.span),
            StepKind::ForEach { list, name, steps } => self.for_each(list, name, steps),
            StepKind::Log(text) => {
                let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
                let text = self.lowering.text(text, &names);
                self.emit(Op::Log(text));
            }
            StepKind::Parallel(branches) => {
                let requests = branches.iter().filter_map(|branch| match &branch.kind {
                    StepKind::Request(request) => Some(self.request(request, branch.span, None)),
                    _ => None,
                });
                let requests = requests.collect();
                self.emit(Op::Parallel(requests));
            }
            StepKind::Stop(halt) => {
                self.emit(Op::Stop(*halt));
            }
            StepKind::Call(name) => self.call(name),
            StepKind::Websocket { open, heartbeat_ns, steps } => {
                self.websocket(open, *heartbeat_ns, steps, step.span);
            }
            StepKind::Send(payload) => self.send(payload, step.span),
            StepKind::Receive(receive) => self.receive(receive, step.span),
            StepKind::Close(code) => self.close(*code, step.span),
            StepKind::Join(name) => {
                let name = self.audience(name);
                self.emit(Op::Join(name));
            }
            StepKind::Leave(name) => {
                let name = self.audience(name);
                self.emit(Op::Leave(name));
            }
            StepKind::Rendezvous { name, users, within_ns } => {
                let meeting = self.lowering.meeting(name, *users, *within_ns);
                self.emit(Op::Meet(meeting));
            }
            StepKind::SwitchAccount => {
                if self.may_switch(step.span) {
                    self.emit(Op::SwitchAccount);
                }
            }
        }
    }

    fn counter(&mut self) -> usize {
        self.counters += 1;
        self.counters - 1
    }

    fn repeat(&mut self, times: &Scalar, steps: &[StepPlan]) {
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
        let template = self.lowering.typed(&Node::Scalar(times.clone()), &names);
        let counter = self.counter();
        self.emit(Op::Count { counter, times: template });
        let top = self.here();
        let round = self.emit(Op::Round { counter, done: 0 });
        self.steps(steps);
        self.emit(Op::Jump(top));
        let end = self.here();
        if let Op::Round { done, .. } = &mut self.ops[round] {
            *done = end;
        }
    }

    fn while_loop(&mut self, condition: &Scalar, most: u64, steps: &[StepPlan]) {
        let counter = self.counter();
        let times = Template::constant(Value::Int(i64::try_from(most).unwrap_or(i64::MAX)));
        self.emit(Op::Count { counter, times });
        let top = self.here();
        let condition = self.condition(condition);
        let test = self.emit(Op::JumpUnless { condition, to: 0 });
        let round = self.emit(Op::Round { counter, done: 0 });
        self.steps(steps);
        self.emit(Op::Jump(top));
        let end = self.here();
        self.land(test, end);
        if let Op::Round { done, .. } = &mut self.ops[round] {
            *done = end;
        }
    }

    fn pace(&mut self, delay: Delay, span: Span) {
        let is_first = self.section == Section::Steps && self.calls.is_empty() && self.here() == self.entry;
        if is_first && self.pace.is_none() {
            self.pace = Some(delay);
            return;
        }
        self.lowering.push(
            Diagnostic::error(
                "bad-step",
                span,
                "`pace` is the first step of a journey's `steps`, and stands there once",
            )
            .help("move it to the top; between steps a user waits with `think`"),
        );
    }

    fn for_each(&mut self, list: &Node, name: &Scalar, steps: &[StepPlan]) {
        if self.items.contains(&name.text) {
            let message = format!("a `for_each` around this one calls its item `{}` already", name.text);
            self.lowering.push(
                Diagnostic::error("two-meanings", name.span, message).help("name one of the two with `as: NAME`"),
            );
        }
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
        let list = self.lowering.list(list, &names);
        let (each, slot) = (self.lists, self.slot(&name.text));
        self.lists += 1;
        self.items.push(name.text.clone());
        self.emit(Op::Each { list, each });
        let next = self.emit(Op::Next { each, slot, done: 0 });
        self.steps(steps);
        self.emit(Op::Jump(next as Pc));
        let end = self.here();
        if let Op::Next { done, .. } = &mut self.ops[next] {
            *done = end;
        }
        self.items.pop();
    }

    fn branch(&mut self, condition: &Scalar, then: &[StepPlan], otherwise: &[StepPlan]) {
        let condition = self.condition(condition);
        let test = self.emit(Op::JumpUnless { condition, to: 0 });
        self.steps(then);
        if otherwise.is_empty() {
            let end = self.here();
            self.land(test, end);
            return;
        }
        let skip = self.emit(Op::Jump(0));
        let other = self.here();
        self.land(test, other);
        self.steps(otherwise);
        let end = self.here();
        self.land(skip, end);
    }

    fn choose(&mut self, branches: &[(u32, Vec<StepPlan>)]) {
        let choose = self.emit(Op::Choose(Vec::new()));
        let mut entries = Vec::new();
        let mut leaves = Vec::new();
        for (weight, steps) in branches {
            entries.push((*weight, self.here()));
            self.steps(steps);
            leaves.push(self.emit(Op::Jump(0)));
        }
        let end = self.here();
        for leave in leaves {
            self.land(leave, end);
        }
        self.ops[choose] = Op::Choose(entries);
    }

    /// Sets where a jump goes.
    pub(super) fn land(&mut self, jump: usize, target: Pc) {
        match &mut self.ops[jump] {
            Op::Jump(to) | Op::JumpUnless { to, .. } => *to = target,
            _ => {}
        }
    }

    fn set(&mut self, values: &[(Scalar, Node)]) {
        for (name, value) in values {
            let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
            let value = self.lowering.typed(value, &names);
            let slot = self.slot(&name.text);
            self.lowering.trail.written.push((slot, name.clone()));
            self.emit(Op::Set { slot, value });
        }
    }

    pub fn slot(&self, name: &str) -> Slot {
        let at = self.slots.iter().position(|s| s == name).unwrap_or(0);
        Slot::try_from(at).unwrap_or(Slot::MAX)
    }

    /// Groups of one name in one journey are one.
    fn group(&mut self, name: &Scalar) -> usize {
        let groups = &mut self.lowering.groups;
        let known = groups.iter().position(|g| g.journey == self.index && g.name == name.text);
        known.unwrap_or_else(|| {
            groups.push(Group { journey: self.index, name: name.text.clone() });
            groups.len() - 1
        })
    }

    fn probe(&mut self, request: &crate::plan::RequestPlan, stranger: Option<&Scalar>, span: crate::diagnostic::Span) {
        let role = match stranger {
            Some(name) => self.lowering.find_role(name),
            None => self.role,
        };
        let Some(role) = role else {
            if stranger.is_none() && matches!(self.played_by, Role::Nobody) {
                self.lowering.push(
                    Diagnostic::error("no-role", span, "a probe needs a stranger, and this journey has no `as: ROLE`")
                        .help("say who plays it, or name the stranger's role: `probe: { request: GET /…, stranger: patient }`"),
                );
            }
            return;
        };
        let number = self.request(request, span, Some(role));
        self.emit(Op::Request(number));
    }

    fn call(&mut self, name: &Scalar) {
        let plan = self.lowering.plan;
        let known = plan.fragments.iter().map(|f| f.name.text.as_str());
        let Some(fragment) = self.lowering.find(name, "fragment", known) else {
            return;
        };
        self.lowering.called[fragment] = true;
        let title = |i: &usize| format!("`{}`", plan.fragments[*i].name.text);
        if let Some(at) = self.calls.iter().position(|c| *c == fragment) {
            let mut path: Vec<String> = self.calls[at..].iter().map(title).collect();
            path.push(title(&fragment));
            self.lowering.push(
                Diagnostic::error(
                    "cycle",
                    name.span,
                    format!("fragments call each other in a circle: {}", path.join(" → ")),
                )
                .help("use `repeat` or `while` to do something again"),
            );
            return;
        }
        if self.calls.len() >= MAX_CALLS {
            let message = format!("calls are nested deeper than {MAX_CALLS}");
            self.lowering.push(Diagnostic::error("too-deep", name.span, message));
            return;
        }
        let before = self.lowering.diagnostics.len();
        self.calls.push(fragment);
        self.steps(&plan.fragments[fragment].steps);
        self.calls.pop();
        if self.calls.is_empty() {
            let journey = &self.plan.name.text;
            for diagnostic in &mut self.lowering.diagnostics[before..] {
                diagnostic.notes.push(format!("called from journey `{journey}`"));
            }
        }
    }
}
