//! The port that seals secrets which must be used again, so that the database alone does not give them away.

/// The sealed bytes are not what this service sealed for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret cannot be opened: it was sealed with another key, or for something else")]
pub struct CannotOpen;

/// Seals and opens.
///
/// Contract: authenticated encryption; `bound_to` names what the secret belongs to and must be the same on opening, so that
/// a sealed secret copied to another row is of no use.
pub trait SecretSealer: Send + Sync + 'static {
    /// Seals a secret.
    fn seal(&self, secret: &[u8], bound_to: &[u8]) -> Vec<u8>;
    /// Opens it.
    fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, CannotOpen>;
}
