//! Windows: what was measured in each stretch of so many seconds, for the objectives that have to hold in every one.
//! Counts at the limits and one figure a window are kept, never the times themselves, so a day costs a few megabytes.
//! In: the header, intervals. Out: [`WindowSeries`].

use super::interval::{Interval, StepInterval};
use crate::clock::SECOND;
use crate::header::counted_below;
use crate::run_result::{About, RunHeader, StreamTime, Times, Window, WindowSeries};
use scenarios::objective::{Limit, Objective, Stat, Unit};

/// Windows of an objective at most; a longer run has longer windows.
const MOST_WINDOWS: u64 = 100_000;

/// All windows in the making.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    series: Vec<Series>,
    /// The first second that is judged, and the one in which the load ends.
    seconds: (u64, u64),
    /// The warm-up, s.
    warm_up_s: f64,
}

#[derive(Clone, Debug)]
struct Series {
    objective: Objective,
    /// Step, and the places of its exact counters at the limit and at the warning limit.
    steps: Vec<Counted>,
    every: u64,
    least: u64,
    open: Tally,
    /// The last window that is full: what is too short after it is merged into it.
    full: Option<Tally>,
    done: Vec<Window>,
}

/// A step with the places of its exact counters.
#[derive(Clone, Copy, Debug)]
struct Counted {
    step: usize,
    places: [Option<usize>; 2],
    /// It opens a WebSocket.
    socket: bool,
}

/// A window in the making.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// First second, and the one after its last.
    from: u64,
    until: u64,
    n: u64,
    hits: u64,
    within: [u64; 2],
    times: Option<Box<(Times, Times)>>,
}

impl Windows {
    /// Nothing yet, of the objectives of this run that have windows.
    pub fn new(header: &RunHeader) -> Self {
        let seconds = (header.warm_up_ns / SECOND, header.planned_ns.div_ceil(SECOND));
        let objectives = header.objectives.iter();
        let series = objectives
            .filter(|o| o.profiles.as_ref().is_none_or(|names| names.contains(&header.profile)))
            .filter_map(|o| Series::new(o, header, seconds));
        Self { series: series.collect(), seconds, warm_up_s: header.warm_up_ns as f64 / SECOND as f64 }
    }

    /// Adds a second.
    pub fn add(&mut self, interval: &Interval) {
        let (first, end) = self.seconds;
        if interval.second >= first {
            self.series.iter_mut().for_each(|series| series.add(interval, end, self.warm_up_s));
        }
    }

    /// The windows; `reached` is the second after the last that was measured.
    pub fn finish(self, reached: u64) -> Vec<WindowSeries> {
        let (first, end) = self.seconds;
        let reached = reached.clamp(first, end.max(first));
        self.series.into_iter().map(|series| series.finish(reached, self.warm_up_s)).collect()
    }
}

impl Series {
    fn new(objective: &Objective, header: &RunHeader, (first, end): (u64, u64)) -> Option<Self> {
        let each = objective.each.as_ref().filter(|_| objective.stat.has_windows())?;
        let asked = (each.every_ns / SECOND).max(1);
        let every = asked.saturating_mul(end.saturating_sub(first).div_ceil(asked.saturating_mul(MOST_WINDOWS)).max(1));
        let is_of = |step: usize| {
            (objective.of.is_everything() || objective.of.step_ids.contains(&step))
                && !(objective.stat.is_time() && header.steps[step].probe)
        };
        let place = |step: usize, limit: Option<&Limit>| {
            let ns = counted_below(limit?);
            match StreamTime::of(objective.stat) {
                Some(kind) => header.steps[step].stream_limits.iter().position(|l| *l == (kind, ns)),
                None => header.steps[step].limits_ns.iter().position(|l| *l == ns),
            }
        };
        let places = |step| [place(step, Some(&objective.limit)), place(step, objective.warn.as_ref())];
        let counted = |step| Counted { step, places: places(step), socket: header.steps[step].socket };
        Some(Self {
            steps: (0..header.steps.len()).filter(|&s| is_of(s)).map(counted).collect(),
            every,
            least: objective.least_n(),
            open: Tally { from: first, until: first.saturating_add(every), ..Tally::default() },
            full: None,
            done: Vec::new(),
            objective: objective.clone(),
        })
    }

    fn add(&mut self, interval: &Interval, end: u64, warm_up_s: f64) {
        while interval.second >= self.open.until && self.open.until < end {
            if self.open.n < self.least {
                self.open.until += self.every;
                continue;
            }
            let next = Tally { from: self.open.until, until: self.open.until + self.every, ..Tally::default() };
            let full = std::mem::replace(&mut self.open, next);
            if let Some(before) = self.full.replace(full) {
                self.done.push(before.window(&self.objective, &self.steps, warm_up_s));
            }
        }
        // What comes in when the load is over belongs to no rate.
        if self.objective.stat.unit() != Unit::Rate || interval.second < end {
            self.open.add(&self.objective, &self.steps, interval);
        }
    }

