"""Compares the gateway with its peers, in interleaved runs on one machine: `python -m bench --help`."""
