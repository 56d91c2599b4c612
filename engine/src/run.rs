//! What all workers of a run share: the program, the clock, the mint, and the few tables that are written rarely.
//! In: a program, a profile, a seed. Out: [`Run`], behind an `Arc`.

use crate::clock::Clock;
use crate::isolation::accounts::Accounts;
use crate::isolation::credentials::Credentials;
use crate::isolation::identity::Identities;
use crate::isolation::marker::Mint;
use crate::isolation::scanner::Scanner;
use crate::load::deal::{Seat, seats};
use crate::user::Prepared;
use scenarios::expr::Slot;
use scenarios::program::{Profile, Program};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

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
    /// Issued credentials.
    pub credentials: Credentials,
    /// By request, by its identities.
    pub identities: Vec<Vec<Identities>>,
    /// By request.
    pub prepared: Vec<Prepared>,
    /// By journey: slots whose values are masked.
    pub secret_slots: Vec<Vec<Slot>>,
    /// By target: 0 nobody used it yet; an account's number plus one; all ones: several accounts.
    pub target_use: Vec<AtomicU64>,
    /// By user index.
    pub seats: Vec<Seat>,
    /// Iterations (closed load) or arrivals (open load) after which the run ends; `None`: its length alone ends it.
    pub most_iterations: Option<u64>,
}

impl Run {
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
        let prepared = program
            .requests
            .iter()
            .map(|r| Prepared::new(r).map_err(|e| format!("step `{}`: {e}", program.steps[r.step].name)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            scanner: Scanner::new(mint.clone()),
            accounts: Accounts::new(program.account_count() + seats.len()),
            credentials: Credentials::default(),
            identities: program
                .requests
                .iter()
                .map(|r| r.identities.iter().map(|_| Identities::default()).collect())
                .collect(),
            prepared,
            secret_slots: secret_slots(&program),
            target_use: program.targets.iter().map(|_| AtomicU64::new(0)).collect(),
            trace: mint.digest(id.as_bytes()) as u64,
            mint,
            seats,
            most_iterations: None,
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

fn secret_slots(program: &Program) -> Vec<Vec<Slot>> {
    let mut slots = vec![Vec::new(); program.journeys.len()];
    for request in &program.requests {
        let journey = program.steps[request.step].journey;
        let secret = request.saves.iter().filter(|s| s.secret || s.credential).map(|s| s.slot);
        slots[journey].extend(secret);
    }
    for list in &mut slots {
        list.sort_unstable();
        list.dedup();
    }
    slots
}

/// Ends a run from outside: Ctrl-C, an abort rule.
#[derive(Debug, Default)]
pub struct Stop {
    asked: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Stop {
    /// Interrupts: what was measured is kept, what is going on is cut.
    pub fn interrupt(&self) {
        self.asked.store(true, Relaxed);
    }

    /// Aborts for `reason`; the first reason stays.
    pub fn abort(&self, reason: &str) {
        self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert_with(|| reason.to_owned());
        self.asked.store(true, Relaxed);
    }

    /// Whether the run is to end now.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    /// The reason of an abort.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
