//! The case: one aggregate, one transition table, and pure functions that decide.
//!
//! [`transitions`] is the single source of the life cycle: [`decide`](decide::decide), the list of available actions, the
//! OpenAPI enumeration, the diagram in the docs and the exhaustive test are all derived from it.

pub mod aggregate;
pub mod attributes;
pub mod deadline;
pub mod decide;
pub mod diagram;
pub mod event;
pub mod fields;
pub mod guard;
pub mod names;
pub mod register;
pub mod transitions;
pub mod visibility;

pub use aggregate::Case;
pub use deadline::{Notice, Notices};
pub use decide::{CommandInput, Refusal, decide, verdicts};
pub use event::EventType;
pub use fields::{CaseChanges, NewCase};
pub use guard::Guard;
pub use names::{Command, Confidentiality, LinkKind, Severity, State};
pub use register::{Company, CompanyStatus, RegisterEntry};
