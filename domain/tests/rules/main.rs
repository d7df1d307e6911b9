//! The rules of the domain, proved: exhaustively where the table is finite, by properties where it is not.
//!
//! One binary, so that it links once. Start with [`matrix`]; `transition_matrix.txt` beside this folder is what it
//! expects, for a reviewer to read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit_trail;
mod authorization;
mod chunking;
mod deadlines;
mod delivery;
mod fields;
mod guards;
mod idempotency;
mod jobs;
mod life_cycle;
mod matrix;
mod names;
mod page;
mod retrieval;
mod snapshot;
mod verdicts;
mod visibility;
mod world;
