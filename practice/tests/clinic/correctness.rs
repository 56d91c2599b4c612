//! The clinic without defects under concurrency: nobody's data at anybody else, nothing lost.

use practice::Clinic;
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::{Caller, clinic};

/// One user's journey: everything written is read back at once, and only that.
async fn play(clinic: &Clinic, number: usize) -> impl Future<Output = ()> + use<> {
    let mut user = Caller::connect(clinic).await;
    async move {
        user.token = user.fresh_token(&format!("patient-{number}")).await;
        let id = format!("p-{number}");
        for round in 0..5 {
            let session = user.begin_session(&format!("story of {id}")).await;
            let mut own = Vec::new();
            for turn in 0..4 {
                let note = format!("{id} {round} {turn}");
                let path = format!("/sessions/{session}/turns");
                let taken = user.post(&path, json!({"choice": turn, "note": note})).await;
                assert_eq!((taken.field("note"), taken.field("account_id")), (note.clone(), id.clone()));
                own.insert(0, note);
            }
            let read = user.get(&format!("/sessions/{session}")).await.json();
            let notes: Vec<_> = read["turns"].as_array().unwrap().iter().map(|turn| &turn["note"]).collect();
            assert_eq!((json!(notes), &read["account_id"]), (json!(own), &json!(id)));

            let progress = user.get(&format!("/patients/{id}/progress")).await.json();
            assert_eq!(progress["turns"], json!((round + 1) * 4));
            for (shown, written) in progress["notes"].as_array().unwrap().iter().zip(&own) {
                assert_eq!(shown, written);
            }
            let asked = json!({"message": format!("{id} {round}"), "session_id": "1"});
            let reply = user.post("/api/chatbot", asked).await.json();
            for message in reply["history"].as_array().unwrap() {
                assert!(message.as_str().unwrap().starts_with(&format!("{id} ")));
            }
        }
    }
}

#[tokio::test]
async fn forty_users_at_once_each_find_exactly_their_own() {
    let clinic = clinic(&[]);
    let mut users = JoinSet::new();
    for number in 0..40 {
        users.spawn(play(&clinic, number).await);
    }
    users.join_all().await;
    let mut clinician = Caller::log_in(&clinic, "clinician-3").await;
    assert_eq!(clinician.get("/overview").await.json()["patients"], json!(2));
    // Log-in; five rounds of begin, four turns, two reads, a chat; and the clinician's two.
    assert_eq!(clinic.counts(), 40 * (1 + 5 * 8) + 2);
}

#[tokio::test]
async fn a_thousand_connections_are_served() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let clinic = clinic(&[]);
    let mut open = Vec::new();
    for _ in 0..1_000 {
        open.push(Caller::connect(&clinic).await);
    }
    for _ in 0..2 {
        let mut asking = JoinSet::new();
        for mut caller in open.drain(..) {
            asking.spawn(async move {
                assert_eq!(caller.get("/health").await.status, 200);
                caller
            });
        }
        open = asking.join_all().await;
    }
    assert_eq!(clinic.counts(), 2_000);
}
