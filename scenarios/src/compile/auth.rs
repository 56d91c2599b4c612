//! `auth:`: the header that says who asks, and for OAuth 2 the requests that fetch and renew its token.
//! In: [`AuthPlan`]. Out: a header's template; token requests in front of the request that needs them.

use super::journeys::Builder;
use super::names::Visible;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::{Expr, ExprError, Names, Place, Slot, Template, Type};
use crate::plan::{AuthPlan, BodyPlan, ExpectPlan, OAuth2Plan, RequestPlan, SavePlan, SavedFrom, is_secret_name};
use crate::program::{Body, Op};
use crate::syntax::{Node, Scalar, Style};
use crate::value::Value;

/// The variables of one token; no expression of a file can name them.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The `oauth2` map that it comes from.
    span: Span,
    token: Slot,
    due: Slot,
    refresh: Slot,
    spent: Slot,
    lifetime: Slot,
}

/// What the expressions about a token see.
impl Names for Token {
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        let slot = match path.first().copied().unwrap_or_default() {
            "token" => self.token,
            "due" => self.due,
            "refresh" => self.refresh,
            "spent" => self.spent,
            _ => self.lifetime,
        };
        Ok((Place::Slot(slot), Type::Any, 1))
    }
}

impl Token {
    fn template(&self, text: &str) -> Template {
        Template::compile(text, self).expect("a template of our own compiles")
    }

    fn condition(&self, text: &str) -> Expr {
        Expr::compile(text, self).expect("a condition of our own compiles")
    }
}

impl Builder<'_, '_> {
    /// Who asks in this request: the step's own `auth`, else the journey's, which goes with `steps` and `after`.
    fn auth_of<'a>(&'a self, plan: &'a RequestPlan) -> Option<&'a AuthPlan> {
        if plan.bare {
            return plan.auth.as_ref();
        }
        if plan.headers.iter().any(|(name, _)| name.text == "authorization") {
            return None;
        }
        plan.auth.as_ref().or_else(|| self.plan.auth.as_ref().filter(|_| !self.is_before()))
    }

    /// The tokens that this request needs: fetched, or renewed when they are due, before it.
    pub(super) fn tokens_for(&mut self, plan: &RequestPlan) {
        if let Some(AuthPlan::OAuth2(oauth)) = self.auth_of(plan).cloned() {
            self.token(&oauth);
        }
    }

    /// The journey's own token is a part of `before`.
    pub(super) fn journey_token(&mut self) {
        if let Some(AuthPlan::OAuth2(oauth)) = self.plan.auth.clone() {
            self.token(&oauth);
        }
    }

