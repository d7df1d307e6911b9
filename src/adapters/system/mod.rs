//! The machine itself: the real clock, the real randomness.

mod clock;
mod ed25519_signer;
pub mod extractive_model;
mod randomness;
pub mod secret_file;
mod secret_sealer;

pub use clock::SystemClock;
pub use ed25519_signer::Ed25519Signer;
pub use randomness::SystemRandomness;
pub use secret_sealer::AesSealer;
