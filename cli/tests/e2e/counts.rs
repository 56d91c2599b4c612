//! The clinic counts for itself; its count and ours agree to the request.

use crate::binary::{Desk, Running, shared, until};
use crate::laws::count;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

#[test]
fn the_clinics_own_count_agrees() {
    let _processors = shared();
    let desk = Desk::new();
    let mut clinic = Clinic::open(&desk, &[]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/library/clinic.yaml");
    let targets: Vec<String> = ["patient", "clinical", "ai"].iter().map(|t| format!("{t}={}", clinic.url)).collect();
    let mut args = vec!["run", file, "-p", "demo", "--for", "1s", "--out", "r"];
    targets.iter().for_each(|t| args.extend(["--target", t]));
    let ended = desk.run(&args);
    let result = desk.result("r");
    assert_eq!(ended.code, crate::laws::exit_code(&result), "{ended}");
    let totals = &result["totals"];
    let overhead: u64 = totals["overhead"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let ours = count(totals, "sent") - count(totals, "not_delivered") + overhead;
    let theirs = clinic.counts();
    assert_eq!(count(&theirs, "requests"), ours, "theirs {theirs}\nours {totals}");
    clinic.running.signal("TERM");
    let code = until("the clinic to close", || clinic.running.child.try_wait().unwrap());
    assert_eq!(code.code(), Some(0));
}

/// A practice clinic in a process of its own.
struct Clinic {
    running: Running,
    url: String,
}

impl Clinic {
    fn open(desk: &Desk, args: &[&str]) -> Self {
        let mut command = desk.command(&[&["practice", "--port", "0"], args].concat());
        command.stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let url = urls["patient"].as_str().unwrap().to_owned();
        assert!(urls["clinical"].is_string() && urls["ai"].is_string(), "{urls}");
        Self { running: Running::adopt(child), url }
    }

    fn counts(&mut self) -> Value {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let ask = format!("GET /practice/counts HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }
}
