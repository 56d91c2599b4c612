//! A virtual user's WebSocket, the synchronous part: what is said, what is waited for, what every message is scanned for.
//! In: socket operations of the journey, [`News`] of the client. Out: effects, samples of messages, leaks.

use super::flow::Next;
use super::isolation::{Origin, Spot};
use super::{Effect, VirtualUser};
use crate::client::answer::{Answer, Ending, Times, Via};
use crate::client::socket::{Ended, Message, News, SocketOrder};
use crate::clock::{Nanos, SECOND};
use crate::failure::Failure;
use crate::faults::Leaving;
use crate::overlap::Presence;
use crate::record::{Class, Recorder};
use crate::run_result::Messages;
use crate::trace::Event;
use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Uri};
use scenarios::expr::EvalError;
use scenarios::faults::GiveUp;
use scenarios::program::{Op, Pc, Request};
use scenarios::streams::{Like, Payload, Receive, SocketOp};
use scenarios::transport::MOST_DEPTH;
use serde_json::Value as Json;
use std::collections::VecDeque;
use std::rc::Rc;

/// Messages that wait for a `receive` at most, and their bytes; the oldest make room. All have been scanned.
const MOST_WAITING: usize = 256;
const MOST_WAITING_BYTES: usize = 64 << 10;
/// How long the target may take to answer a close.
const CLOSE_PATIENCE: Nanos = SECOND;

/// An open WebSocket as its user knows it.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Index into `Program::sockets`.
    socket: usize,
    request: usize,
    uri: Uri,
    via: Via,
    /// When the last message was due that nobody has answered.
    asked: Option<Nanos>,
    /// The last message said: what comes back of it is no leak.
    said: Bytes,
    waiting: VecDeque<(Nanos, Message)>,
    waiting_bytes: usize,
    doing: Doing,
    /// How the target ended it, and whether that has been counted.
    ended: Option<(Failure, bool)>,
    /// It is open.
    _presence: Presence,
}

/// What the user does with it at this moment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    Nothing,
    Saying {
        due: Nanos,
        leaving: Option<Leaving>,
    },
    /// The operation is the one before `pc`.
    Receiving {
        pc: Pc,
        until: Nanos,
        due: Nanos,
    },
    Closing {
        until: Nanos,
    },
    Leaving {
        until: Nanos,
        how: GiveUp,
    },
    Left,
}

/// A message as detectors see it: of which WebSocket, what, when.
#[derive(Clone, Copy)]
pub(super) struct Overheard<'a> {
    /// The request that opened the WebSocket; its step is the socket's step.
    pub plan: &'a Request,
    /// `message` or `close reason`.
    pub place: &'static str,
    /// Its text or bytes.
    pub text: &'a [u8],
    /// When it came.
    pub at: Nanos,
}

impl VirtualUser {
    /// An operation on the WebSocket. `None`: go on with the next.
    pub(super) fn operate_socket(
        &mut self,
        op: &SocketOp,
        now: Nanos,
        recorder: &mut Recorder,
    ) -> Result<Option<Effect>, EvalError> {
        match op {
            SocketOp::Open(socket) => {
                let run = Rc::clone(&self.run);
                let plan = &run.program.sockets[*socket];
                self.conversation = None;
                let effect = self.request(plan.request, now, recorder);
                if effect.is_none() {
                    self.pc = plan.after;
                }
                Ok(effect)
            }
            SocketOp::Send(payload) => self.say(payload, now, recorder),
            SocketOp::Receive(receive) => Ok(self.receive(receive, now, recorder)),
            SocketOp::Close(code) => Ok(self.close(*code, now, recorder)),
            SocketOp::End => Ok(self.close(1000, now, recorder)),
        }
    }

    /// The upgrade was answered well: from here on messages go to and fro.
    pub(super) fn upgraded(&mut self, plan: &Request, answer: &Answer<'_>, class: Class) {
        if plan.upgrade.is_none() || class != Class::Ok {
            return;
        }
        let run = Rc::clone(&self.run);
        let request = self.outgoing.request;
        let Some(socket) = run.program.sockets.iter().position(|s| s.request == request) else {
            return;
        };
        self.conversation = Some(Box::new(Conversation {
            socket,
            request,
            uri: self.outgoing.uri.clone(),
            via: answer.via,
            asked: None,
            said: Bytes::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            doing: Doing::Nothing,
            ended: None,
            _presence: Presence::new(&run.overlaps, self.outgoing.target),
        }));
    }

