//! The shape of a profile: what its stages mean beyond so much load for so long, and the named phases they make.
//! In: a profile. Out: [`Phase`]s, a pure function of the stages, so that scaling and overrides need no second thought.

use crate::program::{Load, Profile};

/// What the stages of a profile mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Shape {
    /// Nothing beyond their load.
    #[default]
    Plain,
    /// Rungs of a ladder: every time and share objective has to hold on each.
    Ladder,
    /// One trial of many: the highest rate of this range at which everything holds is looked for. The stage holds the
    /// length of a trial; its level is the lower end.
    Capacity(Range),
    /// Steps of a canary: at each, the new version serves more of the users, and every objective has to hold.
    Canary,
}

/// Rates, arrivals a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end, above 0.
    pub low: f64,
    /// Upper end, above the lower one.
    pub high: f64,
}

impl Range {
    /// About how many trials find the answer: doubling up to the upper end, halving to 2 %, and a confirmation of twice
    /// the length.
    fn trials(self) -> u64 {
        let doublings = (self.high / self.low).log2().ceil().clamp(1.0, 60.0) as u64;
        1 + doublings + 6 + 2
    }
}

/// A named part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// `10 users`, `5 arrivals/s`; unique in its profile.
    pub name: String,
    /// Start, ns since the start of the load; the first phase starts where the warm-up ends.
    pub from_ns: u64,
    /// End, ns since the start of the load.
    pub to_ns: u64,
}

impl Profile {
    /// Planned length, warm-up included, graceful stop not; of a search for the capacity about that of all trials.
    pub fn planned_ns(&self) -> u64 {
        match self.shape {
            Shape::Plain | Shape::Ladder | Shape::Canary => self.load.duration_ns(),
            Shape::Capacity(range) => self.load.duration_ns().saturating_mul(range.trials()),
        }
    }

    /// One trial of a search for the capacity: the same profile at one rate, held `holds` times as long.
    pub fn trial(&self, rate: f64, holds: u32) -> Self {
        let mut trial = Self { shape: Shape::Plain, ..self.clone() };
        let (Load::Closed(stages) | Load::Open { stages, .. }) = &mut trial.load;
        for stage in stages {
            let hold_ns = stage.duration_ns.saturating_sub(self.warm_up_ns);
            stage.level = rate;
            stage.duration_ns = self.warm_up_ns + hold_ns.saturating_mul(u64::from(holds));
        }
        trial
    }

    /// The phases: one per stage where there are several, none otherwise. A stage's ramp belongs to its phase.
    pub fn phases(&self) -> Vec<Phase> {
        let stages = self.load.stages();
        if stages.len() < 2 && self.canary.is_none() {
            return Vec::new();
        }
        let mut phases: Vec<Phase> = Vec::with_capacity(stages.len());
        let mut end_ns = 0;
        for stage in stages {
            let from_ns = end_ns.max(self.warm_up_ns);
            end_ns += stage.duration_ns;
            phases.push(Phase { name: self.phase_name(stage.level, &phases), from_ns, to_ns: end_ns.max(from_ns) });
        }
        phases
    }

    fn phase_name(&self, level: f64, before: &[Phase]) -> String {
        let share = self.canary.as_ref().and_then(|c| c.shares.get(before.len()));
        let name = match &self.load {
            _ if share.is_some() => format!("{}%", (share.copied().unwrap_or_default() * 1e6).round() / 1e4),
            Load::Closed(_) if level == 1.0 => "1 user".to_owned(),
            Load::Closed(_) => format!("{level} users"),
            Load::Open { .. } => format!("{level} arrivals/s"),
        };
        let taken = |name: &str| before.iter().any(|p| p.name == name);
        let mut unique = name.clone();
        let mut turn = 2;
        while taken(&unique) {
            unique = format!("{name} ({turn})");
            turn += 1;
        }
        unique
    }
}
