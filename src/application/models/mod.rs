//! Asking language models: how a question becomes a prompt, which model is asked, and what it used.
//!
//! [`prompt`] writes what a model reads, [`prefix_cache`] remembers how it begins, [`model_chain`] asks one provider after the
//! other until one answers, [`link`] keeps what is known of each, [`call`] watches an answer on its way, [`meter`] counts
//! what it used, and [`tab`] keeps what was used in vain.

pub mod call;
pub mod link;
pub mod meter;
pub mod model_chain;
pub mod prefix_cache;
pub mod prompt;
pub mod tab;

pub use meter::{Metered, UsageMeter};
pub use model_chain::{Answered, ChainSettings, ModelChain};
pub use prefix_cache::PrefixCache;
pub use tab::{InVain, Tab};
