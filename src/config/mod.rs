//! Every setting: one struct per section, documented defaults, ranges checked at start.