    /// Where an upgrade that was refused leads: its steps are left out, unless it is asked for once more.
    pub(super) fn unless_upgraded(&mut self, plan: &Request, class: Class, next: Next) -> Next {
        if plan.upgrade.is_some() && class != Class::Ok && !next.is_repetition() {
            let request = self.outgoing.request;
            let socket = self.run.program.sockets.iter().find(|s| s.request == request);
            self.pc = socket.map_or(self.pc, |socket| socket.after);
        }
        next
    }

    /// Whether steps on the WebSocket that this request opens save what later steps may need.
    pub(super) fn is_needed_later(&self, plan: &Request) -> bool {
        let request = self.outgoing.request;
        plan.upgrade.is_some() && self.run.program.sockets.iter().any(|s| s.request == request && s.saves)
    }

    /// News of the WebSocket while the user is at it; answers what is to be done next, `None` to go on.
    pub(super) fn news(&mut self, news: &News, now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let doing = self.conversation.as_ref().map(|c| c.doing)?;
        match news {
            News::Message(at, message) => {
                self.hear_message(*at, message, recorder);
                self.after_message(doing, *at, message, recorder)
            }
            News::Done(at) => self.done(doing, *at, recorder),
            News::Time(at) => self.time_is_up(doing, *at, recorder),
            News::Ended(at, ended) => {
                self.hear_the_end(*at, ended, doing, recorder);
                match doing {
                    Doing::Closing { .. } | Doing::Left | Doing::Leaving { .. } => {
                        self.due = self.due.max(*at);
                        self.part(doing, *at, recorder)
                    }
                    Doing::Nothing => None,
                    Doing::Saying { .. } | Doing::Receiving { .. } => self.miss(None, doing, *at, recorder),
                }
            }
            News::Cut => Some(self.give_up(now, recorder)),
        }
    }

    /// News that nobody asked for, while the user thinks.
    pub(super) fn overhear(&mut self, news: &News, recorder: &mut Recorder) {
        match news {
            News::Message(at, message) => {
                self.hear_message(*at, message, recorder);
                self.keep(*at, message);
            }
            News::Ended(at, ended) => self.hear_the_end(*at, ended, Doing::Nothing, recorder),
            News::Done(_) | News::Time(_) | News::Cut => {}
        }
    }

    /// The run ended while a message was waited for.
    pub(super) fn cut_conversation(&mut self, recorder: &mut Recorder) {
        if let Some(conversation) = self.conversation.take()
            && let Doing::Receiving { due, .. } = conversation.doing
        {
            self.count(conversation.request, due, recorder, |m| m.unfinished += 1);
        }
    }

    fn count(&self, request: usize, due: Nanos, recorder: &mut Recorder, count: impl FnOnce(&mut Messages)) {
        recorder.messages(self.run.program.requests[request].step, due, count);
    }

    fn say(&mut self, payload: &Payload, now: Nanos, recorder: &mut Recorder) -> Result<Option<Effect>, EvalError> {
        if let Some(effect) = self.unless_open(now, recorder) {
            return Ok(effect);
        }
        // What is planted in it belongs to the socket's step, not to a request made meanwhile.
        self.outgoing_step = self.socket_step().unwrap_or(self.outgoing_step);
        let mut bytes = Vec::new();
        let mut is_text = true;
        let mut scope = self.scope(now, None, recorder);
        match payload {
            Payload::Text(text) => text.write_text(&mut scope, &mut bytes)?,
            Payload::Json(json) => json.write(&mut scope, &mut bytes)?,
            Payload::Base64(text) => {
                text.write_text(&mut scope, &mut bytes)?;
                bytes = base64::engine::general_purpose::STANDARD
                    .decode(&bytes)
                    .map_err(|_| EvalError("what is to be sent is no base64".into()))?;
                is_text = false;
            }
        }
        let (due, run) = (self.due, Rc::clone(&self.run));
        let Some(request) = self.conversation.as_ref().map(|c| c.request) else {
            return Ok(None);
        };
        let plan = &run.program.requests[request];
        let leaving = self.draw_abandon(plan, recorder);
        let said = Bytes::from(bytes);
        if let Some(conversation) = &mut self.conversation {
            conversation.said = said.clone();
            conversation.doing = Doing::Saying { due, leaving };
        }
        self.message = Some(Message { bytes: said, is_text });
        Ok(Some(Effect::Socket(SocketOrder::Say(now.saturating_add(plan.timeout_ns)))))
    }

