//! The port for readiness: each part that the service depends on can say whether it is usable.

use async_trait::async_trait;

/// Whether a part is usable now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeState {
    /// Usable.
    Up,
    /// Not usable, with the reason in a few words. The answer is public: never a secret, an address or a row.
    Down(String),
}

/// One part that the service depends on.
///
/// Contract: `check` asks the part itself, not a memory of it, and takes at most a second or two; the caller bounds it
/// by a timeout, caches its answer for about a second and never runs two checks of one probe at once.
/// To add one: implement it beside the adapter and hand it to the health board in the composition root.
#[async_trait]
pub trait HealthProbe: Send + Sync + 'static {
    /// The name shown in /readyz, for instance `database`.
    fn name(&self) -> &'static str;
    /// Whether the service is not ready without it; otherwise it is named as degraded only.
    fn required(&self) -> bool;
    /// Asks the part.
    async fn check(&self) -> ProbeState;
}
