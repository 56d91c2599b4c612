//! The program: what a scenario file compiles to, and all that the engine ever sees of it.
//! Flat lists of operations with jump targets, variables in numbered slots, templates pre-split.
//! In: `compile`. Out: read by the engine's virtual users; plain data, shared by all workers.

use crate::canary::Canary;
use crate::conditions::{Fresh, Keeps, Moment, Network};
use crate::css::Css;
use crate::expr::{Expr, JsonTemplate, Slot, Template};
use crate::faults::{Abandon, Faults};
use crate::guard::Guard;
use crate::jsonpath::JsonPath;
use crate::multipart::Multipart;
use crate::objective::Objective;
use crate::shape::Shape;
use crate::streams::{Events, Socket, SocketOp};
use crate::transport::Transport;
use crate::value::Value;
use std::sync::Arc;

/// Index into a journey's `ops`.
pub type Pc = u32;

/// A compiled scenario file.
#[derive(Debug)]
pub struct Program {
    /// `name:` of the file.
    pub name: String,
    /// Services under test.
    pub targets: Vec<Target>,
    /// Roles with their accounts. Accounts are numbered through all roles in this order.
    pub roles: Vec<Role>,
    /// Data tables.
    pub data: Vec<DataTable>,
    /// Journeys in file order.
    pub journeys: Vec<Journey>,
    /// What is recorded apart: one per distinct (journey, step name).
    pub steps: Vec<Step>,
    /// Compiled requests that `Op::Request` names. Several may share a step.
    pub requests: Vec<Request>,
    /// Groups that are timed as one.
    pub groups: Vec<Group>,
    /// Profiles in file order.
    pub profiles: Vec<Profile>,
    /// Objectives, the implicit `errors < 5%` included when the file has neither errors nor availability.
    pub objectives: Vec<Objective>,
    /// Values from the environment that no output may show.
    pub secrets: Vec<String>,
    /// What ends a run before its time.
    pub abort_rules: Vec<crate::abort::AbortRule>,
    /// What a whole suite must show besides.
    pub gate: Option<crate::gate::Gate>,
    /// WebSockets that `SocketOp::Open` names.
    pub sockets: Vec<Socket>,
    /// Points where users wait for one another, that [`Op::Meet`] names.
    pub meetings: Vec<Meeting>,
    /// What is played once before the load and once after it.
    pub around: crate::around::Around,
}

impl Program {
    /// Number of accounts over all roles.
    pub fn account_count(&self) -> usize {
        self.roles.iter().map(|r| r.accounts.len()).sum()
    }

    /// Role and row of a global account number.
    pub fn account(&self, number: usize) -> Option<(usize, &[Value])> {
        let mut rest = number;
        for (i, role) in self.roles.iter().enumerate() {
            if rest < role.accounts.len() {
                return Some((i, &role.accounts[rest]));
            }
            rest -= role.accounts.len();
        }
        None
    }

    /// Global number of a role's first account.
    pub fn first_account(&self, role: usize) -> usize {
        self.roles[..role].iter().map(|r| r.accounts.len()).sum()
    }

    /// The name by which people know an account: its column `id`, else `username`, else the first column, else its number.
    pub fn account_name(&self, number: usize) -> String {
        let Some((role, row)) = self.account(number) else {
            return format!("account {number}");
        };
        let role = &self.roles[role];
        let column = ["id", "username"].iter().find_map(|c| role.columns.iter().position(|n| n == c)).unwrap_or(0);
        row.get(column).map_or_else(|| format!("{} {number}", role.name), ToString::to_string)
    }
}

/// A service under test.
#[derive(Debug, Clone)]
pub struct Target {
    /// Key in `targets:`.
    pub name: String,
    /// Base URL, `http` or `https`, without a trailing slash.
    pub url: String,
    /// Largest time for one request, from its intended start's connection being asked for to the last byte.
    pub timeout_ns: u64,
    /// Largest time to connect.
    pub connect_timeout_ns: u64,
    /// Path that must answer 2xx before any load starts.
    pub health: Option<String>,
    /// TLS: accept any certificate.
    pub insecure: bool,
    /// TLS: file with the authorities to trust besides the system's, PEM.
    pub ca: Option<String>,
    /// How it is reached besides.
    pub transport: Transport,
    /// Where it tells about itself in Prometheus' text.
    pub watch: Option<Scrape>,
}

