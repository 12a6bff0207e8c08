//! What a certificate says of whom it was given to.

use std::time::Duration;

use rustls::crypto::hash::Hash;
use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// The holder of a client certificate that the authority has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The subject's common name; the last, if there are several.
    pub common_name: String,
    /// Its organizations, in their order.
    pub organizations: Vec<String>,
    /// Seconds since 1970.
    pub not_after: u64,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Identity {
    /// Of a certificate in DER; None where it has no common name.
    pub fn of(der: &[u8]) -> Option<Identity> {
        let certificate = Certificate::from_der(der).ok()?;
        let mut common_name = String::new();
        let mut organizations = Vec::new();
        for part in certificate.tbs_certificate.subject.0.iter() {
            for attribute in part.0.iter() {
                let text = match attribute.value.tag() {
                    Tag::Utf8String => attribute
                        .value
                        .decode_as::<Utf8StringRef<'_>>()
                        .ok()?
                        .as_str()
                        .to_owned(),
                    Tag::PrintableString => attribute
                        .value
                        .decode_as::<PrintableStringRef<'_>>()
                        .ok()?
                        .as_str()
                        .to_owned(),
                    Tag::Ia5String => attribute
                        .value
                        .decode_as::<Ia5StringRef<'_>>()
                        .ok()?
                        .as_str()
                        .to_owned(),
                    Tag::TeletexString => attribute
                        .value
                        .decode_as::<TeletexStringRef<'_>>()
                        .ok()?
                        .as_str()
                        .to_owned(),
                    _ => continue,
                };
                if attribute.oid == COMMON_NAME {
                    common_name = text;
                } else if attribute.oid == ORGANIZATION {
                    organizations.push(text);
                }
            }
        }
        if common_name.is_empty() {
            return None;
        }
        let not_after: Duration = certificate
            .tbs_certificate
            .validity
            .not_after
            .to_unix_duration();
        Some(Identity {
            common_name,
            organizations,
            not_after: not_after.as_secs(),
            fingerprint: sha256(der),
        })
    }
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let hash: &dyn Hash = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256
        .tls13()
        .map_or_else(
            || unreachable!("a TLS 1.3 suite"),
            |suite| suite.common.hash_provider,
        );
    let mut out = [0; 32];
    out.copy_from_slice(hash.hash(data).as_ref());
    out
}

/// The DNS names that a certificate in DER is for.
pub fn names_of(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else {
        return Vec::new();
    };
    let Ok(Some((_, names))) = certificate.tbs_certificate.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let dns = names.0.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    dns.collect()
}
