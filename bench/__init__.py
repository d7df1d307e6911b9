"""The benchmark of docket: `python -m bench` measures it against its own database and against named peers."""
