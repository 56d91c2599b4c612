//! What a virtual user expects of an event stream, and what is written down of it.
//! In: the answer with the events heard. Out: the first thing that was wrong; times of events for the recorder.

use super::VirtualUser;
use super::checks::Wrong;
use crate::client::answer::{Answer, Ending};
use crate::failure::Failure;
use crate::record::Recorder;
use scenarios::program::Request;
use scenarios::units::format_duration;
use scenarios::value::Value;

impl VirtualUser {
    /// Whether a good answer was the stream that was asked for.
    pub(super) fn check_events(
        &mut self,
        plan: &Request,
        answer: &Answer<'_>,
        recorder: &mut Recorder,
    ) -> Result<(), Wrong> {
        if plan.events.is_none() {
            return Ok(());
        }
        let Some(heard) = answer.heard else {
            let kind = answer.headers.get(http::header::CONTENT_TYPE);
            let kind = kind.map_or_else(|| "none".into(), |k| String::from_utf8_lossy(k.as_bytes()));
            return Err(Wrong(Failure::NoEvents, format!("content-type {kind}, not text/event-stream")));
        };
        if !heard.is_over {
            return Err(Wrong(Failure::Until, format!("{} events came", heard.times.len())));
        }
        let expect = &plan.expect;
        let first = heard.times.first().map(|at| at.saturating_sub(self.due));
        if expect.first_event_ns.is_some_and(|limit| first.is_none_or(|first| first >= limit)) {
            let came = first.map_or_else(|| "no event came".into(), |ns| format!("after {}", format_duration(ns)));
            return Err(Wrong(Failure::FirstEvent, came));
        }
        let longest = heard.gaps().max().unwrap_or(0);
        if expect.event_gap_ns.is_some_and(|limit| longest >= limit) {
            return Err(Wrong(Failure::EventGap, format!("the longest was {}", format_duration(longest))));
        }
        if let Some(condition) = &expect.events {
            let count = Value::Int(i64::try_from(heard.times.len()).unwrap_or(i64::MAX));
            self.hold(condition, Some(&count), answer, recorder).map_err(|came| Wrong(Failure::Events, came))?;
        }
        Ok(())
    }

    /// Writes the times of the events down. Those of an answer that was read slowly on purpose are our own doing.
    pub(super) fn record_events(&self, plan: &Request, answer: &Answer<'_>, due: u64, recorder: &mut Recorder) {
        let Some(heard) = answer.heard else {
            return;
        };
        let is_ours = self.outgoing.orders.slow_reader || answer.times.held > 0;
        let counts = matches!(answer.ending, Ending::Complete | Ending::TimedOut | Ending::Cut | Ending::Abandoned);
        if !is_ours && counts {
            // A stream of which nothing came within the time limit has taken at least that long.
            let waited = matches!(answer.ending, Ending::TimedOut).then_some(answer.times.done);
            let first = heard.times.first().copied().map(Ok).or(waited.map(Err));
            // And one that fell silent has been silent that long.
            let silent = waited.and_then(|until| Some(until.saturating_sub(*heard.times.last()?)));
            recorder.events(plan.step, due, first, heard.gaps().chain(silent));
        }
    }
}
