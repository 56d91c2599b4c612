//! Markers in words: a model repeats what it was told, in its own way; one that mixes up its users is caught.

use super::{assert_laws, play};
use engine::client::answer::Outgoing;
use engine::clock::{MILLISECOND, Nanos};
use engine::run_result::{RunResult, Tier};
use engine::simulate::Reply;

const SCENARIO: &str = "watertight: 1
name: chat
targets: { t: 'http://127.0.0.1:1' }
roles: { patient: { accounts: { count: 6, values: { id: 'p-{{ index }}' } } } }
journeys:
  chat:
    as: patient
    target: t
    steps:
      - POST /chat: { json: { message: 'my secret is {{ marker_words() }}' }, expect: { marker: own } }
      - think: 1s
profiles: { p: { users: USERS, for: 20s } }
";

/// A model that answers with what was said before, `pick`ed from all messages so far, as it likes to write.
fn talk(users: &str, write: impl Fn(&str, &str) -> String) -> RunResult {
    let mut before = String::from("nothing");
    let result = play(&SCENARIO.replace("USERS", users), 1, move |request: &Outgoing, _: Nanos| {
        let json: serde_json::Value = serde_json::from_slice(&request.body).expect("we sent JSON");
        let message = json["message"].as_str().expect("a text").trim_start_matches("my secret is ").to_owned();
        let mut reply = Reply::ok(MILLISECOND);
        reply.headers.insert("cache-control", "private".parse().expect("a header"));
        reply.body = serde_json::json!({ "reply": write(&message, &before) }).to_string().into_bytes();
        before = message;
        reply
    });
    assert_laws(&result);
    result
}

fn found(result: &RunResult) -> Vec<(&str, Tier)> {
    result.isolation.groups.iter().map(|g| (g.key.detector.as_str(), g.key.tier)).collect()
}

#[test]
fn a_model_that_repeats_its_own_user_is_the_positive_control() {
    let result = talk("4", |mine, _| format!("So **{}** it is.\n", mine.replacen('z', "Z", 1).replace(' ', ", ")));
    assert_eq!(found(&result), []);
    assert_eq!(result.totals().failed, 0, "{:?}", result.errors);
    assert!(result.isolation.steps[0].controlled > 50 && result.isolation.steps[0].after_others > 50);
}

#[test]
fn a_model_that_repeats_another_user_is_proven() {
    let result = talk("4", |mine, before| format!("{mine}! Somebody said: {}.", before.to_uppercase()));
    assert_eq!(found(&result), [("foreign-marker", Tier::Proven)]);
    let leak = &result.isolation.groups[0].examples[0];
    assert_ne!(leak.reader.account, leak.owner.account);
    assert!(leak.decode.contains(&"words".to_owned()) && !leak.owner.request.contains("65535"), "{leak:?}");
    assert_eq!(found(&talk("1", |mine, before| format!("{mine}! Somebody said: {before}."))), []);
}

#[test]
fn words_that_came_back_corrupted_are_a_suspicion_and_never_more() {
    let forget_the_last =
        |words: &str| words.rsplit_once(' ').map_or(words.to_owned(), |(most, _)| format!("{most} xyz"));
    let result = talk("4", |mine, before| format!("{mine}! Somebody said: {}.", forget_the_last(before)));
    assert_eq!(found(&result), [("fragment", Tier::Suspect)]);
    let swapped = |words: &str| {
        let mut words: Vec<&str> = words.split(' ').collect();
        words.reverse();
        words.join(" ")
    };
    assert_eq!(found(&talk("4", |mine, before| format!("{mine}! Somebody said: {}.", swapped(before)))), []);
}
