//! Language models over HTTP: a client of their own, a parser of event streams, and one file for each wire format.
//!
//! [`transport`] sends and bounds, [`sse`] cuts bytes into events, [`answer`] turns events into what the port promises, and
//! [`openai`] and [`anthropic`] know the words of the two formats.

mod answer;
pub mod anthropic;
pub mod endpoint;
mod faults;
pub mod openai;
pub mod sse;
mod transport;

pub use anthropic::AnthropicModel;
pub use endpoint::{Endpoint, Timeouts};
pub use openai::{Dialect, OpenAiModel};