/// How a target is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Base URL, without a trailing slash.
    pub url: String,
    /// Path and query.
    pub path: String,
    /// From one scrape to the next, ns; at least 1 s.
    pub every_ns: u64,
}

/// A role: who plays, and whose data they may see.
#[derive(Debug)]
pub struct Role {
    /// Key in `roles:`.
    pub name: String,
    /// Column names.
    pub columns: Vec<String>,
    /// For each column, whether it is masked in every output (`secret`, or named password/token/secret).
    pub secret: Vec<bool>,
    /// One row per account.
    pub accounts: Vec<Vec<Value>>,
    /// `reuse: wrap`: more users than rows are allowed; users of one row are one owner.
    pub wrap: bool,
    /// Owner role index → condition over `account.*` (reader) and `owner.*`.
    pub may_see: Vec<(usize, Expr)>,
}

/// A data table.
#[derive(Debug)]
pub struct DataTable {
    /// Key in `data:`.
    pub name: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows; at least one.
    pub rows: Vec<Vec<Value>>,
    /// How the row of an iteration is chosen.
    pub order: DataOrder,
}

/// How rows of a data table are dealt to iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataOrder {
    /// In file order, each user starting at its own index.
    InOrder,
    /// Drawn from the user's random stream.
    Random,
}

/// A journey, compiled. `ops` holds three sections, each ending with [`Op::End`].
#[derive(Debug)]
pub struct Journey {
    /// Key in `journeys:`.
    pub name: String,
    /// Index of the role that plays it; `None`: anonymous users without account.
    pub role: Option<usize>,
    /// Share of the mix; 0 plays nobody.
    pub weight: u32,
    /// All operations.
    pub ops: Vec<Op>,
    /// Entry of `before`; it may be empty (an `End` at once).
    pub before: Pc,
    /// Entry of `steps`.
    pub steps: Pc,
    /// Entry of `after`.
    pub after: Pc,
    /// Number of variable slots.
    pub slots: usize,
    /// Names of the slots, for traces and messages.
    pub slot_names: Vec<String>,
    /// Number of loop counters.
    pub counters: usize,
    /// First and largest wait after a failed iteration, doubling in between.
    pub after_failure_ns: (u64, u64),
    /// What an iteration starts without.
    pub fresh: Fresh,
    /// What is kept of the latest answer for the steps after it.
    pub keeps: Keeps,

    /// What holds for the journey as a whole.
    pub flow: JourneyFlow,
}

/// What holds for a journey as a whole, besides its operations.
#[derive(Debug, Default)]
pub struct JourneyFlow {
    /// `pace`: least time from the start of an iteration to the start of the next.
    pub pace: Option<Delay>,
    /// Number of lists that `for_each` goes through.
    pub lists: usize,
    /// `before` is played again before an iteration when it began so long ago, ns.
    pub again_ns: Option<u64>,
    /// `before` is played again, and the step repeated once, when a step of `steps` fails with one of these status
    /// codes; inclusive ranges.
    pub again_on: Vec<(u16, u16)>,
    /// Variables that hold from the start what the run's `setup` left: the journey's slot, and that of the setup.
    pub given: Vec<(Slot, Slot)>,
}

