//! The composition root: the only file that names both ports and adapters.
