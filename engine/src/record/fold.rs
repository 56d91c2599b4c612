//! Fold: intervals to run result. The same code for a run that just ended, one read back from disk, and a killed one.
//! In: header, intervals, leak records, the ending. Out: [`RunResult`].

use super::beats::Beats;
use super::exposure::Exposure;
use super::interval::{Interval, StepInterval};
use super::phases::Phases;
use super::windows::Windows;
use crate::clock::SECOND;
use crate::faults::FaultCounts;
use crate::run_result::streams::add_aligned;
use crate::run_result::{
    Counts, Ending, ErrorCount, GroupTotals, Health, HealthyBlock, Isolation, IsolationStep, Iterations, LeakGroup,
    LeakKey, LeakRecord, LimitCounts, Overhead, Point, PointStep, RunHeader, RunResult, StepTotals, Tier, Times,
    WatchedSeries, WorkerHealth,
};

/// Points of a timeline at most.
const MOST_POINTS: u64 = 3600;
/// Examples kept of each leak group.
pub const MOST_EXAMPLES: usize = 20;

/// A run result in the making.
#[derive(Clone, Debug)]
pub struct Fold {
    header: RunHeader,
    every: u64,
    point: Option<(u64, Interval)>,
    timeline: Vec<Point>,
    steps: Vec<StepTotals>,
    groups: Vec<GroupTotals>,
    iterations: Iterations,
    dropped: u64,
    overhead: Overhead,
    faults: FaultCounts,
    errors: Vec<ErrorCount>,
    warm_up: Times,
    health: Health,
    isolation: Isolation,
    last_ns: u64,
    latest_second: u64,
    shared_target_seconds: u64,
    phases: Phases,
    windows: Windows,
    beats: Beats,
    watched: Vec<WatchedSeries>,
    healthy: Vec<HealthyBlock>,
    limits: Vec<LimitCounts>,
    exposure: Exposure,
}

impl Fold {
    /// Nothing yet of the run that `header` describes.
    pub fn new(header: RunHeader) -> Self {
        let seconds = (header.planned_ns + header.graceful_stop_ns).div_ceil(SECOND) + 60;
        let steps: Vec<StepTotals> = header
            .steps
            .iter()
            .map(|s| StepTotals { within: vec![0; s.limits_ns.len()], ..StepTotals::default() })
            .collect();
        Self {
            every: seconds.div_ceil(MOST_POINTS).max(1),
            point: None,
            timeline: Vec::new(),
            groups: vec![GroupTotals::default(); header.groups.len()],
            iterations: Iterations::default(),
            dropped: 0,
            overhead: Overhead::default(),
            faults: FaultCounts::default(),
            errors: Vec::new(),
            warm_up: Times::default(),
            health: Health { workers: vec![WorkerHealth::default(); header.workers], ..Health::default() },
            isolation: Isolation { steps: vec![IsolationStep::default(); steps.len()], ..Isolation::default() },
            last_ns: 0,
            latest_second: 0,
            shared_target_seconds: 0,
            phases: Phases::new(&header.phases, steps.len()),
            windows: Windows::new(&header),
            beats: Beats::new(&header),
            watched: header
                .watched
                .iter()
                .map(|text| WatchedSeries { series: text.clone(), ..WatchedSeries::default() })
                .collect(),
            healthy: vec![HealthyBlock::default(); header.containment.as_ref().map_or(0, |c| c.blocks.len())],
            limits: vec![LimitCounts::default(); header.rate_limits.len()],
            exposure: Exposure::default(),
            steps,
            header,
        }
    }

    /// The latest second added; 0 before any.
    pub fn latest_second(&self) -> u64 {
        self.latest_second
    }

