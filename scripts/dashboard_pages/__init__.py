"""The pages of Grafana, one module each; scripts/dashboards.py writes them."""
