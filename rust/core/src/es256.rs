//! ES256 (RFC 7518, 3.4): ECDSA with P-256 and SHA-256, for the tokens of service accounts.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

/// A private key. A token's signature is the two numbers one after the other, 64 bytes.
pub struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Key {
    /// From PEM with PKCS #8; None for a key of another kind.
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            der.secret_pkcs8_der(),
            &random,
        )
        .ok()?;
        Some(Self { pair, random })
    }

    /// The public key: a point, uncompressed (SEC 1, 2.3.3), 65 bytes.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The signature of a message; None where the system gives no random numbers.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.pair.sign(&self.random, message).ok()?;
        Some(signature.as_ref().to_vec())
    }

    /// Whether `signature` is this key's of `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.public())
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &[u8] = b"-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVQk/2zeC5Tv6lRak
G/Lk8DSoQiFF3NonRwf0vwbp3YShRANCAASBjW0lbWNGuZTT4RoH8m+947criGCB
kXeZaA6W1JBv84sZeDAufLApZzGGQv5ghggagCZhckburGxz33mGgyRS
-----END PRIVATE KEY-----
";

    #[test]
    fn a_message_is_signed_and_no_other_passes() {
        let key = Key::from_pem(PEM).expect("P-256 in PKCS #8");
        assert_eq!(key.public().len(), 65);
        let mut signature = key.sign(b"head.claims").expect("random numbers");
        assert_eq!(signature.len(), 64);
        assert!(key.verify(b"head.claims", &signature));
        assert!(!key.verify(b"head.claimz", &signature));
        signature[3] ^= 1;
        assert!(!key.verify(b"head.claims", &signature));
        assert!(!key.verify(b"head.claims", &signature[..63]));
    }

    #[test]
    fn what_is_no_such_key_is_refused() {
        assert!(Key::from_pem(b"").is_none());
        assert!(
            Key::from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
                .is_none()
        );
    }
}
