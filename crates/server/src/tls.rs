//! TLS of the public listener, where Procura ends it itself: which versions and suites, and a certificate
//! that is replaced while connections are served.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use procura_issuer::Environment;
use rustls::{
    CertificateError, Error, RootCertStore, ServerConfig,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs as crypto},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{net::TcpStream, sync::watch, task::spawn_blocking, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{config, failure::Failure, keys::read_private};

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The files are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A chain of certificates, or a key, is far shorter.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// What ends TLS. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    files: Files,
    /// How the files looked before they were read.
    first_look: Look,
    loaded: ArcSwap<Loaded>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What a change of the files changes.
type Look = Option<[(u64, u64, i64, i64); 2]>;

struct Loaded {
    config: Arc<ServerConfig>,
    /// Since when the certificate is good for nothing, in seconds of the Unix epoch.
    not_after: i64,
}

impl Tls {
    /// From the files that the configuration names; `None` where it names none.
    pub fn open(config: &config::Tls) -> Result<Option<Self>, Failure> {
        if !config.is_on() {
            return Ok(None);
        }
        let files = Files { certificate: config.certificate.clone(), key: config.key.clone() };
        // Before they are read, so that a change meanwhile is seen as one.
        let first_look = files.look();
        let loaded = ArcSwap::from_pointee(files.load()?);
        Ok(Some(Self(Arc::new(Inner { files, first_look, loaded }))))
    }

    /// Since when the certificate in use is good for nothing, in seconds of the Unix epoch.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.0.loaded.load().not_after
    }

    /// Shakes hands with a peer; `None` where that fails or takes too long.
    pub async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.loaded.load().config));
        match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no handshake");
                None
            }
            Err(_) => None,
        }
    }

    /// Takes a new pair when the files change, until told to stop. A pair that cannot be used is logged,
    /// and the old one goes on.
    pub async fn follow(self, environment: Environment, mut stopping: watch::Receiver<bool>) {
        self.warn_of_end(&environment);
        let (mut tried, mut last) = (self.0.first_look, self.0.first_look);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
            }
            let inner = Arc::clone(&self.0);
            let Ok(look) = spawn_blocking(move || inner.files.look()).await else { continue };
            // Two files are not replaced in one step: what still changes is left for the next look.
            let is_still = std::mem::replace(&mut last, look) == look;
            if !is_still || look == tried {
                continue;
            }
            tried = look;
            let inner = Arc::clone(&self.0);
            let Ok(read) = spawn_blocking(move || inner.files.load()).await else { continue };
            self.take(read, &environment);
        }
    }

    fn take(&self, read: Result<Loaded, Failure>, environment: &Environment) {
        const KEPT: &str = "the new certificate is not taken, the old one goes on";
        match read {
            Ok(new) if new.not_after <= environment.now().secs() => {
                tracing::error!(reason = "it has expired", "{KEPT}");
            }
            Ok(new) => {
                self.0.loaded.store(Arc::new(new));
                tracing::info!("there is a new certificate");
                self.warn_of_end(environment);
            }
            Err(reason) => tracing::error!(%reason, "{KEPT}"),
        }
    }

    fn warn_of_end(&self, environment: &Environment) {
        const SOON_SECS: i64 = 14 * 86_400;
        let left = self.not_after().saturating_sub(environment.now().secs());
        if left <= 0 {
            tracing::error!("the certificate has expired");
        } else if left < SOON_SECS {
            tracing::warn!(days = left / 86_400, "the certificate expires soon");
        }
    }
}

impl Files {
    fn look(&self) -> Look {
        let look = |path: &Path| {
            let at = fs::metadata(path).ok()?;
            Some((at.ino(), at.size(), at.mtime(), at.mtime_nsec()))
        };
        Some([look(&self.certificate)?, look(&self.key)?])
    }

    fn load(&self) -> Result<Loaded, Failure> {
        let fail = |path: &Path, why: &dyn std::fmt::Display| {
            Failure::of(&path.display().to_string(), why)
        };
        let read = read_certificates(&self.certificate);
        let chain = read.map_err(|why| fail(&self.certificate, &why))?;
        let first = chain.first().ok_or_else(|| fail(&self.certificate, &"no certificate"))?;
        let not_after = not_after(first)
            .ok_or_else(|| fail(&self.certificate, &"the first certificate cannot be read"))?;
        let text = read_private(&self.key, MAX_FILE_BYTES)?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| fail(&self.key, &"no private key in PEM"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(suites()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| fail(&self.key, &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            // Such as the key of another certificate.
            .map_err(|error| fail(&self.key, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), not_after })
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err("too large for a certificate".to_owned());
    }
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    read.map_err(|_| "not certificates in PEM".to_owned())
}

/// TLS 1.3, and of TLS 1.2 what has forward secrecy and authenticated encryption by AES-GCM: FAPI 2.0
/// Security Profile §5.2.1, RFC 9325 §4.2.
fn suites() -> CryptoProvider {
    use crypto::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    let cipher_suites = vec![
        TLS13_AES_256_GCM_SHA384,
        TLS13_AES_128_GCM_SHA256,
        TLS13_CHACHA20_POLY1305_SHA256,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    CryptoProvider { cipher_suites, ..crypto::default_provider() }
}

/// When a certificate expires, in seconds of the Unix epoch. The library does not tell what stands in a
/// certificate, but it tells why one is not good at the end of all days: its dates are what it looks at
/// before anything else.
fn not_after(certificate: &CertificateDer<'static>) -> Option<i64> {
    const END_OF_DAYS: Duration = Duration::from_secs(u64::MAX);
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let provider = Arc::new(crypto::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let name = ServerName::try_from("localhost").ok()?;
    let now = UnixTime::since_unix_epoch(END_OF_DAYS);
    let answer = verifier.build().ok()?.verify_server_cert(certificate, &[], &name, &[], now);
    match answer {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            i64::try_from(not_after.as_secs()).ok()
        }
        _ => None,
    }
}