/// One operation.
#[derive(Debug)]
pub enum Op {
    /// Send `Program::requests[_]` and judge its answer.
    Request(usize),
    /// Wait as a person does.
    Think(Delay),
    /// Assign an expression's value.
    Set {
        /// Destination.
        slot: Slot,
        /// Value.
        value: Template,
    },
    /// Go on elsewhere.
    Jump(Pc),
    /// Go on elsewhere unless the condition holds.
    JumpUnless {
        /// A bare expression; anything but `true`/`false` fails the step.
        condition: Expr,
        /// Where to go if it does not hold.
        to: Pc,
    },
    /// Set a loop counter.
    Count {
        /// Which counter.
        counter: usize,
        /// Number of rounds.
        times: Template,
    },
    /// If the counter is 0 go to `done`, else take one off and go on with the next operation.
    Round {
        /// Which counter.
        counter: usize,
        /// Where the loop ends.
        done: Pc,
    },
    /// Draw one of several branches by weight.
    Choose(Vec<(u32, Pc)>),
    /// A group's clock starts.
    GroupStart(usize),
    /// A group's clock stops.
    GroupEnd(usize),
    /// Work out a list to go through.
    Each {
        /// A bare expression; anything but a list fails the iteration.
        list: Expr,
        /// Which list of the user.
        each: usize,
    },
    /// Take the next item of a list and go on with the next operation, or go to `done` when there is none.
    Next {
        /// Which list of the user.
        each: usize,
        /// Where the item goes.
        slot: Slot,
        /// Where the loop ends.
        done: Pc,
    },
    /// Say something to whoever traces this user; nothing in a run.
    Log(Template),
    /// End something before its time.
    Stop(Halt),
    /// Send several requests at one time, and go on when the last of them has ended.
    Parallel(Vec<usize>),
    /// End of a section.
    End,
    /// Something with the user's WebSocket.
    Socket(SocketOp),
    /// From now on data of this audience may reach the account.
    Join(Template),
    /// From now on it may not.
    Leave(Template),
    /// Log out, take the role's next free account, log in.
    SwitchAccount,
    /// Wait for other users at `Program::meetings[_]`.
    Meet(usize),
}

/// A point where users of all journeys that name it wait for one another, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// `name:`.
    pub name: String,
    /// How many go on together; at least 1.
    pub users: u64,
    /// How long the first who comes waits at most, ns.
    pub within_ns: u64,
}

/// What a `stop` step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// This iteration, which counts as completed.
    Iteration,
    /// This user: it plays `after` and goes.
    User,
    /// The whole run.
    Run,
}

/// A time drawn when it is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(u64),
    /// Evenly between two bounds, ns.
    Uniform(u64, u64),
    /// Normal, cut off below at 0.
    Normal {
        /// Mean, ns.
        mean_ns: f64,
        /// Standard deviation, ns.
        deviation_ns: f64,
    },
    /// Exponential with this mean in ns.
    Exponential(f64),
}

impl Delay {
    /// The mean in nanoseconds, for estimates.
    pub fn mean_ns(&self) -> f64 {
        match *self {
            Self::Fixed(t) => t as f64,
            Self::Uniform(a, b) => (a as f64 + b as f64) / 2.0,
            Self::Normal { mean_ns, .. } => mean_ns,
            Self::Exponential(mean) => mean,
        }
    }
}

/// What is recorded under one name.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index of the journey.
    pub journey: usize,
    /// `METHOD path` as written, or `name:`.
    pub name: String,
    /// Index of the target.
    pub target: usize,
    /// Tags, for selections.
    pub tags: Vec<String>,
    /// Whether it is a probe: outside the time objectives.
    pub probe: bool,
    /// The declared positive control, if any.
    pub control: Option<Control>,
    /// It is what another step is on the new version of a canary.
    pub twin_of: Option<usize>,
    /// Whether it opens a WebSocket: its messages are counted apart.
    pub socket: bool,

    /// Fields of its requests and messages in which markers are planted, by number: `$.note`, `header x-note`. At most
    /// [`MOST_FIELDS`]; of what is planted elsewhere the last one holds, if anything of the file is.
    pub fields: Vec<String>,
}

/// Fields of a step that are told apart at most, the last one of them for markers that stand in none.
pub const MOST_FIELDS: usize = 64;

/// The field of markers that a variable takes: they may go anywhere.
pub const IN_A_VARIABLE: &str = "a variable";

impl Program {
    /// Among how many running numbers each field of the step has one: at least 1.
    pub fn field_count(&self, step: usize) -> u16 {
        self.steps.get(step).map_or(1, |step| step.fields.len().clamp(1, MOST_FIELDS) as u16)
    }
}

/// A declared positive control (`expect: { marker: … }`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// One of the user's own markers must come back.
    Own,
    /// A marker that the user may see must come back.
    Permitted,
    /// The user's newest acknowledged write must come back.
    Latest,
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Index of the journey.
    pub journey: usize,
    /// Name as written.
    pub name: String,
}

