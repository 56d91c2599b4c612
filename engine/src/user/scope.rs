//! What a virtual user's expressions see: its variables, its account's row, its random stream, the present answer.

use super::VirtualUser;
use super::last;
use crate::client::answer::Answer;
use crate::clock::Nanos;
use crate::isolation::audiences::Audiences;
use crate::isolation::marker::{Kind, LAST_STEP, LENGTH};
use crate::isolation::numbers::Field;
use crate::isolation::words;
use crate::record::Recorder;
use scenarios::expr::{ELSEWHERE, Last, Place, Scope};
use scenarios::value::Value;

/// A virtual user while an expression is evaluated.
pub struct UserScope<'a> {
    user: &'a mut VirtualUser,
    now: Nanos,
    answer: Option<&'a Answer<'a>>,
    recorder: &'a mut Recorder,
}

impl<'a> UserScope<'a> {
    pub fn new(
        user: &'a mut VirtualUser,
        now: Nanos,
        answer: Option<&'a Answer<'a>>,
        recorder: &'a mut Recorder,
    ) -> Self {
        Self { user, now, answer, recorder }
    }

    fn row(&self, account: u32, column: usize) -> Value {
        self.user
            .run
            .program
            .account(account as usize)
            .and_then(|(_, row)| row.get(column).cloned())
            .unwrap_or_default()
    }

    fn last(&self, what: Last) -> Value {
        match (what, self.answer) {
            (Last::Status, _) => Value::Int(i64::from(self.user.last_status)),
            (Last::Latency, _) => Value::Float(self.user.last_latency_ns as f64 / 1e6),
            (Last::Body, Some(answer)) => Value::text(String::from_utf8_lossy(answer.body)),
            (Last::Json, Some(answer)) => last::json(answer.body),
            (Last::Headers, Some(answer)) => last::headers(answer, usize::MAX),
            (what, None) => self.user.kept.as_ref().map_or(Value::Null, |kept| kept.read(what)),
        }
    }
}

impl Scope for UserScope<'_> {
    fn load(&mut self, place: &Place) -> Value {
        let user = &*self.user;
        match place {
            Place::Slot(slot) => user.slots[usize::from(*slot)].clone(),
            Place::Account(column) => self.row(user.account, *column),
            Place::Stranger(column) => user.stranger.map_or(Value::Null, |s| self.row(s, *column)),
            Place::Data { table, column } => {
                user.run.program.data[*table].rows[user.rows[*table]].get(*column).cloned().unwrap_or_default()
            }
            Place::UserId => user.id.clone(),
            Place::UserIndex => Value::Int(i64::from(user.index)),
            Place::UserIteration => Value::Int(user.iteration as i64),
            Place::RunId => Value::text(&user.run.id),
            Place::Last(what) => self.last(*what),
            Place::Owner(_) | Place::Index | Place::Marker => Value::Null,
        }
    }

    fn random_bits(&mut self) -> u64 {
        self.user.random_bits()
    }

    fn marker(&mut self, audience: Option<&str>) -> String {
        self.marker_in(audience, ELSEWHERE)
    }

    fn marker_in(&mut self, audience: Option<&str>, field: u8) -> String {
        let user = &mut *self.user;
        let step = user.outgoing_step;
        let field = Field::new(field, user.run.program.field_count(usize::from(step)));
        // What `setup` plants is found by the load, whose steps have the same numbers and are others.
        let said = if user.run.leaves.is_some() { LAST_STEP.saturating_sub(step) } else { step };
        let word: [u8; LENGTH] = match audience {
            None => {
                let count = user.run.accounts.count_marker(user.account, field, self.now);
                user.writes.planted(count);
                user.run.mint.marker(&user.head, said, count)
            }
            Some(name) => {
                let audience = user.audience(name);
                let number = audience.as_ref().map_or_else(|| Audiences::number(name, &user.run.mint), |a| a.number);
                let count = audience.map_or(field.at, |audience| audience.count_marker(user.account, field, self.now));
                user.run.mint.marker(&user.run.mint.head(Kind::Audience, number), said, count)
            }
        };
        self.recorder.planted(usize::from(step), Some(field.at));
        str::from_utf8(&word).expect("a marker is letters and digits of ASCII").to_owned()
    }

    fn marker_words(&mut self) -> String {
        let run = &self.user.run;
        let Some(words) = words::spoken(&run.mint, self.user.account) else {
            return self.marker(None);
        };
        run.scanner.expect_words();
        run.accounts.count_marker(self.user.account, Field::ONLY, self.now);
        self.recorder.planted(usize::from(self.user.outgoing_step), None);
        words
    }

    fn now_ms(&mut self) -> i64 {
        self.user.run.clock.unix_ms(self.now)
    }

    fn client_id(&mut self) -> String {
        self.user.client_ids += 1;
        if let Some(id) = self.user.equal_id(self.recorder) {
            return id.to_string();
        }
        let bits = u128::from(self.random_bits()) << 64 | u128::from(self.random_bits());
        // Version 4, variant 1, as RFC 9562 lays them out.
        let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}
