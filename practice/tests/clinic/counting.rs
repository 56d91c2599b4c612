//! The clinic's own count: what a load tester's totals are checked against.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use practice::Defect;
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::{Caller, address, clinic};

#[tokio::test]
async fn every_request_counts_once_whatever_its_answer() {
    let clinic = clinic(&[]);
    let mut users = JoinSet::new();
    for number in 0..20 {
        let mut user = Caller::connect(&clinic).await;
        users.spawn(async move {
            user.token = user.fresh_token(&format!("patient-{number}")).await;
            for _ in 0..10 {
                user.get("/health").await;
                user.get("/nowhere").await;
                user.get("/dashboard").await;
                user.post("/sessions", json!({"wrong": "field"})).await;
                user.get("/practice/counts").await;
            }
            user.token.clear();
            user.get("/overview").await;
        });
    }
    users.join_all().await;
    // 20 users: a log-in, ten times four requests, one without a token.
    assert_eq!(clinic.counts(), 20 * 42);
    let told = Caller::connect(&clinic).await.get("/practice/counts").await.json();
    assert_eq!(told["requests"], json!(20 * 42));
    assert_eq!(told["by_target"], json!({"all": 20 * 42}));
    assert_eq!(
        told["by_route"],
        json!({
            "GET /dashboard": 200, "GET /health": 200, "GET /overview": 20,
            "GET unmatched": 200, "POST /auth/login": 20, "POST /sessions": 200,
        })
    );
}

#[tokio::test]
async fn a_request_that_is_given_up_counts_and_leaves_nothing_behind() {
    let clinic = clinic(&[Defect::Slow]);
    let address = address(&clinic);
    for number in 0..40 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request: &[u8] = match number % 2 {
            // In the middle of the body, and while waiting for the answer.
            0 => b"POST /sessions HTTP/1.1\r\nhost: c\r\ncontent-length: 9\r\n\r\n{\"a\"",
            _ => b"GET /health HTTP/1.1\r\nhost: c\r\n\r\n",
        };
        stream.write_all(request).unwrap();
        while clinic.counts() <= number {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(clinic.counts(), 40);
    let mut operator = Caller::connect(&clinic).await;
    for _ in 0..100 {
        let metrics = operator.get("/metrics").await.text;
        // This request itself is the one in progress.
        if metrics.contains("\nhttp_requests_in_progress 1\n") && metrics.contains("\ndatabase_connections_active 0\n")
        {
            return;
        }
    }
    panic!("requests that were given up are still in progress");
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_not_counted() {
    let clinic = clinic(&[]);
    let mut stream = TcpStream::connect(address(&clinic)).unwrap();
    stream.write_all(b"\x16\x03\x01 hello, is this TLS?\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(clinic.counts(), 0);
    assert_eq!(Caller::connect(&clinic).await.get("/health").await.status, 200);
}

#[tokio::test]
async fn failing_requests_count_and_spare_the_probes() {
    let clinic = clinic(&[Defect::Errors]);
    let mut user = Caller::connect(&clinic).await;
    let mut failed = 0;
    for _ in 0..400 {
        failed += u64::from(user.get("/nowhere").await.status == 503);
        assert_eq!(user.get("/health").await.status, 200);
    }
    assert!((5..60).contains(&failed), "{failed}");
    assert_eq!(clinic.counts(), 800);
    let metrics = user.get("/metrics").await.text;
    assert!(metrics.contains(&format!("\nerrors_total {failed}\n")), "{metrics}");
}
