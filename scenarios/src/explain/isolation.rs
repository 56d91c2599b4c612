//! What the isolation check will have to go by, before anything is sent: where markers are written, where they have to
//! come back, and what is missing for a leak to be seen. In: a program. Out: lines for people.

use crate::program::{Body, IN_A_VARIABLE, Op, Program, Request};
use crate::streams::{Payload, SocketOp};

/// What the isolation check goes by, a line each; nothing of it is a mistake.
pub fn isolation(program: &Program) -> Vec<String> {
    let written = written(program);
    let is_set = program.journeys.iter().flat_map(|j| &j.ops).any(makes_marker);
    if written.is_empty() && !is_set {
        return vec![
            "nothing can be found: no step writes `{{ marker }}`; put it into what users create, such as \
             `json: { note: \"hello {{ marker }}\" }`"
                .into(),
        ];
    }
    let mut lines = Vec::new();
    if !written.is_empty() {
        lines.push(format!("markers are written at {}", written.join(", ")));
    }
    let awaited = names(program, |request| request.expect.marker.is_some());
    if awaited.is_empty() {
        lines.push(
            "no step has to bring one back: `expect: { marker: own }` where users read what they wrote shows that a leak \
             could be seen there"
                .into(),
        );
    } else {
        lines.push(format!("they have to come back at {}", awaited.join(", ")));
    }
    let names_somebody = program.requests.iter().any(|request| !request.identities.is_empty());
    if !names_somebody && program.requests.iter().any(|request| request.expect.marker.is_some()) {
        lines.push(
            "no step has an `identity`, such as `{ $.user: \"{{ account.id }}\" }`: a target that takes a user for \
             somebody else at the write as well gives back the right marker"
                .into(),
        );
    }
    if program.journeys.iter().all(|journey| journey.role.is_none()) {
        lines.push("no journey has a role: data of users without an account is at most suspect, never proof".into());
    }
    let is_equal = program.profiles.iter().any(|profile| profile.faults.equal_ids);
    if !is_equal && program.requests.iter().any(asks_client_id) {
        lines.push(
            "`client_id()` is a UUID in every profile: with `faults: { equal_ids: true }` it counts 1, 2, 3 for each user, \
             as many clients do, and shows answers that are chosen by such an id"
                .into(),
        );
    }
    lines
}

/// Steps that plant markers, with the fields in which they do; steps of one name as one.
fn written(program: &Program) -> Vec<String> {
    let named = |step: usize| program.steps[step].fields.iter().filter(|field| *field != IN_A_VARIABLE);
    let names = names(program, |request| request.plants_marker || named(request.step).next().is_some());
    let with_fields = |name: String| {
        let mut fields: Vec<&str> = Vec::new();
        for field in (0..program.steps.len()).filter(|step| program.steps[*step].name == name).flat_map(named) {
            if !fields.contains(&field.as_str()) {
                fields.push(field);
            }
        }
        if fields.is_empty() { name } else { format!("{name} ({})", fields.join(", ")) }
    };
    names.into_iter().map(with_fields).collect()
}

/// Names of the steps whose requests are such, each once.
fn names(program: &Program, is_such: impl Fn(&Request) -> bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for request in program.requests.iter().filter(|request| is_such(request)) {
        let name = &program.steps[request.step].name;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn makes_marker(op: &Op) -> bool {
    match op {
        Op::Set { value, .. } => value.uses_marker(),
        Op::Socket(SocketOp::Send(Payload::Text(text) | Payload::Base64(text))) => text.uses_marker(),
        Op::Socket(SocketOp::Send(Payload::Json(json))) => json.uses_marker(),
        _ => false,
    }
}

fn asks_client_id(request: &Request) -> bool {
    let asks = |text: &str| text.contains("client_id()");
    let in_body = match &request.body {
        Body::Json(json) => asks(json.outline()),
        Body::Form(fields) => fields.iter().any(|(_, value)| asks(value.written())),
        Body::Text(text) => asks(text.written()),
        Body::Empty | Body::Multipart(_) | Body::Bytes { .. } => false,
    };
    let pairs = request.query.iter().chain(&request.headers);
    in_body || asks(request.path.written()) || pairs.into_iter().any(|(_, value)| asks(value.written()))
}
