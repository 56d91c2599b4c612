//! TLS: certificates, sessions, and what failed handshakes are called. One configuration per target; each user's copy
//! of it has sessions of its own, so that thousands of users resume as people do: each what she herself began.
//! In: the target's options. Out: a rustls configuration, or why there is none.

use crate::failure::Transport;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme};
use scenarios::program::Target;
use scenarios::transport::Http;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The configuration for a target; `Ok(None)` for plain HTTP.
///
/// # Errors
/// A file cannot be read or does not fit, in a sentence.
pub fn config(target: &Target) -> Result<Option<Arc<ClientConfig>>, String> {
    if !target.url.starts_with("https:") {
        return match target.transport.http {
            Http::Two => Err(format!("target `{}`: `http: 2` needs https; without TLS it is `h2c`", target.name)),
            _ => Ok(None),
        };
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?;
    let builder = if target.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(target)?)
    };
    let mut config = match (&target.transport.cert, &target.transport.key) {
        (Some(cert), Some(key)) => {
            let (chain, key) = identity(target, cert, key)?;
            builder.with_client_auth_cert(chain, key).map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => {
                    format!(
                        "target `{}`: the key in {} does not belong to the certificate in {cert}",
                        target.name,
                        key_file(target)
                    )
                }
                other => format!("target `{}`: the certificate in {cert} cannot be used: {other}", target.name),
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = match target.transport.http {
        Http::One => vec![b"http/1.1".to_vec()],
        Http::Two => vec![b"h2".to_vec()],
        Http::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Http::H2c => return Err(format!("target `{}`: `h2c` is HTTP/2 without TLS: write `http: 2`", target.name)),
    };
    Ok(Some(Arc::new(config)))
}

/// Checks everything that the connections to `targets` need of this machine's files.
///
/// # Errors
/// The first file that cannot be read or does not fit, in a sentence.
pub fn check(targets: &[Target]) -> Result<(), String> {
    targets.iter().try_for_each(|target| config(target).map(drop))
}

/// The same for whoever speaks HTTP/1.1 only: upgrades to other protocols start there.
pub fn for_upgrades(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut plain = ClientConfig::clone(config);
    plain.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(plain)
}

/// The same with sessions of its own, for one user: a person resumes her own sessions and nobody else's.
pub fn for_user(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    let mut own = ClientConfig::clone(config);
    own.resumption = Resumption::store(Arc::new(Sessions::default()));
    Arc::new(own)
}

/// What a failed handshake means.
pub fn failure(error: &io::Error) -> Transport {
    let Some(rustls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Transport::Reset,
            _ => Transport::Tls,
        };
    };
    reason(rustls)
}

/// What an error of TLS means, in the handshake or after it.
pub fn reason(error: &rustls::Error) -> Transport {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
    match error {
        Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => Transport::CertificateIssuer,
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. } => Transport::CertificateExpired,
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => Transport::CertificateName,
            _ => Transport::Certificate,
        },
        Error::NoCertificatesPresented => Transport::Certificate,
        Error::AlertReceived(Alert::CertificateRequired) => Transport::CertificateWanted,
        Error::AlertReceived(Alert::NoApplicationProtocol) | Error::NoApplicationProtocol => Transport::NoHttp2,
        Error::AlertReceived(_) => Transport::TlsAlert,
        Error::InvalidMessage(_) => Transport::NoTls,
        _ => Transport::Tls,
    }
}

/// One user's sessions with one target: tickets are used once each, and few are ever needed.
#[derive(Debug, Default)]
struct Sessions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

/// Tickets of one user; servers send two to four with each handshake.
const MOST_TICKETS: usize = 4;

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(value);
    }

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() == MOST_TICKETS {
            kept.tls13.pop_front();
        }
        kept.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tls13.pop_back()
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(target: &Target, cert: &str, key: &str) -> Result<Identity, String> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| format!("target `{}`: the certificate file {cert} cannot be read: {e}", target.name))?;
    if chain.is_empty() {
        return Err(format!("target `{}`: {cert} holds no certificate", target.name));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| format!("target `{}`: the key file {key} cannot be read: {e}", target.name))?;
    Ok((chain, key))
}

fn key_file(target: &Target) -> &str {
    target.transport.key.as_deref().unwrap_or_default()
}

fn roots(target: &Target) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // A broken certificate in the system's store must not stop a test of another one.
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(file) = &target.ca {
        let certificates = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| format!("target `{}`: the authority file {file} cannot be read: {e}", target.name))?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(format!("target `{}`: {file} holds no certificate", target.name));
        }
    }
    Ok(roots)
}

/// `insecure: true`: any certificate will do; signatures are still checked.
#[derive(Debug)]
struct AcceptAny(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
