"""Runs a catalog function in its caller's role."""