    /// The value of `authorization`.
    pub(super) fn authorization(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> Option<Template> {
        match self.auth_of(plan).cloned()? {
            AuthPlan::None => None,
            AuthPlan::Bearer(token) => {
                self.lowering.remember_secret(&token);
                self.lowering.text(&token, names);
                self.composed(&token, &format!("Bearer {}", token.text), names)
            }
            AuthPlan::Basic(user, password) => {
                self.lowering.remember_secret(&password);
                self.lowering.text(&user, names);
                self.lowering.text(&password, names);
                let joined = format!("{} + ':' + {}", as_expression(&user.text), as_expression(&password.text));
                self.composed(&user, &format!("Basic {{{{ base64({joined}) }}}}"), names)
            }
            AuthPlan::OAuth2(oauth) => {
                let token = self.known_token(&oauth)?;
                Some(token.template("Bearer {{ token }}"))
            }
        }
    }

    /// A template put together from parts that were looked at before; only what joining them makes wrong is said.
    fn composed(&mut self, at: &Scalar, text: &str, names: &Visible<'_>) -> Option<Template> {
        match Template::compile(text, names) {
            Ok(template) => {
                self.lowering.note(&template);
                Some(template)
            }
            Err(error) => {
                if !self.lowering.diagnostics.iter().any(Diagnostic::is_error) {
                    self.lowering.push(Diagnostic::error(error.code, at.span, error.message).maybe_help(error.help));
                }
                None
            }
        }
    }

    fn known_token(&self, oauth: &OAuth2Plan) -> Option<Token> {
        self.tokens.iter().find(|t| t.span == oauth.span).cloned()
    }

    /// Fetches the token unless there is one that is good for a while yet.
    fn token(&mut self, oauth: &OAuth2Plan) {
        let token = self.known_token(oauth).unwrap_or_else(|| self.new_token(oauth));
        let good = token.condition("due == null || now() >= due");
        let skip = self.emit(Op::JumpUnless { condition: good, to: 0 });
        let mut over = None;
        if oauth.password_grant {
            let has_refresh = token.condition("refresh != null");
            let other = self.emit(Op::JumpUnless { condition: has_refresh, to: 0 });
            // A refused one is not tried again: the next iteration asks with name and password.
            self.emit(Op::Set { slot: token.spent, value: token.template("{{ refresh }}") });
            self.emit(Op::Set { slot: token.refresh, value: Template::constant(Value::Null) });
            self.token_request(oauth, &token, true);
            over = Some(self.emit(Op::Jump(0)));
            let here = self.here();
            self.land(other, here);
        }
        self.token_request(oauth, &token, false);
        let here = self.here();
        if let Some(over) = over {
            self.land(over, here);
        }
        // Renewed at nine tenths of its life, at most 30 s early; one that says nothing of its end has none.
        let due = "{{ lifetime == null ? 9007199254740991 : now() + (int(lifetime) > 300 ? (int(lifetime) - 30) * 1000 : int(lifetime) * 900) }}";
        self.emit(Op::Set { slot: token.due, value: token.template(due) });
        let end = self.here();
        self.land(skip, end);
    }

    fn new_token(&mut self, oauth: &OAuth2Plan) -> Token {
        let number = self.tokens.len();
        let mut slot = |name: &str| {
            // The blank keeps it apart from every name of the file.
            self.slots.push(format!("auth {number} {name}"));
            Slot::try_from(self.slots.len() - 1).unwrap_or(Slot::MAX)
        };
        let token = Token {
            span: oauth.span,
            token: slot("token"),
            due: slot("due"),
            refresh: slot("refresh"),
            spent: slot("spent"),
            lifetime: slot("lifetime"),
        };
        self.tokens.push(token.clone());
        token
    }

    fn token_request(&mut self, oauth: &OAuth2Plan, token: &Token, refresh: bool) {
        let url = &oauth.token_url;
        let grant = match (refresh, oauth.password_grant) {
            (true, _) => "refresh_token",
            (false, true) => "password",
            (false, false) => "client_credentials",
        };
        let mut form = vec![("grant_type", written(grant))];
        for (key, value) in &oauth.fields {
            if !(refresh && matches!(*key, "username" | "password")) {
                form.push((key, value.clone()));
            }
        }
        let client = oauth.client_id.clone().zip(oauth.client_secret.clone()).filter(|_| oauth.client_in_header);
        if client.is_none() {
            form.extend(oauth.client_id.clone().map(|id| ("client_id", id)));
            form.extend(oauth.client_secret.clone().map(|secret| ("client_secret", secret)));
        }
        for (key, value) in &form {
            if is_secret_name(key) {
                self.lowering.remember_secret(value);
            }
        }
        let pairs = form.into_iter().map(|(key, value)| (written(key), Node::Scalar(value))).collect();
        let mut plan = RequestPlan::bare("POST", url.clone(), format!("auth {}", url.shown()));
        plan.body = BodyPlan::Form(pairs);
        plan.expect = ExpectPlan { status: vec![(200, 299)], ..ExpectPlan::default() };
        plan.saves = self.token_saves(token, url, oauth.password_grant);
        if let Some((id, secret)) = client {
            plan.auth = Some(AuthPlan::Basic(id, secret));
        }
        let number = self.request(&plan, url.span, None);
        if let (true, Body::Form(fields)) = (refresh, &mut self.lowering.requests[number].body) {
            fields.push(("refresh_token".into(), token.template("{{ spent }}")));
        }
        // A token request is the user's own, whatever the journey's steps do after a failure.
        self.lowering.requests[number].continue_on_failure = false;
        self.emit(Op::Request(number));
    }

    fn token_saves(&self, token: &Token, at: &Scalar, password_grant: bool) -> Vec<SavePlan> {
        let name = |slot: Slot| Scalar::new("", &self.slots[usize::from(slot)], Style::Quoted, at.span);
        let save = |slot, path: &str, is_needed: bool| SavePlan {
            name: name(slot),
            source: SavedFrom::Json(written(path)),
            default: (!is_needed).then_some(Value::Null),
            credential: false,
            secret: path != "$.expires_in",
        };
        let mut saves = vec![save(token.token, "$.access_token", true), save(token.lifetime, "$.expires_in", false)];
        if password_grant {
            // Of its own account; a client's token may well be handed to all its users.
            saves[0].credential = true;
            saves.push(save(token.refresh, "$.refresh_token", false));
        }
        saves
    }
}

/// A text of our own.
fn written(text: &str) -> Scalar {
    Scalar::new("", text, Style::Quoted, Span::default())
}

/// A template's text as one expression that gives text.
fn as_expression(text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    let literal = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
        format!("'{escaped}'")
    };
    while let Some((plain, template)) = rest.split_once("{{") {
        if !plain.is_empty() {
            parts.push(literal(plain));
        }
        let (inside, after) = template.split_once("}}").unwrap_or((template, ""));
        parts.push(format!("string({})", inside.trim()));
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(literal(rest));
    }
    format!("({})", parts.join(" + "))
}
