//! The machine itself: the real clock, the real randomness.

mod clock;

pub use clock::SystemClock;
