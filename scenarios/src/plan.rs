//! The plan: the scenario file as written, with every shape checked and every unit read, but nothing resolved.
//! In: [`Source`] and the environment. Out: [`Plan`] with warnings, or every mistake of the file at once.

mod abort;
mod accounts;
mod around;
mod faults;
mod gate;
mod journeys;
mod profiles;
mod reader;
mod requests;
mod roles;
mod schema;
mod sla;
mod sockets;
mod steps;
mod stored;
mod targets;
mod ways;

pub(crate) use profiles::{MAX_RATE, MAX_USERS};
pub(crate) use reader::constant;
pub use schema::schema;
pub(crate) use stored::is_secret_name;
pub(crate) use targets::{check_url, plain as plain_target};

use crate::compile;
use crate::conditions::{Fresh, Moment, Network};
use crate::diagnostic::{self, Diagnostic, Span};
use crate::environment::{self, Lookup};
use crate::faults::{Abandon, Faults};
use crate::imports::{self, Files};
use crate::program::{DataOrder, Delay, Halt, Load, Retry};
use crate::shape::Shape;
use crate::source::Source;
use crate::syntax::{Node, Scalar};
use crate::value::Value;
use reader::{Reader, Spec};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

pub(crate) use gate::{GatePlan, WaiverPlan};
pub(crate) use requests::auth::{AuthPlan, OAuth2Plan};
pub(crate) use requests::split_host;
pub(crate) use sla::Limits;

/// A checked scenario file.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `name:` of the file, or the file's own name.
    pub name: String,
    /// The main file, with the texts of all joined.
    pub(crate) source: Source,
    pub(crate) files: Files,
    pub(crate) targets: Vec<TargetPlan>,
    pub(crate) roles: Vec<RolePlan>,
    pub(crate) data: Vec<DataPlan>,
    pub(crate) fragments: Vec<FragmentPlan>,
    pub(crate) journeys: Vec<JourneyPlan>,
    pub(crate) setup: Option<OncePlan>,
    pub(crate) teardown: Option<OncePlan>,
    pub(crate) mix: Option<Vec<(Scalar, u32)>>,
    pub(crate) profiles: Vec<ProfilePlan>,
    /// Profiles that are in the file but could not be read.
    pub(crate) broken_profiles: Vec<String>,
    pub(crate) sla: Vec<ObjectivePlan>,
    pub(crate) aborts: Vec<AbortPlan>,
    pub(crate) gate: Option<GatePlan>,
    pub(crate) waivers: Vec<WaiverPlan>,
    pub(crate) ghosts: HashSet<String>,
    stored: String,
    digests: Vec<(String, String)>,
    /// Values that came from the environment under a name that says secret.
    pub(crate) secrets: Vec<String>,
}

impl Plan {
    /// The file's text as it may be stored: `${}` unexpanded, literal secrets replaced by `***`.
    pub fn stored_text(&self) -> String {
        self.stored.clone()
    }

    /// Every waiver that has expired on `today` or would hold for more than 90 days, as mistakes of the file. Apart from
    /// [`parse`], because the day is no part of the file.
    pub fn waivers_out_of_date(&self, today: jiff::civil::Date) -> Vec<Diagnostic> {
        diagnostic::finish(gate::out_of_date(&self.waivers, today), &self.files)
    }

    /// SHA-256 in hex of the scenario's text and of each data file, by name, the scenario first.
    pub fn digests(&self) -> Vec<(String, String)> {
        self.digests.clone()
    }
}

/// SHA-256 in hex of a scenario's text, as in [`Plan::digests`].
pub fn text_digest(text: &str) -> String {
    stored::sha256(text.as_bytes())
}

/// A service under test.
#[derive(Clone, Debug)]
pub(crate) struct TargetPlan {
    pub name: Scalar,
    pub url: String,
    pub timeout_ns: u64,
    pub connect_timeout_ns: u64,
    pub health: Option<String>,
    pub insecure: bool,
    pub ca: Option<String>,
    pub watch: Option<crate::program::Scrape>,
    pub transport: crate::transport::Transport,
}

