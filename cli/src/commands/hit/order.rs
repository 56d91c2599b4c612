//! What a command line orders: flags to a program of one journey with one request, and its load.
//! In: the flags. Out: [`Order`], or the first mistake with how to mend it.

use super::address::Address;
use crate::args::Hit;
use crate::outcome::Problem;
use scenarios::Program;
use scenarios::expr::Template;
use scenarios::program::{
    Body, Expect, Journey, JourneyFlow, Load, Op, Profile, Request, Spacing, Stage, Step, Target,
};
use scenarios::transport::{Http, Transport};
use scenarios::units::{LONGEST_NS, parse_duration, parse_rate};
use scenarios::value::Value;
use std::sync::Arc;

const SECOND_NS: u64 = 1_000_000_000;
/// Users of a closed load when `-c` is silent.
const USERS: u64 = 50;
/// Length when neither `-z` nor `-n` says one.
const LENGTH_NS: u64 = 10 * SECOND_NS;
/// Time for the last answers after the end.
const GRACE_NS: u64 = 5 * SECOND_NS;
/// Largest rate, per second.
const MOST_RATE: f64 = 1e6;
/// With a rate and no `-c`: as many users as this many seconds of arrivals, within bounds.
const SECONDS_OF_USERS: f64 = 2.0;
const LEAST_OPEN_USERS: f64 = 1_000.0;
const MOST_OPEN_USERS: f64 = 20_000.0;

/// What is to be done.
#[derive(Debug)]
pub struct Order {
    /// One journey, one request, one profile.
    pub program: Arc<Program>,
    /// Ends after so many requests.
    pub requests: Option<u64>,
    /// Requests a second of an open load.
    pub rate: Option<f64>,
    /// Most users.
    pub users: u64,
    /// How long at most; `None`: until the requests are done.
    pub duration_ns: Option<u64>,
    /// Method.
    pub method: String,
    /// The address as it is asked.
    pub url: String,
}

impl Order {
    /// Reads the flags.
    ///
    /// # Errors
    /// The first flag that makes no sense.
    pub fn new(args: &Hit) -> Result<Self, Problem> {
        let address = Address::parse(&args.url).map_err(Problem::usage)?;
        let method = method(args)?;
        let headers = headers(&args.header)?;
        let rate = args.rate.as_deref().map(rate).transpose()?;
        let duration_ns = match (&args.duration, args.requests) {
            (Some(text), _) => Some(duration("--for (-z)", text)?),
            (None, Some(_)) => None,
            (None, None) => Some(LENGTH_NS),
        };
        let timeout_ns = duration("--timeout", &args.timeout)?;
        let users = users(args, rate);
        let load = load(rate, users, duration_ns.unwrap_or(LONGEST_NS));
        let url = format!("{}{}", address.base, address.path);
        let mut request = request(&method, &address.path, headers, args.body.as_deref(), timeout_ns);
        request.redirects = args.redirects;
        let http = match (args.http2, address.base.starts_with("https:")) {
            (false, _) => Http::One,
            (true, true) => Http::Two,
            (true, false) => Http::H2c,
        };
        let target = Target {
            name: address.authority,
            url: address.base,
            timeout_ns,
            connect_timeout_ns: timeout_ns.min(5 * SECOND_NS),
            health: None,
            insecure: args.insecure,
            ca: None,
            watch: None,
            transport: Transport { http, ..Transport::default() },
        };
        Ok(Self {
            program: Arc::new(program(format!("{method} {url}"), target, request, load)),
            requests: args.requests,
            rate,
            users,
            duration_ns,
            method,
            url,
        })
    }

    /// The load in words.
    pub fn load_words(&self) -> String {
        let user = if self.users == 1 { "user" } else { "users" };
        let mut text = match self.rate {
            None => format!("{} {user}, each asking again when it is answered", self.users),
            Some(rate) => format!("{rate} requests/s whatever the answers do, at most {} {user}", self.users),
        };
        if let Some(ns) = self.duration_ns {
            text.push_str(&format!(", for {}", scenarios::units::format_duration(ns)));
        }
        if let Some(n) = self.requests {
            text.push_str(&format!(", {n} requests in all"));
        }
        text
    }
}

fn method(args: &Hit) -> Result<String, Problem> {
    let method = match (&args.method, &args.body) {
        (Some(method), _) => method.trim().to_ascii_uppercase(),
        (None, Some(_)) => "POST".into(),
        (None, None) => "GET".into(),
    };
    let is_token = !method.is_empty() && method.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
    if !is_token {
        return Err(Problem::usage(format!("--method (-m) `{method}` is no method: write for example `-m PUT`")));
    }
    if method == "CONNECT" {
        return Err(Problem::usage("--method (-m) CONNECT opens tunnels and cannot be asked for here"));
    }
    Ok(method)
}

