//! Fakes of the ports: in memory, deterministic, and able to be told to misbehave.

mod calendars;
mod clock;
mod keys;
mod memory;
mod presenter;
mod reader;
mod tenancy;

pub use calendars::MemoryCalendars;
pub use clock::FrozenClock;
pub use keys::MemoryKeys;
pub use memory::{Contents, KeptAnswer, MemoryStore};
pub use presenter::PlainPresenter;
pub use tenancy::MemoryTenancy;
