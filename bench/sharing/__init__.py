"""Cells about calls that could notice each other: other callers' rows, deadlocks, slow calls, noisy callers."""
