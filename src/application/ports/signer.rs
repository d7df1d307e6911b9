//! The port for signing checkpoints; the key lies outside the database.

/// A signature and the key that verifies it (Ed25519, RFC 8032).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The public key.
    pub public_key: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

/// Signs and verifies with Ed25519.
///
/// Contract: `sign` is pure computation and never fails; `verify` is strict (no malleable signatures, no weak keys). To
/// add an implementation: keep the private key where the database's administrator cannot read it.
pub trait Signer: Send + Sync + 'static {
    /// The public key of this signer.
    fn public_key(&self) -> [u8; 32];
    /// Signs a message.
    fn sign(&self, message: &[u8]) -> Signed;
    /// Whether this public key was used here before and was retired in an orderly way.
    fn retired(&self, public_key: &[u8; 32]) -> bool;
    /// Whether the signature over the message is that of the key it names.
    fn verify(&self, message: &[u8], signed: &Signed) -> bool;
}
