//! Ports: what the use cases need from the outside, one trait per file, each with its contract.

pub mod clock;

pub use clock::Clock;