    fn finish(mut self, reached: u64, warm_up_s: f64) -> WindowSeries {
        let is_whole = self.open.until <= reached && self.open.n >= self.least;
        self.open.until = self.open.until.min(reached.max(self.open.from));
        let last = match self.full.take() {
            Some(mut before) if !is_whole => {
                before.merge(self.open);
                vec![before]
            }
            before => before.into_iter().chain([self.open]).collect(),
        };
        let last = last.into_iter().filter(|tally| tally.until > tally.from);
        self.done.extend(last.map(|tally| tally.window(&self.objective, &self.steps, warm_up_s)));
        WindowSeries { objective: self.objective.id, every_s: self.every as f64, windows: self.done }
    }
}

impl Tally {
    fn add(&mut self, objective: &Objective, steps: &[Counted], interval: &Interval) {
        match objective.stat {
            Stat::Completed => {
                let i = &interval.iterations;
                self.hits += i.completed;
                self.n += i.completed + i.gave_up;
            }
            Stat::Dropped => {
                self.hits += interval.dropped;
                self.n += interval.iterations.started + interval.dropped;
            }
            Stat::Iterations => self.n += interval.iterations.completed,
            stat => {
                for counted in steps {
                    if let Some(step) = interval.steps.get(&counted.step) {
                        self.add_step(stat, counted, step);
                    }
                }
                if stat == Stat::Availability && objective.of.is_everything() {
                    self.n += interval.dropped_by_target;
                }
            }
        }
    }

    fn add_step(&mut self, stat: Stat, counted: &Counted, step: &StepInterval) {
        let counts = &step.counts;
        let settled = counts.ok + counts.failed + counts.timed_out;
        match stat {
            Stat::Errors => {
                self.hits += counts.failed + counts.timed_out + step.messages.failures();
                self.n += settled + step.messages.settled();
            }
            Stat::Availability => {
                self.hits += counts.ok + step.messages.matched;
                self.n += settled + step.messages.settled();
            }
            Stat::ConnectionsOk if counted.socket => {
                self.hits += counts.ok;
                self.n += settled;
            }
            Stat::ConnectionsOk => {
                self.hits += step.connect.count();
                self.n += step.connect.count() + step.connects_failed;
            }
            Stat::Rate => self.n += counts.ok + counts.failed - counts.failed.min(counts.not_delivered),
            _ => {
                let recording = match stat {
                    Stat::Service(_) => &step.service,
                    Stat::Connect(_) => &step.connect,
                    Stat::FirstEvent(_) => &step.first_event,
                    Stat::EventGap(_) => &step.event_gap,
                    Stat::Message(_) => &step.message,
                    _ => &step.response,
                };
                if recording.count() == 0 {
                    return;
                }
                let times = self.times.get_or_insert_default();
                recording.add_to(&mut times.0);
                if matches!(stat, Stat::Percentile(_) | Stat::Mean | Stat::Max) {
                    step.lower_bounds.add_to(&mut times.1);
                }
                let exact = if stat.is_of_streams() { &step.streams_within } else { &step.within };
                for (sum, place) in self.within.iter_mut().zip(counted.places) {
                    *sum += place.and_then(|p| exact.get(p)).copied().unwrap_or(0);
                }
                self.n += recording.count();
            }
        }
    }

    fn merge(&mut self, later: Self) {
        self.until = later.until;
        self.n += later.n;
        self.hits += later.hits;
        for (mine, theirs) in self.within.iter_mut().zip(later.within) {
            *mine += theirs;
        }
        if let Some(later) = later.times {
            let times = self.times.get_or_insert_default();
            times.0.add(&later.0);
            times.1.add(&later.1);
        }
    }

    fn window(&self, objective: &Objective, steps: &[Counted], warm_up_s: f64) -> Window {
        let length_s = (self.until - self.from) as f64;
        let n = self.n as f64;
        let times = self.times.as_deref();
        let figure = match objective.stat {
            Stat::Percentile(p)
            | Stat::Service(p)
            | Stat::Connect(p)
            | Stat::FirstEvent(p)
            | Stat::EventGap(p)
            | Stat::Message(p) => times.and_then(|t| t.0.percentile_ns(p)).map(|ns| ns as f64),
            Stat::Max => times.map(|t| t.0.max_ns as f64),
            Stat::Mean => times.and_then(|t| t.0.mean_ns()),
            stat if stat.unit() == Unit::Rate => Some(n / length_s),
            _ => (self.n > 0).then(|| self.hits as f64 / n),
        };
        let limits = [Some(&objective.limit), objective.warn.as_ref()];
        let about = [0, 1].map(|i| {
            let (Some(limit), Some(times)) = (limits[i], times) else {
                return About::default();
            };
            // The exact counters are of response times and streams; without one the histogram tells, to a tenth of a percent.
            let has_exact = matches!(objective.stat, Stat::Percentile(_)) || objective.stat.is_of_streams();
            let is_exact = has_exact && steps.iter().all(|step| step.places[i].is_some());
            let unknown = times.1.within(limit);
            let cut = if limit.op.is_upper() { unknown } else { times.1.count() };
            let within = if is_exact { self.within[i] } else { times.0.within(limit).saturating_sub(cut) };
            let within = within.min(self.n);
            About { within, unknown: unknown.min(self.n - within) }
        });
        let bounds = times.map_or(0, |t| t.1.count());
        let (from_s, to_s) = (self.from as f64 - warm_up_s, self.until as f64 - warm_up_s);
        Window { from_s: from_s.max(0.0), to_s, n: self.n, hits: self.hits, figure, about, bounds }
    }
}