/// Rows with named columns; `None` when they could not be read, so that nothing else is said about them.
pub(crate) type Table = Option<(Vec<String>, Vec<Vec<Value>>)>;

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct RolePlan {
    pub name: Scalar,
    pub accounts: Table,
    pub secret: HashSet<String>,
    pub wrap: bool,
    pub may_see: Vec<(Scalar, Scalar)>,
}

/// A data table.
#[derive(Clone, Debug)]
pub(crate) struct DataPlan {
    pub name: Scalar,
    pub rows: Table,
    pub order: DataOrder,
}

/// Steps to be called.
#[derive(Clone, Debug)]
pub(crate) struct FragmentPlan {
    pub name: Scalar,
    pub steps: Vec<StepPlan>,
}

/// A journey.
#[derive(Clone, Debug)]
pub(crate) struct JourneyPlan {
    pub name: Scalar,
    pub role: Option<Scalar>,
    pub target: Option<Scalar>,
    pub before: Vec<StepPlan>,
    pub headers: Vec<(Scalar, Scalar)>,
    pub steps: Vec<StepPlan>,
    pub after: Vec<StepPlan>,
    pub continue_on_failure: bool,
    pub after_failure_ns: (u64, u64),
    pub auth: Option<AuthPlan>,
    pub fresh: Fresh,

    pub again_ns: Option<u64>,
    pub again_on: Vec<(u16, u16)>,
}

/// `setup` or `teardown`: the steps of a journey, played once.
#[derive(Clone, Debug)]
pub(crate) struct OncePlan {
    pub journey: JourneyPlan,
    /// The most time that it may take.
    pub within_ns: u64,
}

/// One step with its place.
#[derive(Clone, Debug)]
pub(crate) struct StepPlan {
    pub span: Span,
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum StepKind {
    Request(Box<RequestPlan>),
    Probe {
        request: Box<RequestPlan>,
        stranger: Option<Scalar>,
    },
    Think(Delay),
    Repeat {
        times: Scalar,
        steps: Vec<StepPlan>,
    },
    While {
        condition: Scalar,
        most: u64,
        steps: Vec<StepPlan>,
    },
    If {
        condition: Scalar,
        then: Vec<StepPlan>,
        otherwise: Vec<StepPlan>,
    },
    Choose(Vec<(u32, Vec<StepPlan>)>),
    Set(Vec<(Scalar, Node)>),
    Group {
        name: Scalar,
        steps: Vec<StepPlan>,
        continue_on_failure: Option<bool>,
    },
    Call(Scalar),
    Websocket {
        open: Box<RequestPlan>,
        heartbeat_ns: Option<u64>,
        steps: Vec<StepPlan>,
    },
    Send(PayloadPlan),
    Receive(Box<ReceivePlan>),
    Close(u16),
    /// From now on data of this audience may arrive.
    Join(Scalar),
    /// From now on it may not.
    Leave(Scalar),
    SwitchAccount,
    /// Waits for other users.
    Rendezvous {
        name: Scalar,
        users: u64,
        within_ns: u64,
    },
    Pace(Delay),
    ForEach {
        list: Node,
        name: Scalar,
        steps: Vec<StepPlan>,
    },
    Log(Scalar),
    Stop(Halt),
    Parallel(Vec<StepPlan>),
}

/// A message to send, as written.
#[derive(Clone, Debug)]
pub(crate) enum PayloadPlan {
    Text(Scalar),
    Json(Node),
    Base64(Scalar),
}

/// A message to wait for, as written.
#[derive(Clone, Debug)]
pub(crate) struct ReceivePlan {
    pub like: LikePlan,
    pub within_ns: Option<u64>,
    pub saves: Vec<SavePlan>,
}

/// What a message must be like, as written.
#[derive(Clone, Debug)]
pub(crate) enum LikePlan {
    Json(Vec<(Scalar, ConditionPlan)>),
    Text(Scalar),
}

/// `events:` as written.
#[derive(Clone, Debug)]
pub(crate) struct EventsPlan {
    pub text: Option<Scalar>,
    pub until: Option<UntilPlan>,
}

/// `until:` of `events` as written.
#[derive(Clone, Debug)]
pub(crate) enum UntilPlan {
    Text(Scalar),
    Json(Vec<(Scalar, ConditionPlan)>),
}

/// A request as written.
#[derive(Clone, Debug)]
pub(crate) struct RequestPlan {
    /// `METHOD path` as written.
    pub key: Scalar,
    pub method: String,
    /// Byte of `key.text` where the path starts.
    pub path_at: usize,
    pub name: Option<Scalar>,
    pub target: Option<Scalar>,
    pub query: Vec<(Scalar, Node)>,
    pub headers: Vec<(Scalar, Scalar)>,
    pub body: BodyPlan,
    pub timeout_ns: Option<u64>,
    pub abandon: Option<Abandon>,
    pub redirects: Option<crate::transport::Redirects>,
    pub expect: ExpectPlan,
    pub saves: Vec<SavePlan>,
    pub identities: Vec<(Scalar, Scalar)>,
    pub tags: Vec<Scalar>,
    pub continue_on_failure: Option<bool>,
    pub events: Option<EventsPlan>,
    pub auth: Option<AuthPlan>,
    /// A request of the language itself: nothing of the journey's goes with it.
    pub bare: bool,
    pub guard: GuardPlan,