    fn socket_step(&self) -> Option<u16> {
        let request = self.conversation.as_ref()?.request;
        u16::try_from(self.run.program.requests[request].step).ok()
    }

    fn receive(&mut self, receive: &Receive, now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let conversation = self.conversation.as_mut()?;
        let (request, due) = (conversation.request, self.due);
        let from = due.max(now);
        let until = from.saturating_add(receive.within_ns);
        conversation.doing = Doing::Receiving { pc: self.pc, until, due };
        self.count(request, due, recorder, |m| m.expected += 1);
        // What came while nobody waited comes first.
        while let Some((at, message)) = self.next_waiting() {
            if let Some(outcome) = self.match_message(receive, due, at, &message, recorder) {
                return outcome;
            }
        }
        match self.conversation.as_ref().and_then(|c| c.ended) {
            Some(_) => {
                let doing = Doing::Receiving { pc: self.pc, until, due };
                self.miss(None, doing, from, recorder)
            }
            None => Some(Effect::Socket(SocketOrder::Listen(until))),
        }
    }

    fn next_waiting(&mut self) -> Option<(Nanos, Message)> {
        let conversation = self.conversation.as_mut()?;
        let next = conversation.waiting.pop_front()?;
        conversation.waiting_bytes -= next.1.bytes.len();
        Some(next)
    }

    fn keep(&mut self, at: Nanos, message: &Message) {
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        // A message may be a small part of what was read with it; that part alone is kept.
        let own = Message { bytes: Bytes::copy_from_slice(&message.bytes), is_text: message.is_text };
        conversation.waiting_bytes += own.bytes.len();
        conversation.waiting.push_back((at, own));
        let is_full = |c: &Conversation| c.waiting.len() > MOST_WAITING || c.waiting_bytes > MOST_WAITING_BYTES;
        while is_full(conversation)
            && let Some((_, oldest)) = conversation.waiting.pop_front()
        {
            conversation.waiting_bytes -= oldest.bytes.len();
        }
    }

    fn after_message(&mut self, doing: Doing, at: Nanos, message: &Message, recorder: &mut Recorder) -> Option<Effect> {
        match doing {
            Doing::Receiving { pc, until, due } => {
                let run = Rc::clone(&self.run);
                let op = run.program.journeys[self.journey].ops.get((pc as usize).wrapping_sub(1));
                if let Some(Op::Socket(SocketOp::Receive(receive))) = op
                    && let Some(outcome) = self.match_message(receive, due, at, message, recorder)
                {
                    return outcome;
                }
                Some(Effect::Socket(SocketOrder::Listen(until)))
            }
            Doing::Closing { until } | Doing::Leaving { until, .. } => Some(Effect::Socket(SocketOrder::Listen(until))),
            Doing::Nothing | Doing::Saying { .. } | Doing::Left => {
                self.keep(at, message);
                None
            }
        }
    }

