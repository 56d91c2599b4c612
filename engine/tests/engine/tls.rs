//! TLS against servers with certificates made for the occasion: names of what goes wrong, sessions, certificates of ours.

use super::loopback::{answer_each, assert_all, assert_good, listen, ok, run, run_profile};
use super::ways::tunnels;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// An authority with a server's and a client's certificate, and their files.
struct Authority {
    folder: TempDir,
    root: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    /// With a server certificate for `name`; out of date if `expired`.
    fn new(name: &str, expired: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("it signs itself");
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a good name");
            if expired {
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
                params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            }
            (params.signed_by(&key, &issuer).expect("it is signed"), key)
        };
        let ((server, key), (client, client_key)) = (issue(name), issue("client.test"));
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("room on the disk");
        write("ca.pem", issuer.pem());
        write("client.pem", client.pem());
        write("client.key", client_key.serialize_pem());
        Self { root: issuer.der().clone(), chain: vec![server.der().clone()], key: key.serialize_der(), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server that offers `protocols`; the port.
    fn serve(&self, protocols: &[&str], wants_certificates: bool) -> u16 {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the defaults fit");
        let builder = if wants_certificates {
            let mut roots = RootCertStore::empty();
            roots.add(self.root.clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.expect("one authority"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(self.key.clone()).expect("a key");
        let mut config = builder.with_single_cert(self.chain.clone(), key).expect("they belong together");
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().expect("a key");
        let config = Arc::new(config);
        listen(move |tcp| {
            let Ok(connection) = ServerConnection::new(Arc::clone(&config)) else { return };
            answer_each(StreamOwned::new(connection, tcp), |_| ok("x"));
        })
    }

    fn trusted(&self, port: u16, host: &str, more: &str) -> String {
        format!("url: 'https://{host}:{port}', timeout: 5s, tls: {{ ca: '{}'{more} }}", self.file("ca.pem").display())
    }

    fn client(&self) -> String {
        format!(", cert: '{}', key: '{}'", self.file("client.pem").display(), self.file("client.key").display())
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let authority = Authority::new("localhost", false);
    let port = authority.serve(&["http/1.1"], false);
    assert_good(&run(&authority.trusted(port, "localhost", ""), "GET /x"));
    assert_good(&run(&format!("url: 'https://localhost:{port}', tls: {{ insecure: true }}"), "GET /x"));
    assert_good(&run(&authority.trusted(port, "127.0.0.1", ", server_name: localhost"), "GET /x"));
    let stranger = run(&format!("url: 'https://localhost:{port}'"), "GET /x");
    assert_all(&stranger, "tls: certificate of unknown issuer");
    assert_eq!(stranger.totals().not_delivered, stranger.totals().sent());
    assert_all(&run(&authority.trusted(port, "127.0.0.1", ""), "GET /x"), "tls: certificate for another name");
    let late = Authority::new("localhost", true);
    let port = late.serve(&["http/1.1"], false);
    assert_all(&run(&late.trusted(port, "localhost", ""), "GET /x"), "tls: certificate out of date");
}

#[test]
fn a_certificate_of_ours_opens_the_door() {
    let authority = Authority::new("localhost", false);
    let port = authority.serve(&["http/1.1"], true);
    assert_good(&run(&authority.trusted(port, "localhost", &authority.client()), "GET /x"));
    assert_all(&run(&authority.trusted(port, "localhost", ""), "GET /x"), "tls: client certificate required");
    let other = Authority::new("localhost", false);
    let foreign = run(&authority.trusted(port, "localhost", &other.client()), "GET /x");
    assert_all(&foreign, "tls: handshake refused by the target");
}

#[test]
fn plain_bytes_on_a_tls_port_are_called_so() {
    let port = listen(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port");
        super::loopback::request(&mut stream);
    });
    let result = run(&format!("url: 'https://localhost:{port}', tls: {{ insecure: true }}"), "GET /x");
    assert_all(&result, "tls: the target speaks no tls");
}

#[test]
fn the_protocol_is_agreed_upon() {
    let authority = Authority::new("localhost", false);
    let old = authority.serve(&["http/1.1"], false);
    let auto = run(&format!("{}, http: auto", authority.trusted(old, "localhost", "")), "GET /x");
    assert_good(&auto);
    assert_eq!((auto.health.transport.http1, auto.health.transport.http2), (2, 0));
    let must = run(&format!("{}, http: 2", authority.trusted(old, "localhost", "")), "GET /x");
    assert_all(&must, "http/2 not offered by the target");
    let silent = authority.serve(&[], false);
    let must = run(&format!("{}, http: 2", authority.trusted(silent, "localhost", "")), "GET /x");
    assert_all(&must, "http/2 not offered by the target");
}

#[test]
fn thousands_of_users_resume_each_its_own_session() {
    let authority = Authority::new("localhost", false);
    let port = authority.serve(&["http/1.1"], false);
    let target = authority.trusted(port, "localhost", "");
    // More users than any shared store of the library's would hold tickets for.
    let profile = "users: 40, for: 1s, graceful_stop: 10s, faults: { reconnect: 100% }";
    let result = run_profile(&target, "GET /x, { think: 20ms }", profile);
    assert_good(&result);
    let facts = result.health.transport;
    assert_eq!(facts.tls_full, 40, "{facts:?}");
    assert_eq!(facts.tls_full + facts.tls_resumed, facts.http1);
    assert!(facts.tls_resumed >= 40, "{facts:?}");
}

#[test]
fn a_tunnel_through_a_proxy_carries_tls() {
    let authority = Authority::new("localhost", false);
    let port = authority.serve(&["http/1.1"], false);
    let proxy = tunnels("HTTP/1.1 200 Connection established\r\n\r\n");
    let target = format!("{}, proxy: 'http://127.0.0.1:{proxy}'", authority.trusted(port, "localhost", ""));
    assert_good(&run(&target, "GET /x"));
}

#[test]
fn files_that_do_not_fit_are_refused_before_the_start() {
    let (one, other) = (Authority::new("localhost", false), Authority::new("localhost", false));
    let target = |cert: PathBuf, key: PathBuf| scenarios::program::Target {
        name: "t".into(),
        url: "https://localhost".into(),
        timeout_ns: 1,
        connect_timeout_ns: 1,
        health: None,
        insecure: true,
        ca: None,
        watch: None,
        transport: scenarios::transport::Transport {
            cert: Some(cert.display().to_string()),
            key: Some(key.display().to_string()),
            ..Default::default()
        },
    };
    let check = |cert, key| engine::client::tls::check(&[target(cert, key)]);
    assert_eq!(check(one.file("client.pem"), one.file("client.key")), Ok(()));
    let wrong = check(one.file("client.pem"), other.file("client.key")).expect_err("they are strangers");
    assert!(wrong.contains("does not belong to the certificate"), "{wrong}");
    assert!(check(one.file("client.key"), one.file("client.key")).is_err());
    assert!(check(one.file("nobody.pem"), one.file("client.key")).is_err());
}