    pub retry: Option<Retry>,
    pub poll: Option<PollPlan>,
}

impl RequestPlan {
    /// A request of the language's own, named `name`.
    pub fn bare(method: &str, key: Scalar, name: String) -> Self {
        let shown = Scalar::new("", &name, crate::syntax::Style::Quoted, key.span);
        Self {
            key,
            method: method.to_owned(),
            path_at: 0,
            name: Some(shown),
            target: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: BodyPlan::Empty,
            timeout_ns: None,
            abandon: None,
            redirects: None,
            expect: ExpectPlan::default(),
            saves: Vec::new(),
            identities: Vec::new(),
            tags: Vec::new(),
            continue_on_failure: Some(false),
            auth: None,
            bare: true,
            guard: GuardPlan::default(),
            retry: None,
            poll: None,
            events: None,
        }
    }
}

/// `poll` as written.
#[derive(Clone, Debug)]
pub(crate) struct PollPlan {
    pub every_ns: u64,
    pub within_ns: u64,
    pub until: Option<Scalar>,
}

/// `echo` and `revokes` as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuardPlan {
    /// Header to send, and header or JSONPath to read.
    pub echo: Option<(Scalar, Scalar)>,
    pub revokes: Option<Scalar>,
}

/// A body as written.
#[derive(Clone, Debug, Default)]
pub(crate) enum BodyPlan {
    #[default]
    Empty,
    Json(Node),
    Form(Vec<(Scalar, Node)>),
    Text(Scalar),
    Multipart(Vec<PartPlan>),
    Bytes {
        bytes: Arc<[u8]>,
        kind: String,
    },
}

/// A part of a multipart body as written.
#[derive(Clone, Debug)]
pub(crate) struct PartPlan {
    pub name: Scalar,
    pub filename: Option<String>,
    pub kind: Option<String>,
    pub content: PartContent,
}

/// What a part carries.
#[derive(Clone, Debug)]
pub(crate) enum PartContent {
    Text(Scalar),
    Bytes(Arc<[u8]>),
}

