//! TLS at the clinic's door: an authority of its own, made when it starts, a certificate for this machine, and one
//! for a client. In: whether clients must show theirs. Out: a listener for axum, and the files that a client needs.
//!
//! Both HTTP/2 and HTTP/1.1 are offered; handshakes go on beside each other, and one that fails costs nobody else.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

/// How the clinic speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tls {
    /// Only clients with a certificate of the clinic's authority are let in.
    pub client_certificates: bool,
}

/// The files that a client of a clinic with TLS needs; they are there as long as the clinic is open.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Certificates {
    /// The authority, PEM.
    pub ca: PathBuf,
    /// A client's certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// A made authority: the server's side, and the files of the client's.
pub(crate) struct Secured {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) files: Certificates,
    /// Removed when the clinic closes.
    _folder: TempDir,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the authority and its certificates.
pub(crate) fn secure(tls: Tls) -> Result<Secured, AnyError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(rcgen::DnType::CommonName, "practice clinic");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let issue = |names: &[&str]| -> Result<(String, KeyPair), AnyError> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        Ok((certificate.pem(), key))
    };
    let (server, server_key) = issue(&["localhost", "clinic.test", "127.0.0.1", "::1"])?;
    let (client, client_key) = issue(&["client.test"])?;
    let folder = tempfile::tempdir()?;
    let keep = |name: &str, text: &str| -> io::Result<PathBuf> {
        let path = folder.path().join(name);
        write_private(&path, text)?;
        Ok(path)
    };
    let files = Certificates {
        ca: keep("ca.pem", &authority.pem())?,
        cert: keep("client.pem", &client)?,
        key: keep("client.key", &client_key.serialize_pem())?,
    };
    let config = server_config(tls, authority.der().clone(), &server, &server_key)?;
    Ok(Secured { acceptor: TlsAcceptor::from(Arc::new(config)), files, _folder: folder })
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)?;
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(())
}

fn server_config(
    tls: Tls,
    authority: CertificateDer<'static>,
    certificate: &str,
    key: &KeyPair,
) -> Result<ServerConfig, AnyError> {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if tls.client_certificates {
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build()?)
    } else {
        builder.with_no_client_auth()
    };
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der())?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets are opened by key, so that any number of users can resume.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// Connections that have shaken hands and wait to be served.
const MOST_WAITING: usize = 1024;
/// Who takes longer for the handshake is not served.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);

/// A listener whose connections have shaken hands.
pub(crate) struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Shakes hands with whoever connects to `listener`, beside each other, until the clinic's runtime ends.
    pub(crate) fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(MOST_WAITING);
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                // axum's own way of accepting goes on after an error of a single connection.
                let (tcp, from) = tokio::select! {
                    () = done.closed() => return,
                    accepted = Listener::accept(&mut listener) => accepted,
                };
                let (acceptor, done) = (acceptor.clone(), done.clone());
                tokio::spawn(async move {
                    // A connection that cannot take the option works all the same.
                    let _ = tcp.set_nodelay(true);
                    if let Ok(Ok(tls)) = tokio::time::timeout(LONGEST_HANDSHAKE, acceptor.accept(tcp)).await {
                        // The clinic may have closed meanwhile.
                        let _ = done.send((tls, from)).await;
                    }
                });
            }
        });
        Ok(TlsListener { ready, address })
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
