//! The machine itself: the real clock, the real randomness.
