//! What the tests of expressions run against: a few names, a scope with fixed answers.

use super::{ExprError, Last, Names, Place, Scope, Type};
use crate::value::Value;

/// The slots, in the order of [`Place::Slot`].
const SLOTS: &[&str] = &["mood", "token", "session", "panel", "absent", "text", "half"];

pub(super) struct FakeNames;

impl Names for FakeNames {
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        let unknown = |message: String| {
            Err(ExprError { range: 0..0, message, help: Some("did you mean …?".into()), code: "unknown-variable" })
        };
        Ok(match path {
            ["account", "id", ..] => (Place::Account(0), Type::Text, 2),
            ["account", "clinic", ..] => (Place::Account(1), Type::Text, 2),
            ["account", other, ..] => return unknown(format!("no column `{other}`")),
            ["account"] => return unknown("`account` is a row".into()),
            ["user", "id", ..] => (Place::UserId, Type::Text, 2),
            ["user", "index", ..] => (Place::UserIndex, Type::Int, 2),
            ["data", "questions", "text", ..] => (Place::Data { table: 0, column: 0 }, Type::Text, 3),
            ["data", "my-file", "text", ..] => (Place::Data { table: 1, column: 0 }, Type::Text, 3),
            ["last", "status", ..] => (Place::Last(Last::Status), Type::Int, 2),
            ["last", "headers", ..] => (Place::Last(Last::Headers), Type::Map, 2),
            ["marker", ..] => (Place::Marker, Type::Text, 1),
            [name, ..] => match SLOTS.iter().position(|s| s == name) {
                Some(slot) => (Place::Slot(slot as u16), Type::Any, 1),
                None => return unknown(format!("no variable `{name}`")),
            },
            [] => return unknown("no name".into()),
        })
    }
}

/// Random bits from a fixed sequence (SplitMix64), markers numbered.
#[derive(Default)]
pub(super) struct FakeScope {
    state: u64,
    markers: u32,
    ids: u32,
}

pub(super) fn json(text: &str) -> Value {
    Value::from_json(&serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}")))
}

impl Scope for FakeScope {
    fn load(&mut self, place: &Place) -> Value {
        match place {
            Place::Slot(0) => Value::Int(2),
            Place::Slot(1) => Value::text("tö/ k\"1"),
            Place::Slot(2) => json(r#"{"user": {"name": "Ann", "tags": ["a", "b"]}, "n": null}"#),
            Place::Slot(3) => json(r#"["p1", "p2", 3]"#),
            Place::Slot(5) => Value::text("today"),
            Place::Slot(6) => Value::Float(0.5),
            Place::Account(0) => Value::text("a-7"),
            Place::Account(1) => Value::text("12"),
            Place::UserId => Value::text("u7"),
            Place::UserIndex => Value::Int(7),
            Place::Data { table: 0, .. } => Value::text("why?"),
            Place::Data { .. } => Value::text("other"),
            Place::Last(Last::Status) => Value::Int(201),
            Place::Last(Last::Headers) => json(r#"{"content-type": "text/html"}"#),
            Place::Marker => panic!("markers are made, not loaded"),
            _ => Value::Null,
        }
    }

    fn random_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn marker(&mut self, audience: Option<&str>) -> String {
        self.markers += 1;
        format!("m{}{}", self.markers, audience.map(|a| format!("@{a}")).unwrap_or_default())
    }

    fn now_ms(&mut self) -> i64 {
        1_790_000_000_000
    }

    fn client_id(&mut self) -> String {
        self.ids += 1;
        self.ids.to_string()
    }
}