    /// Adds one second. Seconds come in order; parts of a second may come apart.
    pub fn add(&mut self, interval: &Interval) {
        self.latest_second = self.latest_second.max(interval.second);
        for (index, step) in &interval.steps {
            if let Some(total) = self.steps.get_mut(*index) {
                add_step(total, &mut self.isolation.steps[*index], step);
            }
        }
        for (index, times) in &interval.groups {
            if let Some(group) = self.groups.get_mut(*index) {
                times.add_to(&mut group.times);
            }
        }
        self.iterations.started += interval.iterations.started;
        self.iterations.completed += interval.iterations.completed;
        self.iterations.gave_up += interval.iterations.gave_up;
        self.iterations.cut += interval.iterations.cut;
        self.iterations.failed_before += interval.iterations.failed_before;
        self.dropped += interval.dropped;
        self.overhead.add(&interval.overhead);
        self.faults.add(&interval.faults);
        interval.warm_up.add_to(&mut self.warm_up);
        self.last_ns = self.last_ns.max(interval.last_ns);
        for error in &interval.errors {
            match self.errors.iter_mut().find(|e| e.step == error.step && e.kind == error.kind) {
                Some(sum) => sum.count += error.count,
                None => self.errors.push(error.clone()),
            }
        }
        self.add_health(interval);
        self.add_isolation(interval);
        self.add_point(interval);
        self.phases.add(interval);
        self.windows.add(interval);
        self.beats.add(interval);
        for &(index, t_s, value) in &interval.watched {
            // A stored line may have been written by anybody.
            if let (Some(series), true) = (self.watched.get_mut(index), t_s.is_finite() && value.is_finite()) {
                series.push(t_s - self.header.warm_up_ns as f64 / SECOND as f64, value);
            }
        }
        for (block, counts) in &interval.healthy {
            if let Some(sum) = self.healthy.get_mut(*block) {
                sum.add(counts);
            }
        }
        for (limit, counts) in &interval.limits {
            if let Some(sum) = self.limits.get_mut(*limit) {
                sum.add(counts);
            }
        }
        for (index, why) in &interval.unwatched {
            if let Some(series) = self.watched.get_mut(*index) {
                series.problem = Some(why.clone());
            }
        }
    }

    /// When the latest request ended, ns since the start.
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// What is known of the run besides its figures.
    pub fn header_mut(&mut self) -> &mut RunHeader {
        &mut self.header
    }

    /// Adds the evidence of one leak.
    pub fn leak(&mut self, key: &LeakKey, record: LeakRecord) {
        let first_s = record.t_s - self.header.warm_up_ns as f64 / SECOND as f64;
        let group = self.group(key, record.t_s);
        // Evidence knows the moment, its second's count only the second; whichever of the two came first.
        group.first_s = if group.examples.is_empty() { first_s } else { group.first_s.min(first_s) };
        if group.examples.len() < MOST_EXAMPLES {
            group.examples.push(record);
        }
    }

    /// The result. A request that was planned and has no outcome (the process was killed) counts as unfinished.
    pub fn finish(mut self, ending: Ending) -> RunResult {
        self.close_point();
        self.exposure.close(&mut self.isolation);
        if ending == Ending::Killed {
            self.count_the_killed();
        }
        let duration_ns = self.duration_ns(&ending);
        let reached = match ending {
            Ending::Finished => u64::MAX,
            _ => self.latest_second.saturating_add(1),
        };
        self.errors.sort_by(|a, b| (b.count, a.step, &a.kind).cmp(&(a.count, b.step, &b.kind)));
        // Evidence reaches the disk before its second is counted; a killed run may hold more examples than counts.
        for group in &mut self.isolation.groups {
            group.count = group.count.max(group.examples.len() as u64);
        }
        self.isolation.groups.sort_by(|a, b| (a.key.tier, b.count, &a.key).cmp(&(b.key.tier, a.count, &b.key)));
        self.isolation.target_minutes = self.shared_target_seconds as f64 / 60.0;
        RunResult {
            ending,
            duration_s: duration_ns as f64 / SECOND as f64,
            steps: self.steps,
            groups: self.groups,
            iterations: self.iterations,
            dropped: self.dropped,
            overhead: self.overhead,
            faults: self.faults,
            errors: self.errors,
            timeline: self.timeline,
            warm_up: self.warm_up,
            health: self.health,
            isolation: self.isolation,
            phases: self.phases.finish(),
            windows: self.windows.finish(reached),
            beats: self.beats.finish(),
            watched: self.watched,
            healthy: self.healthy,
            limits: self.limits,
            header: self.header,
        }
    }

