//! The server's settings: `docket.conf`, written before every start and included by `postgresql.conf`.

use std::fmt::Write as _;
use std::path::Path;

use super::EmbeddedSettings;
use super::socket::PORT;

/// Name of the file inside the data directory.
pub(super) const FILE_NAME: &str = "docket.conf";

/// Settings that hold for every embedded server, each with its reason.
const COMMON: &str = "\
# Written by docket at every start; changes here are lost. Use a server of your own (DATABASE_URL) to tune further.

# No network: the only way in is the socket, and the file system decides who may open it.
listen_addresses = ''
unix_socket_permissions = 0700

# Compresses full-page images in the log: less to write and to sync for a little CPU.
wal_compression = on
# A checkpoint every 15 minutes or 2 GB: each page is logged in full once per checkpoint, so fewer mean less log.
checkpoint_timeout = 15min
max_wal_size = 2GB
# Solid-state disks read at random nearly as fast as in sequence; the default of 4 was made for spinning disks.
random_page_cost = 1.1
# What the operating system is likely to cache for us; only steers plans, reserves nothing.
effective_cache_size = 1GB
# Our statements run for microseconds to milliseconds, compiling them would take longer than running them.
jit = off
# Huge pages need an administrator's preparation; without them a try only costs a message.
huge_pages = off
# Clean at 10 % dead rows instead of 20 %, look every 15 s instead of 60: tables whose rows come and go ask for more by
# settings of their own. At 2 % for every table, cases under load were cleaned and analysed 60 % of the time.
autovacuum_vacuum_scale_factor = 0.1
autovacuum_naptime = 15s
# One meaning of a timestamp everywhere.
timezone = 'UTC'
log_timezone = 'UTC'
";

/// Settings of a server whose data must survive.
const DURABLE: &str = "
# An acknowledged write is on the disk: never off for cases, audit, outbox or keys.
fsync = on
synchronous_commit = on
full_page_writes = on
# A quarter of a small machine's memory.
shared_buffers = 256MB
# Seven log files, one per weekday, each overwritten a week later: bounded without an administrator.
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%u@%d '
# Statements slower than this deserve a look.
log_min_duration_statement = 500ms
# Their values do not: they are what cases say, and secrets' hashes.
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
";

/// Settings of a throw-away server for tests: fast, and gone after a power failure.
const THROW_AWAY: &str = "
# The data is worth nothing after the test run: do not wait for the disk.
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 128MB
# Many small databases side by side: the default of three workers would chase them all.
autovacuum_max_workers = 1
# CREATE DATABASE copies the template by reflink or copy_file_range where the file system can.
file_copy_method = clone
# Tests provoke errors on purpose; the server's output goes to start.log.
log_min_duration_statement = -1
log_min_messages = log
log_min_error_statement = panic
";

/// The whole file.
pub(super) fn render(settings: &EmbeddedSettings, socket_directory: &Path) -> String {
    let mut text = String::from(COMMON);
    text.push_str(if settings.durable { DURABLE } else { THROW_AWAY });
    let _ = write!(
        text,
        "\n# Names the socket file; nothing listens on a network port.\nport = {PORT}\nmax_connections = {}\n\
         unix_socket_directories = {}\n",
        settings.max_connections,
        quote_directory(socket_directory),
    );
    text
}

/// The setting is a list of names: double quotes keep commas and spaces inside one name, single quotes make the whole
/// a string of the configuration file.
fn quote_directory(directory: &Path) -> String {
    let name = directory.display().to_string().replace('"', "\"\"");
    format!("'\"{}\"'", name.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn settings(durable: bool) -> EmbeddedSettings {
        EmbeddedSettings { durable, max_connections: 42, ..EmbeddedSettings::new("/var/lib/docket/postgres") }
    }

    #[test]
    fn a_durable_server_never_gives_up_syncing() {
        let text = render(&settings(true), Path::new("/run/docket"));
        assert!(text.contains("\nfsync = on\n") && text.contains("\nsynchronous_commit = on\n"));
        assert!(text.contains("\nlog_parameter_max_length = 0\n"), "the values of slow statements are logged");
        assert!(!text.contains("= off\n# Tests") && text.contains("max_connections = 42"));
    }

    #[test]
    fn a_directory_with_quotes_and_commas_stays_one_name() {
        assert_eq!(quote_directory(Path::new("/a, b/it's \"x\"")), "'\"/a, b/it''s \"\"x\"\"\"'");
    }
}
