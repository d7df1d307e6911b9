//! The machine itself: the real clock, the real randomness.

mod clock;
mod randomness;
pub mod secret_file;

pub use clock::SystemClock;
pub use randomness::SystemRandomness;
