//! The demonstration: two fictional regulators with a key for each role and some hundred cases.

pub mod seed_demo;
