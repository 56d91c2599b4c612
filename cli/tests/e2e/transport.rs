//! The practice clinic over each protocol, all journeys: the clinic's own count and ours agree to the request.

use crate::binary::{Desk, shared};
use crate::laws::{count, exit_code};
use practice::{Clinic, Options, Port, Tls, Urls};
use serde_json::Value;

const CLINIC: &str = include_str!("../../../scenarios/library/clinic.yaml");

fn options() -> Options {
    Options { port: Port::One(0), defects: Vec::new(), seed: 1 }
}

/// Plays the shipped file against `clinic`, each target reached as `way` says.
fn play(desk: &Desk, clinic: &Clinic, way: &str) -> Value {
    let urls = clinic.urls();
    let text = CLINIC.replace("    health: /health", &format!("    health: /health\n    {way}"));
    desk.write("s.yaml", &text);
    let targets = [("patient", &urls.patient), ("clinical", &urls.clinical), ("ai", &urls.ai)];
    let targets: Vec<String> = targets.iter().map(|(name, url)| format!("{}_API={url}", name.to_uppercase())).collect();
    let mut args = vec!["run", "s.yaml", "-p", "demo", "--for", "1s", "--out", "r"];
    targets.iter().for_each(|t| args.extend(["--env", t]));
    let ended = desk.run(&args);
    let result = desk.result("r");
    assert_eq!(ended.code, exit_code(&result), "{ended}");
    let totals = &result["totals"];
    let overhead: u64 = totals["overhead"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(clinic.counts(), count(totals, "sent") - count(totals, "not_delivered") + overhead, "{totals}");
    assert_eq!(count(totals, "failed"), 0, "{totals}");
    assert!(count(totals, "ok") > 0, "{totals}");
    // The streamed answers go over the target's protocol too, the rooms over an upgrade of HTTP/1.1 (wss with TLS).
    for step in ["POST /chat/stream", "websocket /ws/{{ account.group }}"] {
        let played = result["steps"].as_array().unwrap().iter().find(|s| s["step"] == step).unwrap();
        assert!(count(played, "ok") > 0, "{step}: {ended}");
    }
    result["totals"]["transport"].clone()
}

fn authority(urls: &Urls, more: &str) -> String {
    format!("tls: {{ ca: \"{}\"{more} }}", urls.certificates.as_ref().unwrap().ca.display())
}

#[test]
fn over_http_2_with_prior_knowledge() {
    let _processors = shared();
    let clinic = Clinic::start(options()).unwrap();
    let transport = play(&Desk::new(), &clinic, "http: h2c");
    assert!(count(&transport, "http2_connections") > 0, "{transport}");
}

#[test]
fn over_tls_with_both_versions_of_http() {
    let _processors = shared();
    for (http, key) in [("1", "http1_connections"), ("2", "http2_connections"), ("auto", "http2_connections")] {
        let clinic = Clinic::start_with_tls(options(), Tls::default()).unwrap();
        let way = format!("http: {http}\n    {}", authority(&clinic.urls(), ""));
        let transport = play(&Desk::new(), &clinic, &way);
        assert!(count(&transport, key) > 0 && count(&transport, "tls_full_handshakes") > 0, "{http}: {transport}");
    }
}

#[test]
fn with_a_certificate_of_ours_and_not_without() {
    let _processors = shared();
    let desk = Desk::new();
    let clinic = Clinic::start_with_tls(options(), Tls { client_certificates: true }).unwrap();
    let files = clinic.urls().certificates.unwrap();
    let ours = format!(", cert: \"{}\", key: \"{}\"", files.cert.display(), files.key.display());
    play(&desk, &clinic, &authority(&clinic.urls(), &ours));
    // Without it, and with a key that belongs to another certificate.
    let before = clinic.counts();
    desk.write(
        "n.yaml",
        &CLINIC.replace("    health: /health", &format!("    health: /health\n    {}", authority(&clinic.urls(), ""))),
    );
    let urls = clinic.urls();
    let target = |name: &str, url: &str| format!("{name}={url}");
    let targets = [target("patient", &urls.patient), target("clinical", &urls.clinical), target("ai", &urls.ai)];
    let mut args = vec!["run", "n.yaml", "-p", "demo", "--for", "1s", "--out", "n"];
    targets.iter().for_each(|t| args.extend(["--target", t]));
    let ended = desk.run(&args);
    assert_eq!(ended.code, 4, "{ended}");
    assert!(ended.to_string().contains("tls: client certificate required"), "{ended}");
    let swapped = format!(", cert: \"{}\", key: \"{}\"", files.ca.display(), files.key.display());
    let wrong =
        CLINIC.replace("    health: /health", &format!("    health: /health\n    {}", authority(&urls, &swapped)));
    let wrong = ["8001", "8002", "8005"]
        .iter()
        .fold(wrong, |text, port| text.replace(&format!("http://127.0.0.1:{port}"), &urls.patient));
    desk.write("w.yaml", &wrong);
    let ended = desk.run(&["check", "w.yaml"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.to_string().contains("does not belong to the certificate"), "{ended}");
    assert_eq!(clinic.counts(), before);
}

#[test]
fn hit_speaks_http_2() {
    let clinic = Clinic::start(options()).unwrap();
    let secure = Clinic::start_with_tls(options(), Tls::default()).unwrap();
    for (clinic, flags) in [(&clinic, &[][..]), (&secure, &["--insecure"])] {
        let url = format!("{}/health", clinic.urls().patient);
        let ended = Desk::new().run(&[&["hit", &url, "-n", "50", "-c", "5", "--http2"], flags].concat());
        assert_eq!((ended.code, clinic.counts()), (0, 50), "{ended}");
    }
}

#[test]
fn the_clinic_alone_says_where_its_certificates_are() {
    let desk = Desk::new();
    let mut command = desk.command(&["practice", "--port", "0", "--tls", "--client-certificates"]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let mut running = crate::binary::Running::adopt(child);
    let urls: Value = serde_json::from_str(&line).unwrap();
    assert!(urls["patient"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{line}");
    for file in ["ca", "cert", "key"] {
        let path = urls["certificates"][file].as_str().unwrap();
        assert!(std::fs::read_to_string(path).unwrap().starts_with("-----BEGIN"), "{path}");
    }
    running.signal("TERM");
    let code = crate::binary::until("the clinic to close", || running.child.try_wait().unwrap());
    assert_eq!(code.code(), Some(0));
    assert!(!std::path::Path::new(urls["certificates"]["key"].as_str().unwrap()).exists(), "the key is gone");
}