    /// `None`: it is not the one. Else what comes next.
    fn match_message(
        &mut self,
        receive: &Receive,
        due: Nanos,
        at: Nanos,
        message: &Message,
        recorder: &mut Recorder,
    ) -> Option<Option<Effect>> {
        let conversation = self.conversation.as_ref()?;
        let (request, via) = (conversation.request, conversation.via);
        let headers = HeaderMap::new();
        let answer = answer_of(&message.bytes, &headers, via, at);
        let target = &self.run.program.targets[self.run.program.requests[request].target];
        let most = target.transport.limits.json_depth;
        // As in an answer, what is nested deeper than the file allows is not read.
        let is_read = most == MOST_DEPTH || !super::json::is_deeper(&message.bytes, most);
        let json = is_read.then(|| serde_json::from_slice::<Json>(&message.bytes).ok()).flatten().unwrap_or_default();
        let fits = match &receive.like {
            Like::Text(text) => {
                let mut wanted = Vec::new();
                let mut scope = self.scope(at, None, recorder);
                text.write_text(&mut scope, &mut wanted).is_ok() && *wanted == *message.bytes
            }
            Like::Json(conditions) => conditions
                .iter()
                .all(|(path, condition)| self.hold(condition, path.find(&json).as_ref(), &answer, recorder).is_ok()),
        };
        if !fits {
            return None;
        }
        self.due = self.due.max(at);
        for save in &receive.saves {
            match super::checks::find(save, &json, &answer, None).or_else(|| save.default.clone()) {
                Some(value) => self.slots[usize::from(save.slot)] = value,
                None => {
                    let doing = Doing::Receiving { pc: self.pc, until: at, due };
                    return Some(self.miss(Some(Failure::MessageSave), doing, at, recorder));
                }
            }
        }
        self.count(request, due, recorder, |m| m.matched += 1);
        let step = self.run.program.requests[request].step;
        if receive.saves.iter().any(|save| save.credential) {
            let run = Rc::clone(&self.run);
            let plan = &run.program.requests[request];
            let heard = Overheard { plan, place: "message", text: &message.bytes, at };
            self.of_the_socket(&heard, |user, origin| {
                user.check_saved_credentials(&receive.saves, "message", origin, recorder);
            });
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.doing = Doing::Nothing;
            if let Some(asked) = conversation.asked.take() {
                recorder.round_trip(step, asked, at, true);
            }
        }
        Some(None)
    }

    fn done(&mut self, doing: Doing, at: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let request = self.conversation.as_ref()?.request;
        match doing {
            Doing::Saying { due, leaving } => {
                let conversation = self.conversation.as_mut()?;
                conversation.asked = Some(due);
                conversation.doing = Doing::Nothing;
                let bytes = conversation.said.len() as u64;
                self.due = self.due.max(at);
                self.count(request, due, recorder, |m| {
                    m.sent += 1;
                    m.bytes_sent += bytes;
                });
                let leaving = leaving?;
                let until = at.saturating_add(leaving.after);
                self.conversation.as_mut()?.doing = Doing::Leaving { until, how: leaving.how };
                Some(Effect::Socket(SocketOrder::Listen(until)))
            }
            Doing::Closing { until } => Some(Effect::Socket(SocketOrder::Listen(until))),
            Doing::Left => self.part(doing, at, recorder),
            Doing::Nothing | Doing::Receiving { .. } | Doing::Leaving { .. } => None,
        }
    }

    fn time_is_up(&mut self, doing: Doing, at: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let run = Rc::clone(&self.run);
        match doing {
            Doing::Receiving { pc, .. } => {
                let op = run.program.journeys[self.journey].ops.get((pc as usize).wrapping_sub(1));
                let within_ns = match op {
                    Some(Op::Socket(SocketOp::Receive(receive))) => receive.within_ns,
                    _ => 0,
                };
                // An answer that never came is no quick one.
                let conversation = self.conversation.as_mut()?;
                if let Some(asked) = conversation.asked.take() {
                    recorder.round_trip(run.program.requests[conversation.request].step, asked, at, false);
                }
                self.miss(Some(Failure::NoMessage(within_ns / 1_000_000)), doing, at, recorder)
            }
            Doing::Saying { .. } => self.miss(Some(Failure::TimedOut), doing, at, recorder),
            Doing::Closing { .. } => {
                self.conversation.as_mut()?.doing = Doing::Left;
                Some(Effect::Socket(SocketOrder::Drop(GiveUp::Close)))
            }
            Doing::Leaving { how, .. } => {
                let request = self.conversation.as_ref()?.request;
                let due = self.due;
                self.count(request, due, recorder, |m| m.abandoned += 1);
                if recorder.is_measured(due) {
                    recorder.interval().faults.abandon += 1;
                    recorder.interval().faults.abandoned_at[3] += 1;
                }
                self.due = self.due.max(at);
                let conversation = self.conversation.as_mut()?;
                conversation.doing = Doing::Left;
                let socket = &run.program.sockets[conversation.socket];
                self.pc = socket.after;
                // As a person reloads, unless what should have come is needed later.
                conversation.ended = socket.saves.then_some((Failure::NotOpen, true));
                Some(Effect::Socket(SocketOrder::Drop(how)))
            }
            Doing::Nothing | Doing::Left => None,
        }
    }

