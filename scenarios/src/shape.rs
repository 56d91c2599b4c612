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
    /// The phases: one per stage where there are several, none otherwise. A stage's ramp belongs to its phase.
    pub fn phases(&self) -> Vec<Phase> {
        let stages = self.load.stages();
        if stages.len() < 2 {
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
        let name = match &self.load {
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
