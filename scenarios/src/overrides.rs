//! What the command line changes: users, arrivals, lengths, addresses.
//! In: a program and [`Overrides`]. Out: the changed program, or one sentence why that cannot be.

use crate::dealing;
use crate::plan::{MAX_RATE, MAX_USERS, check_url};
use crate::program::{Load, Profile, Program};
use crate::shape::Shape;
use crate::units::format_duration;

/// A trial that is scaled still has to show whether a queue grows.
const LEAST_TRIAL_NS: u64 = 3_000_000_000;

/// Changes from the command line; what is `None` or empty stays as the file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// `--users`: users of every profile.
    pub users: Option<usize>,
    /// `--arrivals`: arrivals a second of every profile.
    pub arrivals: Option<f64>,
    /// `--for`: length in nanoseconds, warm-up not counted; several stages keep their proportions. The length of a
    /// trial where the capacity is looked for.
    pub duration_ns: Option<u64>,
    /// `--target NAME=URL`.
    pub targets: Vec<(String, String)>,
    /// `--time-scale`: factor on every length except `graceful_stop`.
    pub time_scale: Option<f64>,
}

impl Program {
    /// Applies `overrides` to every profile that the program holds, so keep only those that will run first.
    /// Errors: a number that makes no sense, `users` with stages or arrivals, `arrivals` with users,
    /// an unknown target, an address that is none, too few accounts. The program is then unchanged or half
    /// changed and must not be used.
    pub fn with_overrides(&mut self, overrides: &Overrides) -> Result<(), String> {
        for (name, url) in &overrides.targets {
            self.override_target(name, url)?;
        }
        for profile in &mut self.profiles {
            if let Some(users) = overrides.users {
                override_users(profile, users)?;
            }
            if let Some(rate) = overrides.arrivals {
                override_arrivals(profile, rate)?;
            }
            if let Some(duration_ns) = overrides.duration_ns {
                override_duration(profile, duration_ns)?;
            }
            if let Some(factor) = overrides.time_scale {
                if !(factor.is_finite() && factor > 0.0) {
                    return Err("the time scale is a number above 0".into());
                }
                profile.scale_time(factor);
            }
        }
        for profile in &self.profiles {
            if let Some(shortage) = dealing::shortages(self, profile).first() {
                return Err(shortage.message(self));
            }
        }
        Ok(())
    }

    fn override_target(&mut self, name: &str, url: &str) -> Result<(), String> {
        let names: Vec<String> = self.targets.iter().map(|t| format!("`{}`", t.name)).collect();
        let target = self
            .targets
            .iter_mut()
            .find(|t| t.name == name)
            .ok_or_else(|| format!("there is no target `{name}`, there are {}", names.join(", ")))?;
        let before =
            std::mem::replace(&mut target.url, check_url(url).map_err(|why| format!("target `{name}`: {why}"))?);
        // What is watched at its own address moves with it.
        if let Some(watch) = target.watch.as_mut().filter(|watch| watch.url == before) {
            watch.url.clone_from(&target.url);
        }
        self.around.programs_mut().try_for_each(|program| program.override_target(name, url))
    }
}

impl Profile {
    /// Makes every length `factor` times as long, at least a millisecond a stage; `graceful_stop` stays.
    pub fn scale_time(&mut self, factor: f64) {
        let scale = |ns: u64| (ns as f64 * factor).round() as u64;
        self.warm_up_ns = scale(self.warm_up_ns);
        self.cool_down_ns = scale(self.cool_down_ns);
        let (Load::Closed(stages) | Load::Open { stages, .. }) = &mut self.load;
        for stage in stages {
            stage.duration_ns = scale(stage.duration_ns).max(1_000_000);
            stage.ramp_ns = scale(stage.ramp_ns).min(stage.duration_ns);
            if matches!(self.shape, Shape::Capacity(_)) {
                stage.duration_ns = stage.duration_ns.max(self.warm_up_ns + LEAST_TRIAL_NS);
            }
        }
    }
}

fn override_users(profile: &mut Profile, users: usize) -> Result<(), String> {
    if users == 0 {
        return Err("the number of users is at least 1".into());
    }
    if users as u64 > MAX_USERS {
        return Err(format!("the number of users is at most {MAX_USERS}"));
    }
    let name = &profile.name;
    if matches!(profile.shape, Shape::Capacity(_)) {
        return Err(format!("profile `{name}` looks for a rate of arrivals, so `--users` cannot set its load"));
    }
    match &mut profile.load {
        Load::Closed(stages) => match stages.as_mut_slice() {
            steps if profile.shape == Shape::Canary => {
                steps.iter_mut().for_each(|step| step.level = users as f64);
                Ok(())
            }
            [only] => {
                only.level = users as f64;
                Ok(())
            }
            _ => Err(format!(
                "profile `{name}` has stages, each with its own number of users, so `--users` cannot set one"
            )),
        },
        Load::Open { .. } => {
            Err(format!("profile `{name}` is driven by arrivals: use `--arrivals` instead of `--users`"))
        }
    }
}

fn override_arrivals(profile: &mut Profile, rate: f64) -> Result<(), String> {
    if !(rate.is_finite() && rate > 0.0 && rate <= MAX_RATE) {
        return Err("the arrivals are a rate above 0 and at most 1000000/s".into());
    }
    let name = &profile.name;
    if matches!(profile.shape, Shape::Capacity(_)) {
        return Err(format!("profile `{name}` looks for the rate of arrivals itself, so `--arrivals` cannot set it"));
    }
    match &mut profile.load {
        Load::Open { stages, .. } => match stages.as_mut_slice() {
            [only] => {
                only.level = rate;
                Ok(())
            }
            _ => {
                Err(format!("profile `{name}` has stages, each with its own arrivals, so `--arrivals` cannot set one"))
            }
        },
        Load::Closed(_) => Err(format!("profile `{name}` is driven by users: use `--users` instead of `--arrivals`")),
    }
}

fn override_duration(profile: &mut Profile, duration_ns: u64) -> Result<(), String> {
    if duration_ns < 1_000_000 {
        return Err("the duration is at least 1ms".into());
    }
    let warm_up_ns = profile.warm_up_ns;
    let (Load::Closed(stages) | Load::Open { stages, .. }) = &mut profile.load;
    let before_ns: u64 = stages.iter().map(|s| s.duration_ns).sum::<u64>() - warm_up_ns;
    if before_ns == 0 {
        return Err(format!(
            "profile `{}` has no length beside its warm-up of {}",
            profile.name,
            format_duration(warm_up_ns)
        ));
    }
    let factor = duration_ns as f64 / before_ns as f64;
    let single = stages.len() == 1;
    for (i, stage) in stages.iter_mut().enumerate() {
        let warm_up_ns = if i == 0 { warm_up_ns } else { 0 };
        let own_ns = (stage.duration_ns - warm_up_ns) as f64 * factor;
        stage.duration_ns = warm_up_ns + (own_ns.round() as u64).max(1);
        if !single {
            stage.ramp_ns = (stage.ramp_ns as f64 * factor).round() as u64;
        }
        stage.ramp_ns = stage.ramp_ns.min(stage.duration_ns);
    }
    Ok(())
}
