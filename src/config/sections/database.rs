//! The section `database`: which PostgreSQL, and how many connections to it.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::config::sections::{optional_path, optional_secret};
use crate::config::setting::{Rule, section};

section! {
    /// PostgreSQL: a given server, or the embedded one when no URL is set.
    Database = "database" {
        /// Connection of the service, as a role without BYPASSRLS. Also read from `DATABASE_URL`. Empty: the embedded server.
        #[serde(deserialize_with = "optional_secret")]
        url: Option<SecretString> = "\"\"", Rule::SecretUrl(&["postgres", "postgresql"]);
        /// Connection that owns the tables and migrates them. Empty: the same as `url`.
        #[serde(deserialize_with = "optional_secret")]
        migration_url: Option<SecretString> = "\"\"", Rule::SecretUrl(&["postgres", "postgresql"]);
        /// Connections in the pool.
        pool_size: u32 = "16", Rule::Integer { min: 1, max: 1_000 };
        /// Time to wait for a free connection before the answer is 503, in milliseconds.
        acquire_timeout_ms: u64 = "2000", Rule::Integer { min: 10, max: 60_000 };
        /// Time after which PostgreSQL cancels a statement, in milliseconds.
        statement_timeout_ms: u64 = "15000", Rule::Integer { min: 100, max: 600_000 };
        /// Data directory of the embedded server.
        embedded_data_dir: PathBuf = "\"\"", Rule::PathUnderDataDir("postgres");
        /// Installation of the embedded server (the folder with `bin`). Empty: found in the virtual environment.
        #[serde(deserialize_with = "optional_path")]
        embedded_install_dir: Option<PathBuf> = "\"\"", Rule::OptionalText;
    }
}
