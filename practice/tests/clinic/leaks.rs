//! Each leaking defect shows among several users, and not to one alone.

use std::collections::HashSet;

use practice::Defect;
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::{Caller, address, clinic};

#[tokio::test]
async fn a_shared_cache_gives_one_users_answers_to_another() {
    let clinic = clinic(&[Defect::SharedCache]);
    let mut first = Caller::log_in(&clinic, "patient-1").await;
    let mut second = Caller::log_in(&clinic, "patient-2").await;
    let note = json!({"mood": 5, "note": "only for patient 1"});
    first.post("/patients/p-1/mood", note).await;
    let mut leaked = 0;
    for _ in 0..50 {
        first.get("/patients/p-1/progress").await;
        let answer = second.get("/patients/p-2/progress").await;
        if answer.field("account_id") == "p-1" {
            assert!(answer.text.contains("only for patient 1"));
            assert_eq!((answer.header("x-cache"), answer.header("age")), ("HIT", "0"));
            leaked += 1;
        }
    }
    assert!(leaked > 10, "{leaked}");
    // Who is not logged in is refused by this clinic as well.
    second.token.clear();
    assert_eq!(second.get("/patients/p-2/progress").await.status, 401);
}

#[tokio::test]
async fn a_shared_cache_crosses_sessions_and_dashboards_too() {
    let clinic = clinic(&[Defect::SharedCache]);
    let mut crossed = [false; 2];
    let mut callers = Vec::new();
    for number in [1, 2] {
        let mut patient = Caller::log_in(&clinic, &format!("patient-{number}")).await;
        let session = patient.begin_session("sea").await;
        let clinician = Caller::log_in(&clinic, &format!("clinician-{number}")).await;
        callers.push((number, patient, clinician, session));
    }
    for _ in 0..20 {
        for (number, patient, clinician, session) in &mut callers {
            let read = patient.get(&format!("/sessions/{session}")).await;
            crossed[0] |= read.field("account_id") != format!("p-{number}");
            let board = clinician.get("/dashboard").await;
            crossed[1] |= board.field("account_id") != format!("c-{number}");
        }
    }
    assert_eq!(crossed, [true, true]);
}

#[tokio::test]
async fn a_shared_cache_gives_a_user_alone_only_own_objects() {
    let clinic = clinic(&[Defect::SharedCache]);
    let mut alone = Caller::log_in(&clinic, "patient-1").await;
    let mut hits = 0;
    for round in 0..20 {
        let session = alone.begin_session("sea").await;
        let turn = json!({"choice": 1, "note": format!("round {round}")});
        alone.post(&format!("/sessions/{session}/turns"), turn).await;
        for _ in 0..2 {
            let read = alone.get(&format!("/sessions/{session}")).await;
            assert_eq!((read.field("account_id"), read.field("session_id")), ("p-1".to_owned(), session.clone()));
            assert!(read.text.contains(&format!("round {round}")));
        }
        let progress = alone.get("/patients/p-1/progress").await;
        assert_eq!((progress.field("account_id"), progress.field("patient_id")), ("p-1".to_owned(), "p-1".to_owned()));
        hits += u32::from(progress.header("x-cache") == "HIT");
    }
    assert!(hits > 0, "the cache was in use");
}

#[tokio::test]
async fn a_session_mixup_hands_one_token_to_users_who_log_in_together() {
    let clinic = clinic(&[Defect::SessionMixup]);
    let mut log_ins = JoinSet::new();
    for number in 0..20 {
        let mut user = Caller::connect(&clinic).await;
        log_ins.spawn(async move {
            user.token = user.fresh_token(&format!("patient-{number}")).await;
            (number, user)
        });
    }
    let users = log_ins.join_all().await;
    let tokens: HashSet<_> = users.iter().map(|(_, user)| user.token.clone()).collect();
    assert!(tokens.len() < users.len());
    let mut mistaken = 0;
    for (number, mut user) in users {
        let begun = user.post("/sessions", json!({"story": "sea"})).await;
        assert_eq!(begun.status, 201);
        mistaken += usize::from(begun.field("account_id") != format!("p-{number}"));
    }
    assert!(mistaken > 0, "somebody is served as somebody else");
}

