//! Reading the stream of committed events.
