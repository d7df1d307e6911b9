//! Files of cases: from bytes to validated records and back. No file system, no database: readers and writers come in.
//!
//! In the order in which a row travels: [`window`] bounds the memory, [`splitter`] finds records, [`format`] decodes them,
//! [`source_row`] names their cells, [`mapping`] (read by [`mapping_file`]) says what they mean, [`mapper`] validates
//! ([`dates`]), [`record`] is the result. [`file_rows`] strings these together and [`batches`] hands them on. [`written`]
//! is the way back, [`escape`] protects spreadsheets on it.

pub mod batches;
pub mod dates;
pub mod escape;
pub mod file_rows;
pub mod format;
pub mod mapper;
pub mod mapping;
pub mod mapping_file;
pub mod record;
pub mod source_row;
pub mod splitter;
pub mod window;
pub mod written;