    /// Nobody wrote down what became of the requests that were under way when the process was killed.
    fn count_the_killed(&mut self) {
        for step in &mut self.steps {
            let outcomes = step.counts.sent() + step.counts.generator_errors;
            step.counts.unfinished += step.counts.planned.saturating_sub(outcomes);
        }
        let over = self.iterations.completed + self.iterations.gave_up + self.iterations.cut;
        self.iterations.cut += self.iterations.started.saturating_sub(over);
    }

    /// Length of the measured part: as planned, or until the run was ended early. What comes in during the graceful
    /// stop is counted but makes the load no longer.
    fn duration_ns(&self, ending: &Ending) -> u64 {
        let reached = match ending {
            Ending::Finished => self.header.planned_ns,
            _ => self.last_ns.max(self.latest_second.saturating_mul(SECOND)).min(self.header.planned_ns),
        };
        reached.saturating_sub(self.header.warm_up_ns)
    }

    fn add_health(&mut self, interval: &Interval) {
        self.health.transport.add(&interval.transport);
        interval.lag.add_to(&mut self.health.lag);
        self.health.asked += interval.asked;
        self.health.started += interval.started;
        self.health.dropped_by_target += interval.dropped_by_target;
        for (index, worker) in &interval.workers {
            if self.health.workers.len() <= *index && *index < 4096 {
                self.health.workers.resize(*index + 1, WorkerHealth::default());
            }
            let Some(sum) = self.health.workers.get_mut(*index) else {
                continue;
            };
            sum.wall_ns += worker.wall_ns;
            sum.cpu_ns += worker.cpu_ns;
            sum.queue_wait_ns += worker.queue_wait_ns;
            sum.gaps_ns += worker.gaps_ns;
            sum.busy_max = sum.busy_max.max(worker.busy_max);
        }
    }

    fn add_isolation(&mut self, interval: &Interval) {
        let seen = &interval.isolation;
        self.isolation.planted += seen.planted;
        self.isolation.accounts += seen.new_accounts;
        self.isolation.residue += seen.residue;
        self.isolation.probes_indeterminate += seen.probes_indeterminate;
        self.isolation.probes_skipped += seen.probes_skipped;
        self.isolation.credential_evictions += seen.credential_evictions;
        self.isolation.repeats_public += seen.repeats_public;
        self.isolation.audience_unclear += seen.audience_unclear;
        self.isolation.switches_skipped += seen.switches_skipped;
        self.isolation.idle_timeouts += seen.idle_timeouts;
        self.isolation.stray_line_ends += seen.stray_line_ends;
        self.isolation.injected += seen.injected;
        self.isolation.found += seen.found;
        for (sum, count) in self.isolation.transports.iter_mut().zip(seen.transports) {
            *sum += count;
        }
        let opportunities: u64 = interval.steps.values().map(|s| s.isolation.after_others_controlled).sum();
        for (sum, (_, provoked)) in self.isolation.stressors.iter_mut().zip(interval.faults.by_name()) {
            *sum += if provoked > 0 { opportunities } else { 0 };
        }
        self.exposure.add(interval, &self.header, &mut self.isolation);
        for (reader, step) in &interval.steps {
            for (writer, answers) in &step.carried {
                let (writer, reader) = (usize::from(*writer), *reader);
                // A stored line may have been written by anybody.
                if writer < self.steps.len() && reader < self.steps.len() {
                    *self.isolation.carried.entry((writer, reader)).or_default() += answers;
                }
            }
            self.add_fields(*reader, step);
        }
        self.shared_target_seconds += interval.shared_targets;
        let t_s = interval.second as f64;
        for (key, count) in &interval.leaks {
            self.group(key, t_s).count += count;
        }
    }