    /// The WebSocket is gone, and that was meant.
    fn part(&mut self, doing: Doing, at: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let conversation = self.conversation.take()?;
        if let Doing::Leaving { .. } = doing {
            // The target was quicker: nothing was given up.
            self.pc = self.run.program.sockets[conversation.socket].after;
        }
        let is_missed = conversation.ended.is_some_and(|(_, is_counted)| is_counted) && doing == Doing::Left;
        is_missed.then(|| self.give_up(at, recorder))
    }

    fn close(&mut self, code: u16, now: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let conversation = self.conversation.as_mut()?;
        if let Some((_, is_counted)) = conversation.ended {
            let request = conversation.request;
            self.conversation = None;
            let goes_on = !is_counted || self.run.program.requests[request].continue_on_failure;
            return (!goes_on).then(|| self.give_up(now, recorder));
        }
        let until = now.saturating_add(CLOSE_PATIENCE);
        conversation.doing = Doing::Closing { until };
        Some(Effect::Socket(SocketOrder::Close(code, until)))
    }

    /// `Some` if nothing can be said: the WebSocket was closed.
    fn unless_open(&mut self, now: Nanos, recorder: &mut Recorder) -> Option<Option<Effect>> {
        let due = self.due;
        match self.conversation.as_ref().map(|c| c.ended) {
            Some(None) => None,
            Some(Some(_)) => Some(self.miss(None, Doing::Saying { due, leaving: None }, now, recorder)),
            // The user closed it before: the file says what is to be said to nobody.
            None => Some(Some(self.give_up(now, recorder))),
        }
    }

    /// What was to happen on the WebSocket did not. Without a `failure` it is how the target ended it.
    fn miss(&mut self, failure: Option<Failure>, doing: Doing, at: Nanos, recorder: &mut Recorder) -> Option<Effect> {
        let conversation = self.conversation.as_mut()?;
        conversation.doing = Doing::Nothing;
        let request = conversation.request;
        let ended = conversation.ended.map(|(failure, _)| failure);
        if let Some((_, is_counted)) = &mut conversation.ended {
            *is_counted = true;
        }
        let failure = failure.or(ended).unwrap_or(Failure::NotOpen);
        let due = match doing {
            Doing::Receiving { due, .. } => {
                self.count(request, due, recorder, |m| m.missed += 1);
                due
            }
            Doing::Saying { due, .. } => {
                self.count(request, due, recorder, |m| m.not_sent += 1);
                due
            }
            _ => self.due,
        };
        let run = Rc::clone(&self.run);
        let plan = &run.program.requests[request];
        recorder.failure(plan.step, request, failure, due);
        self.note_missed(request, failure, "", recorder);
        self.due = self.due.max(at);
        if plan.continue_on_failure { None } else { Some(self.give_up(at, recorder)) }
    }

    /// As for a request that failed, with the WebSocket's own address, whatever was asked for since.
    fn note_missed(&mut self, request: usize, failure: Failure, detail: &str, recorder: &mut Recorder) {
        let Some(conversation) = &self.conversation else {
            return;
        };
        let uri = std::mem::replace(&mut self.outgoing.uri, conversation.uri.clone());
        self.note_failure(request, failure, detail, None, recorder);
        self.outgoing.uri = uri;
    }

