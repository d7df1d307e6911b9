//! The demonstration: two fictional regulators with a key for each role, some hundred cases and twenty documents.

pub mod corpus;
pub mod seed_demo;
pub mod seed_documents;
