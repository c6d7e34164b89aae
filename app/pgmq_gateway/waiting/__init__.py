"""Waiting requests and streams, and what wakes them."""
