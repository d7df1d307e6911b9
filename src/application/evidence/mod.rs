//! Evidence: taking in files safely, attaching them, handing them out, and sweeping what nobody uses.

pub mod add_evidence;
pub mod file_name;
pub mod media_type;
pub mod read_evidence;
pub mod receive_file;
pub mod stored_content;
pub mod sweep_orphans;
pub mod zip_container;
