"""Logs, metrics, traces, history samples."""