    /// What a step planted and read by field, of fields that the header names.
    fn add_fields(&mut self, reader: usize, step: &StepInterval) {
        if reader >= self.steps.len() {
            return;
        }
        let named = |step: usize| self.header.steps.get(step).map_or(0, |header| header.fields.len());
        for (field, count) in step.planted.by_field().filter(|(field, _)| *field < named(reader)) {
            *self.isolation.planted_fields.entry((reader, field)).or_default() += count;
        }
        for (writer, counts) in &step.carried_fields {
            let writer = usize::from(*writer);
            for (field, answers) in counts.by_field().filter(|(field, _)| *field < named(writer)) {
                *self.isolation.carried_fields.entry((writer, field, reader)).or_default() += answers;
            }
        }
    }

    fn group(&mut self, key: &LeakKey, t_s: f64) -> &mut LeakGroup {
        let first_s = t_s - self.header.warm_up_ns as f64 / SECOND as f64;
        let groups = &mut self.isolation.groups;
        let at = groups.iter().position(|g| g.key == *key).unwrap_or_else(|| {
            groups.push(LeakGroup { key: key.clone(), count: 0, first_s, examples: Vec::new() });
            groups.len() - 1
        });
        &mut groups[at]
    }

    fn add_point(&mut self, interval: &Interval) {
        let slot = interval.second / self.every;
        match &mut self.point {
            Some((current, sum)) if *current == slot => {
                // Gauges are the state at the end, not a sum over seconds.
                let (users, in_flight) = (interval.users, interval.in_flight);
                sum.add(interval);
                (sum.users, sum.in_flight) = (users, in_flight);
            }
            _ => {
                self.close_point();
                self.point = Some((slot, interval.clone()));
            }
        }
    }

    fn close_point(&mut self) {
        let Some((slot, interval)) = self.point.take() else {
            return;
        };
        let response = interval.response(|i| self.header.steps.get(i).is_none_or(|s| s.probe));
        let percentile = |p| response.percentile_ns(p).unwrap_or(0);
        let mut counts = Counts::default();
        let mut steps = vec![PointStep::default(); self.header.steps.len()];
        for (index, step) in &interval.steps {
            counts.add(&step.counts);
            if let Some(point) = steps.get_mut(*index) {
                point.counts = step.counts;
                point.responses = step.response.count();
                point.response_sum_ns =
                    step.response.times().map_or(0, |t| u64::try_from(t.sum_ns).unwrap_or(u64::MAX));
                point.within.clone_from(&step.within);
                point.messages = step.messages.settled();
                point.messages_failed = step.messages.failures();
            }
        }
        self.timeline.push(Point {
            t_s: (slot * self.every) as f64 - self.header.warm_up_ns as f64 / SECOND as f64,
            every_s: self.every as f64,
            counts,
            dropped: interval.dropped,
            users: interval.users,
            in_flight: interval.in_flight,
            response_ns: (response.count() > 0)
                .then(|| [percentile(50.0), percentile(95.0), percentile(99.0), response.max_ns]),
            leaks: interval.leaks.iter().filter(|(key, _)| key.tier == Tier::Proven).map(|(_, n)| n).sum(),
            faults: interval.faults,
            steps,
        });
    }
}

fn add_step(total: &mut StepTotals, isolation: &mut IsolationStep, step: &StepInterval) {
    total.counts.add(&step.counts);
    step.response.add_to(&mut total.response);
    step.lower_bounds.add_to(&mut total.lower_bounds);
    step.service.add_to(&mut total.service);
    step.failed_response.add_to(&mut total.failed_response);
    step.connect.add_to(&mut total.connect);
    total.connects_failed += step.connects_failed;
    for (sum, within) in total.within.iter_mut().zip(&step.within) {
        *sum += within;
    }
    for (status, count) in &step.statuses {
        *total.statuses.entry(*status).or_default() += count;
    }
    isolation.add(&step.isolation);
    total.first_event.add(&step.first_event);
    total.event_gap.add(&step.event_gap);
    total.message.add(&step.message);
    total.messages.add(&step.messages);
    add_aligned(&mut total.streams_within, &step.streams_within);
}