/// One request, ready to be rendered.
#[derive(Clone, Debug)]
pub struct Request {
    /// Index into `Program::steps`.
    pub step: usize,
    /// Index into `Program::targets`.
    pub target: usize,
    /// Upper-case method.
    pub method: String,
    /// Path (values percent-encoded), starting with `/`, query not included.
    pub path: Template,
    /// Query parameters, percent-encoded when rendered.
    pub query: Vec<(String, Template)>,
    /// Headers with lower-case names, the journey's first; a later one of the same name wins (already resolved).
    pub headers: Vec<(String, Template)>,
    /// Body.
    pub body: Body,
    /// Time limit of this request: the step's, else the target's.
    pub timeout_ns: u64,
    /// The step's own share of requests given up in mid-flight; it goes before the profile's.
    pub abandon: Option<Abandon>,
    /// Redirects that are followed at most; an answer whose status `expect` names is none.
    pub redirects: u32,
    /// What the answer must be like.
    pub expect: Expect,
    /// What is taken from the answer.
    pub saves: Vec<Save>,
    /// Declared identities: the answer must be about me.
    pub identities: Vec<Identity>,
    /// Set on probes.
    pub probe: Option<Probe>,
    /// `on_failure: continue`.
    pub continue_on_failure: bool,
    /// Whether any part evaluates `marker`.
    pub plants_marker: bool,
    /// The answer is read as server-sent events. Shared with the client, which has to know the last one.
    pub events: Option<Arc<Events>>,
    /// The request opens a WebSocket, with a ping so often (ns) if at all.
    pub upgrade: Option<Option<u64>>,
    /// What it does for the isolation check besides.
    pub guard: Guard,
    /// `path` is a whole URL, or a path that starts with `/`, known when it is rendered.
    pub whole_url: bool,
    /// Who makes it of a new version instead: number of the [`Canary`], and the request that goes there.
    pub twins: Vec<(usize, usize)>,

    /// Made again when it fails in a certain way.
    pub retry: Option<Retry>,
    /// Made again and again until something is there.
    pub poll: Option<Poll>,
}

/// `retry`: every attempt is a sample of its own, the last one decides.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// Status codes after which it is tried again, as inclusive ranges.
    pub on: Vec<(u16, u16)>,
    /// Tried again when no answer came in time.
    pub on_timeout: bool,
    /// Tried again when there was no whole answer: refused, reset, closed early.
    pub on_connection: bool,
    /// Attempts after the first one, at most.
    pub times: u32,
    /// From the end of an attempt to the next one.
    pub wait: Option<Delay>,
}

/// `poll`: tries at fixed times until something is there; each try is a sample of its own.
#[derive(Clone, Debug)]
pub struct Poll {
    /// From one try's due time to the next, ns.
    pub every_ns: u64,
    /// From the first try's due time to the end of patience, ns.
    pub within_ns: u64,
    /// Whether it is there, said of the answer; `None`: its status is below 400.
    pub until: Option<Expr>,
}

/// A request's body.
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// `json:`; sent as `application/json` unless the headers say otherwise.
    Json(JsonTemplate),
    /// `form:`; sent as `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
    /// `body:`; sent as it is, `text/plain; charset=utf-8` unless the headers say otherwise.
    Text(Template),
    /// `multipart:`; sent as `multipart/form-data`.
    Multipart(Multipart),
    /// `body: { file: … }`, read when the scenario was.
    Bytes {
        /// The file's bytes.
        bytes: Arc<[u8]>,
        /// Its content type.
        kind: String,
    },
}

/// What an answer must be like; all must hold.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Accepted status codes as inclusive ranges; empty means below 400.
    pub status: Vec<(u16, u16)>,
    /// JSON path → condition.
    pub json: Vec<(JsonPath, Condition)>,
    /// Text that the body must contain.
    pub contains: Vec<Template>,
    /// Patterns that the body must match.
    pub matches: Vec<regex::bytes::Regex>,
    /// Lower-case header name → condition.
    pub headers: Vec<(String, Condition)>,
    /// This answer's response-time limit.
    pub under_ns: Option<u64>,
    /// An expression that must be true; sees the values that this answer saved.
    pub that: Option<Expr>,
    /// Positive control.
    pub marker: Option<Control>,
    /// Limit of the time to the first event.
    pub first_event_ns: Option<u64>,
    /// Limit of the longest time between two events.
    pub event_gap_ns: Option<u64>,
    /// Condition on the number of events.
    pub events: Option<Condition>,
}

