"""Observability: logs, metrics, traces, samples for the history."""