    /// Every message passes here once, asked for or not.
    fn hear_message(&mut self, at: Nanos, message: &Message, recorder: &mut Recorder) {
        let Some(conversation) = &self.conversation else {
            return;
        };
        let (request, bytes) = (conversation.request, message.bytes.len() as u64);
        self.count(request, at, recorder, |m| {
            m.received += 1;
            m.bytes_received += bytes;
        });
        let run = Rc::clone(&self.run);
        let plan = &run.program.requests[request];
        self.overheard(&Overheard { plan, place: "message", text: &message.bytes, at }, recorder);
    }

    /// The target ended it; what it says of that is scanned like anything else.
    fn hear_the_end(&mut self, at: Nanos, ended: &Ended, doing: Doing, recorder: &mut Recorder) {
        let Some(conversation) = &self.conversation else {
            return;
        };
        let request = conversation.request;
        let run = Rc::clone(&self.run);
        let plan = &run.program.requests[request];
        if !ended.reason.is_empty() {
            self.overheard(&Overheard { plan, place: "close reason", text: &ended.reason, at }, recorder);
        }
        let failure = ended.code.map_or(Failure::Transport(ended.why), Failure::Closed);
        // Nobody was talking, and the target closed politely: that is its right.
        let is_polite = matches!(ended.code, Some(1000 | 1001 | 1005));
        let is_lost = doing == Doing::Nothing && !is_polite;
        if is_lost {
            self.count(request, at, recorder, |m| m.lost += 1);
            recorder.failure(plan.step, request, failure, at);
            self.note_missed(request, failure, "while nobody waited for a message", recorder);
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.ended = Some((failure, is_lost));
        }
    }

    /// The one place where detectors see what came over a WebSocket.
    fn overheard(&mut self, heard: &Overheard<'_>, recorder: &mut Recorder) {
        self.of_the_socket(heard, |user, origin| {
            let seen = user.scan_message(origin, &[Spot::one(heard.place, heard.text)], recorder);
            let headers = HeaderMap::new();
            user.count_coverage(heard.plan, &answer_of(heard.text, &headers, origin.via, heard.at), seen, recorder);
        });
        if let Some(tracer) = &self.run.tracer {
            let secrets = [self.secrets_in(heard.plan.step, heard.text), self.secrets(None)].concat();
            let text = crate::excerpt::around(heard.text, 0, 0, &secrets);
            let what = format!("{} came over the WebSocket", heard.place);
            tracer.tell(Event::Operation { pc: self.pc, what, outcome: self.mask(&text) });
        }
    }

    /// Does something with what came over the WebSocket, whose evidence names the request that it came on, which
    /// another may have followed by now.
    fn of_the_socket(&mut self, heard: &Overheard<'_>, look: impl FnOnce(&mut Self, &Origin<'_>)) {
        let Some(conversation) = &self.conversation else {
            return;
        };
        let (via, said) = (conversation.via, conversation.said.clone());
        let uri = std::mem::replace(&mut self.outgoing.uri, conversation.uri.clone());
        let request = std::mem::replace(&mut self.outgoing.request, conversation.request);
        let what = format!("a {} over the WebSocket", heard.place);
        let asked = uri.path_and_query().map_or("", |path| path.as_str());
        let origin = Origin {
            step: heard.plan.step,
            is_probe: false,
            from: heard.at,
            at: heard.at,
            via,
            codings: &[],
            headers: None,
            is_whole: true,
            what: &what,
            sent: &[&said, asked.as_bytes()],
        };
        look(self, &origin);
        self.outgoing.uri = uri;
        self.outgoing.request = request;
    }
}

/// A message as an answer of its WebSocket, for what looks at answers.
pub(super) fn answer_of<'a>(text: &'a [u8], headers: &'a HeaderMap, via: Via, at: Nanos) -> Answer<'a> {
    Answer {
        ending: Ending::Complete,
        delivered: true,
        status: 101,
        reason: &[],
        headers,
        body: text,
        undecoded: &[],
        codings: &[],
        times: Times { ready: at, done: at, ..Times::default() },
        via,
        bytes_sent: 0,
        bytes_received: 0,
        heard: None,
    }
}
