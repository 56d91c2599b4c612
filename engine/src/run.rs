//! What all workers of a run share: the program, the clock, the mint, and the few tables that are written rarely.
//! In: a program, a profile, a seed. Out: [`Run`], behind an `Arc`.

use crate::clock::Clock;
use crate::isolation::accounts::Accounts;
use crate::isolation::audiences::Audiences;
use crate::isolation::credentials::Credentials;
use crate::isolation::identity::Identities;
use crate::isolation::marker::Mint;
use crate::isolation::scanner::Scanner;
use crate::isolation::writings::Writings;
use crate::limits::Rules;
use crate::load::cohorts::Cohorts;
use crate::load::deal::{Seat, seats};
use crate::meetings::Meetings;
use crate::overlap::Overlaps;
use crate::user::Prepared;
use scenarios::expr::Slot;
use scenarios::program::{Profile, Program, SaveSource};
use scenarios::value::Value;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A run's shared state.
#[derive(Debug)]
pub struct Run {
    /// The compiled scenario.
    pub program: Arc<Program>,
    /// The profile that is played.
    pub profile: Profile,
    /// The clock.
    pub clock: Clock,
    /// Seed of every random stream.
    pub seed: u64,
    /// Run id.
    pub id: String,
    /// First half of every trace id.
    pub trace: u64,
    /// Makes and checks markers.
    pub mint: Mint,
    /// Finds markers.
    pub scanner: Scanner,
    /// Accounts.
    pub accounts: Accounts,
    /// Audiences.
    pub audiences: Audiences,
    /// Issued credentials.
    pub credentials: Credentials,
    /// By request, by its identities.
    pub identities: Vec<Vec<Identities>>,
    /// By journey: slots whose values are masked.
    pub secret_slots: Vec<Vec<Slot>>,
    /// Secrets that are the same for everybody: constant headers that carry credentials, values from the environment.
    pub secrets: Vec<Value>,
    /// Who is under way at each target.
    pub overlaps: Arc<Overlaps>,
    /// By target: 0 nobody used it yet; an account's number plus one; all ones: several accounts.
    pub target_use: Vec<AtomicU64>,
    /// By user index.
    pub seats: Vec<Seat>,
    /// By target: scheme, host and port.
    pub origins: Vec<Option<url::Origin>>,
    /// Iterations (closed load) or arrivals (open load) after which the run ends; `None`: its length alone ends it.
    pub most_iterations: Option<u64>,
    /// By target: cookies that some step saves as a credential.
    pub credential_cookies: Vec<Vec<String>>,
    /// Set by a `stop: run` step: who asked.
    pub ended_by: OnceLock<String>,
    /// Looks on, when one user is traced.
    pub tracer: Option<crate::trace::Tracer>,
    /// Who suffers the faults, and when; `None`: everybody, all the time.
    pub cohorts: Option<Cohorts>,
    /// Where users wait for one another.
    pub meetings: Meetings,
    /// What the run's `setup` left, by its slots.
    pub given: Option<Arc<Vec<Value>>>,
    /// Of a `setup`: what it leaves behind, once it has come to its end.
    pub leaves: Option<OnceLock<Vec<Value>>>,
    /// By step: its answers set cookies. Noted only where requests are given up on purpose.
    pub cookie_steps: Vec<AtomicBool>,
    /// What was written, and where it is shown.
    pub writings: Writings,
    /// Rate limits that the target states.
    pub limits: Rules,
}

impl Run {
    /// It is played on so many workers.
    pub fn play_on(&mut self, workers: usize) {
        self.overlaps = Arc::new(Overlaps::new(workers, self.program.targets.len()));
    }

