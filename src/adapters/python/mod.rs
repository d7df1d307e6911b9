//! Python, kept at arm's length: worker processes of this same program embed the interpreter, the service talks to them.
//!
//! The service's side never names the interpreter: [`pool`] keeps the workers, [`worker`] (in their processes) is the only
//! file that knows `pyo3`. Between them go [`frame`]s over a socket that no plugin sees.

pub mod environment;
pub mod frame;
mod noise;
pub mod parser;
pub mod pool;
mod process;
mod slot;
pub mod worker;

pub use parser::PluginParser;
pub use pool::{PluginPool, PluginProbe, PoolSettings};
