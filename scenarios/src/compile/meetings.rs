//! `rendezvous`: the points where users wait for one another, each once however many steps name it.
//! In: the steps. Out: [`Meeting`]s, and a warning for each that too few users can ever come to.

use super::Lowering;
use crate::dealing::deal_users;
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::Plan;
use crate::program::{Meeting, Op, Program};
use crate::syntax::Scalar;

impl Lowering<'_> {
    /// The number of the meeting that a step names.
    pub(super) fn meeting(&mut self, name: &Scalar, users: u64, within_ns: u64) -> usize {
        let wanted = Meeting { name: name.text.clone(), users, within_ns };
        let known = self.meetings.iter().position(|(meeting, _)| meeting.name == wanted.name);
        let Some(known) = known else {
            self.meetings.push((wanted, name.span));
            return self.meetings.len() - 1;
        };
        if self.meetings[known].0 != wanted {
            let message = format!("another step says of the rendezvous `{}` other `users` or `within`", name.text);
            self.push(
                Diagnostic::error("two-meanings", name.span, message)
                    .help("say the same at both, or give them two names"),
            );
        }
        known
    }
}

/// Meetings that can never be complete in some profile: fewer users of it play a journey that goes there.
pub(super) fn too_few_users(plan: &Plan, program: &Program, places: &[Span]) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    for (number, (meeting, place)) in program.meetings.iter().zip(places).enumerate() {
        let goes = |op: &Op| matches!(op, Op::Meet(m) if *m == number);
        let come = |users: usize| -> usize {
            let dealt = program.journeys.iter().zip(deal_users(program, users));
            dealt.filter(|(journey, _)| journey.ops.iter().any(goes)).map(|(_, users)| users).sum()
        };
        let short: Vec<String> = plan
            .profiles
            .iter()
            .map(|profile| (&profile.name.text, come(profile.load.most_users())))
            .filter(|(_, users)| (*users as u64) < meeting.users)
            .map(|(profile, users)| format!("`{profile}` has {users}"))
            .collect();
        if short.is_empty() {
            continue;
        }
        let message = format!(
            "the rendezvous `{}` waits for {} users that go there, and profile {}",
            meeting.name,
            meeting.users,
            short.join(", ")
        );
        warnings.push(
            Diagnostic::warning("too-few-users", *place, message).help(
                "lower `users` of the rendezvous, or play more users; each meeting waits its `within` for nothing",
            ),
        );
    }
    warnings
}
