"""Installs and repairs the database side, as its owner."""
