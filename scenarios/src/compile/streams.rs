//! Event streams and WebSocket steps of the plan to those of the program.
//! In: `events:` of a request, `websocket`, `send`, `receive`, `close`. Out: [`Events`], operations, [`Socket`]s.

use super::fields::Fields;
use super::journeys::Builder;
use super::names::Visible;
use crate::diagnostic::{Diagnostic, Span};
use crate::expr::JsonTemplate;
use crate::plan::{ConditionPlan, LikePlan, PayloadPlan, ReceivePlan, RequestPlan, StepPlan, UntilPlan};
use crate::program::{Condition, Op};
use crate::streams::{Events, Like, Payload, Receive, Socket, SocketOp, Until};
use crate::syntax::Scalar;
use std::sync::Arc;

/// How long a message is waited for when neither the step nor the target says.
const WITHIN_NS: u64 = 30_000_000_000;

impl Builder<'_, '_> {
    /// How the answer is read as events, if it is.
    pub(super) fn events(&mut self, plan: &RequestPlan, names: &Visible<'_>) -> Option<Arc<Events>> {
        let plan = plan.events.as_ref()?;
        let text = plan.text.as_ref().and_then(|path| self.lowering.json_path(path));
        let until = match &plan.until {
            None => Until::End,
            Some(UntilPlan::Text(text)) => Until::Text(text.text.clone()),
            Some(UntilPlan::Json(conditions)) => Until::Json(self.constant_conditions(conditions, names)),
        };
        Some(Arc::new(Events { text, until }))
    }

    /// Conditions that are held against events as they arrive, where no variable can be read.
    fn constant_conditions(
        &mut self,
        plans: &[(Scalar, ConditionPlan)],
        names: &Visible<'_>,
    ) -> Vec<(crate::jsonpath::JsonPath, Condition)> {
        let conditions = self.conditions(plans, names);
        for ((path, _), (_, condition)) in plans.iter().zip(&conditions) {
            if condition.operand().is_some_and(|operand| operand.as_constant().is_none()) {
                self.lowering.push(
                    Diagnostic::error("template-not-here", path.span, "`until` is the same for every request")
                        .help("compare with a plain value; what differs is checked with `expect`"),
                );
            }
        }
        conditions
    }

    fn conditions(
        &mut self,
        plans: &[(Scalar, ConditionPlan)],
        names: &Visible<'_>,
    ) -> Vec<(crate::jsonpath::JsonPath, Condition)> {
        let mut conditions = Vec::new();
        for (path, condition) in plans {
            let path = self.lowering.json_path(path);
            let condition = self.condition_of(condition, names);
            conditions.extend(path.zip(condition));
        }
        conditions
    }

    /// `websocket /path`: opened, its steps, closed.
    pub(super) fn websocket(&mut self, open: &RequestPlan, heartbeat_ns: Option<u64>, steps: &[StepPlan], span: Span) {
        if self.socket.is_some() {
            self.lowering.push(
                Diagnostic::error("bad-step", span, "a `websocket` cannot stand inside another")
                    .help("close the first before, or let another journey play the second"),
            );
            return;
        }
        let request = self.request(open, span, None);
        let compiled = &mut self.lowering.requests[request];
        compiled.upgrade = Some(heartbeat_ns);
        let step = compiled.step;
        self.lowering.steps[step].socket = true;
        let socket = self.lowering.sockets.len();
        self.lowering.sockets.push(Socket { request, heartbeat_ns, after: 0, saves: false });
        self.emit(Op::Socket(SocketOp::Open(socket)));
        let first_inside = self.lowering.requests.len();
        self.socket = Some(socket);
        self.steps(steps);
        self.socket = None;
        self.emit(Op::Socket(SocketOp::End));
        let after = self.here();
        let saves = self.lowering.requests[first_inside..].iter().any(|r| !r.saves.is_empty());
        let socket = &mut self.lowering.sockets[socket];
        socket.after = after;
        socket.saves |= saves;
    }

    pub(super) fn send(&mut self, payload: &PayloadPlan, span: Span) {
        let Some(socket) = self.socket_of("send", span) else {
            return;
        };
        let step = self.lowering.requests[self.lowering.sockets[socket].request].step;
        let mut fields = std::mem::take(&mut self.lowering.steps[step].fields);
        let mut planted = Fields(&mut fields);
        let slots = std::mem::take(&mut self.slots);
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &slots);
        let payload = match payload {
            PayloadPlan::Text(text) => {
                let mut text = self.lowering.text(text, &names);
                planted.text("message", &mut text);
                Payload::Text(text)
            }
            PayloadPlan::Json(node) => {
                let mut node = self.lowering.json(node, &names);
                planted.json("message $", &mut node);
                Payload::Json(JsonTemplate::new(node))
            }
            PayloadPlan::Base64(text) => {
                let mut text = self.lowering.text(text, &names);
                planted.text("message", &mut text);
                Payload::Base64(text)
            }
        };
        self.slots = slots;
        self.lowering.steps[step].fields = fields;
        self.emit(Op::Socket(SocketOp::Send(payload)));
    }

    pub(super) fn receive(&mut self, plan: &ReceivePlan, span: Span) {
        let Some(socket) = self.socket_of("receive", span) else {
            return;
        };
        let slots = std::mem::take(&mut self.slots);
        let names = Visible::journey(self.lowering.plan, self.played_by, None, &slots);
        let like = match &plan.like {
            LikePlan::Text(text) => Like::Text(self.lowering.text(text, &names)),
            LikePlan::Json(conditions) => Like::Json(self.conditions(conditions, &names)),
        };
        self.slots = slots;
        let saves = self.saves(&plan.saves);
        let target = self.lowering.requests[self.lowering.sockets[socket].request].target;
        let target_timeout = self.lowering.plan.targets.get(target).map(|t| t.timeout_ns);
        let within_ns = plan.within_ns.or(target_timeout).unwrap_or(WITHIN_NS);
        self.lowering.sockets[socket].saves |= !saves.is_empty();
        self.emit(Op::Socket(SocketOp::Receive(Box::new(Receive { like, within_ns, saves }))));
    }

    pub(super) fn close(&mut self, code: u16, span: Span) {
        if self.socket_of("close", span).is_some() {
            self.emit(Op::Socket(SocketOp::Close(code)));
        }
    }

    /// The WebSocket that a step is about; without one the step is a mistake.
    fn socket_of(&mut self, word: &str, span: Span) -> Option<usize> {
        if self.socket.is_none() {
            self.lowering.push(
                Diagnostic::error("bad-step", span, format!("`{word}` has no WebSocket here"))
                    .help("it stands in the `steps` of a `websocket /path`, or in a fragment called from there"),
            );
        }
        self.socket
    }
}
