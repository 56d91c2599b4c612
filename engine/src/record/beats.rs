//! Beats: a few seconds each, in which the selected steps were answered well or not, for `uptime`, `longest_outage` and
//! `recovery`. What counts as down is not decided here.
//! In: the header, intervals. Out: [`BeatSeries`].

use super::interval::Interval;
use crate::clock::SECOND;
use crate::header::counted_below;
use crate::run_result::{Beat, BeatSeries, RunHeader};
use scenarios::objective::{Limit, Objective, Stat};

/// Length of a beat, s.
const BEAT: u64 = 5;
/// … in a run that is measured for less than this, s: then one second.
const SHORT: u64 = 300;
/// Beats at most; a longer run has longer ones.
const MOST_BEATS: u64 = 100_000;

/// All series in the making.
#[derive(Clone, Debug, Default)]
pub struct Beats {
    series: Vec<Series>,
    /// The first second that is judged, and the one in which the load ends.
    seconds: (u64, u64),
    every: u64,
}

#[derive(Clone, Debug)]
struct Series {
    objective: String,
    steps: Vec<usize>,
    limits: Vec<Timed>,
    beats: Vec<Beat>,
    /// Requests due and not ended.
    under_way: u64,
}

/// A percentile with its limit, and by step the place of its exact counter.
type Timed = (f64, Limit, Vec<(usize, usize)>);

impl Beats {
    /// Nothing yet, of the objectives of this run that ask when it was up.
    pub fn new(header: &RunHeader) -> Self {
        let seconds = (header.warm_up_ns / SECOND, header.planned_ns.div_ceil(SECOND));
        let length = seconds.1.saturating_sub(seconds.0);
        let short = if length < SHORT { 1 } else { BEAT };
        let is_here = |o: &&Objective| o.profiles.as_ref().is_none_or(|names| names.contains(&header.profile));
        let all: Vec<&Objective> = header.objectives.iter().filter(is_here).collect();
        let series = all.iter().filter(|o| o.stat.is_of_outages()).map(|o| Series::new(o, &all, header));
        Self { series: series.collect(), seconds, every: short.max(length.div_ceil(MOST_BEATS)) }
    }

    /// Adds a second.
    pub fn add(&mut self, interval: &Interval) {
        let (first, end) = self.seconds;
        if interval.second < first || self.series.is_empty() {
            return;
        }
        // What comes in when the load is over tells how its last seconds went.
        let second = interval.second.min(end.saturating_sub(1)).max(first);
        let place = usize::try_from((second - first) / self.every).unwrap_or(usize::MAX);
        self.series.iter_mut().for_each(|series| series.add(place, interval));
    }

    /// The series.
    pub fn finish(self) -> Vec<BeatSeries> {
        let every_s = self.every as f64;
        let series = self.series.into_iter();
        series
            .map(|s| BeatSeries {
                objective: s.objective,
                every_s,
                beats: s.beats,
                limits: s.limits.into_iter().map(|(p, limit, _)| (p, limit)).collect(),
            })
            .collect()
    }
}

impl Series {
    fn new(objective: &Objective, all: &[&Objective], header: &RunHeader) -> Self {
        let is_of = |o: &Objective, step: usize| o.of.is_everything() || o.of.step_ids.contains(&step);
        let steps: Vec<usize> = (0..header.steps.len()).filter(|&s| is_of(objective, s)).collect();
        // A target that answers everything, and much too late, has not recovered.
        let timed = all.iter().filter(|_| objective.stat == Stat::Recovery);
        let limits = timed.filter_map(|o| {
            let Stat::Percentile(p) = o.stat else { return None };
            let ns = counted_below(&o.limit);
            let own = steps.iter().filter(|&&s| is_of(o, s) && !header.steps[s].probe);
            let places = own.filter_map(|&s| Some((s, header.steps[s].limits_ns.iter().position(|l| *l == ns)?)));
            Some((p, o.limit.clone(), places.collect()))
        });
        Self { objective: objective.id.clone(), limits: limits.collect(), steps, beats: Vec::new(), under_way: 0 }
    }

    fn add(&mut self, place: usize, interval: &Interval) {
        let waiting = self.under_way > 0;
        while self.beats.len() <= place {
            let times = vec![(0, 0); self.limits.len()];
            self.beats.push(Beat { waiting, times, ..Beat::default() });
        }
        let beat = &mut self.beats[place];
        for step in &self.steps {
            let Some(seen) = interval.steps.get(step) else { continue };
            beat.ok += seen.counts.ok;
            beat.bad += seen.counts.failed + seen.counts.timed_out;
            let ended = seen.counts.sent() + seen.counts.generator_errors;
            self.under_way = (self.under_way + seen.counts.planned).saturating_sub(ended);
        }
        for (sum, (_, _, places)) in beat.times.iter_mut().zip(&self.limits) {
            for (step, counter) in places {
                if let Some(seen) = interval.steps.get(step) {
                    sum.0 += seen.response.count();
                    sum.1 += seen.within.get(*counter).copied().unwrap_or(0);
                }
            }
        }
        beat.waiting = self.under_way > 0;
    }
}