/// Expectations as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectPlan {
    pub status: Vec<(u16, u16)>,
    pub json: Vec<(Scalar, ConditionPlan)>,
    pub contains: Vec<Scalar>,
    pub matches: Vec<Scalar>,
    pub headers: Vec<(Scalar, ConditionPlan)>,
    pub under_ns: Option<u64>,
    pub that: Option<Scalar>,
    pub marker: Option<crate::program::Control>,
    pub first_event_ns: Option<u64>,
    pub event_gap_ns: Option<u64>,
    pub events: Option<ConditionPlan>,
}

/// A condition as written.
#[derive(Clone, Debug)]
pub(crate) enum ConditionPlan {
    /// A value, a template, or a comparison in text.
    Value(Node),
    Matches(Scalar),
    Exists(bool),
}

/// A saved value as written.
#[derive(Clone, Debug)]
pub(crate) struct SavePlan {
    pub name: Scalar,
    pub source: SavedFrom,
    pub default: Option<Value>,
    pub credential: bool,
    pub secret: bool,
}

/// Where a saved value comes from.
#[derive(Clone, Debug)]
pub(crate) enum SavedFrom {
    Json(Scalar),
    Header(Scalar),
    Regex(Scalar),
    Cookie(Scalar),
    Css { selector: Scalar, attribute: Option<Scalar> },
}

/// A profile with its load worked out.
#[derive(Clone, Debug)]
pub(crate) struct ProfilePlan {
    pub name: Scalar,
    pub load: Load,
    pub shape: Shape,
    pub warm_up_ns: u64,
    pub graceful_stop_ns: u64,
    pub isolation_required: bool,
    pub faults: Faults,
    pub cool_down_ns: u64,
    pub fresh: Fresh,
    pub network: Option<Network>,
    pub moments: Vec<Moment>,
    /// By its preset or its name a soak.
    pub soak: bool,
    pub canary: Option<CanaryPlan>,
    pub share_connections: Option<u32>,
}

/// `new`, `old` and `steps` of a canary; names are resolved when the program is made.
#[derive(Clone, Debug)]
pub(crate) struct CanaryPlan {
    pub new: Scalar,
    pub old: Option<Scalar>,
    pub shares: Vec<f64>,
}

