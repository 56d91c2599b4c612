//! Any text as a template and as an expression: compiled and evaluated, or refused with a range inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenarios::expr::{Expr, ExprError, Last, Names, Place, Scope, Template, Type};
use scenarios::value::Value;

struct Few;

impl Names for Few {
    fn resolve(&self, path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        Ok(match path {
            ["account", "id", ..] => (Place::Account(0), Type::Text, 2),
            ["user", "index", ..] => (Place::UserIndex, Type::Int, 2),
            ["last", "json", ..] => (Place::Last(Last::Json), Type::Any, 2),
            ["last", "body", ..] => (Place::Last(Last::Body), Type::Text, 2),
            ["n", ..] => (Place::Slot(0), Type::Any, 1),
            ["s", ..] => (Place::Slot(1), Type::Any, 1),
            ["x", ..] => (Place::Slot(2), Type::Any, 1),
            ["marker", ..] => (Place::Marker, Type::Text, 1),
            _ => return Err(ExprError { range: 0..0, message: "unknown".into(), help: None, code: "unknown-variable" }),
        })
    }
}

struct Fixed(u64);

impl Scope for Fixed {
    fn load(&mut self, place: &Place) -> Value {
        match place {
            Place::Slot(0) => Value::Int(i64::MAX),
            Place::Slot(1) => Value::text("tö/ k\"1"),
            Place::Last(Last::Json) => Value::from_json(&serde_json::json!({ "a": [1, -2.5, null, { "b": "c" }] })),
            Place::Last(_) | Place::Account(_) => Value::text("body"),
            Place::UserIndex => Value::Int(3),
            _ => Value::Null,
        }
    }
    fn random_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }
    fn marker(&mut self, _audience: Option<&str>) -> String {
        "wtq7zx".into()
    }
    fn now_ms(&mut self) -> i64 {
        1_700_000_000_000
    }
    fn client_id(&mut self) -> String {
        "1".into()
    }
}

fn check(text: &str, error: &ExprError) {
    assert!(error.range.start <= error.range.end && error.range.end <= text.len(), "{error:?}");
    assert!(text.is_char_boundary(error.range.start) && text.is_char_boundary(error.range.end), "{error:?}");
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Template::compile(text, &Few) {
        Ok(template) => {
            let (mut plain, mut encoded) = (Vec::new(), Vec::new());
            let _ = template.eval(&mut Fixed(1));
            if template.write_text(&mut Fixed(1), &mut plain).is_ok() {
                assert!(std::str::from_utf8(&plain).is_ok());
            }
            let _ = template.write_percent_encoded(&mut Fixed(1), &mut encoded);
            assert_eq!(template.written(), text);
        }
        Err(error) => check(text, &error),
    }
    match Expr::compile(text, &Few) {
        Ok(expr) => {
            let _ = expr.eval(&mut Fixed(2));
            let _ = expr.eval_condition(&mut Fixed(2));
        }
        Err(error) => check(text, &error),
    }
});
