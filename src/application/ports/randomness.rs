//! The port for randomness that secrets are made of.

/// Where secrets come from.
///
/// Contract: `fill` overwrites every byte with output of a cryptographically secure generator and never fails; a test may
/// give bytes that it knows, the service never.
pub trait Randomness: Send + Sync + 'static {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}
