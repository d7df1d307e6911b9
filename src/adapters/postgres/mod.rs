//! PostgreSQL: the only module that knows SQL.
