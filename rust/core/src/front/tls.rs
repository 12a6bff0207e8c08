//! TLS of the listener: which certificate is shown to whom, and which clients' certificates count.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedCipherSuite};

use super::identity::names_of;
use super::limits::BATCH;

/// A certificate with its key, and the names for which it is shown.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, PEM.
    pub chain: Vec<u8>,
    /// The private key, PEM.
    pub key: Vec<u8>,
    /// Names or `*.suffix`; none: those that the certificate is for.
    pub names: Vec<String>,
}

/// What a listener's TLS is made from.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The first is shown to whoever names none of the others' names.
    pub certificates: Vec<Certificate>,
    /// The authorities that client certificates are signed by, PEM. A client may show none; one that shows another's
    /// does not get in.
    pub client_ca: Vec<u8>,
    /// Refuse TLS 1.2.
    pub only_tls13: bool,
    /// IANA's names of the cipher suites of TLS 1.2 to use; none: all. Those of TLS 1.3 are always there, as in Go.
    pub cipher_suites: Vec<String>,
    /// Protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
}

impl Tls {
    /// The server's configuration. The error names the file's part that cannot be used.
    pub fn config(&self) -> Result<ServerConfig, String> {
        let provider = Arc::new(provider(&self.cipher_suites)?);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.client_ca) {
            let certificate = certificate.map_err(|error| format!("client CA: {error}"))?;
            roots
                .add(certificate)
                .map_err(|error| format!("client CA: {error}"))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| format!("client CA: {error}"))?;
        let versions: &[_] = if self.only_tls13 {
            &[&TLS13]
        } else {
            &[&TLS13, &TLS12]
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Chooser::new(&self.certificates)?));
        config.alpn_protocols.clone_from(&self.alpn);
        // Sessions are resumed by tickets: nothing of them is kept here.
        config.ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        config.send_tls13_tickets = 1;
        config.max_fragment_size = None;
        Ok(config)
    }
}

/// IANA's name of a suite: rustls' own begins otherwise for TLS 1.3.
fn name_of(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.replacen("TLS13_", "TLS_", 1)
}

/// Cryptography with these cipher suites of TLS 1.2 (none: all). The error says which there are.
fn provider(names: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = default_provider();
    let known: Vec<String> = provider.cipher_suites.iter().map(name_of).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!(
            "cipher suite {unknown}: there is none of this name; choose from {}",
            known.join(", ")
        ));
    }
    if !names.is_empty() {
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || names.contains(&name_of(suite)));
    }
    Ok(provider)
}

/// Bytes of TLS that may wait for the kernel.
pub const TLS_BUFFER: usize = BATCH;

#[derive(Debug)]
struct Chooser {
    named: Vec<(String, Arc<CertifiedKey>)>,
    default: Arc<CertifiedKey>,
}

impl Chooser {
    fn new(certificates: &[Certificate]) -> Result<Chooser, String> {
        let mut default = None;
        let mut named = Vec::new();
        for (index, certificate) in certificates.iter().enumerate() {
            let key = Arc::new(certified(certificate)?);
            if index > 0 {
                // Names that were given count before those that a certificate has.
                let given = !certificate.names.is_empty();
                let names = if !given {
                    names_of(key.cert.first().map_or(&[], |leaf| leaf.as_ref()))
                } else {
                    certificate.names.clone()
                };
                let names = names.iter().map(|name| name.to_ascii_lowercase());
                named.extend(names.map(|name| (given, name, Arc::clone(&key))));
            }
            default.get_or_insert(key);
        }
        let default = default.ok_or("a serving certificate is needed")?;
        named.sort_by_key(|(given, ..)| !given);
        let named = named
            .into_iter()
            .map(|(_, name, key)| (name, key))
            .collect();
        Ok(Chooser { named, default })
    }

    fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name else {
            return &self.default;
        };
        let name = name.to_ascii_lowercase();
        let wild = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let find = |wanted: &str| {
            let found = self.named.iter().find(|(one, _)| one == wanted);
            found.map(|(_, key)| key)
        };
        find(&name)
            .or_else(|| wild.as_deref().and_then(find))
            .unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.choose(hello.server_name())))
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("serving certificate: {error}"))?;
    if chain.is_empty() {
        return Err("serving certificate: no certificate in the file".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(&certificate.key)
        .map_err(|error| format!("serving key: {error}"))?;
    let key = any_supported_type(&key).map_err(|error| format!("serving key: {error}"))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(pair)
        }
        Err(_) => Err("serving key: it does not belong to the certificate".to_owned()),
    }
}
