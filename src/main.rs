//! The `docket` binary: parse, set up telemetry, run the command, always flush.

use std::process::ExitCode;

/// Fewer page faults and less fragmentation than the system's allocator under many small requests.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    docket::entrypoints::cli::main()
}