/// An objective as written.
#[derive(Clone, Debug)]
pub(crate) struct ObjectivePlan {
    pub span: Span,
    pub of: Vec<(&'static str, Vec<Scalar>)>,
    pub limits: Limits,
    pub profiles: Option<Vec<Scalar>>,
    pub must: bool,
    pub name: Option<Scalar>,
    pub each: Option<crate::objective::Each>,
    pub confident: bool,
    /// The watched series, and where it stands in the file.
    pub watch: Option<(crate::objective::Watch, Scalar)>,
}

/// An abort rule as written: a condition that says what is too much, and over which time.
#[derive(Clone, Debug)]
pub(crate) struct AbortPlan {
    pub rule: ObjectivePlan,
    pub over_s: u64,
}

const FILE: Spec = Spec {
    what: "a scenario file",
    keys: &[
        "watertight",
        "name",
        "targets",
        "roles",
        "data",
        "fragments",
        "journeys",
        "mix",
        "profiles",
        "sla",
        "gate",
        "waivers",
        "import",
        "setup",
        "teardown",
    ],
    not_yet: &[],
};

/// Reads, checks and resolves a scenario file. `environment` answers `${NAME}`.
/// `Ok` holds the warnings besides the plan; `Err` every mistake and warning of the file, in file order.
pub fn parse(source: &Source, environment: Lookup<'_>) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let (tree, files) = imports::gather(source, &mut diagnostics);
    let Some(mut tree) = tree else {
        if diagnostics.is_empty() {
            diagnostics.push(
                Diagnostic::error("empty", Span::default(), "the file holds nothing")
                    .help("start from the model: `watertight init`"),
            );
        }
        return Err(diagnostic::finish(diagnostics, &files));
    };
    let stored = match files.imported().next() {
        None => stored::masked(&tree, &source.text),
        Some(_) => stored::inlined(&tree, &files),
    };
    let secrets = RefCell::new(Vec::new());
    let recording = |name: &str| {
        let value = environment(name);
        if stored::is_secret_variable(name) {
            secrets.borrow_mut().extend(value.clone().filter(|v| !v.is_empty()));
        }
        value
    };
    environment::expand(&mut tree, &recording, &files.joined.text, &mut diagnostics);
    let mut reader = Reader {
        source: &files.joined,
        files: &files,
        diagnostics,
        digests: digests(source, &files),
        ghosts: HashSet::new(),
    };
    let mut plan = read_file(&mut reader, &tree, stored);
    if let Some(plan) = &mut plan {
        plan.secrets = secrets.into_inner();
    }
    let mut diagnostics = reader.diagnostics;
    if let Some(plan) = &plan {
        let is_whole = !diagnostics.iter().any(Diagnostic::is_error);
        diagnostics.extend(compile::lower(plan, is_whole).1);
    }
    forget_followers(&mut diagnostics);
    let diagnostics = diagnostic::finish(diagnostics, &files);
    match plan {
        Some(plan) if !diagnostics.iter().any(Diagnostic::is_error) => Ok((plan, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// The files of the scenario themselves, the main one first.
fn digests(source: &Source, files: &Files) -> Vec<(String, String)> {
    let all = std::iter::once(source).chain(files.imported());
    all.map(|s| (s.name.clone(), stored::sha256(s.text.as_bytes()))).collect()
}

/// A misspelt section is one mistake: that the section is missing says nothing more.
fn forget_followers(diagnostics: &mut Vec<Diagnostic>) {
    let misspelt: Vec<String> = diagnostics
        .iter()
        .filter(|d| d.code == "unknown-key" && d.message.starts_with(FILE.what))
        .filter_map(|d| Some(d.help.as_ref()?.strip_prefix("did you mean `")?.strip_suffix("`?")?.to_owned()))
        .collect();
    let follows = |d: &Diagnostic| {
        d.code == "missing-key"
            && misspelt.iter().any(|key| d.message == format!("{} needs the key `{key}`", FILE.what))
    };
    diagnostics.retain(|d| !follows(d));
}

fn read_file(reader: &mut Reader<'_>, tree: &Node, stored: String) -> Option<Plan> {
    let at = Span::new(tree.span().start..tree.span().start);
    let file = reader.fields(tree, at, &FILE)?;
    match file.entry("watertight") {
        Some(entry) => {
            reader.whole(&entry.value, entry.key.span, "the version of the language", 1, 1);
        }
        None => reader.missing(at, "a scenario file", "watertight", "1"),
    }
    let name = reader.text_at(file, "name").map_or_else(|| file_stem(&reader.source.name), |s| s.text.clone());
    let targets = targets::read(reader, file);
    let roles = roles::read(reader, file);
    let data = roles::read_data(reader, file);
    let fragments = journeys::read_fragments(reader, file);
    let journeys = journeys::read(reader, file);
    let setup = around::read_setup(reader, file);
    let teardown = around::read_teardown(reader, file);
    let mix = journeys::read_mix(reader, file);
    let (profiles, broken_profiles) = profiles::read(reader, file);
    let (sla, aborts) = sla::read(reader, file);
    let gate = gate::read(reader, file);
    let waivers = gate::read_waivers(reader, file);
    Some(Plan {
        name,
        source: reader.source.clone(),
        files: reader.files.clone(),
        targets,
        roles,
        data,
        fragments,
        journeys,
        setup,
        teardown,
        mix,
        profiles,
        secrets: Vec::new(),
        broken_profiles,
        sla,
        aborts,
        gate,
        waivers,
        ghosts: std::mem::take(&mut reader.ghosts),
        stored,
        digests: std::mem::take(&mut reader.digests),
    })
}

fn file_stem(name: &str) -> String {
    std::path::Path::new(name).file_stem().map_or_else(|| name.to_owned(), |s| s.to_string_lossy().into_owned())
}