/// Headers with lower-case names; several of one name become one, as HTTP allows.
fn headers(given: &[String]) -> Result<Vec<(String, String)>, Problem> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for text in given {
        // The value may be a secret, so it is never repeated.
        let wrong = |why: &str| {
            let name = text.split(':').next().unwrap_or_default();
            Problem::usage(format!("--header (-H) `{name}`: {why}; write for example -H 'X-Name: value'"))
        };
        let (name, value) = text.split_once(':').ok_or_else(|| wrong("there is no colon after the name"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        let is_token =
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c));
        if !is_token {
            return Err(wrong("the name is none that HTTP allows"));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(wrong("its value holds a line break or control character"));
        }
        if ["content-length", "transfer-encoding"].contains(&name.as_str()) {
            return Err(wrong("it is worked out from the body and cannot be given"));
        }
        match headers.iter_mut().find(|(n, _)| *n == name) {
            Some(_) if name == "host" => return Err(wrong("a request has one host, and two are given")),
            Some((_, first)) => {
                first.push_str(if name == "cookie" { "; " } else { ", " });
                first.push_str(&value);
            }
            None => headers.push((name, value)),
        }
    }
    Ok(headers)
}

/// `200` is 200 a second, as with the other one-liners; `6000/m` says its unit.
fn rate(text: &str) -> Result<f64, Problem> {
    let text = text.trim();
    let with_unit = if text.contains('/') { text.to_owned() } else { format!("{text}/s") };
    let rate = parse_rate(&with_unit).map_err(|e| Problem::usage(format!("--rate (-q) {text}: {e}")))?;
    if rate <= 0.0 || rate > MOST_RATE {
        return Err(Problem::usage(format!("--rate (-q) {text}: a rate is above 0 and at most 1000000/s")));
    }
    Ok(rate)
}

fn duration(option: &str, text: &str) -> Result<u64, Problem> {
    let ns = parse_duration(text).map_err(|e| Problem::usage(format!("{option} {text}: {e}")))?;
    if ns < 1_000_000 {
        return Err(Problem::usage(format!("{option} {text}: it is at least 1ms")));
    }
    Ok(ns)
}

fn users(args: &Hit, rate: Option<f64>) -> u64 {
    let users = args.users.unwrap_or_else(|| match rate {
        None => USERS,
        Some(rate) => (rate * SECONDS_OF_USERS).clamp(LEAST_OPEN_USERS, MOST_OPEN_USERS) as u64,
    });
    // A user without a request would only stand about.
    users.min(args.requests.unwrap_or(u64::MAX))
}

fn load(rate: Option<f64>, users: u64, duration_ns: u64) -> Load {
    let stage = |level| vec![Stage { level, duration_ns, ramp_ns: 0 }];
    match rate {
        None => Load::Closed(stage(users as f64)),
        Some(rate) => Load::Open { stages: stage(rate), spacing: Spacing::Even, max_users: users as usize },
    }
}

fn request(method: &str, path: &str, headers: Vec<(String, String)>, body: Option<&str>, timeout_ns: u64) -> Request {
    let plain = |text: &str| Template::constant(Value::text(text));
    Request {
        step: 0,
        target: 0,
        method: method.into(),
        path: plain(path),
        query: Vec::new(),
        headers: headers.into_iter().map(|(name, value)| (name, plain(&value))).collect(),
        body: body.map_or(Body::Empty, |text| Body::Text(plain(text))),
        timeout_ns,
        abandon: None,
        redirects: 0,
        expect: Expect::default(),
        saves: Vec::new(),
        identities: Vec::new(),
        probe: None,
        continue_on_failure: false,
        plants_marker: false,
        retry: None,
        poll: None,
        events: None,
        upgrade: None,
        guard: scenarios::guard::Guard::default(),
        whole_url: false,
        twins: Vec::new(),
    }
}

