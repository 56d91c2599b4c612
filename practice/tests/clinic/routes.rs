//! Each route when all is well, and who is refused.

use hyper::{Method, body::Bytes};
use serde_json::json;

use crate::caller::{Caller, clinic};

#[tokio::test]
async fn a_patient_plays_and_sees_the_progress() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;

    let begun = patient.post("/sessions", json!({"story": "sea"})).await;
    assert_eq!((begun.status.as_u16(), begun.field("account_id").as_str()), (201, "p-7"));
    assert!(!begun.field("scene").is_empty());
    let session = format!("/sessions/{}", begun.field("session_id"));

    for number in 1..=21 {
        let turn = json!({"choice": number, "note": format!("note {number}")});
        let taken = patient.post(&format!("{session}/turns"), turn).await;
        assert_eq!(taken.status, 200);
        assert_eq!(taken.field("note"), format!("note {number}"));
        assert_eq!(taken.field("session_id"), begun.field("session_id"));
        assert!((1..=10).contains(&taken.json()["mood"].as_i64().unwrap()));
    }
    let read = patient.get(&session).await;
    let turns = read.json()["turns"].as_array().unwrap().clone();
    assert_eq!((turns.len(), &turns[0]["note"], &turns[19]["note"]), (20, &json!("note 21"), &json!("note 2")));
    assert_eq!((read.field("account_id").as_str(), read.field("story").as_str()), ("p-7", "sea"));

    let mood = patient.post("/patients/p-7/mood", json!({"mood": 3, "note": "low"})).await;
    assert_eq!(mood.status, 201);
    let crisis = patient.post("/patients/p-7/crisis", json!({"text": "help"})).await;
    assert_eq!((crisis.status.as_u16(), crisis.field("alert_id").as_str()), (202, "a-1"));

    let progress = patient.get("/patients/p-7/progress").await;
    assert_eq!(progress.header("cache-control"), "private, no-store");
    let progress = progress.json();
    assert_eq!((&progress["sessions"], &progress["turns"]), (&json!(1), &json!(21)));
    let notes = progress["notes"].as_array().unwrap();
    assert_eq!((notes.len(), &notes[0], &notes[1]), (10, &json!("help"), &json!("low")));
    assert!(progress["mood_average"].is_f64());
}

#[tokio::test]
async fn a_clinician_sees_the_clinic_and_answers_an_alert() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    patient.begin_session("sea").await;
    patient.post("/patients/p-7/mood", json!({"mood": 4, "note": ""})).await;
    patient.post("/patients/p-7/crisis", json!({"text": "help"})).await;
    Caller::log_in(&clinic, "patient-27").await;
    Caller::log_in(&clinic, "patient-8").await;

    let mut clinician = Caller::log_in(&clinic, "clinician-47").await;
    let dashboard = clinician.get("/dashboard").await.json();
    assert_eq!((&dashboard["account_id"], &dashboard["clinic"]), (&json!("c-47"), &json!(7)));
    let ids: Vec<&str> = dashboard["patients"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().filter(|id| ["p-7", "p-27"].contains(id)).count(), 2);
    assert_eq!(ids[2..], ["p-47"], "those who are not active make up a short list");
    let seen = json!({"id": "p-7", "sessions": 1, "last_mood": 4, "last_note": "help"});
    assert!(dashboard["patients"].as_array().unwrap().contains(&seen), "{dashboard}");

    let overview = clinician.get("/overview").await.json();
    assert_eq!((&overview["patients"], &overview["open_alerts"]), (&json!(2), &json!(1)));
    assert_eq!(overview["average_mood"], json!(4.0));

    let alerts = clinician.get("/alerts").await.json();
    assert_eq!(alerts["alerts"], json!([{"id": "a-1", "patient": "p-7", "text": "help", "acknowledged": false}]));
    for _ in 0..2 {
        let done = clinician.post("/alerts/a-1/ack", json!(null)).await;
        assert_eq!(done.json(), json!({"id": "a-1", "acknowledged": true}));
    }
    assert_eq!(clinician.get("/alerts").await.json()["alerts"], json!([]));
    assert_eq!(clinician.get("/overview").await.json()["open_alerts"], json!(0));

    let progress = clinician.get("/patients/p-7/progress").await.json();
    assert_eq!((&progress["account_id"], &progress["patient_id"]), (&json!("c-47"), &json!("p-7")));
    let done = clinician.post("/patients/p-7/intervention", json!({"text": "call"})).await;
    assert_eq!((done.status.as_u16(), done.field("patient").as_str()), (201, "p-7"));
}

