//! The `docket` binary: parse, set up telemetry, run the command, always flush.

fn main() {}