fn program(name: String, target: Target, request: Request, load: Load) -> Program {
    let journey = Journey {
        name: "hit".into(),
        role: None,
        weight: 1,
        // `before` and `after` are empty; `steps` is the one request.
        ops: vec![Op::End, Op::Request(0), Op::End, Op::End],
        before: 0,
        steps: 1,
        after: 3,
        slots: 0,
        slot_names: Vec::new(),
        counters: 0,
        // Who measures a target's errors wants them at full rate.
        after_failure_ns: (0, 0),
        flow: JourneyFlow::default(),
        fresh: scenarios::conditions::Fresh::default(),
        keeps: scenarios::conditions::Keeps::default(),
    };
    let step = Step {
        journey: 0,
        name: name.clone(),
        target: 0,
        tags: Vec::new(),
        probe: false,
        control: None,
        socket: false,
        twin_of: None,
        fields: Vec::new(),
    };
    let profile = Profile {
        name: "hit".into(),
        load,
        shape: scenarios::Shape::Plain,
        warm_up_ns: 0,
        graceful_stop_ns: GRACE_NS,
        cool_down_ns: 0,
        isolation_required: false,
        faults: scenarios::faults::Faults::default(),
        fresh: scenarios::conditions::Fresh::default(),
        network: None,
        moments: Vec::new(),
        canary: None,
        share_connections: None,
    };
    Program {
        sockets: Vec::new(),
        meetings: Vec::new(),
        around: scenarios::around::Around::default(),
        name,
        targets: vec![target],
        roles: Vec::new(),
        data: Vec::new(),
        journeys: vec![journey],
        steps: vec![step],
        requests: vec![request],
        groups: Vec::new(),
        profiles: vec![profile],
        objectives: Vec::new(),
        abort_rules: Vec::new(),
        gate: None,
        secrets: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn order(flags: &[&str]) -> Result<Order, Problem> {
        let words = [&["watertight", "hit"], flags].concat();
        match Args::try_parse_from(words).expect("clap takes the flags").command {
            Command::Hit(args) => Order::new(&args),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn refused(flags: &[&str], part: &str) {
        let problem = order(flags).expect_err("it makes no sense");
        assert_eq!(problem.code(), 2);
        assert!(problem.text().contains(part), "{}", problem.text());
    }

    const URL: &str = "http://127.0.0.1:1/x";

    #[test]
    fn silence_means_fifty_users_for_ten_seconds() {
        let order = order(&[URL]).unwrap();
        let stage = Stage { level: 50.0, duration_ns: 10 * SECOND_NS, ramp_ns: 0 };
        assert_eq!(order.program.profiles[0].load, Load::Closed(vec![stage]));
        assert_eq!(order.method, "GET");
    }

    #[test]
    fn a_number_of_requests_ends_the_run_and_needs_no_more_users() {
        let order = order(&[URL, "-n", "7"]).unwrap();
        assert_eq!((order.users, order.requests, order.duration_ns), (7, Some(7), None));
    }

    #[test]
    fn a_rate_makes_the_load_open() {
        for (flags, rate, users) in [
            (&["-q", "200"][..], 200.0, 1000),
            (&["-q", "6000/m", "-c", "9"], 100.0, 9),
            (&["-q", "5000/s"], 5e3, 10_000),
        ] {
            let order = order(&[&[URL], flags].concat()).unwrap();
            assert_eq!((order.rate, order.users), (Some(rate), users));
            assert!(matches!(order.program.profiles[0].load, Load::Open { .. }));
        }
    }

    #[test]
    fn headers_of_one_name_are_joined_and_a_body_makes_it_a_post() {
        let order =
            order(&[URL, "-H", "X-A: 1", "-H", "x-a:2", "-H", "Cookie: a=1", "-H", "cookie: b=2", "-d", "-1"]).unwrap();
        let request = &order.program.requests[0];
        let value = |i: usize| request.headers[i].1.as_constant().unwrap().to_string();
        assert_eq!((request.headers[0].0.as_str(), value(0), value(1)), ("x-a", "1, 2".into(), "a=1; b=2".into()));
        assert_eq!(order.method, "POST");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_way_out() {
        refused(&["h/x"], "write `http://h/x`");
        refused(&[URL, "-q", "0"], "above 0");
        refused(&[URL, "-q", "fast"], "--rate (-q) fast");
        refused(&[URL, "-z", "10"], "`10` has no unit");
        refused(&[URL, "-z", "0s"], "at least 1ms");
        refused(&[URL, "--timeout", "x"], "--timeout x");
        refused(&[URL, "-m", "GE T"], "is no method");
        refused(&[URL, "-m", "CONNECT"], "tunnels");
        refused(&[URL, "-H", "nocolon"], "no colon");
        refused(&[URL, "-H", "a b: c"], "the name is none");
        refused(&[URL, "-H", "Content-Length: 3"], "worked out from the body");
        refused(&[URL, "-H", "Host: a", "-H", "Host: b"], "one host");
    }

    #[test]
    fn a_header_that_is_wrong_does_not_show_its_value() {
        let problem = order(&[URL, "-H", "Authorization: s3cret\u{1}"]).expect_err("a control character");
        assert!(!problem.text().contains("s3cret"), "{}", problem.text());
    }
}
