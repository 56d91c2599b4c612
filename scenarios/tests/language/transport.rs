//! How targets are reached: what a file says of it, what it is when it says nothing, and each mistake at its place.

use crate::file::{FILE, diagnostics, program, rendered};
use scenarios::transport::{Http, Limits, Proxy, Redirects, Transport};

/// The model file with `more` in its first target, whose address is `url`.
fn file(url: &str, more: &str) -> String {
    FILE.replacen("${API:-http://127.0.0.1:8001}", &format!("\"{url}\""), 1).replacen("timeout: 10s", more, 1)
}

fn read(url: &str, more: &str) -> Transport {
    program(&file(url, more)).targets.remove(0).transport
}

#[test]
fn silence_means_http_1_and_ten_redirects() {
    let plain = read("http://h", "timeout: 1s");
    assert_eq!(plain, Transport::default());
    assert_eq!((plain.http, plain.redirects, plain.limits.body_bytes), (Http::One, Redirects(10), 16 << 20));
    let program = program(FILE);
    assert!(program.requests.iter().all(|r| r.redirects == if r.probe.is_some() { 0 } else { 10 }));
}

#[test]
fn everything_can_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, kind: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("-----BEGIN {kind}-----\nAA==\n-----END {kind}-----\n")).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("c.pem", "CERTIFICATE"), file("k.pem", "EC PRIVATE KEY"));
    let more = format!(
        "{{}}\n    http: auto\n    tls: {{ ca: '{cert}', cert: '{cert}', key: '{key}', server_name: api.test }}\n    \
         proxy: http://user:p%40ss@proxy.test:8080\n    source_addresses: [127.0.0.2, '::1']\n    \
         resolve: per_connection\n    redirects: 3\n    limits: {{ head: 64kB, headers: 300, body: 1MB, json_depth: 20 }}"
    );
    let all = read("https://h", &more.replacen("{}", "timeout: 1s", 1));
    let login = Some(("user".to_owned(), "p@ss".to_owned()));
    let expected = Transport {
        share_connections: None,
        http: Http::Auto,
        cert: Some(cert),
        key: Some(key),
        server_name: Some("api.test".into()),
        proxy: Some(Proxy { host: "proxy.test".into(), port: 8080, login }),
        source_addresses: vec!["127.0.0.2".parse().unwrap(), "::1".parse().unwrap()],
        resolve_each: true,
        redirects: Redirects(3),
        limits: Limits { head_bytes: 64_000, headers: 300, body_bytes: 1_000_000, json_depth: 20 },
    };
    assert_eq!(all, expected);
    assert!(!format!("{all:?}").contains("p@ss"), "a password is not shown");
    assert_eq!(read("http://h", "http: h2c").http, Http::H2c);
    assert_eq!(read("https://h", "http: 2").http, Http::Two);
    assert_eq!(read("http://h", "proxy: 'http://[::1]'").proxy.map(|p| (p.host, p.port)), Some(("::1".into(), 3128)));
    assert_eq!(program(&self::file("unix:/run/api.sock", "timeout: 1s")).targets[0].url, "unix:/run/api.sock");
}

#[test]
fn a_step_goes_before_its_target() {
    let text = file("http://h", "redirects: 2").replacen("expect: { status: 201 }", "redirects: 0", 1);
    let program = program(&text);
    let of = |name: &str| {
        program.requests.iter().find(|r| program.steps[r.step].name == name && r.probe.is_none()).map(|r| r.redirects)
    };
    assert_eq!((of("POST /sessions"), of("POST /auth/login")), (Some(0), Some(2)));
}

#[test]
fn a_proxys_password_leaves_no_trace() {
    let text = file("http://h", "proxy: http://me:verysecret@127.0.0.1:3128");
    assert!(program(&text).secrets.contains(&"verysecret".to_owned()));
    let source = scenarios::Source { name: "f".into(), text, folder: ".".into() };
    let (plan, _) = scenarios::parse(&source, &|_| None).unwrap();
    assert!(!plan.stored_text().contains("verysecret"), "{}", plan.stored_text());
    let wrong = file("http://h", "proxy: socks5://me:verysecret@127.0.0.1");
    let found = diagnostics(&wrong);
    assert!(found.len() == 1 && !found[0].message.contains("verysecret"), "{found:?}");
}

#[test]
fn each_mistake_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let empty = format!("tls: {{ ca: '{}' }}", empty.display());
    for (url, more, place, part) in [
        ("http://h", "http: 2", "6:11 bad-value", "`http: h2c` without it"),
        ("https://h", "http: h2c", "6:11 bad-value", "write `http: 2`"),
        ("http://h", "http: 3", "6:11 bad-value", "`http` cannot be `3`"),
        ("http://h", "tls: { insecure: true }", "6:5 unused", "write `https://`"),
        ("https://h", "tls: { ca: nobody.pem }", "6:16 no-file", "cannot be read"),
        ("https://h", &empty, "6:16 bad-file", "-----BEGIN CERTIFICATE-----"),
        ("https://h", "tls: { server_name: 'a b' }", "6:25 bad-value", "api.example.org"),
        ("http://h", "proxy: 127.0.0.1:3128", "6:12 bad-url", "starts with `http://`"),
        ("http://h", "proxy: http://h:99999", "6:12 bad-url", "between 1 and 65535"),
        ("unix:/x", "proxy: http://h", "6:12 bad-value", "not reached through a proxy"),
        ("http://h", "source_addresses: [127.0.0.2, x]", "6:35 bad-value", "127.0.0.2"),
        ("http://h", "source_addresses: [127.0.0.2, 127.0.0.2]", "6:35 bad-value", "twice"),
        ("http://h", "resolve: never", "6:14 bad-value", "`resolve` cannot be `never`"),
        ("http://h", "share_connections: 0", "6:24 bad-value", "between 1 and 1000000"),
        ("http://h", "redirects: 51", "6:16 bad-value", "between 0 and 50"),
        ("http://h", "redirects: -1", "6:16 bad-value", "`redirects`"),
        ("http://h", "limits: { head: 1kB }", "6:21 bad-value", "between 8192"),
        ("http://h", "limits: { headers: 0 }", "6:24 bad-value", "`headers`"),
        ("http://h", "limits: { body: 2GB }", "6:21 bad-value", "`body`"),
        ("http://h", "limits: { json_depth: 0 }", "6:27 bad-value", "between 1 and 127"),
        ("http://h", "limits: { json_depth: 128 }", "6:27 bad-value", "between 1 and 127"),
        ("unix:run/x", "timeout: 1s", "5:10 bad-url", "a whole path"),
        ("unix:", "timeout: 1s", "5:10 bad-url", "a whole path"),
    ] {
        let text = file(url, more);
        let found = diagnostics(&text);
        let shown = rendered(&text);
        assert_eq!(found.len(), 1, "{more}\n{shown}");
        let (line, column) = scenarios::diagnostic::position(&text, found[0].span.start);
        let place_found = format!("{line}:{column} {}", found[0].code);
        assert_eq!(place_found, place, "{more}\n{shown}");
        assert!(shown.contains(part), "{more}\n{shown}");
    }
    let one = file("https://h", "tls: { cert: x.pem }");
    let codes: Vec<_> = diagnostics(&one).iter().map(|d| d.code).collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    assert!(codes.contains(&"no-file") && codes.contains(&"missing-key"), "{codes:?}");
}