#[tokio::test]
async fn the_chatbot_quotes_and_remembers_three() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    let mut stranger = Caller::log_in(&clinic, "patient-8").await;
    for number in 1..=4 {
        let asked = json!({"message": format!("sleep {number}"), "session_id": "talk"});
        let reply = patient.post("/api/chatbot", asked).await;
        assert_eq!((reply.status.as_u16(), reply.field("account_id").as_str()), (200, "p-7"));
        assert!(reply.field("reply").contains(&format!("sleep {number}")));
        if number == 4 {
            assert_eq!(reply.json()["history"], json!(["sleep 4", "sleep 3", "sleep 2"]));
        }
    }
    let asked = json!({"message": "hello", "session_id": "talk"});
    let reply = stranger.post("/api/chatbot", asked).await;
    assert_eq!(reply.json()["history"], json!(["hello"]));
    let metrics = patient.get("/metrics").await.text;
    assert!(metrics.contains("\ncache_hits_total 3\n"), "{metrics}");
}

#[tokio::test]
async fn who_may_not_is_refused() {
    let clinic = clinic(&[]);
    let mut owner = Caller::log_in(&clinic, "patient-7").await;
    let session = owner.begin_session("sea").await;
    owner.post("/patients/p-7/crisis", json!({"text": "help"})).await;

    let read = format!("/sessions/{session}");
    let play = format!("/sessions/{session}/turns");
    let turn = r#"{"choice":1,"note":""}"#;
    let cases: [(&str, &str, &str, &str, u16); 24] = [
        ("", "GET", "/patients/p-7/progress", "", 401),
        ("", "GET", "/dashboard", "", 401),
        ("", "POST", "/sessions", r#"{"story":"x"}"#, 401),
        ("", "POST", "/auth/logout", "", 401),
        ("nobody", "GET", "/patients/p-7/progress", "", 401),
        ("nobody", "POST", "/api/chatbot", r#"{"message":"a","session_id":"b"}"#, 401),
        ("patient-8", "GET", "/patients/p-7/progress", "", 403),
        ("patient-8", "GET", &read, "", 403),
        ("patient-8", "POST", &play, turn, 403),
        ("patient-8", "POST", "/patients/p-7/mood", r#"{"mood":1,"note":""}"#, 403),
        ("patient-8", "POST", "/patients/p-7/crisis", r#"{"text":"x"}"#, 403),
        ("patient-7", "GET", "/dashboard", "", 403),
        ("patient-7", "GET", "/overview", "", 403),
        ("patient-7", "GET", "/alerts", "", 403),
        ("patient-7", "POST", "/alerts/a-1/ack", "", 403),
        ("clinician-8", "GET", "/patients/p-7/progress", "", 403),
        ("clinician-8", "POST", "/alerts/a-1/ack", "", 403),
        ("clinician-8", "POST", "/patients/p-7/intervention", r#"{"text":"x"}"#, 403),
        ("clinician-7", "POST", "/sessions", r#"{"story":"x"}"#, 403),
        ("clinician-7", "GET", &read, "", 403),
        ("clinician-7", "POST", "/alerts/a-2/ack", "", 404),
        ("patient-7", "GET", "/sessions/s-0", "", 404),
        ("patient-7", "GET", "/patients/p-100000/progress", "", 404),
        ("patient-7", "GET", "/nowhere", "", 404),
    ];
    for (who, method, path, body, status) in cases {
        let mut caller = match who {
            "" => Caller::connect(&clinic).await,
            "nobody" => {
                let mut caller = Caller::connect(&clinic).await;
                caller.token = "0123456789abcdef0123456789abcdef".to_owned();
                caller
            }
            username => Caller::log_in(&clinic, username).await,
        };
        let method = method.parse::<Method>().unwrap();
        let answer = caller.send(method, path, Bytes::copy_from_slice(body.as_bytes())).await;
        assert_eq!(answer.status.as_u16(), status, "{who} {path}: {}", answer.text);
        assert!(!answer.field("error").is_empty(), "{who} {path}");
        assert!(!answer.text.contains("help"), "a refusal tells nothing");
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_token_after_log_out_are_refused() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    let wrong = json!({"username": "patient-7", "password": "pw-8"});
    assert_eq!(patient.post("/auth/login", wrong).await.status, 401);

    let second = patient.fresh_token("patient-7").await;
    assert_ne!(patient.token, second);
    let gone = patient.send(Method::POST, "/auth/logout", Bytes::new()).await;
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    assert_eq!(patient.get("/patients/p-7/progress").await.status, 401);
    patient.token = second;
    assert_eq!(patient.get("/patients/p-7/progress").await.status, 200);
}

#[tokio::test]
async fn malformed_and_oversized_bodies_are_answered_on_the_same_connection() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    let long = format!(r#"{{"story":"{}"}}"#, "x".repeat(1 << 20));
    let cases = [
        ("/sessions", "{".to_owned(), 400),
        ("/sessions", "{}".to_owned(), 400),
        ("/sessions", "\u{0}\u{1}".to_owned(), 400),
        ("/sessions/s-0/turns", r#"{"choice":"two"}"#.to_owned(), 400),
        ("/patients/p-7/mood", r#"{"mood":11}"#.to_owned(), 400),
        ("/patients/%ff/mood", r#"{"mood":1}"#.to_owned(), 400),
        ("/sessions", long.clone(), 413),
        ("/nowhere", long, 413),
        ("/sessions", format!(r#"{{"story":"{}"}}"#, "x".repeat(100_000)), 201),
    ];
    for (path, body, status) in cases {
        let answer = patient.send(Method::POST, path, body.into()).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        assert_eq!(answer.field("error").is_empty(), status == 201);
    }
    let wrong = patient.send(Method::DELETE, "/health", Bytes::new()).await;
    assert_eq!((wrong.status.as_u16(), wrong.field("error").is_empty()), (405, false));
}

#[tokio::test]
async fn operators_find_health_and_every_metric() {
    let clinic = clinic(&[]);
    let mut anybody = Caller::connect(&clinic).await;
    let healthy = json!({
        "status": "ok", "database": "connected", "cache": "connected", "index": "connected"
    });
    assert_eq!(anybody.get("/health").await.json(), healthy);
    let metrics = anybody.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for name in [
        "http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1",
        "http_request_duration_seconds_bucket{le=\"+Inf\"} 1",
        "http_request_duration_seconds_sum ",
        "http_request_duration_seconds_count 1",
        "http_requests_in_progress 1",
        "websocket_connections_active 0",
        "websocket_messages_total 0",
        "cache_hits_total 0",
        "cache_misses_total 0",
        "errors_total 0",
        "memory_usage_bytes ",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "database_connections_active 0",
        "database_connections_max 8",
        "database_connections_waiting 0",
        "database_queries_total 1",
        "database_query_duration_seconds_count 1",
    ] {
        let found = metrics.text.lines().any(|line| line.starts_with(name));
        assert!(found, "{name} is not in\n{}", metrics.text);
    }
}

#[tokio::test]
async fn a_file_is_its_owners_and_the_export_holds_what_was_written() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    let form = "--x\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nmine\r\n\
        --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nseven \"words\"\r\n--x--\r\n";
    let kind = "multipart/form-data; boundary=x";
    let stored = patient.send_as(Method::POST, "/files", kind, form.into()).await;
    assert_eq!(stored.status, 201, "{}", stored.text);
    let told = stored.json();
    assert_eq!((&told["account_id"], &told["note"], &told["name"]), (&json!("p-7"), &json!("mine"), &json!("a.txt")));
    assert_eq!(told["bytes"], json!(13));

    let path = format!("/files/{}", stored.field("file_id"));
    assert_eq!(patient.get(&path).await.text, "seven \"words\"");
    let mut other = Caller::log_in(&clinic, "patient-8").await;
    assert_eq!(other.get(&path).await.status, 403);
    assert_eq!(other.get("/files/f-0").await.status, 404);
    assert_eq!(other.send_as(Method::POST, "/files", kind, "--x--".into()).await.status, 400);
    assert_eq!(other.send(Method::POST, "/files", Bytes::new()).await.status, 400);

    patient.post("/patients/p-7/mood", json!({"mood": 3, "note": "a \"low\" one"})).await;
    let table = patient.get("/export").await;
    assert_eq!(table.text, "account,note\np-7,\"a \"\"low\"\" one\"\n");
    assert_eq!(table.header("cache-control"), "private, no-store");
    // Only the newest files are kept.
    for _ in 0..5 {
        patient.send_as(Method::POST, "/files", kind, form.into()).await;
    }
    assert_eq!(patient.get(&path).await.status, 404);
}

#[tokio::test]
async fn the_tariff_is_limited_for_each_user() {
    let clinic = clinic(&[]);
    let mut patient = Caller::log_in(&clinic, "patient-7").await;
    let mut refused = None;
    for _ in 0..200 {
        let answer = patient.get("/tariff").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(refused.expect("two hundred at once are too many").header("retry-after"), "1");
    let mut other = Caller::log_in(&clinic, "patient-8").await;
    assert_eq!(other.get("/tariff").await.status, 200);
    assert!(other.get("/").await.text.contains("form-token"));
}
