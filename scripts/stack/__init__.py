"""Brings the stack up for scripts/compose_test.py and scripts/dashboards_test.py, and asks it."""
