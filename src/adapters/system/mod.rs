//! The machine itself: the real clock, the real randomness.

mod clock;
pub mod secret_file;

pub use clock::SystemClock;
