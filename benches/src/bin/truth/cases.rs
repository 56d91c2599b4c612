//! The cases: how a server behaves, how it is loaded, and what is true of it.
//! The same model answers twice: live, at the times at which requests really arrive, and on paper, at the times at which
//! they are due. The second is the truth.

use super::SEED;
use engine::clock::{MILLISECOND, Nanos, SECOND};
use engine::load::arrivals::Arrivals;
use scenarios::program::{Spacing, Stage};

/// When the answer to a request that arrives at this time leaves; `None`: never.
pub type Model = Box<dyn FnMut(Nanos) -> Option<Nanos> + Send>;

/// One case.
pub struct Case {
    /// Its letter in the design of the measurement.
    pub letter: &'static str,
    /// What it is.
    pub name: &'static str,
    /// Requests a second.
    pub rate: f64,
    /// Spacing of the arrivals.
    pub spacing: Spacing,
    /// Length of the load, s.
    pub seconds: u64,
    /// Most users: as many as are in the air at once by the truth, and room besides. More would only mean that a moment
    /// without a processor opens thousands of connections and never ends.
    pub users: usize,
    /// Time limit of a request, s.
    pub timeout_s: u64,
    /// A fresh server.
    pub model: fn() -> Model,
    /// Percentiles that are compared.
    pub percentiles: &'static [f64],
}

/// All cases.
pub fn cases(is_quick: bool) -> Vec<Case> {
    let seconds = |whole, quick| if is_quick { quick } else { whole };
    let case = |letter, name, rate, seconds, model, percentiles| Case {
        letter,
        name,
        rate,
        spacing: Spacing::Even,
        seconds,
        users: 2000,
        timeout_s: 60,
        model,
        percentiles,
    };
    vec![
        case(
            "A",
            "stall of 1 s in each 10 s, base 1 ms, 1,000/s",
            1000.0,
            seconds(30, 10),
            stalling,
            &[50.0, 90.0, 95.0, 99.0, 99.9],
        ),
        Case {
            spacing: Spacing::Poisson,
            ..case(
                "C",
                "one queue, exponential service of 1 ms, Poisson 700/s",
                700.0,
                seconds(30, 8),
                exponential,
                &[50.0, 90.0, 99.0, 99.9],
            )
        },
        case(
            "D",
            "single server of 0.1 ms, 7,000/s",
            7000.0,
            seconds(10, 3),
            || queue(100_000),
            &[50.0, 90.0, 99.0, 99.9],
        ),
        Case {
            users: 8000,
            ..case(
                "F",
                "overload, 1,200/s against 1,000/s",
                1200.0,
                seconds(30, 10),
                || queue(MILLISECOND),
                &[50.0, 90.0, 99.0, 100.0],
            )
        },
        Case {
            timeout_s: 5,
            ..case(
                "J",
                "1 in 100 never answered, time-out 5 s, 200/s",
                200.0,
                seconds(30, 10),
                forgetful,
                &[50.0, 98.0, 99.5, 100.0],
            )
        },
    ]
}

impl Case {
    /// The scenario that loads it.
    pub fn scenario(&self, port: u16) -> String {
        let spacing = match self.spacing {
            Spacing::Even => "even",
            Spacing::Poisson => "poisson",
        };
        format!(
            "watertight: 1\nname: truth {}\n\
             targets: {{ t: {{ url: 'http://127.0.0.1:{port}', timeout: {}s }} }}\n\
             journeys: {{ j: {{ target: t, steps: [ GET /x ] }} }}\n\
             profiles: {{ p: {{ arrivals: {}/s, spacing: {spacing}, for: {}s, max_users: {}, graceful_stop: 60s }} }}\n",
            self.letter, self.timeout_s, self.rate, self.seconds, self.users
        )
    }

    /// The true response times, ns ascending: the model at the exact times at which requests are due.
    pub fn truth(&self) -> Vec<Nanos> {
        let stage = Stage { level: self.rate, duration_ns: self.seconds * SECOND, ramp_ns: 0 };
        let mut model = (self.model)();
        let mut times: Vec<Nanos> = Arrivals::new(&[stage], self.spacing, SEED)
            .map(|due| model(due).map_or(self.timeout_s * SECOND, |done| done - due))
            .collect();
        times.sort_unstable();
        times
    }
}

/// Nobody is answered in the last second of each ten; who came then is answered 1 ms after its end.
fn stalling() -> Model {
    Box::new(|now| {
        let phase = now % (10 * SECOND);
        let stalled = phase.checked_sub(9 * SECOND).map_or(0, |into| SECOND - into);
        Some(now + stalled + MILLISECOND)
    })
}

/// One place, always the same time.
fn queue(service: Nanos) -> Model {
    let mut free_at = 0;
    Box::new(move |now| {
        free_at = now.max(free_at) + service;
        Some(free_at)
    })
}

/// One place, exponential times with mean 1 ms: the gaps of a Poisson process of 1,000 a second.
fn exponential() -> Model {
    let stage = Stage { level: 1000.0, duration_ns: 3600 * SECOND, ramp_ns: 0 };
    let mut points = Arrivals::new(&[stage], Spacing::Poisson, SEED + 1);
    let (mut last, mut free_at) = (0, 0);
    Box::new(move |now| {
        let point = points.next()?;
        free_at = now.max(free_at) + (point - last);
        last = point;
        Some(free_at)
    })
}

/// Every hundredth is never answered, the others after 1 ms.
fn forgetful() -> Model {
    let mut number = 0u64;
    Box::new(move |now| {
        number += 1;
        (!number.is_multiple_of(100)).then_some(now + MILLISECOND)
    })
}
