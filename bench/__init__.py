"""Measures the gateway beside its peers, in turn, on one machine: `python -m bench --help`."""
