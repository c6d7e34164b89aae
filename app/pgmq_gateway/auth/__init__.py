"""Turns credentials into a caller."""
