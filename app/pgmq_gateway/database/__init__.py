"""Connections: which server, pool, time limits, safety."""
