//! Traces, metrics and logs: set up first, flushed last.
