//! What one may do with a case.