#[tokio::test]
async fn a_session_mixup_leaves_a_user_alone_in_peace() {
    let clinic = clinic(&[Defect::SessionMixup]);
    let mut alone = Caller::connect(&clinic).await;
    let mut tokens = HashSet::new();
    for number in 0..10 {
        alone.token = alone.fresh_token(&format!("patient-{number}")).await;
        assert!(tokens.insert(alone.token.clone()), "a fresh token each time");
        let begun = alone.post("/sessions", json!({"story": "sea"})).await;
        assert_eq!(begun.field("account_id"), format!("p-{number}"));
    }
}

#[tokio::test]
async fn broken_access_lets_anybody_read_and_nobody_write() {
    let clinic = clinic(&[Defect::BrokenAccess]);
    let mut owner = Caller::log_in(&clinic, "patient-1").await;
    let session = owner.begin_session("only for patient 1").await;
    owner.post("/patients/p-1/mood", json!({"mood": 5, "note": "a secret"})).await;

    let mut stranger = Caller::log_in(&clinic, "patient-2").await;
    let read = stranger.get(&format!("/sessions/{session}")).await;
    assert_eq!((read.status.as_u16(), read.field("account_id").as_str()), (200, "p-1"));
    let progress = stranger.get("/patients/p-1/progress").await;
    assert!(progress.text.contains("a secret"));
    // A normal journey asks only for own objects and finds nothing strange.
    let own = stranger.get("/patients/p-2/progress").await;
    assert_eq!(own.field("patient_id"), "p-2");
    let mood = json!({"mood": 5, "note": "x"});
    assert_eq!(stranger.post("/patients/p-1/mood", mood).await.status, 403);
    stranger.token.clear();
    assert_eq!(stranger.get("/patients/p-1/progress").await.status, 401);
}

/// A request that its client gives up while the answer is being made: the connection is reset.
async fn give_up(clinic: &practice::Clinic, token: &str, path: &str) {
    use tokio::io::AsyncWriteExt;
    let before = clinic.counts();
    let mut stream = tokio::net::TcpStream::connect(address(clinic)).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: c\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    while clinic.counts() == before {
        tokio::task::yield_now().await;
    }
    // The clinic asks its records system as soon as it has counted; dropping the stream closes the connection.
}

#[tokio::test]
async fn crossed_replies_come_one_late_after_a_request_that_was_given_up() {
    let clinic = clinic(&[Defect::CrossedReplies]);
    let mut first = Caller::log_in(&clinic, "patient-1").await;
    let mut second = Caller::log_in(&clinic, "patient-2").await;
    first.post("/patients/p-1/mood", json!({"mood": 5, "note": "only for patient 1"})).await;
    for _ in 0..3 {
        assert_eq!(first.get("/patients/p-1/progress").await.field("patient_id"), "p-1");
        assert_eq!(second.get("/patients/p-2/progress").await.field("patient_id"), "p-2");
    }
    // Which comes first, the question or the news that nobody waits for it, is the scheduler's choice.
    for _ in 0..20 {
        give_up(&clinic, &first.token, "/patients/p-1/progress").await;
        let crossed = second.get("/patients/p-2/progress").await;
        assert_eq!(crossed.status, 200);
        if crossed.field("patient_id") == "p-1" {
            assert!(crossed.text.contains("only for patient 1"));
            break;
        }
    }
    assert_eq!(first.get("/patients/p-1/progress").await.field("patient_id"), "p-2", "one late from then on");
}

#[tokio::test]
async fn crossed_replies_give_a_user_alone_only_own_answers() {
    let clinic = clinic(&[Defect::CrossedReplies]);
    let mut alone = Caller::log_in(&clinic, "patient-1").await;
    for _ in 0..5 {
        give_up(&clinic, &alone.token, "/patients/p-1/progress").await;
        let read = alone.get("/patients/p-1/progress").await;
        assert_eq!((read.field("account_id"), read.field("patient_id")), ("p-1".to_owned(), "p-1".to_owned()));
    }
}

