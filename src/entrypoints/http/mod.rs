//! The HTTP API: router, extractors, middleware, one file per resource.

pub mod api_keys;
pub mod case_body;
pub mod case_list;
pub mod cases;
mod connection_activity;
pub mod cursor;
pub mod deprecated;
pub mod docs;
pub mod extract;
pub mod form;
pub mod health;
pub mod metrics;
pub mod middleware;
pub mod page;
pub mod presenter;
pub mod principals;
pub mod problem;
pub mod problem_from;
pub mod problem_pages;
pub mod router;
pub mod server;
pub mod state;
pub mod tenancy_body;
pub mod tenants;
pub mod transition_body;
pub mod transitions;
