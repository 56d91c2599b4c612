//! Templates, conditions and JSONPath: what a request's text and an answer's checks cost.
//! In: scenario text. Out: time per rendering, evaluation and search.

use benches::{JOURNEY, body, program};
use criterion::{Criterion, criterion_group, criterion_main};
use scenarios::expr::{Expr, ExprError, Names, Place, Scope, Template, Type};
use scenarios::jsonpath::JsonPath;
use scenarios::program::Body;
use scenarios::value::Value;
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: engine::allocator::Allocator = engine::allocator::Allocator;

/// Every name is slot 0.
struct OneSlot;

impl Names for OneSlot {
    fn resolve(&self, _path: &[&str]) -> Result<(Place, Type, usize), ExprError> {
        Ok((Place::Slot(0), Type::Any, 1))
    }
}

/// A scope of plain values.
struct Fixed {
    slot: Value,
    bits: u64,
}

impl Scope for Fixed {
    fn load(&mut self, place: &Place) -> Value {
        match place {
            Place::UserIteration => Value::Int(12),
            _ => self.slot.clone(),
        }
    }
    fn random_bits(&mut self) -> u64 {
        self.bits = self.bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.bits
    }
    fn marker(&mut self, _audience: Option<&str>) -> String {
        // Minting is measured by itself.
        "wtq7zx10000000000000000000000000000000".into()
    }
    fn now_ms(&mut self) -> i64 {
        0
    }
    fn client_id(&mut self) -> String {
        String::new()
    }
}

fn rendering(c: &mut Criterion) {
    let program = program(JOURNEY);
    let mut scope = Fixed { slot: Value::text("p-123"), bits: 1 };
    let mut out = Vec::new();
    let header = Template::compile("Bearer {{ token }}", &OneSlot).expect("a template");
    c.bench_function("template: a header with one value", |b| {
        b.iter(|| {
            out.clear();
            black_box(&header).write_text(&mut scope, &mut out)
        });
    });
    let path = &program.requests[0].path;
    c.bench_function("template: a path with one value", |b| {
        b.iter(|| {
            out.clear();
            black_box(path).write_percent_encoded(&mut scope, &mut out)
        });
    });
    let Body::Json(json) = &program.requests[0].body else { panic!("the journey sends JSON") };
    c.bench_function("template: a JSON body with four values", |b| {
        b.iter(|| {
            out.clear();
            black_box(json).write(&mut scope, &mut out)
        });
    });
}

fn conditions(c: &mut Criterion) {
    let mut scope = Fixed { slot: Value::Int(4), bits: 1 };
    for text in ["mood < 5", "mood + 1 < 10 && mood != 7 || mood == 0"] {
        let expr = Expr::compile(text, &OneSlot).expect("a condition");
        c.bench_function(&format!("condition: {text}"), |b| {
            b.iter(|| black_box(&expr).eval_condition(&mut scope));
        });
    }
}

fn saving(c: &mut Criterion) {
    let body = body(900);
    let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    c.bench_function("save: parse 900 bytes", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)));
    });
    for text in ["$.session_id", "$.items[3].id", "$.items[*].id", "$.items[?@.id > 5].title"] {
        let path = JsonPath::compile(text).expect("a path");
        c.bench_function(&format!("save: {text}"), |b| b.iter(|| black_box(&path).find(&json)));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    targets = rendering, conditions, saving
}
criterion_main!(benches);