#[tokio::test]
async fn the_healthy_clinic_crosses_nothing_when_requests_are_given_up() {
    let clinic = clinic(&[]);
    let mut users = [Caller::log_in(&clinic, "patient-1").await, Caller::log_in(&clinic, "patient-2").await];
    for round in 0..10 {
        give_up(&clinic, &users[round % 2].token, &format!("/patients/p-{}/progress", round % 2 + 1)).await;
        for (user, own) in users.iter_mut().zip(["p-1", "p-2"]) {
            assert_eq!(user.get(&format!("/patients/{own}/progress")).await.field("patient_id"), own);
        }
    }
}

#[tokio::test]
async fn a_context_bleeds_between_users_who_ask_together_and_not_alone() {
    let clinic = clinic(&[Defect::ContextBleed]);
    let mut users = Vec::new();
    for number in 1..=6 {
        users.push((number, Caller::log_in(&clinic, &format!("patient-{number}")).await));
    }
    let question = |number: u32| json!({"session_id": format!("chat-{number}"), "message": format!("I am {number}")});
    let (alone, user) = &mut users[0];
    for _ in 0..5 {
        let answer = user.post("/api/chatbot", question(*alone)).await;
        assert_eq!((answer.status.as_u16(), answer.field("account_id").as_str()), (200, "p-1"));
    }
    let mut talks = JoinSet::new();
    for (number, mut user) in users {
        talks.spawn(async move { (number, user.post("/api/chatbot", question(number)).await) });
    }
    let answers = talks.join_all().await;
    let strangers = answers.iter().filter(|(number, answer)| answer.field("account_id") != format!("p-{number}"));
    assert!(strangers.count() > 0, "somebody got another one's answer");
}

#[tokio::test]
async fn a_stale_session_works_after_the_log_out_and_only_then_is_it_strange() {
    for (defects, status) in [(vec![Defect::StaleSession], 200), (vec![], 401)] {
        let clinic = clinic(&defects);
        let mut user = Caller::log_in(&clinic, "patient-1").await;
        user.post("/patients/p-1/mood", json!({"mood": 5, "note": "still mine"})).await;
        assert_eq!(user.get("/patients/p-1/progress").await.status, 200);
        assert_eq!(user.post("/auth/logout", json!({})).await.status, 204);
        let after = user.get("/patients/p-1/progress").await;
        assert_eq!(after.status, status, "{defects:?}");
        assert_eq!(after.text.contains("still mine"), status == 200);
        // A token that was never good stays so, and one that was never used is gone with the log-out.
        let mut other = Caller::log_in(&clinic, "patient-2").await;
        assert_eq!(other.post("/auth/logout", json!({})).await.status, 204);
        assert_eq!(other.get("/patients/p-2/progress").await.status, 401);
        other.token = "0".repeat(32);
        assert_eq!(other.get("/patients/p-2/progress").await.status, 401);
    }
}

/// Notes of the patients that stand in another one's record, after all have written at the same time.
async fn notes_astray(defects: &[Defect], users: u32) -> usize {
    let clinic = clinic(defects);
    let mut writing = JoinSet::new();
    for number in 1..=users {
        // From the last to the first: the order of arrival is not that of the ids.
        let number = users + 1 - number;
        let mut user = Caller::log_in(&clinic, &format!("patient-{number}")).await;
        writing.spawn(async move {
            for round in 0..3 {
                let note = json!({"mood": 5, "note": format!("note of {number}. {round}")});
                assert_eq!(user.post(&format!("/patients/p-{number}/mood"), note).await.status, 201);
            }
            let progress = user.get(&format!("/patients/p-{number}/progress")).await;
            assert_eq!(progress.field("patient_id"), format!("p-{number}"));
            progress.text.matches("note of ").count() - progress.text.matches(&format!("note of {number}.")).count()
        });
    }
    writing.join_all().await.into_iter().sum()
}

#[tokio::test]
async fn a_write_mixup_puts_notes_into_other_records_and_not_those_of_a_user_alone() {
    assert!(notes_astray(&[Defect::WriteMixup], 8).await > 0);
    assert_eq!(notes_astray(&[Defect::WriteMixup], 1).await, 0);
    assert_eq!(notes_astray(&[], 8).await, 0);
}