/// A condition on one value.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Equal to the template's value (numbers compare by value; text with text).
    Equals(Template),
    /// `"< 3"`, `">= {{ n }}"`, `"!= x"`: the value compared with a template's value.
    Compare(CompareOp, Template),
    /// `{ matches: REGEX }`.
    Matches(regex::Regex),
    /// `{ exists: true | false }`.
    Exists(bool),
}

/// Comparison of a [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `!=`
    Not,
}

/// A value taken from an answer.
#[derive(Clone, Debug)]
pub struct Save {
    /// Destination.
    pub slot: Slot,
    /// Name as written.
    pub name: String,
    /// Where it is found.
    pub source: SaveSource,
    /// Used when nothing is found; without it a missing value fails the step.
    pub default: Option<Value>,
    /// Must never be issued to two accounts; masked in outputs.
    pub credential: bool,
    /// Masked in outputs.
    pub secret: bool,
}

/// Where a saved value is found.
#[derive(Clone, Debug)]
pub enum SaveSource {
    /// JSONPath into the body.
    Json(JsonPath),
    /// A response header, lower-case name.
    Header(String),
    /// First capture group of a pattern on the body, or its whole match.
    Regex(regex::bytes::Regex),
    /// A cookie that this answer sets.
    Cookie(String),
    /// An element of an HTML page.
    Css(Css),
}

/// `identity: { path: template }`.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where the answer names its owner.
    pub path: JsonPath,
    /// What it must be: an expression of the reader's own account.
    pub expected: Template,
}

/// What makes a request a probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Role of the stranger.
    pub role: usize,
    /// Step whose own-marker answers are the positive control: the same template with `account` for `stranger`.
    pub control_step: Option<usize>,
}

/// One profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Key in `profiles:`.
    pub name: String,
    /// How the load comes.
    pub load: Load,
    /// What its stages mean.
    pub shape: Shape,
    /// First part of the run, shown apart and not judged; already contained in the load's stages.
    pub warm_up_ns: u64,
    /// How long users may finish their iteration at the end.
    pub graceful_stop_ns: u64,
    /// `isolation: required`.
    pub isolation_required: bool,
    /// What is provoked on purpose.
    pub faults: Faults,
    /// How long the target rests after the load before its watched series are read for the last time, ns.
    pub cool_down_ns: u64,
    /// What each iteration of every journey starts without.
    pub fresh: Fresh,
    /// The users' network, if it is not to be the machine's own.
    pub network: Option<Network>,
    /// Moments on the timeline, in order.
    pub moments: Vec<Moment>,
    /// The new version that takes over, step by step.
    pub canary: Option<Canary>,
    /// Connections that all users share, at targets that say nothing themselves.
    pub share_connections: Option<u32>,
}

/// How the load comes.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// So many users, each starting its next iteration when the last one ends. Stage levels are users.
    Closed(Vec<Stage>),
    /// Iterations start at times that no answer can delay. Stage levels are arrivals a second.
    Open {
        /// Stages.
        stages: Vec<Stage>,
        /// Spacing of the arrivals.
        spacing: Spacing,
        /// Most virtual users at once.
        max_users: usize,
    },
}

impl Load {
    /// The stages.
    pub fn stages(&self) -> &[Stage] {
        match self {
            Self::Closed(stages) | Self::Open { stages, .. } => stages,
        }
    }

    /// Planned length, warm-up included, graceful stop not.
    pub fn duration_ns(&self) -> u64 {
        self.stages().iter().map(|s| s.duration_ns).sum()
    }

    /// Most virtual users at once.
    pub fn most_users(&self) -> usize {
        match self {
            Self::Closed(stages) => stages.iter().map(|s| s.level.ceil() as usize).max().unwrap_or(0),
            Self::Open { max_users, .. } => *max_users,
        }
    }
}

/// One stage: from the level before (0 at the start) straight to `level` within `ramp_ns`, then held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Users, or arrivals a second.
    pub level: f64,
    /// Whole length of the stage.
    pub duration_ns: u64,
    /// Length of the ramp inside it; 0 jumps.
    pub ramp_ns: u64,
}

/// Spacing of open arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// `i / rate`.
    Even,
    /// A Poisson process, seeded.
    Poisson,
}
