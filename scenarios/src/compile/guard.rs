//! What a request does for the isolation check: its echo, the credential that it revokes, whose object it asks for.
//! In: [`RequestPlan`]. Out: [`Guard`].

use super::journeys::Builder;
use super::names::{Role, Visible};
use super::requests::Section;
use super::unknown;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Slot, Template};
use crate::guard::{Echo, EchoFrom, Guard};
use crate::plan::{BodyPlan, ExpectPlan, GuardPlan, RequestPlan};
use crate::program::Control;
use crate::syntax::Scalar;

impl Builder<'_, '_> {
    pub(super) fn guard(&mut self, plan: &RequestPlan) -> Guard {
        Guard {
            echo: plan.guard.echo.as_ref().and_then(|(send, read)| self.echo(plan, send, read)),
            revokes: plan.guard.revokes.as_ref().and_then(|name| self.credential(name)),
            repeats: None,
            reads_own: self.reads_own(plan),
        }
    }

    /// The name of an audience.
    pub(super) fn audience(&mut self, name: &Scalar) -> Template {
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &self.slots);
        self.lowering.text(name, &names)
    }

    /// Whether accounts can be switched here: in `steps`, by a role.
    pub(super) fn may_switch(&mut self, span: Span) -> bool {
        let mistake = if matches!(self.played_by, Role::Nobody) {
            let message = "there is no account to switch: this journey has no `as: ROLE`";
            Diagnostic::error("no-role", span, message).help("say who plays it, such as `as: patient`")
        } else if self.section != Section::Steps {
            let message = "`switch_account` stands in `steps`: it plays `after` and `before` itself";
            Diagnostic::error("bad-step", span, message).help("move it to `steps`, where the account is to change")
        } else {
            return true;
        };
        self.lowering.push(mistake);
        false
    }

    fn echo(&mut self, plan: &RequestPlan, send: &Scalar, read: &Scalar) -> Option<Echo> {
        let inherited = self.plan.headers.iter().chain(&plan.headers);
        if inherited.into_iter().any(|(name, _)| name.text == send.text) {
            self.lowering.push(
                Diagnostic::error(
                    "two-meanings",
                    send.span,
                    format!("the header `{}` has a value of its own already", send.text),
                )
                .help("remove it from `headers`: `echo` makes a fresh id for each request"),
            );
            return None;
        }
        let read = if read.text.starts_with('$') {
            EchoFrom::Json(self.lowering.json_path(read)?)
        } else {
            EchoFrom::Header(read.text.clone())
        };
        Some(Echo { send: send.text.clone(), read })
    }

    /// The slot of a variable that the journey saves.
    fn credential(&mut self, name: &Scalar) -> Option<Slot> {
        if !self.slots.contains(&name.text) {
            let known = self.slots.clone();
            self.lowering.push(unknown(name, "variable", known.iter().map(String::as_str)));
            return None;
        }
        let slot = self.slot(&name.text);
        self.lowering.trail.reads.insert(slot);
        Some(slot)
    }

    /// After a request that revokes a credential: the request that asks with it once more. It is recorded as a probe.
    pub(super) fn repetition(&mut self, plan: &RequestPlan, span: Span, number: usize) -> Option<usize> {
        let slot = self.lowering.requests[number].guard.revokes?;
        let mut again = plan.clone();
        let name = plan.name.as_ref().unwrap_or(&plan.key);
        let revoked = plan.guard.revokes.as_ref().map_or("", |name| &name.text);
        let text = format!("{}, then again with the revoked {revoked}", name.text);
        let mut name = name.clone();
        name.text = text;
        again.name = Some(name);
        again.method = "GET".into();
        again.query.clear();
        again.headers.clear();
        again.body = BodyPlan::Empty;
        again.abandon = None;
        (again.retry, again.poll, again.events) = (None, None, None);
        again.expect = ExpectPlan::default();
        again.saves.clear();
        again.identities.clear();
        again.guard = GuardPlan::default();
        again.continue_on_failure = Some(true);
        again.auth = None;
        again.bare = true;
        let request = self.request(&again, span, None);
        let compiled = &mut self.lowering.requests[request];
        compiled.guard.repeats = Some(slot);
        // To be sent away, to the page to log in at say, is to be refused.
        compiled.redirects = 0;
        self.lowering.steps[compiled.step].probe = true;
        Some(request)
    }

    /// A GET whose path names the account or a saved id, and that declares its own marker.
    fn reads_own(&self, plan: &RequestPlan) -> bool {
        let is_declared = matches!(plan.expect.marker, Some(Control::Own | Control::Latest));
        let path = &plan.key.text[plan.path_at..];
        let names = path.split("{{").skip(1).filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim());
        let is_mine = |name: &str| name.starts_with("account.") || self.slots.iter().any(|slot| slot == name);
        is_declared && plan.method == "GET" && names.into_iter().any(is_mine)
    }
}
