//! Tenants, principals, API keys and who is asking.
