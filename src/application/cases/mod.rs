//! What one may do with a case: one use case per file, all writes through [`unit_of_work`].

mod attached;
pub mod available_actions;
pub mod calendars;
pub mod create_case;
pub mod delete_case;
pub mod edit_case;
pub mod export_cases;
pub mod give_notice;
pub mod import_cases;
pub mod read_case;
pub mod system_act;
pub mod transition_case;
pub mod turns;
pub mod unit_of_work;
pub mod write_draft;

pub use calendars::Calendars;
pub use unit_of_work::CaseWriting;
