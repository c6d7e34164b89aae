"""Processes, signals, reloads, admin port."""