    /// Prepares a run.
    ///
    /// # Errors
    /// A request that HTTP cannot say, in a sentence.
    pub fn new(
        program: Arc<Program>,
        profile: Profile,
        clock: Clock,
        seed: u64,
        id: String,
        key: [u8; 32],
    ) -> Result<Self, String> {
        let mint = Mint::new(key);
        let seats = seats(&program, profile.load.most_users());
        let accounts = Accounts::new(program.account_count() + seats.len());
        seats.iter().for_each(|seat| accounts.occupy(seat.account));
        for request in &program.requests {
            // Each worker prepares its own, see `WorkerRun`.
            Prepared::new(request, &program.targets)
                .map_err(|e| format!("step `{}`: {e}", program.steps[request.step].name))?;
        }
        Ok(Self {
            scanner: Scanner::new(mint.clone()),
            writings: Writings::new(&program, &seats, program.account_count() + seats.len()),
            accounts,
            audiences: Audiences::default(),
            credentials: Credentials::default(),
            identities: program
                .requests
                .iter()
                .map(|r| r.identities.iter().map(|_| Identities::default()).collect())
                .collect(),
            secret_slots: crate::secrets::slots(&program),
            secrets: shared_secrets(&program),
            cookie_steps: program.steps.iter().map(|_| AtomicBool::new(false)).collect(),
            overlaps: Arc::new(Overlaps::new(1, program.targets.len())),
            target_use: program.targets.iter().map(|_| AtomicU64::new(0)).collect(),
            trace: mint.digest(id.as_bytes()) as u64,
            mint,
            seats,
            most_iterations: None,
            ended_by: OnceLock::new(),
            origins: program.targets.iter().map(|t| url::Url::parse(&t.url).ok().map(|u| u.origin())).collect(),
            credential_cookies: credential_cookies(&program),
            tracer: None,
            cohorts: Cohorts::plan(&program, &profile, seed),
            limits: Rules::new(&program, &profile),
            meetings: Meetings::new(&program, profile.load.duration_ns()),
            given: None,
            leaves: None,
            program,
            profile,
            clock,
            seed,
            id,
        })
    }

    /// The name by which people know an account, or a user without one.
    pub fn account_name(&self, account: u32) -> String {
        match (account as usize).checked_sub(self.program.account_count()) {
            None => self.program.account_name(account as usize),
            Some(user) => format!("user {user}"),
        }
    }
}

/// By target: the cookies that some step saves as a credential.
fn credential_cookies(program: &Program) -> Vec<Vec<String>> {
    let mut names = vec![Vec::new(); program.targets.len()];
    for request in &program.requests {
        for save in request.saves.iter().filter(|save| save.credential) {
            if let SaveSource::Cookie(name) = &save.source
                && !names[request.target].contains(name)
            {
                names[request.target].push(name.clone());
            }
        }
    }
    names
}

/// Whether a header's value lets somebody in.
pub fn is_secret_header(name: &str) -> bool {
    const SECRET: [&str; 4] = ["authorization", "cookie", "token", "api-key"];
    let name = name.to_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// Values from the environment, and constant values of headers that carry credentials, without the scheme before them.
fn shared_secrets(program: &Program) -> Vec<Value> {
    let headers = program.requests.iter().flat_map(|r| &r.headers);
    let mut values: Vec<String> = headers
        .filter(|(name, _)| is_secret_header(name))
        .filter_map(|(_, template)| template.as_constant().map(ToString::to_string))
        .map(|text| text.rsplit_once(' ').map_or(text.clone(), |(_, secret)| secret.to_owned()))
        .collect();
    values.extend(program.secrets.iter().cloned());
    values.sort_unstable();
    values.dedup();
    values.into_iter().map(Value::text).collect()
}

/// Ends a run from outside: Ctrl-C, an abort rule.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    interrupted: AtomicBool,
    reason: Mutex<Option<String>>,
    changed: Condvar,
}

impl Stop {
    /// Interrupts: what was measured is kept, what is going on is cut.
    pub fn interrupt(&self) {
        self.interrupted.store(true, Relaxed);
        let _reason = self.lock();
        self.asked.store(true, Relaxed);
        self.changed.notify_all();
    }

    /// Aborts for `reason`; the first reason stays.
    pub fn abort(&self, reason: &str) {
        let mut first = self.lock();
        first.get_or_insert_with(|| reason.to_owned());
        self.asked.store(true, Relaxed);
        self.changed.notify_all();
    }

    /// Waits until the end is asked for, at most so long; answers whether it is.
    pub fn wait(&self, at_most: Duration) -> bool {
        let nobody_asked = |_: &mut Option<String>| !self.is_asked();
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, nobody_asked);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.is_asked()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the run is to end now.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Relaxed) || self.is_interrupted()
    }

    /// Whether the end was asked for from outside, not by a rule.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// Takes an abort back, for the next run; an interruption stays.
    pub fn clear_abort(&self) {
        self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        self.asked.store(false, Relaxed);
    }

    /// The reason of an abort.
    pub fn reason(&self) -> Option<String> {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::ZERO), "nobody has asked");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.wait(Duration::MAX));
            stop.interrupt();
            assert!(waiting.join().expect("waiting cannot panic"));
        });
        assert_eq!((stop.is_asked(), stop.reason()), (true, None));
        stop.abort("first");
        stop.abort("second");
        assert_eq!(stop.reason().as_deref(), Some("first"));
    }
}
